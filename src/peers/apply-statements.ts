// Statements that a session has prepared: each is sent once and run by its name after that.
import type { FrameWriter } from './apply-frames.ts';

// A session that prepared more (many sets of changed columns) begins anew.
const mostPrepared = 1_000;

export class Statements {
  readonly #names = new Map<string, string>();

  /** The name of the statement for `key`, prepared now if it is not yet. */
  named(writer: FrameWriter, key: string, text: () => string): string {
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = `s${this.#names.size}`;
    this.#names.set(key, name);
    writer.parse(name, text());
    return name;
  }

  /** Prepares if need be, and runs without values. */
  run(writer: FrameWriter, key: string, text: () => string): void {
    writer.run(this.named(writer, key, text), [], false);
  }

  /** Runs a statement that will not come again. */
  once(writer: FrameWriter, text: string): void {
    writer.parse('', text);
    writer.run('', [], false);
  }

  get full(): boolean {
    return this.#names.size > mostPrepared;
  }

  /** Forgets all; the session must `deallocate all`. */
  clear(): void {
    this.#names.clear();
  }
}
