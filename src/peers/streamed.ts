// Transactions that the source sends while they are still open: kept, small ones in memory and large ones on the disk, until each is committed.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { Spill, SpillFile } from '../base/spill.ts';
import { messageOffset } from './apply-walk.ts';
import { type LogicalMessage, readLength, readMessage, type StreamCommit, tags } from './pgoutput.ts';
import type { BlockSink } from './stream.ts';

// What is written at once, and read at once.
const leastBufferBytes = 8 * 1024;
const mostBufferBytes = 256 * 1024;
const readBytes = 512 * 1024;
// Of all that wait in memory; then the largest goes to the disk.
const mostMemoryBytes = 8 * 1024 * 1024;
// Each has a file, at most.
const mostTransactions = 500;
// Committed, and waiting for those before: there is no haste to have more here.
const mostCommitted = 50;
const mostCommittedBytes = 256 * 1024 * 1024;
// After each the source describes every table anew, and each description is compared with the source's catalog.
const mostAborts = 500;
/** Bytes of the subtransaction's number, which a message of a block has behind its tag. */
const xidBytes = 4;
// Where we keep it instead: in the time at which the frame was sent.
const xidOffset = 22;

export interface StreamedOptions {
  readonly spill: Spill;
  /** Of logical messages that matter; null: none do. */
  readonly messagePrefix: string | null;
}

interface Open {
  readonly xid: number;
  /** What came last, as frames of ordinary transactions; null: nothing. */
  buffer: Buffer | null;
  filled: number;
  /** What came before is there, or on its way. */
  fileBytes: number;
  written: Promise<SpillFile | null>;
  /** Subtransactions that were rolled back. */
  readonly aborted: Set<number>;
  /** Whether a logical message that matters is in it. */
  told: boolean;
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
    const parts = { buffer: null, filled: 0, fileBytes: 0, written, aborted: new Set<number>() };
    this.#current = known ?? { xid, ...parts, told: false, broken: false, committedBytes: null };
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

