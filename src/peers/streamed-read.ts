// Transactions that were kept, read: once they are committed, or ahead of that as far as they have come.
import { SluiceError } from '../base/errors.ts';
import type { SpillFile } from '../base/spill.ts';
import { readLength, type StreamCommit } from './pgoutput.ts';
import { beginFrame, commitFrame, wholeFrames, without } from './streamed-frames.ts';

// At once.
const readBytes = 512 * 1024;

/** What is kept of a transaction that is open on the source. */
export interface Kept {
  readonly xid: number;
  /** What came before is in the file, or on its way there. */
  readonly fileBytes: number;
  readonly written: Promise<SpillFile | null>;
  /** All of it is kept, and nothing in it has to wait for its commit. */
  isPlain(): boolean;
}

/** A transaction that is still open on the source, from its beginning as far as it has come. */
export class OpenStream {
  readonly #kept: Kept;
  #position = 0;

  constructor(kept: Kept) {
    this.#kept = kept;
  }

  get xid(): number {
    return this.#kept.xid;
  }

  /** Part of what was read was rolled back since, or it has something that must wait: all that was done with it must be undone. */
  get isSpoiled(): boolean {
    return !this.#kept.isPlain();
  }

  /** How far it was read. */
  get position(): number {
    return this.#position;
  }

  /** Whole frames; undefined: nothing more is there now. */
  async next(): Promise<Buffer | undefined> {
    const { fileBytes, written } = this.#kept;
    if (this.isSpoiled || this.#position >= fileBytes) return undefined;
    try {
      const chunk = await readFrames(await written, this.#position, fileBytes);
      if (this.isSpoiled) return undefined;
      this.#position += chunk.length;
      return chunk;
    } catch (error) {
      // Its file may be closed by now.
      if (this.isSpoiled) return undefined;
      throw error;
    }
  }
}

async function readFrames(file: SpillFile | null, position: number, end: number): Promise<Buffer> {
  if (file === null) throw new SluiceError('internal', 'a transaction that was kept has no file');
  const left = end - position;
  let chunk = Buffer.allocUnsafeSlow(Math.min(left, readBytes));
  await file.read(chunk, position);
  const first = readLength(chunk, 1) + 1;
  if (first > chunk.length) {
    chunk = Buffer.allocUnsafeSlow(first);
    await file.read(chunk, position);
  }
  return chunk.subarray(0, wholeFrames(chunk));
}

interface Finished {
  readonly commit: StreamCommit;
  /** Its beginning was read ahead, up to here; null: nothing was. */
  readonly from: number | null;
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
  #position: number;
  #next: 'begin' | 'file' | 'commit' | 'end';

  constructor(of: Finished) {
    this.#of = of;
    this.#position = of.from ?? 0;
    this.#next = of.from === null ? 'begin' : 'file';
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
    const file = await this.#of.written;
    this.#of.check();
    const chunk = await readFrames(file, this.#position, this.#of.fileBytes);
    this.#position += chunk.length;
    return chunk;
  }
}
