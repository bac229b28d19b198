// Names of three and more parts in SQL text, and which of them stand where a relation, function or type is named.
import { nextToken, scanQuoted, type Token } from '../sql/lexer.ts';
import { type Fail, readQuotedName, readWord } from '../sql/literals.ts';
import type { Tree } from './parser.ts';

export interface NamePart {
  readonly name: string;
  /** UTF-16 offsets. */
  readonly start: number;
  readonly end: number;
}

/** `a.b.c`, with white space and comments anywhere between. */
export interface DottedName {
  readonly parts: readonly NamePart[];
  /** Where the first dot stands. */
  readonly dot: { readonly start: number; readonly end: number };
}

export interface ScanOptions {
  readonly backslashEscapes?: boolean | undefined;
}

/** All names of three parts and more, in order. */
export function dottedNames(text: string, options: ScanOptions = {}): readonly DottedName[] {
  const dot = text.indexOf('.');
  if (dot < 0 || text.indexOf('.', dot + 1) < 0) return [];
  const found: DottedName[] = [];
  let parts: NamePart[] = [];
  let firstDot: Token | undefined;
  let afterDot = false;
  const finish = () => {
    if (parts.length >= 3 && firstDot !== undefined) found.push({ parts, dot: firstDot });
    parts = [];
    firstDot = undefined;
    afterDot = false;
  };
  for (let at = 0; ; ) {
    const token = nextToken(text, at, options);
    if (token.kind === 'end' || token.kind === 'broken') {
      finish();
      return found;
    }
    at = token.end;
    const symbol = token.kind === 'symbol' ? text[token.start] : undefined;
    if (symbol === '.' && parts.length > 0 && !afterDot) {
      firstDot ??= token;
      afterDot = true;
      continue;
    }
    const part = afterDot || parts.length === 0 ? readPart(text, token, symbol) : undefined;
    if (part !== undefined && afterDot) {
      parts.push(part);
      afterDot = false;
      continue;
    }
    finish();
    const first = symbol === undefined ? (part ?? readPart(text, token, symbol)) : undefined;
    if (first !== undefined) parts = [first];
  }
}

class Unreadable extends Error {}
const unreadable: Fail = () => {
  throw new Unreadable();
};

function readPart(text: string, token: Token, symbol: string | undefined): NamePart | undefined {
  const { start, end } = token;
  if (symbol === '*') return { name: '*', start, end };
  if (token.kind !== 'word' && token.kind !== 'quoted') return undefined;
  try {
    if (token.kind === 'word') return { name: readWord(text.slice(start, end), start, unreadable), start, end };
    const quoted = scanQuoted(text, start);
    if (quoted === undefined || typeof quoted === 'string') return undefined;
    return { name: readQuotedName(text, quoted, unreadable), start, end };
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

/** Where PostgreSQL's parser says that qualified names stand. */
export interface NamedPlaces {
  /** Byte offsets of names of relations, functions, types and four-part columns. */
  readonly offsets: ReadonlySet<number>;
  /** Names that carry no offset (DROP, COMMENT, ALTER … lists), parts joined with NUL. */
  readonly lists: ReadonlySet<string>;
  /** Whether any relation is named at all. */
  readonly relations: boolean;
}

type Node = Readonly<Record<string, unknown>>;

/** Walks a tree without recursion: a long expression is a deep tree. */
export function namedPlaces(tree: Tree): NamedPlaces {
  const offsets = new Set<number>();
  const lists = new Set<string>();
  let relations = false;
  const open: Tree[] = [tree];
  while (open.length > 0) {
    const node = open.pop();
    if (typeof node !== 'object' || node === null) continue;
    if (Array.isArray(node)) {
      const list = stringList(node);
      if (list.length >= 3) lists.add(list.join('\0'));
      for (const each of node) open.push(each);
      continue;
    }
    const { relname, catalogname, funcname, names, fields, location } = node as Node;
    if (typeof relname === 'string') relations = true;
    const at = typeof location === 'number' ? location : 0;
    if (typeof catalogname === 'string' && catalogname !== '') offsets.add(at);
    if (Array.isArray(funcname) && funcname.length >= 3) offsets.add(at);
    if (Array.isArray(names) && names.length >= 3) offsets.add(at);
    if (Array.isArray(fields) && fields.length >= 4) offsets.add(at);
    // Those lists have offsets; as bare lists they would take `alias.column.field` for a relation.
    const skipped = new Set(['funcname', 'fields', ...(typeof location === 'number' ? ['names'] : [])]);
    for (const [key, value] of Object.entries(node as Node)) {
      if (!skipped.has(key)) open.push(value);
    }
  }
  return { offsets, lists, relations };
}

function stringList(list: readonly unknown[]): readonly string[] {
  const texts: string[] = [];
  for (const item of list) {
    const text = (item as { readonly String?: { readonly sval?: unknown } } | null)?.String?.sval;
    if (typeof text !== 'string') return [];
    texts.push(text);
  }
  return texts;
}
