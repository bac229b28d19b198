// What was read of the source and is still so: a small database's is kept as long as its catalogs are what they were.
import type { MirrorWork } from '../mirror/work.ts';
import { type CatalogPrint, isCatalogPrint, readCatalogPrint } from '../peers/catalog-print.ts';
import type { SourceObjects } from '../peers/objects-look.ts';
import type { DatabaseSide } from '../peers/schema/side.ts';
import type { Connection } from '../pg/client.ts';
import type { WholeSource } from './whole.ts';

/** Of more, no more than a slice is held at a time. */
const mostTables = 1_000;

export class KnownSource {
  readonly #print: CatalogPrint;
  /** What belongs to no table. */
  side: DatabaseSide | null = null;
  /** All of them, in their order. */
  readonly slices: SourceObjects[] = [];

  private constructor(print: CatalogPrint) {
    this.#print = print;
  }

  /** Whether that many tables are kept. */
  static holdsOf(tables: number): boolean {
    return tables <= mostTables;
  }

  /** To be called before anything is read. @returns null where it is not kept */
  static async before(source: Connection, tables: number): Promise<KnownSource | null> {
    if (!KnownSource.holdsOf(tables)) return null;
    const print = await readCatalogPrint(source);
    return print === null ? null : new KnownSource(print);
  }

  /** Whether the source is still what is known of it. */
  async holds(source: Connection): Promise<boolean> {
    return await isCatalogPrint(source, this.#print);
  }
}

/** All that finishing wants of the source. */
export interface ReadAhead {
  readonly known: KnownSource;
  readonly whole: WholeSource;
}

/** What a process holds of a mirror's source from one step to another; lost with it, and then read anew. */
export class SourceMemory {
  /** Tables that were rewritten under a snapshot, by showTable. */
  readonly rewritten = new Set<string>();
  #held: { readonly of: string; readonly ahead: ReadAhead } | null = null;

  keep(work: MirrorWork, ahead: ReadAhead): void {
    this.#held = { of: tablesOf(work), ahead };
  }

  /** Gives it away. @returns null where nothing is held, or the source is another by now */
  async take(work: MirrorWork, source: Connection): Promise<ReadAhead | null> {
    const held = this.#held;
    this.#held = null;
    if (held === null || held.of !== tablesOf(work)) return null;
    return (await held.ahead.known.holds(source)) ? held.ahead : null;
  }
}

function tablesOf({ tables, options }: MirrorWork): string {
  return JSON.stringify([tables, options]);
}
