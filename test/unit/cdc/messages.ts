// Messages of pgoutput as a server writes them, in the frames that carry them.

type Cell = string | null | 'unchanged' | Buffer;

const int16 = (n: number) => {
  const b = Buffer.alloc(2);
  b.writeUInt16BE(n);
  return b;
};
const int32 = (n: number) => {
  const b = Buffer.alloc(4);
  b.writeInt32BE(n);
  return b;
};
const int64 = (n: bigint) => {
  const b = Buffer.alloc(8);
  b.writeBigInt64BE(n);
  return b;
};
const text = (s: string) => Buffer.from(`${s}\0`);

/** A symbol for a TOAST value that is not sent. */
export const unchanged = 'unchanged';

function row(cells: readonly Cell[]): Buffer {
  return Buffer.concat([
    int16(cells.length),
    ...cells.flatMap((cell) => {
      if (cell === null) return [Buffer.from('n')];
      if (cell === unchanged) return [Buffer.from('u')];
      const bytes = Buffer.from(cell);
      return [Buffer.from(typeof cell === 'string' ? 't' : 'b'), int32(bytes.length), bytes];
    }),
  ]);
}

export const begin = (finalLsn: bigint, xid = 7) =>
  Buffer.concat([Buffer.from('B'), int64(finalLsn), int64(0n), int32(xid)]);
export const commit = (lsn: bigint, end: bigint) =>
  Buffer.concat([Buffer.from('C'), Buffer.from([0]), int64(lsn), int64(end), int64(1_000_000n)]);
export const insert = (relation: number, cells: readonly Cell[]) =>
  Buffer.concat([Buffer.from('I'), int32(relation), Buffer.from('N'), row(cells)]);
export const update = (relation: number, cells: readonly Cell[], old?: { kind: 'K' | 'O'; cells: readonly Cell[] }) =>
  Buffer.concat([
    Buffer.from('U'),
    int32(relation),
    ...(old === undefined ? [] : [Buffer.from(old.kind), row(old.cells)]),
    Buffer.from('N'),
    row(cells),
  ]);
export const remove = (relation: number, kind: 'K' | 'O', cells: readonly Cell[]) =>
  Buffer.concat([Buffer.from('D'), int32(relation), Buffer.from(kind), row(cells)]);
export const truncate = (relations: readonly number[], options = 0) =>
  Buffer.concat([Buffer.from('T'), int32(relations.length), Buffer.from([options]), ...relations.map(int32)]);
export const relation = (
  oid: number,
  name: string,
  columns: readonly { name: string; key: boolean; type?: number }[],
  identity = 'd',
) =>
  Buffer.concat([
    Buffer.from('R'),
    int32(oid),
    text('public'),
    text(name),
    Buffer.from(identity),
    int16(columns.length),
    ...columns.flatMap((c) => [Buffer.from([c.key ? 1 : 0]), text(c.name), int32(c.type ?? 25), int32(-1)]),
  ]);
export const origin = (lsn: bigint, name: string) => Buffer.concat([Buffer.from('O'), int64(lsn), text(name)]);
export const typeName = (oid: number, schema: string, name: string) =>
  Buffer.concat([Buffer.from('Y'), int32(oid), text(schema), text(name)]);
export const logical = (prefix: string, content: string) =>
  Buffer.concat([
    Buffer.from('M'),
    Buffer.from([1]),
    int64(5n),
    text(prefix),
    int32(Buffer.byteLength(content)),
    Buffer.from(content),
  ]);

// What is sent of a transaction before its commit: its blocks, in which messages have a number behind their tag, and its end.
export const streamStart = (xid: number, first = true) =>
  Buffer.concat([Buffer.from('S'), int32(xid), Buffer.from([first ? 1 : 0])]);
export const streamStop = () => Buffer.from('E');
export const streamCommit = (xid: number, lsn: bigint, end: bigint) =>
  Buffer.concat([Buffer.from('c'), int32(xid), Buffer.from([0]), int64(lsn), int64(end), int64(1_000_000n)]);
export const streamAbort = (xid: number, subxid: number) =>
  Buffer.concat([Buffer.from('A'), int32(xid), int32(subxid)]);
export const inBlock = (message: Buffer, xid: number) =>
  Buffer.concat([message.subarray(0, 1), int32(xid), message.subarray(1)]);

/** A message in XLogData in CopyData. */
export function frame(message: Buffer): Buffer {
  return Buffer.concat([
    Buffer.from('d'),
    int32(message.length + 29),
    Buffer.from('w'),
    int64(0n),
    int64(0n),
    int64(0n),
    message,
  ]);
}

/** The server's word that there is nothing before `end`. */
export function keepalive(end: bigint, reply = 0): Buffer {
  return Buffer.concat([Buffer.from('d'), int32(22), Buffer.from('k'), int64(end), int64(0n), Buffer.from([reply])]);
}
