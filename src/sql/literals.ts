// What a literal or a name means: escapes resolved, names folded and measured, exactly as PostgreSQL reads them.
import type { ErrorDetails, ErrorKind } from '../base/errors.ts';
import type { Quoted } from './lexer.ts';

/** PostgreSQL's NAMEDATALEN - 1. https://www.postgresql.org/docs/18/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS */
export const maxNameBytes = 63;

/** Raises an error at a place (UTF-16 offset) of the text. */
export type Fail = (kind: ErrorKind, message: string, offset: number, details?: ErrorDetails) => never;

/** The value of a string literal. @throws `syntax` at the bad escape */
export function readString(text: string, quoted: Quoted, fail: Fail): string {
  const values = quoted.bodies.map(({ start, end }) => {
    const body = text.slice(start, end);
    if (quoted.style === 'escape') return readEscapes(body, start, fail);
    if (quoted.style === 'unicode') return readUnicode(body, { start, escapedBy: quoted.escape, quote: "'" }, fail);
    return quoted.style === 'dollar' ? body : body.replaceAll("''", "'");
  });
  const value = values.join('');
  if (value.includes('\0'))
    fail('syntax', 'invalid byte sequence for encoding "UTF8": 0x00', quoted.bodies[0]!.start, badBytes);
  return value;
}

/** The name that an unquoted word means: ASCII letters fold to lower case, all else stays. @throws `name_too_long` */
export function readWord(word: string, offset: number, fail: Fail): string {
  return measured(
    word.replace(/[A-Z]/g, (letter) => letter.toLowerCase()),
    offset,
    fail,
  );
}

/** The name in `"…"` or `U&"…"`. @throws `syntax` if it is empty or an escape is bad, `name_too_long` */
export function readQuotedName(text: string, quoted: Quoted, fail: Fail): string {
  const { start, end } = quoted.bodies[0]!;
  const body = text.slice(start, end);
  const name =
    quoted.style === 'unicode'
      ? readUnicode(body, { start, escapedBy: quoted.escape, quote: '"' }, fail)
      : body.replaceAll('""', '"');
  const token = start - (quoted.style === 'unicode' ? 3 : 1);
  if (name === '') fail('syntax', 'zero-length delimited identifier', token);
  if (name.includes('\0')) fail('syntax', 'invalid byte sequence for encoding "UTF8": 0x00', token, badBytes);
  return measured(name, token, fail);
}

function measured(name: string, offset: number, fail: Fail): string {
  const bytes = Buffer.byteLength(name);
  if (bytes > maxNameBytes) {
    fail('name_too_long', `name "${name}" is too long`, offset, {
      detail: `It has ${bytes} bytes; PostgreSQL keeps ${maxNameBytes}.`,
      hint: 'Use a shorter name.',
    });
  }
  return name;
}

const badBytes: ErrorDetails = { sqlstate: '22021' };
const badEscape: ErrorDetails = { sqlstate: '22025', hint: 'Unicode escapes are \\uXXXX or \\UXXXXXXXX.' };
const escapeShape = /''|\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([\s\S]))/gu;
const letters: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** C-style escapes. `\x` and octal give bytes, which must form UTF-8 together with what stands around them. */
function readEscapes(body: string, start: number, fail: Fail): string {
  const parts: (string | number)[] = [];
  let from = 0;
  let high: { readonly unit: number; readonly start: number; readonly end: number } | undefined;
  const loneSurrogate = (offset: number) => fail('syntax', 'invalid Unicode surrogate pair', start + offset);
  for (const match of body.matchAll(escapeShape)) {
    const [whole, octal, hex, short, long, other] = match;
    parts.push(body.slice(from, match.index));
    from = match.index + whole.length;
    const unit = parseInt(short ?? long ?? '', 16);
    const low = unit >= 0xdc00 && unit <= 0xdfff;
    // A high one must be followed at once by a low one, and a low one must follow a high one.
    if (high === undefined ? low : !low || high.end !== match.index) loneSurrogate(high?.start ?? match.index);
    if (high !== undefined) {
      parts.push(String.fromCharCode(high.unit, unit));
      high = undefined;
    } else if (unit >= 0xd800 && unit <= 0xdbff) high = { unit, start: match.index, end: from };
    else if (!Number.isNaN(unit)) {
      if (unit > 0x10ffff) fail('syntax', 'invalid Unicode escape value', start + match.index, badEscape);
      parts.push(String.fromCodePoint(unit));
    } else if (octal !== undefined) parts.push(parseInt(octal, 8) & 0xff);
    else if (hex !== undefined) parts.push(parseInt(hex, 16));
    else if (other === 'u' || other === 'U') fail('syntax', 'invalid Unicode escape', start + match.index, badEscape);
    else parts.push(other === undefined ? "'" : (letters[other] ?? other));
  }
  if (high !== undefined) loneSurrogate(high.start);
  parts.push(body.slice(from));
  return joinBytes(parts, () => fail('syntax', 'invalid byte sequence for encoding "UTF8"', start, badBytes));
}

function joinBytes(parts: readonly (string | number)[], invalid: () => never): string {
  if (!parts.some((part) => typeof part === 'number' && part >= 0x80)) {
    return parts.map((part) => (typeof part === 'number' ? String.fromCharCode(part) : part)).join('');
  }
  const bytes = Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part))));
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return invalid();
  }
}

interface UnicodeBody {
  readonly start: number;
  readonly escapedBy: string;
  readonly quote: string;
}

/** `U&`: `\XXXX`, `\+XXXXXX`, the escape character doubled; surrogates only in pairs. */
function readUnicode(body: string, { start, escapedBy, quote }: UnicodeBody, fail: Fail): string {
  const source = body.replaceAll(quote + quote, quote);
  let value = '';
  let at = 0;
  while (at < source.length) {
    const next = source.indexOf(escapedBy, at);
    if (next < 0) break;
    value += source.slice(at, next);
    if (source.startsWith(escapedBy, next + escapedBy.length)) {
      value += escapedBy;
      at = next + 2 * escapedBy.length;
      continue;
    }
    const digits = /^(?:\+([0-9A-Fa-f]{6})|([0-9A-Fa-f]{4}))/.exec(
      source.slice(next + escapedBy.length, next + escapedBy.length + 7),
    );
    const code = parseInt(digits?.[1] ?? digits?.[2] ?? '', 16);
    if (digits === null || code > 0x10ffff) {
      return fail('syntax', 'invalid Unicode escape', start, {
        sqlstate: '22025',
        hint: `Unicode escapes are ${escapedBy}XXXX or ${escapedBy}+XXXXXX.`,
      });
    }
    value += String.fromCodePoint(code);
    at = next + escapedBy.length + digits[0].length;
  }
  value += source.slice(at);
  // Pairs have joined by now; a surrogate that is left over is alone.
  if (/\p{Surrogate}/u.test(value)) fail('syntax', 'invalid Unicode surrogate pair', start);
  return value;
}
