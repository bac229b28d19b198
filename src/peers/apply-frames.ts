// Frames of the extended protocol for many small statements in one go: parse, bind, execute, with values copied from the stream.
import { cells, type RowAt, readLength } from './pgoutput.ts';

// https://www.postgresql.org/docs/18/protocol-message-formats.html

/** A value of a received row: where its cell begins. */
export interface CellAt {
  readonly buffer: Buffer;
  readonly at: number;
}

/** Gathers frames; `take` hands over what is there. */
export class FrameWriter {
  #buffer = Buffer.allocUnsafeSlow(16 * 1024);
  #at = 0;

  /** Bytes that wait. */
  get length(): number {
    return this.#at;
  }

  /** Names a statement. '' is the unnamed one. */
  parse(name: string, text: string): void {
    const nameBytes = Buffer.byteLength(name);
    const textBytes = Buffer.byteLength(text);
    this.#begin(0x50, nameBytes + textBytes + 4);
    this.#text(name);
    this.#text(text);
    this.#int16(0);
  }

  /** Binds values of rows, all in one form, to a statement and runs it. */
  run(name: string, values: readonly CellAt[], binary: boolean): void {
    let bytes = 1 + Buffer.byteLength(name) + 1 + 2 + 2 + 2 + 2;
    for (const { buffer, at } of values) bytes += 4 + (hasValue(buffer, at) ? readLength(buffer, at + 1) : 0);
    this.#begin(0x42, bytes);
    this.#buffer[this.#at++] = 0; // the unnamed portal
    this.#text(name);
    this.#int16(1);
    this.#int16(binary ? 1 : 0);
    this.#int16(values.length);
    for (const { buffer, at } of values) {
      if (hasValue(buffer, at))
        this.#at += buffer.copy(this.#buffer, this.#at, at + 1, at + 5 + readLength(buffer, at + 1));
      else this.#int32(-1);
    }
    this.#int16(0);
    // Execute the unnamed portal, without a limit of rows.
    this.#begin(0x45, 5);
    this.#buffer[this.#at++] = 0;
    this.#int32(0);
  }

  /** CopyDone. */
  copyDone(): void {
    this.#begin(0x63, 0);
  }

  /** Sync: the server answers ReadyForQuery when it has done all before. */
  sync(): void {
    this.#begin(0x53, 0);
  }

  /** What was gathered; the writer is empty then. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#at);
    this.#buffer = Buffer.allocUnsafeSlow(16 * 1024);
    this.#at = 0;
    return taken;
  }

  #begin(tag: number, bytes: number): void {
    const needed = this.#at + 5 + bytes;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, needed));
      this.#buffer.copy(grown, 0, 0, this.#at);
      this.#buffer = grown;
    }
    this.#buffer[this.#at++] = tag;
    this.#int32(bytes + 4);
  }

  #text(text: string): void {
    this.#at += this.#buffer.write(text, this.#at);
    this.#buffer[this.#at++] = 0;
  }

  #int16(value: number): void {
    this.#at = this.#buffer.writeUInt16BE(value, this.#at);
  }

  #int32(value: number): void {
    this.#at = this.#buffer.writeInt32BE(value, this.#at);
  }
}

function hasValue(buffer: Buffer, at: number): boolean {
  const kind = buffer[at];
  return kind !== cells.null && kind !== cells.unchanged;
}

/** Where each of the columns' cells begins in a row. */
export function cellsAt(columns: readonly { readonly index: number }[], buffer: Buffer, row: RowAt): CellAt[] {
  const found: CellAt[] = [];
  let at = row + 2;
  let index = 0;
  for (const column of columns) {
    for (; index < column.index; index++) at += hasValue(buffer, at) ? 5 + readLength(buffer, at + 1) : 1;
    found.push({ buffer, at });
  }
  return found;
}
