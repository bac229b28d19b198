// What pgoutput says: its messages as values. A row stays where it was received and is walked when needed, column by column.
import { SluiceError } from '../base/errors.ts';
import type { Lsn } from '../pg/lsn.ts';

// Layouts: https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html (protocol version 1, and what 2 adds)

/** First byte of a message. */
export const tags = {
  begin: 0x42, // B
  commit: 0x43, // C
  origin: 0x4f, // O
  relation: 0x52, // R
  type: 0x59, // Y
  insert: 0x49, // I
  update: 0x55, // U
  delete: 0x44, // D
  truncate: 0x54, // T
  message: 0x4d, // M
  streamStart: 0x53, // S
  streamStop: 0x45, // E
  streamCommit: 0x63, // c
  streamAbort: 0x41, // A
} as const;

/** First byte of a column in a row. */
export const cells = {
  null: 0x6e, // n
  /** An unchanged TOAST value, which is not sent. */
  unchanged: 0x75, // u
  text: 0x74, // t
  binary: 0x62, // b
} as const;

export interface Begin {
  readonly kind: 'begin';
  /** Where the commit record begins. */
  readonly finalLsn: Lsn;
  readonly committedAt: Date;
  readonly xid: number;
}

export interface Commit {
  readonly kind: 'commit';
  readonly commitLsn: Lsn;
  /** Where the commit record ends: a stream that starts here has all of the transaction behind it. */
  readonly endLsn: Lsn;
  readonly committedAt: Date;
}

export interface RelationColumn {
  readonly name: string;
  /** Part of the key: of the replica identity's index, or every column under FULL. */
  readonly key: boolean;
  readonly type: number;
  readonly typmod: number;
}

export interface Relation {
  readonly kind: 'relation';
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** relreplident: d default, n nothing, f full, i index. */
  readonly identity: string;
  readonly columns: readonly RelationColumn[];
}

/** Where a row begins in the buffer that the message is in: at its number of columns. */
export type RowAt = number;

export interface Insert {
  readonly kind: 'insert';
  readonly relation: number;
  readonly row: RowAt;
}

export interface Update {
  readonly kind: 'update';
  readonly relation: number;
  /** The old row: all of it (FULL), or its key columns if one of them changed, the others null. -1: not sent. */
  readonly old: RowAt;
  readonly row: RowAt;
}

export interface Delete {
  readonly kind: 'delete';
  readonly relation: number;
  readonly old: RowAt;
}

export interface Truncate {
  readonly kind: 'truncate';
  readonly relations: readonly number[];
  readonly cascade: boolean;
  readonly restartIdentity: boolean;
}

export interface Origin {
  readonly kind: 'origin';
  readonly lsn: Lsn;
  readonly name: string;
}

