// What the generated parser asks while it reads: where a token ends, what it means, at which character it stands.
import { type ErrorDetails, type ErrorKind, SluiceError } from '../base/errors.ts';
import { nextToken, type Quoted, scanQuoted, skipSpace, type TokenKind } from './lexer.ts';
import { readQuotedName, readString, readWord } from './literals.ts';
import { positionsIn } from './positions.ts';
import { peerTypes } from './statement.ts';

/** Words that hold our statements together; as names they must be quoted. All of them are reserved in PostgreSQL, too. */
export const reservedWords: ReadonlySet<string> = new Set(['all', 'for', 'from', 'not', 'table', 'to', 'with']);

/** All offsets are UTF-16 units in the statement's text. */
export interface Reader {
  /** The end of white space and comments. */
  skip(offset: number): number;
  /** The end of the token at `offset` if it is of that kind, else -1. */
  end(kind: TokenKind, offset: number): number;
  /** Characters from 1, in the client's whole text. */
  position(offset: number): number;
  word(text: string, offset: number): string;
  quotedName(offset: number): string;
  /** The value of a string and, where it stands there without escapes, the position of its first character. */
  string(offset: number): { readonly value: string; readonly position?: number };
  number(text: string): number | string;
  isReserved(word: string): boolean;
  isPeerType(word: string): boolean;
  /** @throws SluiceError of that kind at that place */
  fail(kind: ErrorKind, message: string, offset: number, details?: ErrorDetails): never;
}

/** @param before characters of the client's text before this one */
export function createReader(text: string, before: number): Reader {
  const position = positionsIn(text, before);
  const fail = (kind: ErrorKind, message: string, offset: number, details: ErrorDetails = {}): never => {
    throw new SluiceError(kind, message, { ...details, position: position(offset) });
  };
  // The grammar asks only where `end` has just said that there is one.
  const quotedAt = (offset: number) => scanQuoted(text, offset) as Quoted;
  return {
    skip: (offset) => skipSpace(text, offset),
    end(kind, offset) {
      const token = nextToken(text, offset);
      return token.kind === kind && token.start === offset ? token.end : -1;
    },
    position,
    word: (word, offset) => readWord(word, offset, fail),
    quotedName: (offset) => readQuotedName(text, quotedAt(offset), fail),
    string(offset) {
      const quoted = quotedAt(offset);
      const value = readString(text, quoted, fail);
      const body = quoted.bodies[0]!;
      const asWritten = value === text.slice(body.start, body.end);
      return asWritten ? { value, position: position(body.start) } : { value };
    },
    number: readNumber,
    isReserved: (word) => reservedWords.has(word),
    isPeerType: (word) => (peerTypes as readonly string[]).includes(word.toUpperCase()),
    fail,
  };
}

/** An integer that a JavaScript number holds exactly and prints the same; any other stays text, so that no digit is lost. */
function readNumber(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) && String(value) === text ? value : text;
}
