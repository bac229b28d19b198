// Which table of the mirror a relation of the stream is, and whether its rows still fit.

import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { markNames } from '../peers/apply-marks.ts';
import { type AppliedTable, appliedTable, binaryFits, pastTable } from '../peers/apply-table.ts';
import type { CopiedTable } from '../peers/checkpoint.ts';
import type { ColumnNames } from '../peers/fetch-columns.ts';
import { withFiles } from '../peers/files.ts';
import { inspectTables } from '../peers/inspect.ts';
import type { Relation } from '../peers/pgoutput.ts';
import { type FilterWish, ownFilter, type RowFilter } from '../peers/row-filter.ts';
import type { Shape } from '../peers/shape.ts';
import { nameThen } from '../peers/told-tree.ts';
import { meansTheSame, type Versions } from '../pg/binary-form.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { sql } from '../pg/sql.ts';
import { sameTable, showTable, type Table, type TableName } from '../pg/table.ts';
import { missingTable, moved } from './absent.ts';
import { type ChangeSides, type ColumnChange, planChanges, type WantedType } from './changes.ts';
import type { Inspection, Sides } from './inspection.ts';
import { fetchPlan } from './listed.ts';
import { look, type Seen, type SeenAttribute, shows } from './look.ts';
import { agreeTelling } from './made-first.ts';
import { place } from './met.ts';
import { outdatedRelations } from './outdated.ts';
import type { Recopied, TablePlan } from './reshape.ts';
import { hasRewritten, Looks } from './rewritten.ts';
import { type Around, Sightings } from './sightings.ts';

export interface RelationsDeps {
  readonly work: MirrorWork;
  readonly binary: boolean;
  readonly versions: Versions;
  readonly inspection: Inspection;
  readonly copied: ReadonlyMap<string, CopiedTable>;
  /** What the sides were when they last agreed, by showTable of the source's name. */
  readonly shapes: ReadonlyMap<string, Shape>;
  /** Predicates that we decide ourselves, by showTable of the source's name; the publication decides the others. */
  readonly filters: ReadonlyMap<string, FilterWish>;
  /** Tables whose partitions' rows come under their own name, by showTable. */
  readonly byRoot: ReadonlySet<string>;
  readonly source: Connection;
  readonly target: Connection;
  readonly note: (message: string) => Promise<void>;
}

/** Where a relation was met. */
export interface Place {
  /** Of the transaction that brings it. */
  readonly xid: number;
  /** Commit position of that transaction. */
  readonly finalLsn: Lsn;
  /** Whether the target was changed since it was last met. */
  readonly reshaped: boolean;
  /** What was asked for once is not asked for again: it fits now, or a person must see to it. */
  readonly settled: boolean;
  /** The relation is what the source has at that place, and now. */
  readonly exact?: boolean;
  /** The transaction has not ended: what it did to its tables cannot be seen. */
  readonly open?: boolean;
}

/** Something has to be done to the target first; then the relation is to be met again. */
export interface Unfit {
  readonly plan: TablePlan;
}

export function isUnfit(met: AppliedTable | Unfit | 'text' | null): met is Unfit {
  return met !== null && met !== 'text' && 'plan' in met;
}

interface Meeting {
  /** Of the transaction that it was met in. */
  readonly xid: number;
  readonly message: string;
  readonly seen: string;
  readonly table: AppliedTable;
  /** Transactions that the source showed then. */
  readonly snapshot: string;
}

/** What was met of transactions that may never be committed. */
interface Early {
  readonly shapes: Map<string, { readonly before: Shape; readonly met: Shape }>;
  readonly relations: Set<number>;
}

/** Meets the relations of one session. */
export class RelationBook {
  readonly #deps: RelationsDeps;
  readonly #names = new Map<string, MirroredTable>();
  readonly #oids = new Map<number, MirroredTable>();
  readonly #shapes: Map<string, Shape>;
  readonly #copied: Map<string, CopiedTable>;
  readonly #last = new Map<number, Meeting>();
  #early: Early | null = null;
  readonly #looks = new Looks();
  readonly #sightings = new Sightings();
  /** Where a table's shape was agreed on last. */
  readonly #agreedAt = new Map<string, Lsn>();
  #ids = 0;
  /** The target is not as it was inspected when the session began. */
  #reshaped = false;
  /** Tables that are dropped, made anew or renamed are seen to when their rows are through. */
  readonly #full: boolean;

