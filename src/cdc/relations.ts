// Which table of the mirror a relation of the stream is, and whether its rows still fit.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { markNames } from '../peers/apply-marks.ts';
import { type AppliedTable, appliedTable, binaryFits, showName } from '../peers/apply-table.ts';
import type { CopiedTable } from '../peers/checkpoint.ts';
import { inspectTables } from '../peers/inspect.ts';
import type { Relation } from '../peers/pgoutput.ts';
import { type FilterWish, ownFilter, type RowFilter } from '../peers/row-filter.ts';
import type { Shape } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { agree } from './agree.ts';
import { look, type Seen } from './look.ts';

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
  /** What the sides were when they last agreed, by showTable of the source's name. */
  readonly shapes: ReadonlyMap<string, Shape>;
  /** Predicates that we decide ourselves, by showTable of the source's name; the publication decides the others. */
  readonly filters: ReadonlyMap<string, FilterWish>;
  readonly source: Connection;
  readonly target: Connection;
  readonly note: (message: string) => Promise<void>;
}

interface Meeting {
  readonly message: string;
  readonly seen: string;
  readonly table: AppliedTable;
}

/** Meets the relations of one session. */
export class RelationBook {
  readonly #deps: RelationsDeps;
  readonly #names = new Map<string, MirroredTable>();
  readonly #oids = new Map<number, MirroredTable>();
  readonly #shapes: Map<string, Shape>;
  readonly #last = new Map<number, Meeting>();
  #ids = 0;

