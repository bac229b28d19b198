// What a plain statement does to the session that carries it: transactions, settings, prepared statements, cursors.
import { longestParsed, parseTree } from './parser.ts';
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
  /** `select set_config('name', 'value', false)`, as many tools say it. */
  | { readonly kind: 'set_config'; readonly key: string }
  | { readonly kind: 'discard_all' }
  /** PREPARE TRANSACTION. */
  | { readonly kind: 'prepare_transaction'; readonly id: string }
  /** COMMIT PREPARED and ROLLBACK PREPARED. */
  | { readonly kind: 'end_prepared'; readonly id: string }
  | { readonly kind: 'prepare'; readonly name: string }
  /** Undefined: all. */
  | { readonly kind: 'deallocate'; readonly name: string | undefined }
  | { readonly kind: 'execute'; readonly name: string }
  | { readonly kind: 'declare'; readonly name: string; readonly hold: boolean }
  /** FETCH, MOVE. */
  | { readonly kind: 'fetch'; readonly name: string }
  /** Undefined: all. */
  | { readonly kind: 'close'; readonly name: string | undefined };

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
export const leavingKinds: ReadonlySet<Act['kind']> = new Set([
  'prepare',
  'declare',
  'close',
  'prepare_transaction',
  'end_prepared',
  'set_config',
]);

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
  if (firstWord === undefined || !(readWords.has(firstWord) || hidesAct(text, firstWord))) return other;
  const tree = parseTree(text) as { readonly stmts?: readonly { readonly stmt?: Node }[] } | undefined;
  const statement = tree?.stmts?.[0]?.stmt;
  if (statement === undefined) return other;
  const [type, body] = Object.entries(statement)[0] ?? [];
  return type === undefined ? other : readStatement(type, (body ?? {}) as Node);
}

/** EXPLAIN EXECUTE, CREATE TABLE … AS EXECUTE and SELECT set_config(…). */
function hidesAct(text: string, firstWord: string): boolean {
  if (firstWord === 'select') return /set_config/i.test(text);
  return (firstWord === 'explain' || firstWord === 'create') && /\bexecute\b/i.test(text);
}

/** Whether a statement names a relation. What nobody can read is most likely wrong wherever it goes, unless it is just long. */
export function namesRelations(text: string): boolean {
  const tree = parseTree(text);
  return tree === undefined ? text.length > longestParsed : namedPlaces(tree).relations;
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
      if (body.target === 'DISCARD_ALL') return { kind: 'discard_all' };
      return discard(textOf(body.target).replace('DISCARD_', ''));
    case 'PrepareStmt':
      return { kind: 'prepare', name: textOf(body.name) };
    case 'DeallocateStmt':
      return { kind: 'deallocate', name: body.isall === true ? undefined : textOf(body.name) };
    case 'SelectStmt':
      return readSetConfig(body);
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
      return { kind: 'fetch', name: textOf(body.portalname) };
    case 'ClosePortalStmt':
      return { kind: 'close', name: typeof body.portalname === 'string' ? body.portalname : undefined };
    default:
      return other;
  }
}

/** DISCARD TEMP, PLANS, SEQUENCES: as SET, they are about every upstream. */
function discard(what: string): Act {
  const target = what === 'TEMP' ? 'TEMP' : what;
  return { kind: 'set', key: `discard ${target.toLowerCase()}`, local: false, tag: `DISCARD ${target}` };
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
    case 'TRANS_STMT_PREPARE':
      return { kind: 'prepare_transaction', id: textOf(body.gid) };
    case 'TRANS_STMT_COMMIT_PREPARED':
    case 'TRANS_STMT_ROLLBACK_PREPARED':
      return { kind: 'end_prepared', id: textOf(body.gid) };
    default:
      return other;
  }
}

function readSet(body: Node): Act {
  const name = textOf(body.name).toLowerCase();
  const reset = body.kind === 'VAR_RESET' || body.kind === 'VAR_RESET_ALL';
  const local = body.is_local === true || (body.kind === 'VAR_SET_MULTI' && name.startsWith('transaction'));
  // SESSION CHARACTERISTICS are several settings under one name.
  const said = name === 'session characteristics' ? definitions(body.args) : '';
  const key = body.kind === 'VAR_RESET_ALL' ? 'all' : name + said;
  return { kind: 'set', key, local, tag: reset ? 'RESET' : 'SET' };
}

function definitions(args: unknown): string {
  const list = Array.isArray(args) ? (args as readonly { readonly DefElem?: { readonly defname?: string } }[]) : [];
  return list.map((each) => ` ${each.DefElem?.defname ?? ''}`).join('');
}

/** Nothing but calls of set_config with literals that hold for the session. */
function readSetConfig(body: Node): Act {
  const { fromClause, whereClause, targetList, valuesLists } = body;
  if (fromClause !== undefined || whereClause !== undefined || valuesLists !== undefined) return other;
  const names = (Array.isArray(targetList) ? (targetList as readonly Node[]) : []).map((target) => {
    const call = ((target.ResTarget as Node | undefined)?.val as Node | undefined)?.FuncCall as Node | undefined;
    const name = (call?.funcname as readonly { readonly String?: { readonly sval?: string } }[] | undefined)?.at(-1);
    const literals = (Array.isArray(call?.args) ? (call.args as readonly Node[]) : []).map(
      ({ A_Const }) => A_Const as { sval?: { sval?: string }; boolval?: { boolval?: boolean } } | undefined,
    );
    const [setting, value, local] = literals;
    const holds = local?.boolval !== undefined && local.boolval.boolval !== true;
    if (name?.String?.sval !== 'set_config' || value === undefined || !holds) return undefined;
    return setting?.sval?.sval?.toLowerCase();
  });
  if (names.length === 0 || names.includes(undefined)) return other;
  return { kind: 'set_config', key: names.join(' ') };
}
