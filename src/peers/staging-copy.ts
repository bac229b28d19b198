// Rows of the stream as the bytes of a binary COPY, in CopyData frames.
import type { AppliedTable } from './apply-table.ts';
import { cells, type RowAt, readLength } from './pgoutput.ts';

// https://www.postgresql.org/docs/18/sql-copy.html#SQL-COPY-BINARY-FORMAT
const fileHeader = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const fileTrailer = Buffer.from([0xff, 0xff]);
const frameBytes = 64 * 1024;
const frameHeader = 5;
const noLead: readonly number[] = [];

/** Rows where they were received, in three lists: an object for each of millions would keep the sweeper busy. */
export class CopyRows {
  readonly buffers: Buffer[] = [];
  readonly rows: RowAt[] = [];
  /** First columns that are ours: staged rows say what is to be done with them. */
  readonly leads: (readonly number[])[] = [];

  get length(): number {
    return this.rows.length;
  }

  push(buffer: Buffer, row: RowAt, lead: readonly number[]): void {
    this.buffers.push(buffer);
    this.rows.push(row);
    this.leads.push(lead);
  }
}

/** CopyData frames for rows of a table: lead columns (if they are wanted) as int4, then the mirrored columns in order. */
export function* copyFrames(table: AppliedTable, lists: readonly CopyRows[], leading: boolean): Generator<Buffer> {
  const { columns } = table;
  let frame = newFrame(frameBytes);
  let at = frameHeader + fileHeader.copy(frame, frameHeader);
  for (const { buffers, rows, leads } of lists) {
    for (let i = 0; i < rows.length; i++) {
      const buffer = buffers[i]!;
      const row = rows[i]!;
      const lead = leading ? leads[i]! : noLead;
      let end = writeRow(columns, buffer, row, lead, frame, at);
      if (end < 0) {
        if (at > frameHeader) yield closeFrame(frame, at);
        frame = newFrame(frameBytes);
        at = frameHeader;
        end = writeRow(columns, buffer, row, lead, frame, at);
        // A row longer than a frame gets one of its own.
        for (let room = frameBytes * 4; end < 0; room *= 4) {
          frame = newFrame(room);
          end = writeRow(columns, buffer, row, lead, frame, at);
        }
      }
      at = end;
    }
  }
  if (at + fileTrailer.length > frame.length) {
    yield closeFrame(frame, at);
    frame = newFrame(frameHeader + fileTrailer.length);
    at = frameHeader;
  }
  at += fileTrailer.copy(frame, at);
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

function newFrame(bytes: number): Buffer {
  const frame = (bytes === frameBytes ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(bytes);
  frame[0] = 0x64; // 'd', CopyData
  return frame;
}

function closeFrame(frame: Buffer, end: number): Buffer {
  frame.writeUInt32BE(end - 1, 1);
  return frame.subarray(0, end);
}

// Gives where the row ends, or -1 if it does not fit. Called for each of millions: no object is made for a call.
function writeRow(
  columns: readonly { readonly index: number }[],
  buffer: Buffer,
  row: RowAt,
  lead: readonly number[],
  frame: Buffer,
  start: number,
): number {
  let out = start;
  const room = frame.length;
  if (out + 2 + lead.length * 8 > room) return -1;
  const count = lead.length + columns.length;
  frame[out++] = count >> 8;
  frame[out++] = count & 0xff;
  for (let i = 0; i < lead.length; i++) {
    frame.writeUInt32BE(4, out);
    frame.writeInt32BE(lead[i]!, out + 4);
    out += 8;
  }
  let at = row + 2;
  let next = 0;
  for (let i = 0; i < columns.length; i++) {
    const index = columns[i]!.index;
    for (; next < index; next++) at = skip(buffer, at);
    next++;
    const kind = buffer[at];
    if (out + 4 > room) return -1;
    if (kind === cells.null || kind === cells.unchanged) {
      // -1: NULL
      frame[out] = frame[out + 1] = frame[out + 2] = frame[out + 3] = 0xff;
      out += 4;
      at++;
      continue;
    }
    const length = readLength(buffer, at + 1) + 4;
    if (out + length > room) return -1;
    // A call into the runtime costs more than a few bytes by hand.
    if (length > 24) buffer.copy(frame, out, at + 1, at + 1 + length);
    else for (let byte = 0; byte < length; byte++) frame[out + byte] = buffer[at + 1 + byte]!;
    out += length;
    at += length + 1;
  }
  return out;
}

function skip(buffer: Buffer, at: number): number {
  const kind = buffer[at];
  return kind === cells.null || kind === cells.unchanged ? at + 1 : at + 5 + readLength(buffer, at + 1);
}
