// Rows of the stream as the bytes of a binary COPY, in CopyData frames.
import type { AppliedTable } from './apply-table.ts';
import { cellEnd, cells, type RowAt } from './pgoutput.ts';

// https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-BINARY-FORMAT
const fileHeader = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const fileTrailer = Buffer.from([0xff, 0xff]);
const frameBytes = 64 * 1024;
const frameHeader = 5;
const noLead: readonly number[] = [];

interface Run {
  readonly buffer: Buffer;
  /** First columns that are ours: staged rows say what is to be done with them. */
  readonly lead: readonly number[];
  /** Number of the row behind its last. */
  end: number;
}

/** Rows where they were received: an object for each of millions would keep the sweeper busy. */
export class CopyRows {
  readonly rows: RowAt[] = [];
  /** What rows lie in and are led by, for as many in turn as have both alike. */
  readonly runs: Run[] = [];

  get length(): number {
    return this.rows.length;
  }

  push(buffer: Buffer, row: RowAt, lead: readonly number[]): void {
    const end = this.rows.push(row);
    const last = this.runs[this.runs.length - 1];
    if (last !== undefined && last.buffer === buffer && last.lead === lead) last.end = end;
    else this.runs.push({ buffer, lead, end });
  }

  /** Whether `test` holds for each of them, up to the first for which it does not. */
  every(test: (buffer: Buffer, row: RowAt) => boolean): boolean {
    let i = 0;
    for (const { buffer, end } of this.runs) {
      for (; i < end; i++) if (!test(buffer, this.rows[i]!)) return false;
    }
    return true;
  }
}

// Bytes, and a view that reads and writes four of them at once.
interface Bytes {
  readonly bytes: Buffer;
  readonly view: DataView;
}

function viewed(bytes: Buffer): Bytes {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}

/** CopyData frames for rows of a table: lead columns (if they are wanted) as int4, then the mirrored columns in order. */
export function* copyFrames(table: AppliedTable, lists: readonly CopyRows[], leading: boolean): Generator<Buffer> {
  const { columns } = table;
  const sources = new Map<Buffer, Bytes>();
  let frame = newFrame(frameBytes);
  let at = frameHeader + fileHeader.copy(frame.bytes, frameHeader);
  for (const { rows, runs } of lists) {
    let i = 0;
    for (const { buffer, lead: given, end: runEnd } of runs) {
      const lead = leading ? given : noLead;
      const source = sources.get(buffer) ?? viewed(buffer);
      sources.set(buffer, source);
      for (; i < runEnd; i++) {
        const row = rows[i]!;
        let end = writeRow(columns, source, row, lead, frame, at);
        if (end < 0) {
          if (at > frameHeader) yield closeFrame(frame, at);
          frame = newFrame(frameBytes);
          at = frameHeader;
          end = writeRow(columns, source, row, lead, frame, at);
          // A row longer than a frame gets one of its own.
          for (let room = frameBytes * 4; end < 0; room *= 4) {
            frame = newFrame(room);
            end = writeRow(columns, source, row, lead, frame, at);
          }
        }
        at = end;
      }
    }
  }
  if (at + fileTrailer.length > frame.bytes.length) {
    yield closeFrame(frame, at);
    frame = newFrame(frameHeader + fileTrailer.length);
    at = frameHeader;
  }
  at += fileTrailer.copy(frame.bytes, at);
  yield closeFrame(frame, at);
}

// Memory outside of the heap is only given back when the heap is swept, and makes it be swept: so frames are used again.
const spare: Buffer[] = [];
const mostSpare = 24;

/** Takes back the memory of a frame that nobody needs any more: its bytes have left the process, or never will. */
export function reuseFrame(frame: Buffer): void {
  const { buffer } = frame;
  if (buffer.byteLength === frameBytes && spare.length < mostSpare) spare.push(Buffer.from(buffer));
}

function newFrame(bytes: number): Bytes {
  const frame = (bytes === frameBytes ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes);
  frame[0] = 0x64; // 'd', CopyData
  return viewed(frame);
}

function closeFrame({ bytes }: Bytes, end: number): Buffer {
  bytes.writeUInt32BE(end - 1, 1);
  return bytes.subarray(0, end);
}

// A call into the runtime costs more than so many bytes by hand, four at once.
const mostByHand = 128;

// Gives where the row ends, or -1 if it does not fit. Called for each of millions: no object is made for a call.
function writeRow(
  columns: readonly { readonly index: number }[],
  source: Bytes,
  row: RowAt,
  lead: readonly number[],
  frame: Bytes,
  start: number,
): number {
  const { view } = frame;
  const from = source.view;
  let out = start;
  const room = view.byteLength;
  if (out + 2 + lead.length * 8 > room) return -1;
  view.setUint16(out, lead.length + columns.length);
  out += 2;
  for (let i = 0; i < lead.length; i++) {
    view.setInt32(out, 4);
    view.setInt32(out + 4, lead[i]!);
    out += 8;
  }
  let at = row + 2;
  let next = 0;
  for (let i = 0; i < columns.length; i++) {
    const index = columns[i]!.index;
    for (; next < index; next++) at = cellEnd(source.bytes, at);
    next++;
    if (out + 4 > room) return -1;
    const kind = from.getUint8(at);
    if (kind === cells.null || kind === cells.unchanged) {
      view.setInt32(out, -1); // NULL
      out += 4;
      at++;
      continue;
    }
    const length = from.getInt32(at + 1);
    at += 5;
    if (out + 4 + length > room) return -1;
    view.setInt32(out, length);
    out += 4;
    if (length > mostByHand) source.bytes.copy(frame.bytes, out, at, at + length);
    else {
      let byte = 0;
      for (; byte + 4 <= length; byte += 4) view.setInt32(out + byte, from.getInt32(at + byte));
      for (; byte < length; byte++) view.setUint8(out + byte, from.getUint8(at + byte));
    }
    out += length;
    at += length;
  }
  return out;
}
