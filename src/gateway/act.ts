// What a plain statement does to the session that carries it: transactions, settings, prepared statements, cursors.
import { parseTree } from './parser.ts';
import { namedPlaces } from './places.ts';

export type Act =
  /** Nothing that concerns us. */
  | { readonly kind: 'other' }
  | { readonly kind: 'begin'; readonly tag: string }
  | { readonly kind: 'end'; readonly commit: boolean; readonly chain: boolean }
  | { readonly kind: 'savepoint'; readonly name: string }
  /** RELEASE and ROLLBACK TO. */
  | { readonly kind: 'savepoint_end'; readonly name: string; readonly rollback: boolean }
  /** `key`: the setting; SET LOCAL and SET TRANSACTION end with the transaction. */
  | { readonly kind: 'set'; readonly key: string; readonly local: boolean; readonly tag: string }
  | { readonly kind: 'discard_all' }
  | { readonly kind: 'prepare'; readonly name: string }
  /** Undefined: all. */
  | { readonly kind: 'deallocate'; readonly name: string | undefined }
  | { readonly kind: 'execute'; readonly name: string }
  | { readonly kind: 'declare'; readonly name: string; readonly hold: boolean }
  /** FETCH, MOVE, CLOSE. Undefined: all. */
  | { readonly kind: 'cursor'; readonly name: string | undefined };

/** Acts that answer no rows and take no parameters, so that a gateway can answer for them. */
export const controlKinds: ReadonlySet<Act['kind']> = new Set([
  'begin',
  'end',
  'savepoint',
  'savepoint_end',
  'set',
  'discard_all',
  'deallocate',
]);

/** Acts with rows or parameters that leave something behind in the session. */
export const leavingKinds: ReadonlySet<Act['kind']> = new Set(['prepare', 'declare']);

const readWords: ReadonlySet<string> = new Set([
  'abort',
  'begin',
  'close',
  'commit',
  'deallocate',
  'declare',
  'discard',
  'end',
  'execute',
  'fetch',
  'move',
  'prepare',
  'release',
  'reset',
  'rollback',
  'savepoint',
  'set',
  'start',
]);

const other: Act = { kind: 'other' };
const cursorHold = 0x0020;

/** @param firstWord the statement's first word in lower case: most statements need no parsing */
export function actOf(text: string, firstWord: string | undefined): Act {
  if (firstWord === undefined || !(readWords.has(firstWord) || hidesExecute(text, firstWord))) return other;
  const tree = parseTree(text) as { readonly stmts?: readonly { readonly stmt?: Node }[] } | undefined;
  const statement = tree?.stmts?.[0]?.stmt;
  if (statement === undefined) return other;
  const [type, body] = Object.entries(statement)[0] ?? [];
  return type === undefined ? other : readStatement(type, (body ?? {}) as Node);
}

/** EXPLAIN EXECUTE and CREATE TABLE … AS EXECUTE. */
function hidesExecute(text: string, firstWord: string): boolean {
  return (firstWord === 'explain' || firstWord === 'create') && /\bexecute\b/i.test(text);
}

/** Whether a statement names a relation; true where nobody can tell. */
export function namesRelations(text: string): boolean {
  const tree = parseTree(text);
  return tree === undefined || namedPlaces(tree).relations;
}

type Node = Readonly<Record<string, unknown>>;
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function readStatement(type: string, body: Node): Act {
  switch (type) {
    case 'TransactionStmt':
      return readTransaction(body);
    case 'VariableSetStmt':
      return readSet(body);
    case 'DiscardStmt':
      return body.target === 'DISCARD_ALL' ? { kind: 'discard_all' } : other;
    case 'PrepareStmt':
      return { kind: 'prepare', name: textOf(body.name) };
    case 'DeallocateStmt':
      return { kind: 'deallocate', name: body.isall === true ? undefined : textOf(body.name) };
    case 'ExplainStmt':
    case 'CreateTableAsStmt': {
      const [inner, said] = Object.entries((body.query ?? {}) as Node)[0] ?? [];
      return inner === 'ExecuteStmt' || inner === 'CreateTableAsStmt'
        ? readStatement(inner, (said ?? {}) as Node)
        : other;
    }
    case 'ExecuteStmt':
      return { kind: 'execute', name: textOf(body.name) };
    case 'DeclareCursorStmt':
      return { kind: 'declare', name: textOf(body.portalname), hold: (Number(body.options) & cursorHold) !== 0 };
    case 'FetchStmt':
    case 'ClosePortalStmt':
      return { kind: 'cursor', name: typeof body.portalname === 'string' ? body.portalname : undefined };
    default:
      return other;
  }
}

function readTransaction(body: Node): Act {
  const name = textOf(body.savepoint_name);
  const chain = body.chain === true;
  switch (body.kind ?? 'TRANS_STMT_BEGIN') {
    case 'TRANS_STMT_BEGIN':
      return { kind: 'begin', tag: 'BEGIN' };
    case 'TRANS_STMT_START':
      return { kind: 'begin', tag: 'START TRANSACTION' };
    case 'TRANS_STMT_COMMIT':
      return { kind: 'end', commit: true, chain };
    case 'TRANS_STMT_ROLLBACK':
      return { kind: 'end', commit: false, chain };
    case 'TRANS_STMT_SAVEPOINT':
      return { kind: 'savepoint', name };
    case 'TRANS_STMT_RELEASE':
      return { kind: 'savepoint_end', name, rollback: false };
    case 'TRANS_STMT_ROLLBACK_TO':
      return { kind: 'savepoint_end', name, rollback: true };
    default:
      return other;
  }
}

function readSet(body: Node): Act {
  const name = textOf(body.name).toLowerCase();
  const reset = body.kind === 'VAR_RESET' || body.kind === 'VAR_RESET_ALL';
  const local = body.is_local === true || (body.kind === 'VAR_SET_MULTI' && name.startsWith('transaction'));
  const key = body.kind === 'VAR_RESET_ALL' ? 'all' : name;
  return { kind: 'set', key, local, tag: reset ? 'RESET' : 'SET' };
}
