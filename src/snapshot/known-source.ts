// What was read of the source when finishing began, for the comparison at its end: a small database's is kept as long as its catalogs
// are what they were.
import { readCatalogPrint } from '../peers/catalog-print.ts';
import type { SourceObjects } from '../peers/objects-look.ts';
import type { DatabaseSide } from '../peers/schema/side.ts';
import type { Connection } from '../pg/client.ts';

/** Of more, no more than a slice is held at a time. */
const mostTables = 1_000;

export class KnownSource {
  readonly #print: string;
  /** What belongs to no table. */
  side: DatabaseSide | null = null;
  /** All of them, in their order. */
  readonly slices: SourceObjects[] = [];

  private constructor(print: string) {
    this.#print = print;
  }

  /** To be called before anything is read. @returns null where it is not kept */
  static async before(source: Connection, tables: number): Promise<KnownSource | null> {
    if (tables > mostTables) return null;
    const print = await readCatalogPrint(source);
    return print === null ? null : new KnownSource(print);
  }

  /** Whether the source is still what is known of it. */
  async holds(source: Connection): Promise<boolean> {
    return (await readCatalogPrint(source)) === this.#print;
  }
}
