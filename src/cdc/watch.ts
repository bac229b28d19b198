// What the stream does not tell: tables renamed or replaced, a publication that lets go, partitions that come, go or are emptied.

import { SluiceError, toSluiceError } from '../base/errors.ts';
import { copyAgain } from '../mirror/remedy.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { markNames } from '../peers/apply-marks.ts';
import type { TruncateStep } from '../peers/apply-walk.ts';
import { partitionTarget } from '../peers/ddl.ts';
import { type Publication, readPublication } from '../peers/publication.ts';
import { showGrown, widenPublication } from '../peers/publication-columns.ts';
import { type Memory, type Remembered, remember, type Shape, type ShapeLeaf } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn, parseLsn } from '../pg/lsn.ts';
import { ident, sql } from '../pg/sql.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import { moved } from './absent.ts';
import { confusedEnums } from './labels.ts';
import { ListedColumns } from './listed.ts';
import { isExcluded } from './met.ts';
import { columnsOfTypes } from './relabelled.ts';
import { type Readings, unreadable, type Written, WrittenPartitions } from './written.ts';

export interface WatchSides {
  readonly source: Connection;
  readonly target: Connection;
  /** Nothing of ours before it is missing on the target. */
  readonly reached: Lsn;
}

const mostLooks = 5;

interface Leaf extends ShapeLeaf {
  readonly empty: boolean;
}

interface SeenTable extends TableName {
  readonly oid: number;
  readonly partition: boolean;
  readonly leaves: readonly Leaf[] | null;
  /** Those that a stream may carry. */
  readonly columns: readonly { readonly attnum: number; readonly name: string }[];
}

interface Emptied {
  readonly mirrored: MirroredTable;
  readonly leaf: ShapeLeaf;
  /** End of the source's log when it was seen: a TRUNCATE of the whole table would be in the stream before. */
  readonly lsn: Lsn;
}

/** Looks at the source from time to time, and compares with what the target remembers. */
export class Watcher {
  readonly #work: MirrorWork;
  readonly #note: (message: string) => Promise<void>;
  readonly #tables = new Map<number, MirroredTable>();
  readonly #leaves = new Map<string, readonly ShapeLeaf[]>();
  /** As they were when the session began. */
  readonly #shapes = new Map<string, Shape>();
  readonly #emptied = new Map<number, Emptied>();
  readonly #written: WrittenPartitions;
  readonly #listed: ListedColumns;
  /** An event trigger tells of tables and partitions that come, go or get other names. */
  readonly #full: boolean;
  /** Row filters of the publication when this began to look. */
  #filters: ReadonlyMap<string, string | null> | undefined;

  constructor(
    work: MirrorWork,
    remembered: ReadonlyMap<string, Remembered>,
    deps: { readonly note: (message: string) => Promise<void>; readonly readings: Readings },
  ) {
    const { note } = deps;
    this.#work = work;
    this.#written = new WrittenPartitions(work, deps.readings);
    this.#listed = new ListedColumns(work, remembered);
    this.#full = work.options.schema_changes === 'full';
    this.#note = note;
    for (const mirrored of work.tables) {
      const { shape, leaves, emptiedBy } = remembered.get(showTable(mirrored.from)) ?? {};
      if (emptiedBy != null) this.#written.truncated(showTable(mirrored.from), emptiedBy);
      if (shape != null) this.#tables.set(shape.oid, mirrored);
      if (shape != null) this.#shapes.set(showTable(mirrored.from), shape);
      if (leaves != null) this.#leaves.set(showTable(mirrored.from), leaves);
    }
  }

  /** Whether something was seen that needs another look soon. */
  get suspicious(): boolean {
    return this.#emptied.size + this.#written.waiting.length > 0;
  }

  /** Partitions whose rows must be read again, and when the stream emptied a whole table. */
  get written(): WrittenPartitions {
    return this.#written;
  }

