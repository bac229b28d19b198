// Where the tokens of SQL text begin and end, as PostgreSQL's scanner sees them; the splitter and the grammar both ask here.

// https://www.postgresql.org/docs/18/sql-syntax-lexical.html. Offsets are UTF-16 units. Bodies are found by searching for
// the next special character, never by a backtracking pattern, so that a literal of 100 MB is no danger to the stack.

export type TokenKind =
  | 'word'
  | 'quoted'
  | 'string'
  /** B'…', X'…', N'…': a literal of PostgreSQL that our own statements do not take. */
  | 'typed_string'
  | 'number'
  | 'parameter'
  | 'symbol'
  /** A string, name or comment that is not closed; `problem` says which. */
  | 'broken'
  | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
  readonly problem?: string | undefined;
}

export type QuoteStyle = 'plain' | 'escape' | 'unicode' | 'dollar' | 'typed';

/** A literal or quoted name taken apart: where its bodies (several, if continued on the next line) stand. */
export interface Quoted {
  readonly style: QuoteStyle;
  readonly quote: "'" | '"' | '$';
  readonly bodies: readonly { readonly start: number; readonly end: number }[];
  readonly end: number;
  /** The character of UESCAPE; a backslash unless told. */
  readonly escape: string;
}

export interface LexerOptions {
  /** standard_conforming_strings = off: a backslash escapes in plain strings too. */
  readonly backslashEscapes?: boolean | undefined;
}