  constructor(deps: RelationsDeps) {
    this.#deps = deps;
    this.#shapes = new Map(deps.shapes);
    for (const table of deps.work.tables) {
      this.#names.set(showTable(table.from), table);
      const shape = deps.shapes.get(showTable(table.from));
      if (shape !== undefined) this.#oids.set(shape.oid, table);
    }
    // A publication without publish_via_partition_root names the partitions.
    for (const table of deps.work.tables) {
      const { source } = deps.inspection.sides.get(showTable(table.from)) ?? {};
      for (const leaf of source?.kind === 'p' ? source.leaves : []) {
        if (!this.#oids.has(leaf.oid)) this.#oids.set(leaf.oid, table);
      }
    }
  }

  /**
   * What a relation is to us: the table to apply to, null if it is none of the mirror's, or `text` if its values have no
   * common binary form and the stream must begin again without.
   * @param xid of the transaction that brings it
   * @throws `wrong_state` before the first row that does not fit
   */
  async meet(relation: Relation, xid: number): Promise<AppliedTable | null | 'text'> {
    const mirrored = await this.#mirrored(relation);
    if (mirrored === undefined) return null;
    const name = showTable(mirrored.from);
    const stored = this.#shapes.get(name);
    if (stored === undefined) throw missingTable(mirrored, this.#deps.inspection.sides.get(name));
    const { table: now, types } = await look(this.#deps.source, { oid: stored.oid, xid, relation });
    if (now === null || !sameTable(now, mirrored.from)) throw moved(mirrored, now);
    const whole = relation.oid === stored.oid;
    if (!whole && sameTable(relation, mirrored.from)) throw moved(mirrored, null);
    const message = JSON.stringify(relation);
    const seen = JSON.stringify(now);
    const last = this.#last.get(relation.oid);
    if (last?.message === message && last.seen === seen) return last.table;
    const { source, target } = await this.#sides(mirrored, now, last !== undefined);
    if (target === undefined || source === undefined) throw missingTable(mirrored, { source, target });
    const agreed = agree({ mirrored, relation, types, whole, stored, now, source, target });
    for (const note of agreed.notes) await this.#deps.note(note);
    this.#shapes.set(name, agreed.shape);
    const { binary, copied } = this.#deps;
    const snapshotLsn = copied.get(name)?.snapshotLsn ?? null;
    const isNew = JSON.stringify(agreed.shape) !== JSON.stringify(stored);
    const table = appliedTable({
      id: ++this.#ids,
      mirrored,
      relation: agreed.relation,
      source,
      target,
      binary,
      snapshotLsn,
      agreed: isNew ? agreed.shape : null,
      steadyKey: JSON.stringify(stored.key) === JSON.stringify(now.key) ? now.key : null,
      filter: this.#filter({ mirrored, relation, types, source }),
      marks: markNames(this.#deps.work.options),
    });
    this.#last.set(relation.oid, { message, seen, table });
    return binary && !binaryFits(agreed.relation, mirrored, { source, target }) ? 'text' : table;
  }

  #filter(of: Parameters<typeof ownFilter>[1]): RowFilter {
    const wish = this.#deps.filters.get(showTable(of.mirrored.from));
    if (wish !== undefined) return ownFilter(wish, of);
    return of.mirrored.where === null ? null : { by: 'source' };
  }

  async #mirrored(relation: Relation): Promise<MirroredTable | undefined> {
    const known = this.#oids.get(relation.oid) ?? this.#names.get(showTable(relation));
    if (known !== undefined) return known;
    // A partition that was made after we looked.
    const roots = await this.#deps.source.query<{ oid: number }>(sql`select a.relid::oid as oid
      from pg_catalog.pg_partition_ancestors(${relation.oid}::oid::regclass) a where a.relid <> ${relation.oid}::oid`);
    const root = roots.map(({ oid }) => this.#oids.get(oid)).find((table) => table !== undefined);
    if (root !== undefined) this.#oids.set(relation.oid, root);
    return root;
  }

  // What was inspected when the session began serves as long as the source has not changed since.
  async #sides(mirrored: MirroredTable, now: Seen, again: boolean): Promise<Sides> {
    const { sides } = this.#deps.inspection;
    const known = sides.get(showTable(mirrored.from));
    const columns = known?.source?.columns.map(({ attnum, name, type }) => [attnum, name, type.text]);
    const present = now.columns.map(({ attnum, name, type }) => [attnum, name, type]);
    if (!again && known !== undefined && JSON.stringify(columns) === JSON.stringify(present)) return known;
    const [source] = await inspectTables(this.#deps.source, [mirrored.from]);
    const [target] = await inspectTables(this.#deps.target, [mirrored.to]);
    const found = { source, target };
    sides.set(showTable(mirrored.from), found);
    return found;
  }
}

function missingTable(mirrored: MirroredTable, sides: Sides | undefined): SluiceError {
  const [side, name] = sides?.source === undefined ? ['source', mirrored.from] : ['target', mirrored.to];
  return new SluiceError('undefined_table', `table ${showTable(name)} does not exist on the ${side}`, {
    hint: 'Create it and RESUME MIRROR, or take the table out of the mirror.',
  });
}

/** The table that was mirrored is not the one of that name any more. `now`: what it is called, null if it is gone or unknown. */
export function moved(mirrored: MirroredTable, now: TableName | null): SluiceError {
  const from = showTable(mirrored.from);
  if (now === null) {
    return new SluiceError('wrong_state', `source table ${from} was dropped, or made anew under the same name`, {
      detail: 'The table that was copied is gone; its rows on the target are as they were.',
      hint: 'RESYNC MIRROR, or drop the mirror and create it anew.',
    });
  }
  const moves = [
    now.schema === mirrored.from.schema
      ? ''
      : `ALTER TABLE ${showTable(now)} SET SCHEMA ${showName(mirrored.from.schema)};`,
    now.name === mirrored.from.name
      ? ''
      : `ALTER TABLE ${showTable({ ...now, schema: mirrored.from.schema })} RENAME TO ${showName(mirrored.from.name)};`,
  ];
  return new SluiceError('wrong_state', `source table ${from} is called ${showTable(now)} now`, {
    hint: `On the source name it back: ${moves.filter((move) => move !== '').join(' ')} then RESUME MIRROR. Or drop the mirror and create it with the new name.`,
  });
}
