// A batch into its statements, as psql and PostgreSQL would cut it, each with its place and whether it may be ours.
import { type LexerOptions, nextToken, type Token } from './lexer.ts';
import { parseStatement } from './parse.ts';
import { countCharacters } from './positions.ts';
import type { Statement } from './statement.ts';

/**
 * Whose a statement is, by its first words:
 * - `ours`: nobody else knows it
 * - `execute`: `EXECUTE name('…')`, ours if a peer of that name exists, else a prepared statement of a server
 * - `users`: CREATE, ALTER or DROP USER; a peer's in a session that is connected to that peer
 * - `plain`: SQL for the catalog or a peer
 */
export type Owner =
  | { readonly kind: 'ours' }
  | { readonly kind: 'execute'; readonly peer: string }
  | { readonly kind: 'users' }
  | { readonly kind: 'plain' };

export interface Piece {
  /** The statement as sent, with the white space and comments before it and its `;`. */
  readonly text: string;
  /** Its place in the batch in UTF-16 units. */
  readonly start: number;
  readonly end: number;
  /** Characters (code points) and UTF-8 bytes of the batch before it. */
  readonly charactersBefore: number;
  readonly bytesBefore: number;
  /** The leading unquoted words in lower case, four at most: `['create', 'mirror', …]`. */
  readonly firstWords: readonly string[];
  readonly owner: Owner;
}

/** How much of a batch is looked at before it is given up. */
export interface SplitLimits {
  readonly pieces: number;
  readonly tokens: number;
}

/** Cuts a batch; statements that are empty but for comments are left out. Never throws: what is not closed is one last piece. */
export function splitBatch(batch: string, options: LexerOptions = {}): readonly Piece[] {
  return splitWithin(batch, { pieces: Number.POSITIVE_INFINITY, tokens: Number.POSITIVE_INFINITY }, options)!;
}

/** As splitBatch; undefined if there is more than that in it. */
export function splitWithin(
  batch: string,
  limits: SplitLimits,
  options: LexerOptions = {},
): readonly Piece[] | undefined {
  const pieces: Piece[] = [];
  const budget = { tokens: limits.tokens };
  let start = 0;
  let charactersBefore = 0;
  let bytesBefore = 0;
  while (start < batch.length) {
    const { end, head } = readStatement(batch, start, { options, budget });
    if (budget.tokens < 0 || pieces.length >= limits.pieces) return undefined;
    const text = batch.slice(start, end);
    if (head.length > 0) {
      const firstWords = leadingWords(batch, head);
      const owner = ownerOf(batch, head, firstWords);
      pieces.push({ text, start, end, charactersBefore, bytesBefore, firstWords, owner });
    }
    charactersBefore += countCharacters(text);
    bytesBefore += Buffer.byteLength(text);
    start = end;
  }
  return pieces;
}

/** What must be known of the session to tell whose a statement is. */
export interface SessionFacts {
  readonly isPeer: (name: string) => boolean;
  /** Connected with `dbname=<peer>`. */
  readonly onPeer: boolean;
}

/** Whether a statement goes to our grammar. */
export function isOurs(piece: Piece, session: SessionFacts): boolean {
  switch (piece.owner.kind) {
    case 'ours':
      return true;
    case 'execute':
      return session.isPeer(piece.owner.peer);
    case 'users':
      return !session.onPeer;
    case 'plain':
      return false;
    default:
      return piece.owner satisfies never;
  }
}

/** The statement in a piece that is ours, with positions in the whole batch. @throws `syntax`, `name_too_long` */
export function parsePiece(piece: Piece): Statement {
  return parseStatement(piece.text, piece.charactersBefore);
}

const headLength = 6;

/** The first tokens of the statement at `start`, and its end behind its `;`. */
function readStatement(
  batch: string,
  start: number,
  { options, budget }: { readonly options: LexerOptions; readonly budget: { tokens: number } },
): { end: number; head: readonly Token[] } {
  const head: Token[] = [];
  const body = new RoutineBody();
  let parentheses = 0;
  for (let at = start; ; ) {
    const token = nextToken(batch, at, options);
    budget.tokens -= 1;
    if (token.kind === 'end' || budget.tokens < 0) return { end: batch.length, head };
    at = token.end;
    if (token.kind === 'symbol') {
      const symbol = batch[token.start];
      if (symbol === '(') parentheses += 1;
      else if (symbol === ')') parentheses = Math.max(0, parentheses - 1);
      else if (symbol === ';' && parentheses === 0 && !body.isOpen) return { end: token.end, head };
    }
    if (head.length < headLength) head.push(token);
    if (parentheses === 0) body.see(batch, token);
  }
}

