// Room on the disk for what does not fit into memory: files without a name, which end with the process, whatever ends it.
import { randomUUID } from 'node:crypto';
import { close, openSync, read, readdirSync, rmSync, write } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SluiceError } from './errors.ts';
import { makeFolder } from './folder.ts';

// Taken in growing steps, so that the file system is not asked for every write.
const leastGrantBytes = 1024 * 1024;
const prefix = 'sluice-spill-';
const mostGrantBytes = 16 * 1024 * 1024;

const [readFile, writeFile, closeFile] = [promisify(read), promisify(write), promisify(close)];

/** A folder for such files. All of one process share it, and together take no more of the disk than half of what was free. */
export class Spill {
  readonly folder: string;
  #taken = 0;
  #swept = false;

  constructor(folder: string) {
    this.folder = folder;
  }

  /** A new file that nobody else can open. @throws the file system's own error */
  open(): SpillFile {
    makeFolder(this.folder, 0o700);
    if (!this.#swept) this.#sweep();
    const path = join(this.folder, `${prefix}${randomUUID()}`);
    // At one go, so that hardly any kill finds it with its name.
    const descriptor = openSync(path, 'wx+', 0o600);
    rmSync(path, { force: true });
    return new SpillFile(this, descriptor);
  }

  // One that has a name is of a process that was killed before it took it away, or is about to.
  #sweep(): void {
    for (const entry of readdirSync(this.folder, { withFileTypes: true })) {
      if (entry.isFile() && entry.name.startsWith(prefix)) rmSync(join(this.folder, entry.name), { force: true });
    }
    this.#swept = true;
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
  readonly #descriptor: number;
  #granted = 0;
  #closed = false;

  constructor(spill: Spill, descriptor: number) {
    this.#spill = spill;
    this.#descriptor = descriptor;
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
        const { bytesWritten } = await writeFile(this.#descriptor, buffer, done, buffer.length - done, at);
        done += bytesWritten;
        at += bytesWritten;
      }
    }
  }

  /** Fills the buffer from there. @throws `internal` if there is less */
  async read(into: Buffer, position: number): Promise<void> {
    for (let done = 0; done < into.length; ) {
      const { bytesRead } = await readFile(this.#descriptor, into, done, into.length - done, position + done);
      if (bytesRead === 0) throw new SluiceError('internal', 'a file of ours is shorter than what was written to it');
      done += bytesRead;
    }
  }

  /** Gives its room back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await closeFile(this.#descriptor);
    this.#spill.give(this.#granted);
  }
}
