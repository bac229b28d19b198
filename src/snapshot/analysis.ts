// ANALYZE of what was copied: large tables while the catalogs are read, all others when everything is there that has statistics.
import { throwIfStopped } from '../base/retry.ts';
import { membersOf, type TableHead, type TreeOf } from '../peers/ddl-tree.ts';
import type { PlannedObject } from '../peers/objects-planned.ts';
import { families, pagesOf, readWithOwnStatistics, type SizedHead } from '../peers/table-heads.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { type Crew, inParallel, inTurn } from './parallel.ts';

// Of smaller ones, many are one statement.
const largePages = 1_000;
const together = 40;

interface Sized {
  readonly to: TableName;
  readonly pages: number;
}

/** The planner of the target, and the merge of changes, know nothing of the tables before. Each is analyzed once. */
export class Analysis {
  readonly #crew: Crew;
  /** What nobody took yet: large tables that lack nothing, the largest first; other large ones; small ones. */
  readonly #early: TableName[];
  readonly #groups: readonly (readonly TableName[])[];
  #beginning: Promise<void> = Promise.resolve();

  private constructor(crew: Crew, early: readonly Sized[], rest: readonly Sized[]) {
    this.#crew = crew;
    this.#early = largestFirst(early);
    const small = rest.filter(({ pages }) => pages < largePages).map(({ to }) => to);
    const groups = largestFirst(rest.filter(({ pages }) => pages >= largePages)).map((to) => [to]);
    for (let at = 0; at < small.length; at += together) groups.push(small.slice(at, at + together));
    this.#groups = groups;
  }

  /** @param mirrored the tables whose rows were copied */
  static async of(crew: Crew, source: Connection, mirrored: readonly TreeOf<SizedHead>[]): Promise<Analysis> {
    if (!crew.work.options.do_initial_copy) return new Analysis(crew, [], []);
    // Of a tree, the whole is analyzed; and that has its statistics only when all heirs are joined.
    const alone = families(mirrored).flatMap((family) => (family.length === 1 ? family : []));
    const plain = alone.filter(({ root, partitions }) => root.kind === 'r' && partitions.length === 0);
    const large = plain.filter((tree) => pagesOf(tree) >= largePages);
    const wanting = await readWithOwnStatistics(
      source,
      large.map(({ root }) => root.oid),
    );
    const early = new Set(large.filter(({ root }) => !wanting.has(root.oid)));
    const sized = (trees: readonly TreeOf<SizedHead>[]) =>
      trees.map((tree): Sized => ({ to: tree.mapping.to, pages: pagesOf(tree) }));
    return new Analysis(crew, sized([...early]), sized(mirrored.filter((tree) => !early.has(tree))));
  }

  /**
   * Begins with large tables whose statistics are those of their columns alone, one at a time: while the catalogs are read, the
   * target has nothing else to do. To be called before the builds begin, which wait for the table that is at it.
   */
  begin(signal: AbortSignal): Promise<void> {
    this.#beginning = this.#next(signal);
    return this.#beginning;
  }

  /** All that is not analyzed yet. When it returns, everything is. */
  async rest(signal: AbortSignal): Promise<void> {
    const groups = [...this.#early.splice(0).map((to) => [to]), ...this.#groups];
    await inParallel(this.#crew, groups, analyze, signal);
    await this.#beginning;
  }

  async #next(signal: AbortSignal): Promise<void> {
    if (this.#early.length === 0) return;
    // Whoever else takes of them leaves it fewer.
    const all = async (target: Connection, tables: TableName[]) => {
      for (let table = tables.shift(); table !== undefined; table = tables.shift()) {
        throwIfStopped(signal);
        await analyze(target, [table]);
      }
    };
    await inTurn(this.#crew, [this.#early], all, signal);
  }
}

function largestFirst(tables: readonly Sized[]): TableName[] {
  return tables.toSorted((a, b) => b.pages - a.pages).map(({ to }) => to);
}

async function analyze(target: Connection, tables: readonly TableName[]): Promise<void> {
  await target.run(sql`analyze ${join(tables.map((table) => ident(table.schema, table.name)))}`);
}

/**
 * Tables of whose objects some were made when all had been analyzed: expressions of indexes, and statistics objects, have no
 * statistics before the next time.
 * @param whole the tables that it may be
 */
export async function analyzeAgain(
  crew: Crew,
  made: readonly PlannedObject[],
  { trees }: { readonly trees: readonly TreeOf<TableHead>[] },
  signal: AbortSignal,
): Promise<void> {
  const wanting = made.filter(({ line }) => line.kind === 'index' || line.kind === 'statistics');
  const names = new Set(wanting.map(({ table }) => table));
  const tables = trees.flatMap(membersOf).flatMap(({ to }) => (names.has(showTable(to)) ? [[to]] : []));
  await inParallel(crew, tables, analyze, signal);
}
