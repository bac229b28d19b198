// Transactions that the source sends while they are still open: kept, small ones in memory and large ones on the disk, until each is committed.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Spill, SpillFile } from '../base/spill.ts';
import { messageOffset } from './apply-walk.ts';
import { type LogicalMessage, readLength, readMessage, type StreamCommit, tags } from './pgoutput.ts';
import type { BlockSink } from './stream.ts';
import { shift, writeHead, xidBytes, xidOffset } from './streamed-frames.ts';
import { CommittedStream, type Kept, OpenStream } from './streamed-read.ts';

// What is written at once.
const leastBufferBytes = 8 * 1024;
const mostBufferBytes = 256 * 1024;
// Of all that wait in memory; then the largest goes to the disk.
const mostMemoryBytes = 8 * 1024 * 1024;
// Each has a file, at most.
const mostTransactions = 500;
// Committed, and waiting for those before: there is no haste to have more here.
const mostCommitted = 50;
const mostCommittedBytes = 256 * 1024 * 1024;
// After each the source describes every table anew, and each description is compared with the source's catalog.
const mostAborts = 500;

export interface StreamedOptions {
  readonly spill: Spill;
  /** Of logical messages that matter; null: none do. */
  readonly messagePrefix: string | null;
  /** More of a transaction has come to the disk. Must not throw. */
  readonly onKept?: () => void;
}

interface Open {
  readonly xid: number;
  /** What came last, as frames of ordinary transactions; null: nothing. */
  buffer: Buffer | null;
  filled: number;
  /** What came before is there, or on its way. */
  fileBytes: number;
  written: Promise<SpillFile | null>;
  file: SpillFile | null;
  /** Subtransactions that were rolled back. */
  readonly aborted: Set<number>;
  /** Whether a logical message that matters is in it. */
  told: boolean;
  /** Whether something is in it that must wait for the commit: such a message, or a TRUNCATE, which locks out readers. */
  late: boolean;
  /** It was given out to be read ahead. */
  ahead: boolean;
  /** Something of it could not be kept: it must never be read. */
  broken: boolean;
  /** Its commit has come, and that much of it was in the file then; null: it has not. */
  committedBytes: number | null;
}

/** Streams of one session. Dispose throws away what was not finished: the source sends it again. */
export class StreamedTransactions implements BlockSink, AsyncDisposable {
  readonly #options: StreamedOptions;
  readonly #open = new Map<number, Open>();
  readonly #closing = new Set<Promise<unknown>>();
  readonly #read = new Set<CommittedStream>();
  #current: Open | null = null;
  #memoryBytes = 0;
  #waitingBytes = 0;
  #committed = 0;
  #committedBytes = 0;
  #failure: SluiceError | null = null;
  #listener: Parameters<BlockSink['listen']>[0] | null = null;

  constructor(options: StreamedOptions) {
    this.#options = options;
  }

  /** Why no more can be kept here: the source must keep such transactions itself. */
  get failure(): SluiceError | null {
    return this.#failure;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get behind(): boolean {
    return this.#committed >= mostCommitted || this.#committedBytes >= mostCommittedBytes;
  }

  listen(listener: Parameters<BlockSink['listen']>[0]): void {
    this.#listener = listener;
  }

