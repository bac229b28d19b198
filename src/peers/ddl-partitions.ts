// The partitions of one table of the target become what the source's were at a place of the log.
import { SluiceError } from '../base/errors.ts';
import type { MirroredTable } from '../mirror/work.ts';
import { ident, type Sql, sql } from '../pg/sql.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import { attachPartition, partitionTarget } from './ddl.ts';
import {
  type AttachWay,
  type AttachWish,
  type Found,
  findByName,
  freeName,
  makePartition,
  waysToAttach,
} from './ddl-attach.ts';
import type { Attempts } from './ddl-attempt.ts';
import type { DdlDeps } from './ddl-follow.ts';
import type { DdlMessage, ToldPartition, ToldTree } from './ddl-message.ts';
import { findKnownObjects, forgetTree, knownPartition, rememberObject } from './known-objects.ts';
import { isApart, knownPartitions, rememberPartitions, type Standing, targetTree } from './standing-partitions.ts';

export interface TreeDeps extends Omit<DdlDeps, 'place'> {
  readonly message: DdlMessage;
  readonly attempts: Attempts;
  /** All rows of the table come anew after this. */
  readonly later: boolean;
}

interface Joining extends AttachWish {
  readonly told: ToldPartition;
}

/** Follows one tree, or several that one change is about. */
export class PartitionFollowing {
  readonly #deps: TreeDeps;
  readonly #reread: MirroredTable[] = [];
  readonly #left: MirroredTable[] = [];
  readonly #notes: string[] = [];
  // OIDs of the target's tables that this has attached, and detached.
  readonly #attached = new Set<number>();
  readonly #apart = new Set<number>();
  #moved = false;

  constructor(deps: TreeDeps) {
    this.#deps = deps;
  }

  /** Tables that must be read whole, those that have no table on the target any more, whether a table is a partition now that was none, or the other way round, and what people are told. */
  get done() {
    return { reread: this.#reread, left: this.#left, notes: this.#notes, moved: this.#moved };
  }

  /** The target has the table as of a later place: what is a partition there only for a while lacks the rows that it got meanwhile. */
  passed(tree: ToldTree): void {
    const { message, mirroredBy, isAhead } = this.#deps;
    this.#moved ||= message.tag === 'ALTER TABLE';
    for (const { oid } of tree.partitions) {
      const alone = mirroredBy(oid);
      if (alone !== undefined && isAhead?.(alone) === false) this.#rereadOnce(alone);
    }
  }

  /** @throws `wrong_state` with what to do, where the target refuses it */
  async follow(mirrored: MirroredTable, tree: ToldTree): Promise<void> {
    const { target, work } = this.#deps;
    const standing = await targetTree(target, mirrored.to);
    if (standing === null) {
      this.#notes.push(
        `partitions of ${showTable(mirrored.from)} changed on the source; ${showTable(mirrored.to)} on the target has none`,
      );
      return;
    }
    const was = await knownPartitions(target, work, mirrored.to);
    await this.#bring(mirrored, { tree, standing, was });
    await rememberPartitions(target, work, { root: mirrored.to, was });
  }