  constructor(deps: RelationsDeps) {
    this.#deps = deps;
    this.#shapes = new Map(deps.shapes);
    this.#copied = new Map(deps.copied);
    this.#full = deps.work.options.schema_changes === 'full';
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
   * What a relation is to us: the table to apply to, null if it is none of the mirror's, `text` if its values have no
   * common binary form and the stream must begin again without, or what must be done before its rows fit.
   * @throws `wrong_state` before the first row that does not fit
   */
  async meet(relation: Relation, at: Place): Promise<AppliedTable | null | 'text' | Unfit> {
    const shown = at.reshaped || at.exact ? null : this.#shown(relation, at);
    if (shown !== null) return shown;
    const mirrored = await this.#mirrored(relation);
    if (mirrored === undefined) return null;
    const name = showTable(mirrored.from);
    // The stream describes a partition, too, before a row of it that it then calls the root's.
    if (this.#deps.byRoot.has(name) && relation.oid !== this.#shapes.get(name)?.oid) {
      if (!sameTable(relation, mirrored.from)) return null;
    }
    const stored = this.#shapes.get(name);
    if (stored === undefined && this.#full) return null;
    if (stored === undefined) throw missingTable(mirrored, this.#deps.inspection.sides.get(name));
    const looked = await this.#look(mirrored, { relation, stored, at });
    if (looked === null) return null;
    const { now, types, own, source, target, last, seen, lsn, snapshot } = looked;
    const whole = relation.oid === stored.oid;
    if (!whole && sameTable(relation, mirrored.from)) {
      if (this.#full) return null;
      throw moved(mirrored, null);
    }
    const message = JSON.stringify(relation);
    if (last?.message === message && last.seen === seen && !at.reshaped && !this.#looks.isOpen(name)) {
      this.#last.set(relation.oid, { ...last, snapshot });
      return last.table;
    }
    if (target === undefined || source === undefined) throw missingTable(mirrored, { source, target });
    const follows = this.#deps.work.options.schema_changes !== 'off';
    const exact = at.exact ?? false;
    const past = hasRewritten({ mirrored, stored, now }) && this.#looks.isPast(name, { now, lsn, place: at.finalLsn });
    const around = at.open === true ? null : this.#around(relation, name, at);
    const sides = { mirrored, relation, types, whole, stored, now, own, source, target, follows, exact, past, around };
    const earlier = last?.xid === at.xid && last.message !== message ? (JSON.parse(last.message) as Relation) : null;
    const snapshotLsn = this.#copied.get(name)?.snapshotLsn ?? null;
    // What is in the copy needs nothing: the copy was made of a later table.
    const isCopied = snapshotLsn !== null && at.finalLsn < snapshotLsn;
    if (follows && !isCopied) {
      const unfit = this.#plan(sides, at);
      this.#reshaped ||= unfit !== null;
      // Partitions that are published by themselves are each a relation: all of them are to be met anew.
      if (unfit !== null) this.#forget(mirrored);
      if (unfit !== null) return unfit;
    }
    const agreed = await agreeTelling(
      this.#deps,
      { ...sides, earlier, mirror: this.#deps.work.name },
      isCopied && follows,
    );
    // All its rows are left out; once they count, the relation comes again as the copy has it.
    if (agreed === null) return pastTable({ id: ++this.#ids, mirrored, relation, target, snapshotLsn });
    for (const note of agreed.notes) await this.#deps.note(note);
    // What is remembered of the copy is of a later table.
    if (!isCopied) this.#shapes.set(name, agreed.shape);
    if (!isCopied && at.open !== true) this.#agreedAt.set(name, at.finalLsn);
    if (at.open === true) {
      const before = this.#early?.shapes.get(name)?.before ?? stored;
      this.#early?.shapes.set(name, { before, met: agreed.shape });
      this.#early?.relations.add(relation.oid);
    }
    const id = ++this.#ids;
    if (!isCopied && agreed.shape.node === now.node) this.#looks.close(name);
    else if (agreed.isNow) this.#looks.read(name, id);
    const { binary } = this.#deps;
    const fitting = { ...mirrored, exclude: agreed.exclude };
    const isNew = !isCopied && JSON.stringify(agreed.shape) !== JSON.stringify(stored);
    const table = appliedTable({
      id,
      mirrored: fitting,
      relation: agreed.relation,
      source,
      target,
      binary,
      snapshotLsn,
      agreed: isNew ? agreed.shape : null,
      steadyKey: JSON.stringify(agreed.shape.key) === JSON.stringify(now.key) ? now.key : null,
      filter: this.#filter({ mirrored, relation, types, source }),
      marks: markNames(this.#deps.work.options),
    });
    this.#last.set(relation.oid, { xid: at.xid, message, seen, table, snapshot });
    return binary && !binaryFits(agreed.relation, fitting, { source, target, versions: this.#deps.versions })
      ? 'text'
      : table;
  }

  /**
   * As meet, where relation and source are what they were when it was met last; null: it must be met. Asks the source only, so that
   * it may be called while changes are applied. What comes before its commit describes its tables each time anew.
   */
  async same(relation: Relation, at: Pick<Place, 'xid' | 'open'>): Promise<AppliedTable | null> {
    const { xid, open } = at;
    const shown = this.#shown(relation, at);
    if (shown !== null) return shown;
    const message = JSON.stringify(relation);
    const before = this.#last.get(relation.oid);
    const oid = before === undefined ? undefined : this.#shapes.get(showTable(before.table.from))?.oid;
    if (before?.message !== message || oid === undefined) return null;
    const { table: now, own, snapshot, lsn } = await look(this.#deps.source, { oid, xid, relation, open });
    if (now !== null) this.#sightings.saw(relation.oid, { columns: now.columns, own, lsn, snapshot });
    const last = this.#last.get(relation.oid);
    if (now === null || last?.message !== message || last.seen !== JSON.stringify([now, own])) return null;
    const { from } = last.table;
    if (this.#looks.isOpen(showTable(from)) || (!this.#full && !sameTable(now, from))) return null;
    this.#last.set(relation.oid, { ...last, snapshot });
    return last.table;
  }

  /** Gives a function that forgets what was met of open transactions since. */
  save(): () => void {
    const early: Early = { shapes: new Map(), relations: new Set() };
    this.#early = early;
    return () => {
      for (const [name, { before, met }] of early.shapes) {
        // Rows of others may have told more since.
        if (this.#shapes.get(name) === met) this.#shapes.set(name, before);
      }
      for (const oid of early.relations) this.#last.delete(oid);
    };
  }

  // The last look came after that transaction: what it describes as it was before needs no other.
  #shown(relation: Relation, { xid, open }: Pick<Place, 'xid' | 'open'>): AppliedTable | null {
    const last = this.#last.get(relation.oid);
    if (last === undefined || open === true || !shows(last.snapshot, xid) || last.message !== JSON.stringify(relation))
      return null;
    return this.#looks.isOpen(showTable(last.table.from)) ? null : last.table;
  }

  /** What the sides were when they last agreed, by showTable of the source's name. */
  get shapes(): ReadonlyMap<string, Shape> {
    return this.#shapes;
  }

  /** Rows of a table came from `place` on. @returns what the two sides are known to be by that, and were not before */
  came({ id, from }: AppliedTable, place: Lsn): Shape | null {
    const name = showTable(from);
    const stored = this.#shapes.get(name);
    const files = this.#looks.agreed(name, { id, place });
    if (stored === undefined || files === null) return null;
    const shape = withFiles(stored, files);
    this.#shapes.set(name, shape);
    this.#looks.close(name);
    return shape;
  }

  /** The mirrored table (not one of its partitions) of that OID on the source. */
  mirroredBy(oid: number): MirroredTable | undefined {
    const found = this.#oids.get(oid);
    return found !== undefined && this.#shapes.get(showTable(found.from))?.oid === oid ? found : undefined;
  }

  /** Tables whose columns on the source are others than those that were agreed on, each as the stream would say it now. */
  async outdated(): Promise<readonly Relation[]> {
    return await outdatedRelations(this.#deps.source, this.#deps.work.tables, this.#shapes);
  }

  /** Whether the target has it as of `place`, and columns and values there are what the source has now. One that is gone is. */
  async isSettled(mirrored: MirroredTable, { xid, finalLsn }: Pick<Place, 'xid' | 'finalLsn'>): Promise<boolean> {
    const stored = this.#shapes.get(showTable(mirrored.from));
    if (stored === undefined || this.isAhead(mirrored, finalLsn)) return false;
    const { source } = this.#deps;
    const nothing: Relation = { kind: 'relation', ...mirrored.from, oid: stored.oid, identity: 'd', columns: [] };
    const { table: now } = await look(source, { oid: stored.oid, xid, relation: nothing });
    if (now === null) return true;
    if (hasRewritten({ mirrored, stored, now })) return false;
    return (await outdatedRelations(source, [mirrored], this.#shapes, 'partitions too')).length === 0;
  }

  /**
   * What is to be done where rows of a table came without the log.
   * @param when `later`: if it has another name, the stream tells of that soon, and it is asked again; `now`: by its new name
   * @returns null if it is not there
   */
  async rereading(mirrored: MirroredTable, xid: number, when: 'now' | 'later'): Promise<TablePlan | null> {
    const stored = this.#shapes.get(showTable(mirrored.from));
    const name = stored === undefined || when === 'later' ? null : await nameThen(this.#deps.source, stored.oid);
    const [source] = await inspectTables(this.#deps.source, [name ?? mirrored.from], { sizes: false });
    const [target] = await inspectTables(this.#deps.target, [mirrored.to], { sizes: false });
    const isGone = source === undefined || (when === 'now' && name === null);
    if (isGone && this.#full) return null;
    if (stored === undefined || source === undefined || target === undefined) {
      throw missingTable(mirrored, { source, target });
    }
    return { mirrored, source, target, changes: [], unclear: true, stored, xid, key: null };
  }

  /**
   * What is to be done where columns of a table, by their numbers, have values that no row of the stream has.
   * @returns null if it has no such columns
   */
  async fetching(mirrored: MirroredTable, columns: readonly number[], xid: number): Promise<TablePlan | null> {
    const plan = await this.rereading(mirrored, xid, 'later');
    return plan === null ? null : fetchPlan(plan, columns);
  }

  /** The table was read whole again. */
  recopied(mirrored: MirroredTable, { lsn, shape, attached }: Recopied): void {
    for (const each of attached) {
      const table = showTable(each.from);
      this.#copied.set(table, { table, snapshotLsn: lsn, finished: true });
      this.#forget(each);
    }
    const name = showTable(mirrored.from);
    this.#shapes.set(name, shape);
    this.#looks.close(name);
    this.#forget(mirrored);
    this.#agreedAt.set(name, lsn);
    this.#copied.set(name, { table: name, snapshotLsn: lsn, finished: true });
  }

  /** It is none of the mirror's until the session ends. */
  leave(from: TableName): void {
    const oid = this.#shapes.get(showTable(from))?.oid;
    this.#forget({ from });
    this.#names.delete(showTable(from));
    this.#shapes.delete(showTable(from));
    if (oid !== undefined) this.#oids.delete(oid);
  }

  /** Whether the target has the table as of a place behind this one. */
  isAhead({ from }: MirroredTable, place: Lsn): boolean {
    return place < (this.#copied.get(showTable(from))?.snapshotLsn ?? 0n);
  }

  /** The same table once it was read whole again, or null: it is another. No relation of the stream says so. */
  reread(table: AppliedTable): AppliedTable | null {
    const snapshotLsn = this.#copied.get(showTable(table.from))?.snapshotLsn ?? null;
    return snapshotLsn === table.snapshotLsn ? null : { ...table, id: ++this.#ids, snapshotLsn };
  }

  /** The same table with columns of types that have other names, or null: it has none. No relation of the stream says so. */
  withTypes(table: AppliedTable, renamed: ReadonlyMap<string, string>): AppliedTable | null {
    const columns = table.columns.map((column) => {
      const element = column.type.replace(/(\[\])+$/, '');
      const type = renamed.get(element);
      return type === undefined ? column : { ...column, type: type + column.type.slice(element.length) };
    });
    if (columns.every((column, i) => column === table.columns[i])) return null;
    this.#forget(table);
    const key = columns.filter(({ name }) => table.key.some((each) => each.name === name));
    return { ...table, id: ++this.#ids, columns, key };
  }

  #forget({ from }: Pick<MirroredTable, 'from'>): void {
    for (const [oid, last] of this.#last) if (sameTable(last.table.from, from)) this.#last.delete(oid);
  }

  // The source as it is now; what was inspected must be of the same moment as what was looked at.
  async #look(
    mirrored: MirroredTable,
    of: { readonly relation: Relation; readonly stored: Shape; readonly at: Place },
  ): Promise<Looked | null> {
    const { relation, stored, at } = of;
    const last = this.#last.get(relation.oid);
    for (let tries = 0; ; tries++) {
      const looked = await look(this.#deps.source, { oid: stored.oid, xid: at.xid, relation, open: at.open });
      const { table: now, types, own, lsn, snapshot } = looked;
      // It was dropped, and its rows with it.
      if (now === null && this.#full) return null;
      if (now === null || (!this.#full && !sameTable(now, mirrored.from))) throw moved(mirrored, now);
      this.#sightings.saw(relation.oid, { columns: now.columns, own, lsn, snapshot });
      const seen = JSON.stringify([now, own]);
      const isSame = last?.message === JSON.stringify(relation) && last.seen === seen;
      if (isSame && !at.reshaped && !this.#looks.isOpen(showTable(mirrored.from))) {
        return { now, types, own, lsn, snapshot, last, seen, source: undefined, target: undefined };
      }
      const again = last !== undefined || this.#reshaped || tries > 0;
      const { source, target } = await this.#sides(mirrored, now, again || !sameTable(now, mirrored.from));
      // It may have got another name between the two.
      if ((source !== undefined && isSameMoment(source, now)) || tries === mostLooks) {
        return { now, types, own, lsn, snapshot, last, seen, source, target };
      }
    }
  }

  #around({ oid }: Relation, name: string, { xid, finalLsn }: Place): Around | null {
    return this.#sightings.around(oid, { xid, place: finalLsn, known: this.#agreedAt.get(name) });
  }

  #plan(sides: ChangeSides, { xid, reshaped, settled }: Place): Unfit | 'text' | null {
    const placed = place(sides);
    const all = planChanges(sides, placed);
    // What was changed a moment ago looks as if a person had done it.
    const done = settled || (reshaped && all.every((change) => change.kind === 'fetch' && change.why !== 'new'));
    const changes = done ? [] : all;
    const unclear = placed.sure === 'two ways';
    if (changes.length === 0 && !unclear) return null;
    const { mirrored, source, target } = sides;
    if (
      this.#deps.binary &&
      changes.some((change) => 'type' in change && !isTravelling(change, source, this.#deps.versions))
    )
      return 'text';
    const names = source.primaryKey?.columns ?? source.identityColumns ?? [];
    const key = names.flatMap((name): ColumnNames[] => {
      const attnum = source.columns.find((each) => each.name === name)?.attnum;
      const met = placed.met.find((each) => each.attnum === attnum);
      const known = sides.stored.columns.some((each) => each.attnum === attnum);
      return met === undefined || !known ? [] : [{ source: name, target: met.name }];
    });
    const whole = names.length > 0 && key.length === names.length;
    const { stored } = sides;
    return { plan: { mirrored, source, target, changes, unclear, stored, xid, key: whole ? key : null } };
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
    if (!again && known?.source !== undefined && isSameMoment(known.source, now)) return known;
    const [source] = await inspectTables(this.#deps.source, [now], { sizes: false });
    const [target] = await inspectTables(this.#deps.target, [mirrored.to], { sizes: false });
    const found = { source, target };
    sides.set(showTable(mirrored.from), found);
    return found;
  }
}

interface Looked extends Sides {
  readonly now: Seen;
  readonly types: readonly string[];
  readonly own: readonly SeenAttribute[];
  readonly lsn: Lsn;
  readonly snapshot: string;
  readonly last: Meeting | undefined;
  readonly seen: string;
}

// A table that is altered again and again while we look is taken as it is.
const mostLooks = 5;

function isSameMoment(source: Table, now: Seen): boolean {
  const text = (columns: readonly { readonly attnum: number; readonly name: string; readonly type: string }[]) =>
    JSON.stringify(columns.map(({ attnum, name, type }) => [attnum, name, type]));
  if (text(source.columns.map((each) => ({ ...each, type: each.type.text }))) !== text(now.columns)) return false;
  // Not the other way round: a constraint that is not validated yet counts with one of the two only.
  return source.columns.every(({ notNull }, i) => !notNull || now.columns[i]?.notNull === true);
}

// Whether a column to come has a binary form that the target reads alike.
function isTravelling(
  change: ColumnChange & { readonly type: WantedType },
  source: Table,
  versions: Versions,
): boolean {
  const { oid } = change.type;
  return source.columns.some(({ type }) => type.oid === oid && type.binarySafe && meansTheSame(type, versions));
}