  /**
   * The transaction is committed: what it did is now to be read, once.
   * @throws `protocol` if nothing of it ever came, the failure if not all of it was kept
   */
  finish(commit: StreamCommit): CommittedStream {
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
    const read: CommittedStream = new CommittedStream({ commit, tail, fileBytes, written, aborted, check, onEnd });
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
    if (tag === tags.message) open.told = true;
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
    open.written = open.written.then(async (before) => {
      let file = before;
      try {
        // What cannot be kept whole is of no use.
        if (!open.broken) {
          file ??= this.#options.spill.open();
          await file.write([bytes], position);
        }
      } catch (error) {
        open.broken = true;
        this.#fail(toSluiceError(error));
      }
      this.#waitingBytes -= bytes.length;
      this.#listener?.relieved();
      return file;
    });
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

interface Finished {
  readonly commit: StreamCommit;
  readonly tail: Buffer;
  readonly fileBytes: number;
  readonly written: Promise<SpillFile | null>;
  readonly aborted: ReadonlySet<number>;
  /** Throws if not all of it was written. */
  readonly check: () => void;
  readonly onEnd: () => void;
}

/** A transaction that was kept, as an ordinary one: begin, what it did without what was rolled back, commit. */
export class CommittedStream {
  readonly #of: Finished;
  #position = 0;
  #next: 'begin' | 'file' | 'commit' | 'end' = 'begin';

  constructor(of: Finished) {
    this.#of = of;
  }

  /** Whole frames; undefined after the last. */
  async next(): Promise<Buffer | undefined> {
    const { commit, tail, fileBytes, aborted } = this.#of;
    switch (this.#next) {
      case 'begin':
        this.#next = 'file';
        return beginFrame(commit);
      case 'file': {
        if (this.#position < fileBytes) return without(aborted, await this.#chunk());
        await this.close();
        this.#next = 'commit';
        return without(aborted, tail);
      }
      case 'commit':
        this.#next = 'end';
        return commitFrame(commit);
      case 'end':
        return undefined;
      default:
        return this.#next satisfies never;
    }
  }

  async close(): Promise<void> {
    this.#of.onEnd();
    const file = await this.#of.written;
    await file?.close();
  }

  async #chunk(): Promise<Buffer> {
    const { fileBytes } = this.#of;
    const file = await this.#of.written;
    this.#of.check();
    if (file === null) throw new SluiceError('internal', 'a transaction that was kept has no file');
    const left = fileBytes - this.#position;
    let chunk = Buffer.allocUnsafeSlow(Math.min(left, readBytes));
    await file.read(chunk, this.#position);
    const first = readLength(chunk, 1) + 1;
    if (first > chunk.length) {
      chunk = Buffer.allocUnsafeSlow(first);
      await file.read(chunk, this.#position);
    }
    const whole = chunk.subarray(0, wholeFrames(chunk));
    this.#position += whole.length;
    return whole;
  }
}

function tooMany(what: string): SluiceError {
  return new SluiceError('limit', `too many ${what}`);
}

// Where the last frame that is whole ends. A frame's head may be cut, too.
function wholeFrames(chunk: Buffer): number {
  let at = 0;
  while (at + 5 <= chunk.length) {
    const end = at + readLength(chunk, at + 1) + 1;
    if (end > chunk.length) break;
    at = end;
  }
  return at;
}

function without(aborted: ReadonlySet<number>, chunk: Buffer): Buffer {
  if (aborted.size === 0) return chunk;
  let kept = 0;
  for (let at = 0; at < chunk.length; ) {
    const end = at + readLength(chunk, at + 1) + 1;
    if (!aborted.has(chunk.readUInt32BE(at + xidOffset))) {
      chunk.copyWithin(kept, at, end);
      kept += end - at;
    }
    at = end;
  }
  return chunk.subarray(0, kept);
}

// Makes a frame of a block an ordinary one where it lies, as most of what comes is such frames: it begins four bytes later, its tag
// stands where the number's last byte was. Its length stays, so that it ends where the next one, shifted as well, begins; what
// stands behind its message is read by nobody.
function shift(buffer: Buffer, at: number): void {
  const to = at + xidBytes;
  for (let i = 0; i < xidBytes; i++) buffer[to + xidOffset + i] = buffer[at + messageOffset + 1 + i]!;
  buffer[to + messageOffset] = buffer[at + messageOffset]!;
  for (let i = 4; i > 0; i--) buffer[to + i] = buffer[at + i]!;
  buffer[to] = 0x64;
  buffer[to + 5] = 0x77;
}

// CopyData: 'd' and length; XLogData: 'w' and three fields of 8 bytes, which nobody reads again; then the message's tag.
function writeHead(
  buffer: Buffer,
  at: number,
  { length, tag }: { readonly length: number; readonly tag: number },
): void {
  buffer[at] = 0x64;
  buffer.writeUInt32BE(length - 1, at + 1);
  buffer[at + 5] = 0x77;
  buffer[at + messageOffset] = tag;
}

function beginFrame({ commitLsn, committedAt, xid }: StreamCommit): Buffer {
  const frame = Buffer.alloc(messageOffset + 21);
  writeHead(frame, 0, { length: frame.length, tag: tags.begin });
  frame.writeBigUInt64BE(commitLsn, messageOffset + 1);
  frame.writeBigInt64BE(committedAt, messageOffset + 9);
  frame.writeUInt32BE(xid, messageOffset + 17);
  return frame;
}

function commitFrame({ commitLsn, endLsn, committedAt }: StreamCommit): Buffer {
  const frame = Buffer.alloc(messageOffset + 26);
  writeHead(frame, 0, { length: frame.length, tag: tags.commit });
  frame.writeBigUInt64BE(commitLsn, messageOffset + 2);
  frame.writeBigUInt64BE(endLsn, messageOffset + 10);
  frame.writeBigInt64BE(committedAt, messageOffset + 18);
  return frame;
}
