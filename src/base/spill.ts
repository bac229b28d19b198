// Room on the disk for what does not fit into memory: files without a name, which end with the process, whatever ends it.
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, statfs, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { SluiceError } from './errors.ts';
import { makeFolder } from './folder.ts';

// Taken in growing steps, so that the file system is not asked for every write.
const leastGrantBytes = 1024 * 1024;
const mostGrantBytes = 16 * 1024 * 1024;

/** A folder for such files. All of one process share it, and together take no more of the disk than half of what was free. */
export class Spill {
  readonly folder: string;
  #taken = 0;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** A new file that nobody else can open. @throws the file system's own error */
  async open(): Promise<SpillFile> {
    makeFolder(this.folder, 0o700);
    const path = join(this.folder, `spill-${randomUUID()}`);
    const handle = await open(path, 'wx+', 0o600);
    await unlink(path);
    return new SpillFile(this, handle);
  }

  /** @internal Takes room. @throws `limit` when too little would be left for others */
  async take(bytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.folder);
    const free = bavail * bsize;
    if (free - bytes < this.#taken + bytes) {
      const mb = (size: number) => `${Math.floor(size / 1_048_576)} MB`;
      throw new SluiceError(
        'limit',
        `too little room in ${this.folder}: ${mb(free)} are free, ${mb(this.#taken)} in use`,
      );
    }
    this.#taken += bytes;
  }

  /** @internal */
  give(bytes: number): void {
    this.#taken -= bytes;
  }
}

/** What is written stays until it is closed; it has no end of its own: who writes knows what is there. */
export class SpillFile {
  readonly #spill: Spill;
  readonly #handle: FileHandle;
  #granted = 0;
  #closed = false;

  constructor(spill: Spill, handle: FileHandle) {
    this.#spill = spill;
    this.#handle = handle;
  }

  /** Writes all of them one behind the other. @throws `limit`, or the file system's own error */
  async write(buffers: readonly Buffer[], position: number): Promise<void> {
    let at = position;
    for (const buffer of buffers) {
      const need = at + buffer.length - this.#granted;
      if (need > 0) {
        const bytes = Math.max(need, leastGrantBytes, Math.min(mostGrantBytes, this.#granted));
        await this.#spill.take(bytes);
        this.#granted += bytes;
      }
      for (let done = 0; done < buffer.length; ) {
        const { bytesWritten } = await this.#handle.write(buffer, done, buffer.length - done, at);
        done += bytesWritten;
        at += bytesWritten;
      }
    }
  }

  /** Fills the buffer from there. @throws `internal` if there is less */
  async read(into: Buffer, position: number): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await this.#handle.read(into, done, into.length - done, position + done);
      if (bytesRead === 0) throw new SluiceError('internal', 'a file of ours is shorter than what was written to it');
      done += bytesRead;
    }
  }

  /** Gives its room back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#handle.close();
    this.#spill.give(this.#granted);
  }
}
