// A position in the write-ahead log, as a bigint so that it compares and subtracts; text as PostgreSQL prints it.
import { SluiceError } from '../base/errors.ts';

/** Byte position in the WAL. */
export type Lsn = bigint;

/** Reads `16/B374D848` (https://www.postgresql.org/docs/18/datatype-pg-lsn.html). @throws `internal` if it is not one */
export function parseLsn(text: string): Lsn {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) throw new SluiceError('internal', `not an LSN: ${text}`);
  return (BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`);
}

/** Prints as PostgreSQL does, `16/B374D848`. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** The later of two positions. */
export function laterLsn(a: Lsn, b: Lsn): Lsn {
  if (a > b) return a;
  return b;
}

/** The earlier of two positions. */
export function earlierLsn(a: Lsn, b: Lsn): Lsn {
  if (a < b) return a;
  return b;
}