  /** Columns that the publication got later than their tables. */
  get listed(): ListedColumns {
    return this.#listed;
  }

  /** The stream emptied whole tables. */
  truncated({ tables, xid }: TruncateStep): void {
    for (const { from } of tables) this.#written.truncated(showTable(from), xid);
  }

  /**
   * A row of a partitioned table did not fit. Where its partitions have other files than the target knows, the table is read again
   * before the stream goes on: what follows from there on may be of rows that it said nothing of. After a look.
   * @returns whether it is
   * @throws `wrong_state` with what to do, where it cannot be read again
   */
  async suspect(root: TableName, sides: Pick<WatchSides, 'source' | 'target'>): Promise<boolean> {
    const mirrored = [...this.#tables.values()].find(({ from }) => sameTable(from, root));
    if (mirrored === undefined) return false;
    const filled = this.#written.of(mirrored);
    const emptied = [...this.#emptied.values()].filter((each) => each.mirrored === mirrored);
    const leaves = [...(filled?.leaves ?? []), ...emptied.map(({ leaf }) => leaf)];
    const lsn = filled?.lsn ?? emptied[0]?.lsn;
    if (lsn === undefined) return false;
    const written = { mirrored, leaves, all: false, lsn };
    if (await this.#written.suspect(written, sides)) return true;
    throw unreadable(this.#work, written);
  }

  /** @throws `wrong_state` with what to do, where the stream is silent about a difference */
  async look(sides: WatchSides): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#look(sides);
        break;
      } catch (error) {
        // What got another name between two questions looks as if the publication had let it go.
        if (toSluiceError(error).kind !== 'wrong_state' || tries === mostLooks) throw error;
      }
    }
    const trouble = await this.#judgeWritten(sides);
    if (trouble !== null) throw trouble;
  }

  async #look(sides: WatchSides): Promise<void> {
    const { lsn, tables } = await seeTables(sides.source, [...this.#tables.keys()]);
    const byOid = new Map(tables.map((table) => [table.oid, table]));
    for (const [oid, mirrored] of this.#tables) {
      const now = byOid.get(oid);
      const isSame = now !== undefined && sameTable(now, mirrored.from);
      if (!isSame && !this.#full) throw moved(mirrored, now ?? null);
    }
    await this.#watchLabels(sides);
    await this.#publishNew(sides);
    await this.#listed.look(sides.source);
    const publication = await readPublication(sides.source, this.#work.publication.name);
    // What is attached to another comes under that one's name.
    const own = this.#full ? tables.filter(({ partition }) => !partition) : tables;
    checkPublished(this.#work, own, publication);
    const published = new Map(publication?.tables.map((table) => [showTable(table), table]));
    const filters = new Map([...published].map(([name, { filter }]) => [name, filter]));
    this.#filters ??= filters;
    for (const [oid, mirrored] of this.#tables) {
      const name = showTable(byOid.get(oid) ?? mirrored.from);
      const silent = silentColumns(
        { mirrored, stored: this.#shapes.get(showTable(mirrored.from)) },
        byOid.get(oid),
        published.get(name)?.columns ?? null,
      );
      // One that was dropped between the two looks is none.
      const [again] = silent.length === 0 ? [] : (await seeTables(sides.source, [oid])).tables;
      const missing = silent.filter((column) => again?.columns.some((each) => each.name === column));
      if (again !== undefined && missing.length > 0) throw unpublished(this.#work, mirrored, { seen: again, missing });
      if (this.#filters.has(name) && this.#filters.get(name) !== filters.get(name))
        throw filterChanged(this.#work, mirrored);
    }
    const memories = new Map<string, Memory>();
    for (const table of tables) {
      const mirrored = this.#tables.get(table.oid);
      if (mirrored === undefined || table.leaves === null) continue;
      const byRoot = publication?.viaRoot === true && published.has(showTable(table));
      await this.#compareLeaves(sides, mirrored, { leaves: table.leaves, lsn, memories, byRoot });
    }
    await this.#judgeEmptied(sides, tables, memories);
    await remember(sides.target, this.#work, [...memories.values()]);
  }

  // The log is silent about names of labels. Where one has that of another, what rows say since then is read again.
  async #watchLabels(sides: WatchSides): Promise<void> {
    const work = this.#work;
    const drifts = await confusedEnums(sides, work);
    if (drifts.length === 0) return;
    const types = drifts.map(({ type }) => type.oid);
    for (const { mirrored, oid, columns } of await columnsOfTypes(sides.source, types, this.#tables)) {
      if (this.#listed.wants(mirrored, columns)) continue;
      const unread = this.#listed.want(mirrored, oid, columns);
      await remember(sides.target, work, [{ table: showTable(mirrored.from), unread }]);
    }
  }

  // A list of columns does not grow by itself.
  async #publishNew({ source, target }: WatchSides): Promise<void> {
    const work = this.#work;
    if (work.options.schema_changes === 'off') return;
    const find = (table: TableName) => {
      const mirrored = work.tables.find((each) => sameTable(each.from, table));
      const stored = mirrored === undefined ? undefined : this.#shapes.get(showTable(mirrored.from));
      return mirrored === undefined || stored === undefined ? null : { mirrored, stored };
    };
    const grown = await widenPublication(source, work, {
      isMirrored: (table, attnum, name) => {
        const found = find(table);
        return found !== null && !isExcluded(found, attnum, name);
      },
      // Whoever comes after us, if we end before their values are read, knows of them.
      before: async (table, columns) => {
        const found = find(table);
        if (found === null) return;
        const unread = this.#listed.want(found.mirrored, found.stored.oid, columns);
        await remember(target, work, [{ table: showTable(found.mirrored.from), unread }]);
      },
    });
    if (grown.length > 0) await this.#note(showGrown(work.publication.name, grown));
  }

  async #compareLeaves(
    { target }: WatchSides,
    mirrored: MirroredTable,
    seen: {
      readonly leaves: readonly Leaf[];
      readonly lsn: Lsn;
      readonly memories: Map<string, Memory>;
      /** Whether rows of its partitions come under its own name, and TRUNCATE of one of them not at all. */
      readonly byRoot: boolean;
    },
  ): Promise<void> {
    const name = showTable(mirrored.from);
    const known = this.#leaves.get(name) ?? seen.leaves;
    const gone = known.filter((leaf) => !seen.leaves.some((each) => each.oid === leaf.oid));
    const come = seen.leaves.filter((leaf) => !known.some((each) => each.oid === leaf.oid));
    if (gone.length + come.length > 0 && !this.#full) {
      const there = await targetPartitions(target, mirrored.to);
      if (there === null) {
        await this.#note(
          `partitions of ${name} changed on the source; ${showTable(mirrored.to)} on the target has none`,
        );
      } else {
        refuseComeAndGone(mirrored, { gone, come }, there);
      }
    }
    if (seen.byRoot && this.#work.options.truncate) {
      const written = seen.leaves.filter((leaf) => !leaf.empty && wasWritten(known, leaf)).map(pick);
      const all = seen.leaves.every((leaf) => leaf.node === null || wasWritten(known, leaf));
      this.#written.saw({ mirrored, leaves: written, all, lsn: seen.lsn });
    }
    const leaves = seen.leaves.map(({ oid, schema, name: leafName, node, empty }): ShapeLeaf => {
      const before = known.find((leaf) => leaf.oid === oid);
      const changed = before?.node !== node;
      if (changed && empty && this.#work.options.truncate && !this.#emptied.has(oid)) {
        this.#emptied.set(oid, { mirrored, leaf: { oid, schema, name: leafName, node }, lsn: seen.lsn });
      }
      // Its old file is remembered until the target is known to agree.
      const waits = this.#emptied.has(oid) || this.#written.has(oid);
      const kept = waits ? (before === undefined ? null : before.node) : node;
      return { oid, schema, name: leafName, node: kept };
    });
    const before = this.#leaves.get(name);
    this.#leaves.set(name, leaves);
    if (JSON.stringify(before?.map(pick)) !== JSON.stringify(leaves)) seen.memories.set(name, { table: name, leaves });
  }

  async #judgeEmptied(sides: WatchSides, tables: readonly SeenTable[], memories: Map<string, Memory>): Promise<void> {
    for (const [oid, { mirrored, leaf, lsn }] of this.#emptied) {
      if (sides.reached < lsn) continue;
      const now = tables.flatMap((table) => table.leaves ?? []).find((each) => each.oid === oid);
      const to = partitionTarget(mirrored, leaf);
      // Looked at once more after the target: rows that came in between reach it, too.
      if (now?.empty && (await this.#hasRows(sides.target, mirrored.to, to)) && (await isSame(sides.source, leaf))) {
        const { deleted } = markNames(this.#work.options);
        const empty =
          deleted === null
            ? `TRUNCATE ${showTable(to)};`
            : `UPDATE ${showTable(to)} SET ${ident(deleted).text} = true WHERE ${ident(deleted).text} IS NOT TRUE;`;
        throw new SluiceError('wrong_state', `partition ${showTable(leaf)} was emptied on the source`, {
          detail: `TRUNCATE of one partition is not in a stream that publishes by the root. ${showTable(to)} on the target still has rows, as of ${formatLsn(lsn)}.`,
          hint: `On the target run ${empty} then RESUME MIRROR.`,
        });
      }
      this.#emptied.delete(oid);
      // Filled again: of what was there before the target may have rows.
      if (now !== undefined && !now.empty && this.#knows(mirrored, oid)) continue;
      const name = showTable(mirrored.from);
      const leaves = (this.#leaves.get(name) ?? []).map((each) =>
        each.oid === oid ? { ...each, node: now?.node ?? null } : each,
      );
      this.#leaves.set(name, leaves);
      memories.set(name, { table: name, leaves });
    }
  }

  // Whether a file of it was seen before.
  #knows({ from }: MirroredTable, oid: number): boolean {
    return this.#leaves.get(showTable(from))?.some((each) => each.oid === oid && each.node !== null) ?? false;
  }

  async #judgeWritten(sides: WatchSides): Promise<SluiceError | null> {
    for (const written of this.#written.waiting) {
      if (sides.reached < written.lsn) continue;
      const verdict = await this.#written.judge(written, sides);
      if (verdict.kind === 'stale') continue;
      await this.#accept(sides.target, written);
      // Said once: whoever resumes the mirror has seen to it.
      if (verdict.kind === 'trouble') return unreadable(this.#work, written);
    }
    return null;
  }

  async #accept(target: Connection, { mirrored, leaves: accepted }: Written): Promise<void> {
    const table = showTable(mirrored.from);
    const leaves = (this.#leaves.get(table) ?? []).map((each) => accepted.find(({ oid }) => oid === each.oid) ?? each);
    this.#leaves.set(table, leaves);
    await remember(target, this.#work, [{ table, leaves }]);
  }

  // A partition with rows (that are not marked as deleted), if it is one of the root's.
  async #hasRows(target: Connection, root: TableName, leaf: TableName): Promise<boolean> {
    if (!(await targetPartitions(target, root))?.has(showTable(leaf))) return false;
    const { deleted } = markNames(this.#work.options);
    const live = deleted === null ? sql`` : sql` where ${ident(deleted)} is not true`;
    const rows = await target.query(sql`select 1 as one from ${ident(leaf.schema, leaf.name)}${live} limit 1`);
    return rows.length > 0;
  }
}

// One without a file of which we know none: nobody can tell.
function wasWritten(known: readonly ShapeLeaf[], { oid, node }: ShapeLeaf): boolean {
  const before = known.find((each) => each.oid === oid)?.node ?? null;
  return node !== null && before !== null && before !== node;
}

const pick = ({ oid, schema, name, node }: ShapeLeaf): ShapeLeaf => ({ oid, schema, name, node });

async function seeTables(
  source: Connection,
  oids: readonly number[],
): Promise<{ readonly lsn: Lsn; readonly tables: readonly SeenTable[] }> {
  const tables = await source.query<SeenTable>(sql`
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relispartition as partition,
      case when c.relkind = 'p' then (
        select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('oid', l.oid::bigint, 'schema', ln.nspname, 'name', l.relname,
          'node', pg_catalog.pg_relation_filenode(l.oid)::text,
          'empty', l.relkind = 'r' and pg_catalog.pg_relation_size(l.oid) = 0) order by l.oid), '[]')
        from pg_catalog.pg_partition_tree(c.oid) tree join pg_catalog.pg_class l on l.oid = tree.relid
        join pg_catalog.pg_namespace ln on ln.oid = l.relnamespace where l.relkind <> 'p') end as leaves,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('attnum', a.attnum, 'name', a.attname) order by a.attnum), '[]')
        from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = '') as columns
    from pg_catalog.unnest(${[...oids]}::oid[]) as wanted(oid)
    join pg_catalog.pg_class c on c.oid = wanted.oid join pg_catalog.pg_namespace n on n.oid = c.relnamespace`);
  // After the look, so that all that it saw is before it.
  const { lsn } = await source.one<{ lsn: string }>(sql`select
    (case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
      else pg_catalog.pg_current_wal_insert_lsn() end)::text as lsn`);
  return { lsn: parseLsn(lsn), tables };
}

function checkPublished(work: MirrorWork, tables: readonly SeenTable[], publication: Publication | null): void {
  const { name } = work.publication;
  const resync = `Changes made meanwhile are not in the stream. ${copyAgain(work.name)}`;
  if (publication === null) {
    throw new SluiceError('wrong_state', `publication "${name}" does not exist on the source any more`, {
      hint: resync,
    });
  }
  const kinds = ['insert', 'update', 'delete', ...(work.options.truncate ? (['truncate'] as const) : [])] as const;
  const silent = kinds.filter((kind) => !publication[kind]);
  const quoted = ident(name).text;
  if (silent.length > 0) {
    throw new SluiceError('wrong_state', `publication "${name}" does not publish ${silent.join(', ')} any more`, {
      hint: `On the source run ALTER PUBLICATION ${quoted} SET (publish = 'insert, update, delete, truncate'); then RESUME MIRROR. ${resync}`,
    });
  }
  const published = new Set(publication.tables.map(showTable));
  const lost = tables.filter(
    (table) => !published.has(showTable(table)) && !table.leaves?.every((leaf) => published.has(showTable(leaf))),
  );
  if (lost.length === 0) return;
  const list = lost.map(showTable);
  throw new SluiceError('wrong_state', `publication "${name}" has lost tables of the mirror`, {
    detail: `Lost: ${list.join(', ')}.`,
    hint: `On the source run ALTER PUBLICATION ${quoted} ADD TABLE ${list.join(', ')}; then RESUME MIRROR. ${resync}`,
  });
}

// A publication that lists columns is silent about one that came later.
function silentColumns(
  { mirrored, stored }: { readonly mirrored: MirroredTable; readonly stored: Shape | undefined },
  seen: SeenTable | undefined,
  published: readonly string[] | null,
): readonly string[] {
  if (seen === undefined || published === null) return [];
  const isOut = ({ attnum, name }: { readonly attnum: number; readonly name: string }) =>
    stored === undefined ? mirrored.exclude.includes(name) : isExcluded({ mirrored, stored }, attnum, name);
  return seen.columns.filter((each) => !published.includes(each.name) && !isOut(each)).map((each) => each.name);
}

function unpublished(
  { publication }: MirrorWork,
  { from: table, exclude, where }: MirroredTable,
  { seen, missing }: { readonly seen: SeenTable; readonly missing: readonly string[] },
): SluiceError {
  const [from, name] = [ident(table.schema, table.name).text, ident(publication.name).text];
  const list = seen.columns.filter((each) => !exclude.includes(each.name)).map((each) => ident(each.name).text);
  const filter = where === null ? '' : ` WHERE (${where})`;
  const what = `publication "${publication.name}" does not publish all columns of ${showTable(table)}`;
  return new SluiceError('wrong_state', what, {
    detail: `Missing: ${missing.join(', ')}. Values that they were given meanwhile are not in the stream.`,
    hint: `Drop the columns again, or: stop the writers, on the source run ALTER PUBLICATION ${name} DROP TABLE ${from}; ALTER PUBLICATION ${name} ADD TABLE ONLY ${from} (${list.join(', ')})${filter}; add the columns with their values on the target; then RESUME MIRROR.`,
  });
}

function filterChanged(work: MirrorWork, mirrored: MirroredTable): SluiceError {
  const what = `the row filter of ${showTable(mirrored.from)} in publication "${work.publication.name}" was changed`;
  return new SluiceError('wrong_state', what, {
    detail: 'Rows that it let through or held back meanwhile may be missing on the target or too many.',
    hint: 'Make it what it was and compare the rows; then RESUME MIRROR. Or drop the mirror and create it anew.',
  });
}

// Every table below the target's, by showTable; null: it is not partitioned.
async function targetPartitions(target: Connection, root: TableName): Promise<ReadonlySet<string> | null> {
  const rows = await target.query<TableName & { kind: string; level: number }>(sql`
    select n.nspname::text as schema, c.relname::text as name, r.relkind::text as kind, tree.level
    from pg_catalog.pg_class r join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    cross join lateral pg_catalog.pg_partition_tree(r.oid) tree
    join pg_catalog.pg_class c on c.oid = tree.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where rn.nspname = ${root.schema} and r.relname = ${root.name} and r.relkind = 'p'`);
  return rows.length === 0 ? null : new Set(rows.filter((row) => row.level > 0).map(showTable));
}

function refuseComeAndGone(
  mirrored: MirroredTable,
  { gone, come }: { readonly gone: readonly ShapeLeaf[]; readonly come: readonly ShapeLeaf[] },
  there: ReadonlySet<string>,
): void {
  const [from, root] = [showTable(mirrored.from), showTable(mirrored.to)];
  const target = (leaf: ShapeLeaf) => showTable(partitionTarget(mirrored, leaf));
  const came = new Set(come.map(target));
  const kept = gone.find((leaf) => there.has(target(leaf)) && !came.has(target(leaf)));
  if (kept !== undefined) {
    throw new SluiceError(
      'wrong_state',
      `partition ${showTable(kept)} of ${from} was detached or dropped on the source`,
      {
        detail: `The target still has ${target(kept)}; what happens to the rows of a partition is not in the stream.`,
        hint: `On the target run ALTER TABLE ${root} DETACH PARTITION ${target(kept)}; (or DROP TABLE ${target(kept)};) then RESUME MIRROR.`,
      },
    );
  }
  const missing = come.find((leaf) => !there.has(target(leaf)));
  if (missing === undefined) return;
  throw new SluiceError('wrong_state', `${from} on the source has a new partition ${showTable(missing)}`, {
    detail: 'Rows that it held when it was attached are not in the stream.',
    hint: `On the target make ${target(missing)} a partition of ${root} with the same bounds and the rows that it held; then RESUME MIRROR.`,
  });
}

// Still empty, and never filled since it was seen.
async function isSame(source: Connection, { oid, node }: ShapeLeaf): Promise<boolean> {
  const now = await source.one<{ same: boolean | null }>(sql`select
    pg_catalog.pg_relation_filenode(${oid}::oid)::text = ${node}::text and pg_catalog.pg_relation_size(${oid}::oid) = 0 as same`);
  return now.same === true;
}