  start(xid: number): void {
    const known = this.#open.get(xid);
    if (known === undefined && this.#open.size - this.#committed >= mostTransactions)
      this.#fail(tooMany(`transactions at once (${mostTransactions})`));
    const written = Promise.resolve(null);
    const parts = { buffer: null, filled: 0, fileBytes: 0, written, file: null, aborted: new Set<number>() };
    const marks = { told: false, late: false, ahead: false, broken: false };
    this.#current = known ?? { xid, ...parts, ...marks, committedBytes: null };
    this.#open.set(xid, this.#current);
  }

  add(buffer: Buffer, start: number, end: number): void {
    const open = this.#current;
    if (open === null) return;
    if (this.#failure !== null) open.broken = true;
    let run = -1;
    let last = -1;
    for (let at = start; at < end && !open.broken; ) {
      const next = at + readLength(buffer, at + 1) + 1;
      const tag = buffer[at + messageOffset];
      if (tag === tags.origin || tag === tags.message) {
        this.#addRun(open, buffer, { run, last, end: at });
        run = -1;
        this.#addSingle(open, buffer, { at, next, tag });
      } else {
        if (run < 0) run = at;
        last = at;
        open.late ||= tag === tags.truncate;
        shift(buffer, at);
      }
      at = next;
    }
    this.#addRun(open, buffer, { run, last, end });
  }

  commit(xid: number): void {
    const open = this.#open.get(xid);
    if (open === undefined) return;
    open.committedBytes = open.fileBytes;
    this.#committed++;
    this.#committedBytes += open.committedBytes;
  }

  abort(xid: number, subxid: number): void {
    const open = this.#open.get(xid);
    if (open === undefined) return;
    if (xid === subxid) {
      this.#drop(open);
      return;
    }
    // pgoutput gives logical messages the number of the whole transaction: nobody can say whether they were in what was rolled back.
    open.aborted.add(subxid);
    open.broken ||= open.told || open.aborted.size > mostAborts;
    if (open.told) this.#fail(new SluiceError('limit', 'a savepoint was rolled back beside changes of the schema'));
    else if (open.broken) this.#fail(tooMany(`rolled back savepoints (${mostAborts})`));
  }

  /** The only transaction that is open on the source, to be read ahead of its commit, once; null: there is none that may be. */
  ahead(): OpenStream | null {
    const [open, another] = this.#open.values();
    if (open === undefined || another !== undefined || open.ahead || open.fileBytes === 0) return null;
    const kept: Kept = {
      xid: open.xid,
      get fileBytes() {
        return open.fileBytes;
      },
      get written() {
        return open.written;
      },
      isPlain: () => !open.late && !open.broken && open.aborted.size === 0 && this.#open.get(open.xid) === open,
    };
    if (!kept.isPlain()) return null;
    open.ahead = true;
    return new OpenStream(kept);
  }

  /**
   * The transaction is committed: what it did is now to be read, once. `from`: where reading it ahead came to.
   * @throws `protocol` if nothing of it ever came, the failure if not all of it was kept
   */
  finish(commit: StreamCommit, from: number | null = null): CommittedStream {
    const open = this.#open.get(commit.xid);
    if (open === undefined) {
      throw new SluiceError('protocol', `the source committed transaction ${commit.xid}, which it did not send`);
    }
    const check = () => {
      if (open.broken && this.#failure !== null) throw this.#failure;
    };
    check();
    this.#open.delete(commit.xid);
    if (open.committedBytes !== null) {
      this.#committed--;
      this.#committedBytes -= open.committedBytes;
    }
    const tail = open.buffer?.subarray(0, open.filled) ?? Buffer.alloc(0);
    this.#forgetBuffer(open);
    this.#listener?.relieved();
    const { fileBytes, written, aborted } = open;
    const onEnd = () => void this.#read.delete(read);
    const read: CommittedStream = new CommittedStream({
      commit,
      from,
      tail,
      fileBytes,
      written,
      aborted,
      check,
      onEnd,
    });
    this.#read.add(read);
    return read;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const open of this.#open.values()) this.#drop(open);
    await Promise.all([...this.#read].map((read) => read.close()));
    await Promise.all(this.#closing);
  }

  // Shifted frames: each but the last has the four bytes before the next one for its own.
  #addRun(open: Open, buffer: Buffer, of: { readonly run: number; readonly last: number; readonly end: number }): void {
    const { run, last, end } = of;
    if (run < 0 || open.broken) return;
    const start = run + xidBytes;
    buffer.writeUInt32BE(end - last - xidBytes - 1, last + xidBytes + 1);
    const length = end - start;
    if (length > mostBufferBytes) {
      this.#flush(open);
      this.#write(open, Buffer.from(buffer.subarray(start, end)));
      return;
    }
    const into = this.#roomFor(open, length);
    open.filled += buffer.copy(into, open.filled, start, end);
  }

  // An origin, which is the transaction's own and has no number, or a logical message, most of which are nobody's.
  #addSingle(
    open: Open,
    buffer: Buffer,
    { at, next, tag }: { readonly at: number; readonly next: number; readonly tag: number },
  ): void {
    const cut = tag === tags.origin ? 0 : xidBytes;
    const length = next - at - cut;
    const frame = Buffer.allocUnsafeSlow(length);
    buffer.copy(frame, 0, at + cut, next);
    writeHead(frame, 0, { length, tag });
    frame.writeUInt32BE(cut === 0 ? open.xid : buffer.readUInt32BE(at + messageOffset + 1), xidOffset);
    if (tag === tags.message && !this.#matters(frame, 0, length)) return;
    if (tag === tags.message) open.told = open.late = true;
    if (length > mostBufferBytes) {
      this.#flush(open);
      this.#write(open, frame);
    } else {
      const into = this.#roomFor(open, length);
      open.filled += frame.copy(into, open.filled);
    }
  }

  // Ours go on; others are nobody's, and may be large.
  #matters(buffer: Buffer, start: number, end: number): boolean {
    const { transactional, prefix } = readMessage(buffer, start + messageOffset, end) as LogicalMessage;
    return transactional && prefix === this.#options.messagePrefix;
  }

  #roomFor(open: Open, length: number): Buffer {
    if (open.buffer !== null && open.filled + length > mostBufferBytes) this.#flush(open);
    const size = open.buffer?.length ?? 0;
    if (open.buffer === null || open.filled + length > size) {
      let wanted = Math.max(leastBufferBytes, size);
      while (wanted < open.filled + length) wanted *= 2;
      const buffer = Buffer.allocUnsafeSlow(wanted);
      open.buffer?.copy(buffer, 0, 0, open.filled);
      open.buffer = buffer;
      this.#memoryBytes += wanted - size;
      if (this.#memoryBytes > mostMemoryBytes) this.#flushLargest(open);
    }
    return open.buffer;
  }

  #flushLargest(but: Open): void {
    let largest: Open | null = null;
    for (const each of this.#open.values()) {
      if (each !== but && each.buffer !== null && each.buffer.length > (largest?.buffer?.length ?? 0)) largest = each;
    }
    if (largest !== null) this.#flush(largest);
  }

  #flush(open: Open): void {
    const { buffer, filled } = open;
    this.#forgetBuffer(open);
    if (buffer !== null && filled > 0) this.#write(open, buffer.subarray(0, filled));
  }

  #forgetBuffer(open: Open): void {
    this.#memoryBytes -= open.buffer?.length ?? 0;
    open.buffer = null;
    open.filled = 0;
  }

  #write(open: Open, bytes: Buffer): void {
    const position = open.fileBytes;
    open.fileBytes += bytes.length;
    this.#waitingBytes += bytes.length;
    // It waits for the disk, and for us to hear of it, but not for those before.
    const kept = this.#keep(open, bytes, position);
    open.written = open.written.then(() => kept).then(() => open.file);
  }

  async #keep(open: Open, bytes: Buffer, position: number): Promise<void> {
    try {
      // What cannot be kept whole is of no use.
      if (!open.broken) {
        open.file ??= this.#options.spill.open();
        await open.file.write([bytes], position);
      }
    } catch (error) {
      open.broken = true;
      this.#fail(toSluiceError(error));
    }
    this.#waitingBytes -= bytes.length;
    this.#listener?.relieved();
    this.#options.onKept?.();
  }

  #drop(open: Open): void {
    this.#open.delete(open.xid);
    this.#forgetBuffer(open);
    if (this.#current === open) this.#current = null;
    const closing = open.written.then((file) => file?.close());
    this.#closing.add(closing);
    void closing.finally(() => this.#closing.delete(closing)).catch(() => undefined);
  }

  #fail(error: SluiceError): void {
    if (this.#failure !== null) return;
    this.#failure = error;
    this.#listener?.failed(error);
  }
}

function tooMany(what: string): SluiceError {
  return new SluiceError('limit', `too many ${what}`);
}