  async #bring(
    mirrored: MirroredTable,
    of: { readonly tree: ToldTree; readonly standing: readonly Standing[]; readonly was: ReadonlySet<number> | null },
  ): Promise<void> {
    const { target } = this.#deps;
    const { tree, was } = of;
    const { names, there } = await this.#renameAll(mirrored, tree, of.standing);
    const wanted = new Map(tree.partitions.map((each) => [showTable(names.get(each.oid) ?? each), each]));
    for (const [name, each] of there) {
      const told = wanted.get(name);
      const parent = told === undefined ? undefined : names.get(told.parent);
      if (told !== undefined && told.bound === each.bound && parent !== undefined && sameTable(parent, each.parent)) {
        if (was !== null && !was.has(each.oid) && !this.#attached.has(each.oid)) await this.#take(mirrored, told, each);
        continue;
      }
      // What is below one that goes, goes with it.
      if (!there.has(showTable(each.parent)) && !sameTable(each.parent, mirrored.to)) continue;
      await this.detach(each);
      there.delete(name);
    }
    const come = tree.partitions.filter((each) => !there.has(showTable(names.get(each.oid) ?? each)));
    // Rows that are older than its bounds may be in another partition here.
    if (this.#deps.later && come.length > 0)
      await target.run(sql`delete from ${ident(mirrored.to.schema, mirrored.to.name)}`);
    for (const told of come) {
      const parent = names.get(told.parent);
      if (parent === undefined) continue;
      const { bound, key } = told;
      const joined = await this.#join(mirrored, { told, to: names.get(told.oid) ?? told, parent, bound, key });
      if (joined !== 'with others') continue;
      // It brought partitions of its own.
      const standing = (await targetTree(target, mirrored.to)) ?? [];
      return await this.#bring(mirrored, { ...of, standing });
    }
  }

  async #renameAll(mirrored: MirroredTable, tree: ToldTree, standing: readonly Standing[]) {
    const { target, work } = this.#deps;
    const ids = tree.partitions.map(({ oid }) => `pg_class:${oid}`);
    const known = new Map((await findKnownObjects(target, work, ids)).map((each) => [each.id, each]));
    const names = new Map<number, TableName>([[tree.root, mirrored.to]]);
    const there = new Map(standing.map((each) => [showTable(each), each]));
    for (const each of tree.partitions) {
      const to = partitionTarget(mirrored, each);
      names.set(each.oid, to);
      const was = known.get(`pg_class:${each.oid}`);
      const old = was === undefined ? undefined : there.get(showTable({ schema: was.schema, name: was.name }));
      if (old === undefined || sameTable(old, to) || there.has(showTable(to))) continue;
      await this.rename(old, to);
      await rememberObject(target, work, knownPartition(each.oid, each, to));
      there.delete(showTable(old));
      there.set(showTable(to), { ...old, ...to });
    }
    return { names, there };
  }

  /** Gives a table of the target another name. */
  async rename(from: TableName, to: TableName): Promise<void> {
    const { attempts } = this.#deps;
    const what = `table ${showTable(from)} renamed to ${showTable(to)}`;
    if (from.schema !== to.schema) {
      await attempts.run(what, sql`alter table ${ident(from.schema, from.name)} set schema ${ident(to.schema)}`);
    }
    if (from.name === to.name) return;
    await attempts.run(what, sql`alter table ${ident(to.schema, from.name)} rename to ${ident(to.name)}`);
  }

  // A person has attached it: nobody knows which rows it has, and lacks.
  async #take(mirrored: MirroredTable, told: ToldPartition, { oid, schema, name }: Standing): Promise<void> {
    const { target, work } = this.#deps;
    await rememberObject(target, work, knownPartition(told.oid, told, { schema, name }));
    this.#attached.add(oid);
    this.#moved ||= !this.#isNew(told);
    if (this.#isNew(told) && !(await this.#hasRows({ schema, name }))) return;
    this.#rereadOnce(mirrored);
  }

  async #hasRows({ schema, name }: TableName): Promise<boolean> {
    return (await this.#deps.target.query(sql`select 1 as one from ${ident(schema, name)} limit 1`)).length > 0;
  }

  /** It stands alone from here on, with its rows. */
  async detach(each: Standing): Promise<void> {
    const { attempts, work, isSettled } = this.#deps;
    await attempts.run(`partition ${showTable(each)} detached`, detaching(each.parent, each));
    this.#moved = true;
    this.#apart.add(each.oid);
    // It was mirrored by itself before, and is again, with columns that it got as a partition.
    const alone = work.tables.find(({ to }) => sameTable(to, each));
    if (alone === undefined) return;
    if (this.#deps.later || (await isSettled?.(alone)) === false) this.#rereadOnce(alone);
  }

  async #join(mirrored: MirroredTable, joining: Joining): Promise<'alone' | 'with others'> {
    const { target, work, attempts, mirroredBy, isSettled, later } = this.#deps;
    const { told, to } = joining;
    const alone = mirroredBy(told.oid);
    this.#moved ||= !this.#isNew(told);
    const found = (await findByName(target, to)) ?? (await this.#renamed(alone, to));
    if (found === null) {
      await rememberObject(target, work, knownPartition(told.oid, told, to));
      await attempts.run(`partition ${showTable(to)} made`, makePartition(joining));
      if (!this.#isNew(told)) this.#rereadOnce(mirrored);
      return 'alone';
    }
    const ours = this.#isFreed(alone, to) || alone !== undefined || (await this.#isOurs(found, told, to));
    // Mirrored until now, it has every row that the source's had there.
    const whole = !later && alone !== undefined && (await isSettled?.(alone)) !== false;
    const kind = await this.#attach(joining, { found, ours, whole });
    await rememberObject(target, work, knownPartition(told.oid, told, to));
    if (!whole || kind !== 'as it is') this.#rereadOnce(mirrored);
    if (kind === 'made anew') return 'alone';
    for (const { oid } of [found, ...((await targetTree(target, to)) ?? [])]) this.#attached.add(oid);
    return found.kind === 'p' ? 'with others' : 'alone';
  }

  // One that is mirrored by itself gets its new name with all others, which may be later.
  async #renamed(alone: MirroredTable | undefined, to: TableName): Promise<Found | null> {
    const { target } = this.#deps;
    const found = alone === undefined ? null : await findByName(target, alone.to);
    if (alone === undefined || found === null || found.parent !== null) return null;
    await this.rename(alone.to, to);
    return found;
  }

  // It is of another, which has a new name on the source: that one comes again under it.
  #isFreed(alone: MirroredTable | undefined, to: TableName): boolean {
    const holder = this.#deps.work.tables.find((each) => sameTable(each.to, to));
    if (holder === undefined || (alone !== undefined && sameTable(alone.from, holder.from))) return false;
    if (!this.#left.includes(holder)) this.#left.push(holder);
    return true;
  }

  // Whether the target's table stands there by our doing, so that it may become another.
  async #isOurs({ oid }: Found, told: ToldPartition, to: TableName): Promise<boolean> {
    const { target, work } = this.#deps;
    if (this.#apart.has(oid) || (await isApart(target, work, oid))) return true;
    const known = await findKnownObjects(target, work, [`pg_class:${told.oid}`]);
    return known.some((each) => sameTable(each, to));
  }

  async #attach(
    joining: Joining,
    of: { readonly found: Found; readonly ours: boolean; readonly whole: boolean },
  ): Promise<AttachWay['kind']> {
    const { target, work, attempts } = this.#deps;
    const { to, parent } = joining;
    const { found, ours } = of;
    const what = `partition ${showTable(to)} attached`;
    const own = `alter table ${ident(to.schema, to.name).text} rename to ${ident(await freeName(target, to)).text}`;
    if (!ours && (found.kind === 'r' || found.kind === 'p') && (await this.#hasRows(to))) {
      const error = new SluiceError('wrong_state', `target table ${showTable(to)} has rows that are not of the source`);
      throw attempts.inTheWay(what, error, [own]);
    }
    const before = found.parent === null ? [] : [detaching(found.parent, to)];
    const asItIs: AttachWay = { kind: 'as it is', steps: [attachPartition(parent, to, joining)] };
    const ways = ours && !work.options.soft_delete ? await waysToAttach(target, joining, of) : [asItIs];
    let refused: SluiceError | undefined;
    for (const { kind, steps } of ways) {
      const forget = kind === 'made anew' ? () => forgetTree(target, work, to) : undefined;
      const error = await attempts.try([...(ours ? before : []), ...steps], forget);
      if (error === null) {
        attempts.what.push(what);
        return kind;
      }
      if (refused?.sqlstate !== insufficientPrivilege) refused = error;
    }
    if (refused === undefined) return 'as it is';
    if (!ours) throw attempts.inTheWay(what, refused, [own]);
    // Its rows would have to be read again.
    if (work.options.soft_delete) throw attempts.hopeless(what, refused);
    if (refused.sqlstate !== insufficientPrivilege) throw attempts.inTheWay(what, refused, [own]);
    const { steps } = ways.find(({ kind }) => kind === 'fitted') ?? ways[0] ?? asItIs;
    throw attempts.refused(
      what,
      refused,
      [...before, ...steps].map(({ text }) => text),
    );
  }

  #isNew({ oid }: ToldPartition): boolean {
    return this.#deps.message.objects.some(({ id, tag }) => id === `pg_class:${oid}` && tag === 'CREATE TABLE');
  }

  #rereadOnce(mirrored: MirroredTable): void {
    if (!this.#reread.includes(mirrored)) this.#reread.push(mirrored);
  }
}

function detaching(parent: TableName, child: TableName): Sql {
  return sql`alter table ${ident(parent.schema, parent.name)} detach partition ${ident(child.schema, child.name)}`;
}

// Whoever has the right does it.
const insufficientPrivilege = '42501';
