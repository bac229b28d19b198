// A client's SQL as bytes, text and statements, so that what goes on is the same bytes that came.
import { isUtf8 } from 'node:buffer';
import { type Piece, splitWithin } from '../sql/split.ts';

/** The text of one Query or Parse message. */
export interface ClientText {
  readonly text: string;
  readonly pieces: readonly Piece[];
  /** Back to the client's bytes. */
  encode(part: string): Buffer;
}

// A JavaScript string cannot hold every message that the protocol allows.
const longestRead = 256_000_000;
// Reading is work that nobody else is served during: about a second at this many. What has more goes on unread.
const mostRead = { pieces: 100_000, tokens: 4_000_000 } as const;

/**
 * Reads SQL. Text that is not UTF-8 is read byte by byte, so that every byte goes on as it came and PostgreSQL judges it.
 * @param backslashEscapes standard_conforming_strings is off
 * @returns undefined if there is too much of it to be looked at
 */
export function readText(bytes: Buffer, backslashEscapes: boolean): ClientText | undefined {
  if (bytes.length > longestRead) return undefined;
  const encoding = isUtf8(bytes) ? 'utf8' : 'latin1';
  const text = bytes.toString(encoding);
  const pieces = splitWithin(text, mostRead, { backslashEscapes });
  return pieces && { text, pieces, encode: (part) => Buffer.from(part, encoding) };
}
