// Lines of the ledger that a person has asked about once more. Pure.
import { type ObjectLine, type ObjectName, objectKey } from '../mirror/object.ts';

/** What RETRY was asked for: all that is not on the target. */
export class Asked {
  readonly #failed: ReadonlySet<string>;
  /** Names of properties, by the table that they are of. */
  readonly #properties = new Map<string, string[]>();

  constructor(lines: Iterable<ObjectName & Pick<ObjectLine, 'state' | 'stage'>> = []) {
    const failed = new Set<string>();
    for (const line of lines) {
      if (line.state === 'failed') failed.add(objectKey(line));
      // What a table was made without is told when it is made.
      if (line.kind !== 'property' || line.stage === 'before') continue;
      const list = this.#properties.get(line.table);
      if (list === undefined) this.#properties.set(line.table, [line.name]);
      else list.push(line.name);
    }
    this.#failed = failed;
  }

  /** Whether it is to be made, though a table of the target that stands without it would be let be. */
  failed(key: string): boolean {
    return this.#failed.has(key);
  }

  /** Of a table of the source, by showTable. */
  properties(table: string): readonly string[] {
    return this.#properties.get(table) ?? [];
  }
}

export const nothingAsked = new Asked();