export interface TypeName {
  readonly kind: 'type';
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** pg_logical_emit_message */
export interface LogicalMessage {
  readonly kind: 'message';
  readonly transactional: boolean;
  readonly lsn: Lsn;
  readonly prefix: string;
  readonly content: Buffer;
}

/** What follows, up to a stream stop, is of that transaction, which is still open on the source. */
export interface StreamStart {
  readonly kind: 'streamStart';
  readonly xid: number;
  /** The first that comes of it. */
  readonly first: boolean;
}

export interface StreamStop {
  readonly kind: 'streamStop';
}

/** The transaction whose blocks have come was committed. */
export interface StreamCommit {
  readonly kind: 'streamCommit';
  readonly xid: number;
  readonly commitLsn: Lsn;
  readonly endLsn: Lsn;
  /** As it came: microseconds since 2000-01-01. */
  readonly committedAt: bigint;
}

/** All of the transaction, or one subtransaction of it, was rolled back. */
export interface StreamAbort {
  readonly kind: 'streamAbort';
  readonly xid: number;
  /** The same as `xid`: all of it. */
  readonly subxid: number;
}

export type Change = Insert | Update | Delete;
export type Message =
  | (Begin | Commit | Relation | Change | Truncate | Origin | TypeName | LogicalMessage)
  | (StreamStart | StreamStop | StreamCommit | StreamAbort);

/** Reads the message that fills `buffer` from `start` to `end`. @throws `protocol` if it is none that we know, or is cut short */
export function readMessage(buffer: Buffer, start: number, end: number): Message {
  try {
    return read(buffer, start, end);
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw new SluiceError('protocol', 'a message of the replication stream is cut short', { cause: error });
  }
}

function read(buffer: Buffer, start: number, end: number): Message {
  const at = start + 1;
  const tag = buffer[start];
  switch (tag) {
    case tags.begin:
      return {
        kind: 'begin',
        finalLsn: readUint64(buffer, at),
        committedAt: readTime(readInt64(buffer, at + 8)),
        xid: buffer.readUInt32BE(at + 16),
      };
    case tags.commit:
      return {
        kind: 'commit',
        commitLsn: readUint64(buffer, at + 1),
        endLsn: readUint64(buffer, at + 9),
        committedAt: readTime(readInt64(buffer, at + 17)),
      };
    case tags.insert:
    case tags.update:
    case tags.delete:
      return readChange(buffer, start);
    case tags.relation:
      return readRelation(buffer, at, end);
    case tags.truncate:
      return readTruncate(buffer, at);
    case tags.origin:
      return { kind: 'origin', lsn: readUint64(buffer, at), name: readName(buffer, at + 8, end).text };
    case tags.type: {
      const schema = readName(buffer, at + 4, end);
      const name = readName(buffer, schema.next, end);
      return { kind: 'type', oid: buffer.readUInt32BE(at), schema: schema.text, name: name.text };
    }
    case tags.message: {
      const prefix = readName(buffer, at + 9, end);
      const length = buffer.readUInt32BE(prefix.next);
      const content = buffer.subarray(prefix.next + 4, prefix.next + 4 + length);
      const transactional = buffer[at] === 1;
      return { kind: 'message', transactional, lsn: readUint64(buffer, at + 1), prefix: prefix.text, content };
    }
    case tags.streamStart:
      return { kind: 'streamStart', xid: buffer.readUInt32BE(at), first: buffer.readUInt8(at + 4) === 1 };
    case tags.streamStop:
      return { kind: 'streamStop' };
    case tags.streamCommit:
      return {
        kind: 'streamCommit',
        xid: buffer.readUInt32BE(at),
        commitLsn: readUint64(buffer, at + 5),
        endLsn: readUint64(buffer, at + 13),
        committedAt: readInt64(buffer, at + 21),
      };
    case tags.streamAbort:
      return { kind: 'streamAbort', xid: buffer.readUInt32BE(at), subxid: buffer.readUInt32BE(at + 4) };
    default:
      throw new SluiceError('protocol', `unknown message in the replication stream: ${tag}`);
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** An object of each kind, to be filled anew for each change of millions: none is to be kept. */
export interface ChangesInTurn {
  readonly insert: Writable<Insert>;
  readonly update: Writable<Update>;
  readonly delete: Writable<Delete>;
}

export function changesInTurn(): ChangesInTurn {
  return {
    insert: { kind: 'insert', relation: 0, row: 0 },
    update: { kind: 'update', relation: 0, old: 0, row: 0 },
    delete: { kind: 'delete', relation: 0, old: 0 },
  };
}

/** Reads an insert, update or delete at `start`; the caller has looked at its tag. */
export function readChange(buffer: Buffer, start: number, into: ChangesInTurn = changesInTurn()): Change {
  const relation = readLength(buffer, start + 1) >>> 0;
  const first = start + 6;
  switch (buffer[start]) {
    case tags.insert:
      into.insert.relation = relation;
      into.insert.row = first;
      return into.insert;
    case tags.delete:
      into.delete.relation = relation;
      into.delete.old = first;
      return into.delete;
    default: {
      const { update } = into;
      // 'K' or 'O' stand before an old row, 'N' before the new one.
      const isAlone = buffer[start + 5] === 0x4e;
      update.relation = relation;
      update.old = isAlone ? -1 : first;
      update.row = isAlone ? first : rowEnd(buffer, first) + 1;
      return update;
    }
  }
}

function readRelation(buffer: Buffer, at: number, end: number): Relation {
  const schema = readName(buffer, at + 4, end);
  const name = readName(buffer, schema.next, end);
  const identity = String.fromCharCode(buffer.readUInt8(name.next));
  const count = buffer.readUInt16BE(name.next + 1);
  const columns: RelationColumn[] = [];
  let next = name.next + 3;
  for (let i = 0; i < count; i++) {
    const column = readName(buffer, next + 1, end);
    columns.push({
      name: column.text,
      key: ((buffer[next] ?? 0) & 1) === 1,
      type: buffer.readUInt32BE(column.next),
      typmod: buffer.readInt32BE(column.next + 4),
    });
    next = column.next + 8;
  }
  // An empty schema name stands for pg_catalog.
  return {
    kind: 'relation',
    oid: buffer.readUInt32BE(at),
    schema: schema.text === '' ? 'pg_catalog' : schema.text,
    name: name.text,
    identity,
    columns,
  };
}

function readTruncate(buffer: Buffer, at: number): Truncate {
  const count = buffer.readUInt32BE(at);
  const options = buffer.readUInt8(at + 4);
  const relations = Array.from({ length: count }, (_, i) => buffer.readUInt32BE(at + 5 + i * 4));
  return { kind: 'truncate', relations, cascade: (options & 1) !== 0, restartIdentity: (options & 2) !== 0 };
}

function readName(buffer: Buffer, at: number, end: number): { readonly text: string; readonly next: number } {
  const zero = buffer.indexOf(0, at);
  if (zero < 0 || zero >= end) throw new SluiceError('protocol', 'a name in the replication stream has no end');
  return { text: buffer.toString('utf8', at, zero), next: zero + 1 };
}

// Microseconds since 2000-01-01.
const epochMs = 946_684_800_000;

/** A time of the protocol. */
export function readTime(microseconds: bigint | number): Date {
  return new Date(epochMs + Math.trunc(Number(microseconds) / 1000));
}

/** Where the row that begins at `row` ends. */
export function rowEnd(buffer: Buffer, row: RowAt): number {
  let at = row + 2;
  for (let left = (buffer[row]! << 8) | buffer[row + 1]!; left > 0; left--) at = cellEnd(buffer, at);
  return at;
}

/** Where the column that begins at `at` ends. */
export function cellEnd(buffer: Buffer, at: number): number {
  const kind = buffer[at];
  if (kind === cells.null || kind === cells.unchanged) return at + 1;
  return at + 5 + readLength(buffer, at + 1);
}

/** A length or count of four bytes; PostgreSQL's are below 2^31. */
export function readLength(buffer: Buffer, at: number): number {
  return (buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!;
}

const word = new DataView(new ArrayBuffer(8));

// Buffer's own methods make four numbers on their way to one, for each of millions of transactions.
function readWord(buffer: Buffer, at: number): DataView {
  if (at + 8 > buffer.length) throw new RangeError(`a number at ${at} of ${buffer.length} bytes`);
  word.setInt32(0, readLength(buffer, at));
  word.setInt32(4, readLength(buffer, at + 4));
  return word;
}

/** A position. @throws RangeError behind the end */
export function readUint64(buffer: Buffer, at: number): bigint {
  return readWord(buffer, at).getBigUint64(0);
}

/** A time of this age, exact for 140 years to either side: microseconds since 2000. @throws RangeError behind the end */
export function readMicroseconds(buffer: Buffer, at: number): number {
  const { length } = buffer;
  if (at + 8 > length) throw new RangeError(`a time at ${at} of ${length} bytes`);
  return readLength(buffer, at) * 0x1_0000_0000 + (readLength(buffer, at + 4) >>> 0);
}

/** A time: microseconds since 2000. @throws RangeError behind the end */
export function readInt64(buffer: Buffer, at: number): bigint {
  return readWord(buffer, at).getBigInt64(0);
}
