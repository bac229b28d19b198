// Names of three and more parts in SQL text: `a.b.c`, with white space and comments anywhere between.
import { nextToken, scanQuoted, type Token } from '../sql/lexer.ts';
import { type Fail, readQuotedName, readWord } from '../sql/literals.ts';

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
    const symbol = token.kind === 'symbol' ? text[token.start] : undefined;
    at = afterDot && symbol !== undefined ? operatorEnd(text, token) : token.end;
    if (symbol === '.' && parts.length > 0 && !afterDot) {
      firstDot ??= token;
      afterDot = true;
      continue;
    }
    const part = afterDot || parts.length === 0 ? readPart(text, { ...token, end: at }) : undefined;
    if (part !== undefined && afterDot) {
      parts.push(part);
      afterDot = false;
      continue;
    }
    finish();
    const first = symbol === undefined ? (part ?? readPart(text, token)) : undefined;
    if (first !== undefined) parts = [first];
  }
}

class Unreadable extends Error {}
const unreadable: Fail = () => {
  throw new Unreadable();
};

// https://www.postgresql.org/docs/18/sql-syntax-lexical.html#SQL-SYNTAX-OPERATORS
const operatorCharacter = /[-+*/<>=~!@#%^&|`?]/;

/** An operator may be a name's last part, as in `operator(a.b.<=)`, and so may the star of `a.b.*`. */
function operatorEnd(text: string, token: Token): number {
  let end = token.start;
  while (operatorCharacter.test(text[end] ?? '') && !/^(--|\/\*)/.test(text.slice(end, end + 2))) end += 1;
  return Math.max(end, token.end);
}

function readPart(text: string, token: Token): NamePart | undefined {
  const { start, end } = token;
  if (token.kind === 'symbol') {
    return operatorCharacter.test(text[start]!) ? { name: text.slice(start, end), start, end } : undefined;
  }
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