/**
 * Knows whether a `;` stands inside `BEGIN ATOMIC … END` of CREATE FUNCTION or PROCEDURE. CASE has an END of its own.
 * https://www.postgresql.org/docs/18/sql-createfunction.html
 */
class RoutineBody {
  #words = '';
  #count = 0;
  #depth = 0;
  #before = '';

  get isOpen(): boolean {
    return this.#depth > 0;
  }

  see(batch: string, token: Token): void {
    // Words that matter are short; a long one is not copied.
    const isWord = token.kind === 'word' && token.end - token.start < 12;
    const word = isWord ? batch.slice(token.start, token.end).toLowerCase() : '';
    if (this.#count < 4) {
      this.#count += 1;
      this.#words += ` ${word}`;
    }
    // `x.end` and `as end` are names.
    const before = this.#before;
    this.#before = word === '' ? (batch[token.start] ?? '') : word;
    if (word === '' || before === '.' || before === 'as') return;
    if (this.#depth === 0) {
      const opens = word === 'atomic' && before === 'begin';
      if (opens && /^ create( or replace)? (function|procedure)/.test(this.#words)) this.#depth = 1;
    } else if (word === 'case') this.#depth += 1;
    else if (word === 'end') this.#depth -= 1;
  }
}

function leadingWords(batch: string, head: readonly Token[]): readonly string[] {
  const words: string[] = [];
  for (const token of head.slice(0, 4)) {
    if (token.kind !== 'word' || token.end - token.start > 64) break;
    words.push(batch.slice(token.start, token.end).toLowerCase());
  }
  return words;
}

const peerVerbs: ReadonlySet<string> = new Set(['create', 'alter', 'drop', 'validate']);
const mirrorVerbs: ReadonlySet<string> = new Set([
  'create',
  'alter',
  'drop',
  'pause',
  'resume',
  'resync',
  'verify',
  'repair',
  'cutover',
  'reverse',
  'complete',
]);
const shown: ReadonlySet<string> = new Set(['peers', 'peer', 'mirrors', 'mirror', 'users']);

function ownerOf(batch: string, head: readonly Token[], words: readonly string[]): Owner {
  const [first = '', second = '', third = ''] = words;
  const ours = { kind: 'ours' } as const;
  if (second === 'peer' && peerVerbs.has(first)) return ours;
  if (second === 'mirror' && mirrorVerbs.has(first)) return ours;
  if (first === 'show' && shown.has(second)) return ours;
  if (first === 'explain' && second === 'create' && third === 'mirror') return ours;
  if (first === 'execute') return ownerOfExecute(batch, head, second);
  // CREATE, ALTER and DROP USER MAPPING are PostgreSQL's own, about foreign servers.
  const aboutUser = second === 'user' && (first === 'create' || first === 'alter' || first === 'drop');
  return aboutUser && third !== 'mapping' ? { kind: 'users' } : { kind: 'plain' };
}

/** `EXECUTE MIRROR m` and `EXECUTE p $$…$$` are nothing that PostgreSQL knows; `EXECUTE p('…')` is, and `EXECUTE mirror`. */
function ownerOfExecute(batch: string, head: readonly Token[], second: string): Owner {
  const [, name, third, fourth, fifth, sixth] = head;
  const isSymbol = (token: Token | undefined, symbol: string) =>
    token?.kind === 'symbol' && batch[token.start] === symbol;
  if (second === 'mirror' && (third?.kind === 'word' || third?.kind === 'quoted')) return { kind: 'ours' };
  if (name?.kind !== 'word' && name?.kind !== 'quoted') return { kind: 'plain' };
  if (third?.kind === 'string') return { kind: 'ours' };
  if (isSymbol(third, '(') && fourth?.kind === 'string' && isSymbol(fifth, ')') && sixth === undefined) {
    const parsed = quietly(() => parseStatement(batch.slice(head[0]!.start, fifth!.end)));
    if (parsed?.kind === 'execute_peer') return { kind: 'execute', peer: parsed.peer };
  }
  return { kind: 'plain' };
}

/** A name or string that our grammar refuses makes the statement PostgreSQL's business. */
function quietly<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
