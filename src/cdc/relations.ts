// Which table of the mirror a relation of the stream is, and whether its rows still fit.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { type AppliedTable, appliedTable, binaryFits } from '../peers/apply-table.ts';
import type { CopiedTable } from '../peers/checkpoint.ts';
import { inspectTables } from '../peers/inspect.ts';
import type { Relation } from '../peers/pgoutput.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';

interface Sides {
  readonly source: Table | undefined;
  readonly target: Table | undefined;
}

export interface Inspection {
  /** By showTable of the source. */
  readonly sides: Map<string, Sides>;
}

/** Looks at all tables of the mirror on both sides. */
export async function inspectSides(
  work: MirrorWork,
  db: { source: Connection; target: Connection },
): Promise<Inspection> {
  const sides = new Map<string, Sides>();
  const [sources, targets] = await Promise.all([
    inspectTables(
      db.source,
      work.tables.map((table) => table.from),
    ),
    inspectTables(
      db.target,
      work.tables.map((table) => table.to),
    ),
  ]);
  const source = byName(sources);
  const target = byName(targets);
  for (const table of work.tables) {
    sides.set(showTable(table.from), {
      source: source.get(showTable(table.from)),
      target: target.get(showTable(table.to)),
    });
  }
  return { sides };
}

function byName(tables: readonly Table[]): ReadonlyMap<string, Table> {
  return new Map(tables.map((table) => [showTable(table), table]));
}

/** Whether the whole stream may carry binary values: each mirrored column has one binary form on both sides. */
export function mayBeBinary(work: MirrorWork, { sides }: Inspection): boolean {
  return work.tables.every((mirrored) => {
    const { source, target } = sides.get(showTable(mirrored.from)) ?? {};
    if (source === undefined || target === undefined) return false;
    return source.columns.every((column) => {
      if (mirrored.exclude.includes(column.name) || column.generated !== '') return true;
      const there = target.columns.find((each) => each.name === column.name);
      return column.type.binarySafe && there?.type.binarySafe === true && there.type.text === column.type.text;
    });
  });
}

export interface RelationsDeps {
  readonly work: MirrorWork;
  readonly binary: boolean;
  readonly inspection: Inspection;
  readonly copied: ReadonlyMap<string, CopiedTable>;
  /** Opens a short connection to the source: relations are looked up seldom. */
  readonly openSource: () => Promise<Connection>;
  readonly target: Connection;
}

/** Meets the relations of one session. */
export class RelationBook {
  readonly #deps: RelationsDeps;
  readonly #roots = new Map<string, MirroredTable>();
  readonly #last = new Map<number, Relation>();
  #ids = 0;

  constructor(deps: RelationsDeps) {
    this.#deps = deps;
    for (const table of deps.work.tables) this.#roots.set(showTable(table.from), table);
    // A publication without publish_via_partition_root names the partitions.
    for (const table of deps.work.tables) {
      const { source } = deps.inspection.sides.get(showTable(table.from)) ?? {};
      for (const leaf of source?.kind === 'p' ? source.leaves : []) this.#addLeaf(leaf, table);
    }
  }

  #addLeaf(leaf: TableName, table: MirroredTable): void {
    if (!this.#roots.has(showTable(leaf))) this.#roots.set(showTable(leaf), table);
  }

  /**
   * What a relation is to us: the table to apply to, null if it is none of the mirror's, or `text` if its values have no
   * common binary form and the stream must begin again without.
   * @throws `wrong_state` before the first row that does not fit
   */
  async meet(relation: Relation): Promise<AppliedTable | null | 'text'> {
    const mirrored = await this.#mirrored(relation);
    if (mirrored === undefined) return null;
    const before = this.#last.get(relation.oid);
    this.#last.set(relation.oid, relation);
    if (before !== undefined) checkDropped(before, relation, mirrored);
    let sides = this.#deps.inspection.sides.get(showTable(mirrored.from));
    if (before !== undefined || !covers(sides, relation, mirrored)) sides = await this.#inspect(mirrored);
    const { source, target } = sides ?? {};
    if (target === undefined || source === undefined) {
      const [side, name] = target === undefined ? ['target', mirrored.to] : ['source', mirrored.from];
      throw new SluiceError('undefined_table', `table ${showTable(name)} does not exist on the ${side}`, {
        hint: 'Create it and RESUME MIRROR, or take the table out of the mirror.',
      });
    }
    const { binary, copied } = this.#deps;
    const snapshotLsn = copied.get(showTable(mirrored.from))?.snapshotLsn ?? null;
    const table = appliedTable({ id: ++this.#ids, mirrored, relation, source, target, binary, snapshotLsn });
    return binary && !binaryFits(relation, mirrored, { source, target }) ? 'text' : table;
  }

  async #mirrored(relation: Relation): Promise<MirroredTable | undefined> {
    const known = this.#roots.get(showTable(relation));
    if (known !== undefined) return known;
    // A partition that was made after we looked.
    await using source = await this.#deps.openSource();
    const roots = await source.query<TableName>(sql`select n.nspname::text as schema, c.relname::text as name
      from pg_catalog.pg_partition_ancestors(${relation.oid}::oid::regclass) a
      join pg_catalog.pg_class c on c.oid = a.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where a.relid <> ${relation.oid}::oid`);
    const root = roots.map((name) => this.#roots.get(showTable(name))).find((table) => table !== undefined);
    if (root !== undefined) this.#addLeaf(relation, root);
    return root;
  }

  async #inspect(mirrored: MirroredTable): Promise<Sides> {
    await using db = await this.#deps.openSource();
    const [source] = await inspectTables(db, [mirrored.from]);
    const [target] = await inspectTables(this.#deps.target, [mirrored.to]);
    const sides = { source, target };
    this.#deps.inspection.sides.set(showTable(mirrored.from), sides);
    return sides;
  }
}

function covers(sides: Sides | undefined, relation: Relation, mirrored: MirroredTable): boolean {
  return relation.columns.every(
    ({ name }) =>
      mirrored.exclude.includes(name) ||
      (sides?.target?.columns.some((column) => column.name === name) === true &&
        sides.source?.columns.some((column) => column.name === name) === true),
  );
}

function checkDropped(before: Relation, after: Relation, mirrored: MirroredTable): void {
  const gone = before.columns
    .map((column) => column.name)
    .filter((name) => !mirrored.exclude.includes(name) && !after.columns.some((column) => column.name === name));
  if (gone.length === 0) return;
  throw new SluiceError('wrong_state', `${showTable(mirrored.from)} on the source has lost columns`, {
    detail: `Dropped or renamed: ${gone.join(', ')}. Every change before the first row without them is applied.`,
    hint: `Change ${showTable(mirrored.to)} on the target in the same way, then RESUME MIRROR.`,
  });
}