const afterSpace = /[^ \t\n\r\f\v]/g;
const lineEnd = /[\n\r]/g;
const commentEdge = /\/\*|\*\//g;
const afterWord = /[^A-Za-z0-9_$\u0080-\uffff]/g;
const afterTag = /[^A-Za-z0-9_\u0080-\uffff]/g;
const afterDigits = /[^0-9]/g;
const quoteOrBackslash = /['\\]/g;
const wordStart = /[A-Za-z_\u0080-\uffff]/;
const numberShape = /(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?/y;
const unicodeEscapeClause = /uescape/iy;

function find(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  const match = pattern.exec(text);
  return match === null ? text.length : match.index;
}

/** The offset after white space and comments; an unclosed comment is not skipped. */
export function skipSpace(text: string, at: number): number {
  let offset = at;
  for (;;) {
    offset = find(afterSpace, text, offset);
    if (text.startsWith('--', offset)) offset = find(lineEnd, text, offset);
    else if (text.startsWith('/*', offset)) {
      const end = commentEnd(text, offset);
      if (end === undefined) return offset;
      offset = end;
    } else return offset;
  }
}

/** Comments nest. */
function commentEnd(text: string, start: number): number | undefined {
  let depth = 1;
  commentEdge.lastIndex = start + 2;
  for (let edge = commentEdge.exec(text); edge !== null; edge = commentEdge.exec(text)) {
    depth += edge[0] === '/*' ? 1 : -1;
    if (depth === 0) return edge.index + 2;
  }
  return undefined;
}

/** The next token at or after `at`. Never throws: what is not closed is a token of kind `broken`. */
export function nextToken(text: string, at: number, options: LexerOptions = {}): Token {
  const start = skipSpace(text, at);
  const first = text[start];
  if (first === undefined) return { kind: 'end', start, end: start };
  if (text.startsWith('/*', start)) return broken(text, start, 'unterminated /* comment');
  const quoted = scanQuoted(text, start, options);
  if (typeof quoted === 'string') return broken(text, start, quoted);
  if (quoted !== undefined) {
    const kind = quoted.quote === '"' ? 'quoted' : quoted.style === 'typed' ? 'typed_string' : 'string';
    return { kind, start, end: quoted.end };
  }
  if (wordStart.test(first)) return { kind: 'word', start, end: find(afterWord, text, start) };
  if (first === '$') {
    const end = find(afterDigits, text, start + 1);
    return end > start + 1 ? { kind: 'parameter', start, end } : { kind: 'symbol', start, end: start + 1 };
  }
  numberShape.lastIndex = start;
  const number = numberShape.exec(text);
  // Letters straight after a number are junk that belongs to it.
  if (number !== null) return { kind: 'number', start, end: find(afterTag, text, start + number[0].length) };
  return { kind: 'symbol', start, end: start + 1 };
}

function broken(text: string, start: number, problem: string): Token {
  return { kind: 'broken', start, end: text.length, problem };
}

/** The literal or quoted name that begins at `start`, undefined if none does, a complaint if it is not closed. */
export function scanQuoted(text: string, start: number, options: LexerOptions = {}): Quoted | string | undefined {
  const first = text[start];
  if (first === "'") return scanString(text, start + 1, options.backslashEscapes ? 'escape' : 'plain');
  if (first === '"') return scanName(text, start + 1, 'plain');
  if (first === '$') return scanDollar(text, start);
  const second = text[start + 1];
  if (second === "'") {
    if (first === 'E' || first === 'e') return scanString(text, start + 2, 'escape');
    if (first !== undefined && 'bBxXnN'.includes(first)) return scanString(text, start + 2, 'typed');
  }
  if (second === '&' && (first === 'U' || first === 'u')) {
    if (text[start + 2] === "'") return withEscapeClause(text, scanString(text, start + 3, 'unicode'));
    if (text[start + 2] === '"') return withEscapeClause(text, scanName(text, start + 3, 'unicode'));
  }
  return undefined;
}

function scanString(text: string, bodyStart: number, style: QuoteStyle): Quoted | string {
  const bodies: { start: number; end: number }[] = [];
  let start = bodyStart;
  for (;;) {
    const end = bodyEnd(text, start, style);
    if (end === undefined) return 'unterminated quoted string';
    bodies.push({ start, end });
    const next = continuation(text, end + 1);
    if (next === undefined) return { style, quote: "'", bodies, end: end + 1, escape: '\\' };
    start = next;
  }
}

function bodyEnd(text: string, start: number, style: QuoteStyle): number | undefined {
  let offset = start;
  for (;;) {
    const at = style === 'escape' ? find(quoteOrBackslash, text, offset) : text.indexOf("'", offset);
    if (at < 0 || at >= text.length) return undefined;
    // A backslash takes the next character with it, a doubled quote is one quote.
    if (text[at] === '\\' || text[at + 1] === "'") offset = at + 2;
    else return at;
  }
}

/** Two literals with a line break between them (and at most `--` comments) are one; gives the offset of the second's body. */
function continuation(text: string, at: number): number | undefined {
  let offset = at;
  let newline = false;
  for (;;) {
    const character = text[offset];
    if (character === '\n' || character === '\r') newline = true;
    else if (character === '-' && text[offset + 1] === '-') offset = find(lineEnd, text, offset) - 1;
    else if (character === undefined || !' \t\f\v'.includes(character)) break;
    offset += 1;
  }
  return newline && text[offset] === "'" ? offset + 1 : undefined;
}

function scanName(text: string, start: number, style: QuoteStyle): Quoted | string {
  let offset = start;
  for (;;) {
    const at = text.indexOf('"', offset);
    if (at < 0) return 'unterminated quoted identifier';
    if (text[at + 1] === '"') offset = at + 2;
    else return { style, quote: '"', bodies: [{ start, end: at }], end: at + 1, escape: '\\' };
  }
}

function scanDollar(text: string, start: number): Quoted | string | undefined {
  const tagEnd = find(afterTag, text, start + 1);
  const digit = /[0-9]/.test(text[start + 1] ?? '');
  if (digit || text[tagEnd] !== '$') return undefined;
  const tag = text.slice(start, tagEnd + 1);
  const bodyStart = tagEnd + 1;
  const end = text.indexOf(tag, bodyStart);
  if (end < 0) return 'unterminated dollar-quoted string';
  return { style: 'dollar', quote: '$', bodies: [{ start: bodyStart, end }], end: end + tag.length, escape: '\\' };
}

/** `U&'…' UESCAPE '!'`: the clause belongs to the literal. */
function withEscapeClause(text: string, quoted: Quoted | string): Quoted | string {
  if (typeof quoted === 'string') return quoted;
  const at = skipSpace(text, quoted.end);
  unicodeEscapeClause.lastIndex = at;
  if (!unicodeEscapeClause.test(text)) return quoted;
  const literal = skipSpace(text, at + 'uescape'.length);
  const clause = text[literal] === "'" ? scanString(text, literal + 1, 'plain') : undefined;
  if (clause === undefined || typeof clause === 'string') return quoted;
  const character = text.slice(literal + 1, clause.end - 1);
  // What PostgreSQL does not take as an escape character is left standing, so that it is reported where it stands.
  return /^[^0-9A-Fa-f+'"\s]$/u.test(character) ? { ...quoted, end: clause.end, escape: character } : quoted;
}
