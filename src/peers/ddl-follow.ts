// What a change of the schema needs before the rows that come after it: what was dropped goes, partitions and labels are as they were there.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import { objectKey } from '../mirror/object.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { type Lsn, parseLsn } from '../pg/lsn.ts';
import { ident, type Sql, sql, trusted } from '../pg/sql.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import { afterLoosening, alteredComposite, loosenedDomain } from './altered-types.ts';
import { partitionTarget } from './ddl.ts';
import {
  type DdlMessage,
  isRefresh,
  type ToldEnum,
  type ToldPartition,
  type ToldTree,
  type ToldType,
} from './ddl-message.ts';
import { createSchema } from './ddl-types.ts';
import { addedLabels, renamedLabels } from './enum-labels.ts';
import { findTypes } from './inspect-schema.ts';
import {
  findKnownObjects,
  findKnownTable,
  forgetKnownObjects,
  forgetKnownTable,
  type KnownObject,
  knownPartition,
  rememberObject,
  renameKnownTable,
  wantLook,
} from './known-objects.ts';
import { dropStatements, renameStatements } from './schema/undo.ts';

export interface DdlDeps {
  readonly work: MirrorWork;
  /** With an open transaction that holds every row before. */
  readonly target: Connection;
  /** The mirrored table of that OID on the source. */
  readonly mirroredBy: (oid: number) => MirroredTable | undefined;
  /** Where in the log the change was committed. */
  readonly place: Lsn;
  /** Whether the target has a table, with its partitions, as of a later place than the change's. */
  readonly isAhead?: (mirrored: MirroredTable) => boolean;
}

export interface DdlDone {
  readonly what: string;
  readonly statements: readonly string[];
  readonly notes: readonly string[];
  /** Tables with rows that were never in the log: they must be read whole. */
  readonly reread: readonly MirroredTable[];
  /** Types that have got another name, as showTable prints both. */
  readonly renamed: ReadonlyMap<string, string>;
  /** Whether something is no partition any more. */
  readonly detached: boolean;
}

/**
 * Inside the target's transaction, at the change's place among the rows.
 * @throws `wrong_state` with the statement to run, where rows to come may not fit without it
 */
export async function followDdl(deps: DdlDeps, message: DdlMessage): Promise<DdlDone> {
  const following = new Following(deps, message);
  await following.run();
  return following.done;
}

/** Partitions of a table as they were at a later place of the log. */
export interface LaterTree {
  readonly mirrored: MirroredTable;
  readonly tree: ToldTree;
  /** What a table of the source is called there; null: there is none of that OID. */
  readonly nameOf: (oid: number) => Promise<TableName | null>;
}

/** Brings the target's partitions there, for a table that is about to be read whole as of that place. What leaves it keeps its rows. */
export async function followTree(deps: Omit<DdlDeps, 'place'>, later: LaterTree): Promise<DdlDone> {
  const nothing = { objects: [], trees: [], enums: [], types: [] };
  const message = { event: 'ddl_command_end', tag: 'ALTER TABLE', ...nothing } as const;
  const following = new Following({ ...deps, place: 0n }, message);
  await following.bring(later);
  return following.done;
}

const neededByRows: ReadonlySet<string> = new Set([
  ...['primary key', 'unique constraint', 'exclusion constraint', 'check constraint', 'not-null constraint'],
  ...['foreign key', 'index', 'table'],
]);
// It is not there.
const undefinedStates: ReadonlySet<string> = new Set(['42704', '42P01', '42883', '3F000', '42703']);

class Following {
  readonly #deps: DdlDeps;
  readonly #message: DdlMessage;
  readonly #what: string[] = [];
  readonly #statements: string[] = [];
  readonly #notes: string[] = [];
  readonly #reread: MirroredTable[] = [];
  readonly #renamed = new Map<string, string>();
  #detached = false;
  /** All rows of the table come anew after this. */
  #later = false;

  constructor(deps: DdlDeps, message: DdlMessage) {
    this.#deps = deps;
    this.#message = message;
  }

  get done(): DdlDone {
    const what = this.#what.join(', ');
    const [statements, notes, reread] = [this.#statements, this.#notes, this.#reread];
    return { what, statements, notes, reread, renamed: this.#renamed, detached: this.#detached };
  }

  async run(): Promise<void> {
    const { target, work } = this.#deps;
    if (isRefresh(this.#message)) return await this.#refresh();
    await wantLook(target, work);
    if (this.#message.event === 'sql_drop') await this.#drop();
    else await this.#renameDetached();
    for (const each of this.#message.enums) {
      if (await this.#isBehind(each)) continue;
      await this.#renameType(each);
      await this.#labels(each);
    }
    for (const each of this.#message.types) {
      if (await this.#isBehind(each)) continue;
      await this.#renameType(each);
      await this.#type(each);
    }
    for (const tree of this.#message.trees) {
      const mirrored = this.#deps.mirroredBy(tree.root);
      if (mirrored === undefined) continue;
      if (this.#deps.isAhead?.(mirrored)) this.#detached ||= this.#message.tag === 'ALTER TABLE';
      else await this.#partitions(mirrored, tree);
    }
  }

  // At its place the target's tables have the rows that the source's had.
  async #refresh(): Promise<void> {
    const { target, work } = this.#deps;
    for (const { id, filled } of this.#message.objects) {
      const [known] = await findKnownObjects(target, work, id === null ? [] : [id]);
      if (known?.kind !== 'materialized view') continue;
      const data = filled === false ? sql` with no data` : sql``;
      const statement = sql`refresh materialized view ${ident(known.schema, known.name)}${data}`;
      const error = await this.#try([statement]);
      if (error === null) this.#what.push(`materialized view ${known.shown} refreshed`);
      else
        this.#notes.push(
          `materialized view ${known.shown} was refreshed on the source and cannot be on the target: ${error.message}. To be run there: ${statement.text}`,
        );
    }
  }

  // The target has the type as of a later place.
  async #isBehind({ oid }: ToldEnum | ToldType): Promise<boolean> {
    const [known] = await findKnownObjects(this.#deps.target, this.#deps.work, [`pg_type:${oid}`]);
    return known?.asOf !== undefined && this.#deps.place < parseLsn(known.asOf);
  }

  async bring({ mirrored, tree, nameOf }: LaterTree): Promise<void> {
    const standing = await targetTree(this.#deps.target, mirrored.to);
    if (standing === null) return;
    this.#later = true;
    for (const each of tree.partitions) {
      const to = partitionTarget(mirrored, each);
      const there = standing.find((one) => sameTable(one, to));
      if (there !== undefined) await this.#makeWay(there, { told: each, tree, nameOf });
    }
    await this.#partitions(mirrored, tree);
  }

  // A partition of that name may have been another then, which was dropped or renamed: what is told of it comes later, and must
  // not meet the one that bears its name now.
  async #makeWay(
    there: Standing,
    { told, tree, nameOf }: Omit<LaterTree, 'mirrored'> & { readonly told: ToldPartition },
  ): Promise<void> {
    const { target, work } = this.#deps;
    const was = await findKnownTable(target, work, there);
    const oid = Number(was?.id.split(':')[1]);
    if (was === null || oid === told.oid || tree.partitions.some((each) => each.oid === oid)) return;
    const [parent, child] = [ident(there.parent.schema, there.parent.name), ident(there.schema, there.name)];
    await this.#run(`partition ${showTable(there)} detached`, sql`alter table ${parent} detach partition ${child}`);
    const now = await nameOf(oid);
    const to = now === null ? null : { schema: this.#schemaThere(now.schema), name: now.name };
    if (now === null || to === null || (await isAlone(target, to)) !== null) {
      await this.#run(`table ${showTable(there)} dropped`, sql`drop table ${child}`);
      return await forgetKnownTable(target, work, was);
    }
    await this.#rename(there, to);
    await renameKnownTable(target, work, { from: { schema: there.schema, name: there.name }, to });
    await rememberObject(target, work, knownPartition(oid, now, to));
  }

  // What stands on another goes before it.
  async #drop(): Promise<void> {
    const { target, work } = this.#deps;
    const ids = this.#message.objects.flatMap(({ id, column }) => (id === null || column != null ? [] : [id]));
    let left = (await findKnownObjects(target, work, ids)).filter((each) => each.early && each.drop.length > 0);
    if (work.options.soft_delete) left = left.filter(({ kind }) => kind !== 'table');
    const refused = new Map<string, SluiceError>();
    for (let before = -1; left.length !== before && left.length > 0; ) {
      before = left.length;
      const still: KnownObject[] = [];
      for (const object of left) {
        const error = await this.#try(object.drop.map(trusted));
        if (error === null) this.#what.push(`${object.kind} ${object.shown} dropped`);
        if (error === null || undefinedStates.has(error.sqlstate)) await forgetKnownObjects(target, work, [object.id]);
        else {
          refused.set(object.id, error);
          still.push(object);
        }
      }
      left = still;
    }
    const needed = left.find(({ kind }) => neededByRows.has(kind));
    const error = needed === undefined ? undefined : refused.get(needed.id);
    if (needed !== undefined && error !== undefined)
      throw cannot(`${needed.kind} ${needed.shown} was dropped`, error, needed.drop);
  }

  // What was a partition of ours keeps its rows until it joins by itself; its old name may be another's at once.
  async #renameDetached(): Promise<void> {
    const { target, work } = this.#deps;
    const told = this.#message.objects.flatMap(({ id, tag, schema, name }) =>
      id !== null && tag === 'ALTER TABLE' && schema != null && name != null ? [{ id, schema, name }] : [],
    );
    const known = await findKnownObjects(
      target,
      work,
      told.map(({ id }) => id),
    );
    for (const was of known.filter(({ kind }) => kind === 'table')) {
      const now = told.find(({ id }) => id === was.id);
      if (now === undefined) continue;
      const to = { schema: this.#schemaThere(now.schema), name: now.name };
      if (sameTable(was, to) || !(await isAlone(target, was)) || (await isAlone(target, to)) !== null) continue;
      await this.#rename(was, to);
      const from = { schema: now.schema, name: now.name };
      await rememberObject(target, work, knownPartition(Number(was.id.split(':')[1]), from, to));
    }
  }

  async #labels(told: ToldEnum): Promise<void> {
    const { target } = this.#deps;
    const [known] = await findKnownObjects(target, this.#deps.work, [`pg_type:${told.oid}`]);
    const there = this.#schemaThere(told.schema);
    const schemas = there === told.schema ? [there] : [told.schema, there];
    const names = known === undefined ? schemas.map((schema) => ({ schema, name: told.name })) : [known];
    const types = (await findTypes(target, names)).filter(({ labels }) => labels !== null);
    for (const type of types) {
      const enums = { schema: type.schema, name: type.name, source: told.labels };
      const before = type.labels ?? [];
      const renamed = renamedLabels({ ...enums, target: before });
      for (const { what, statement } of renamed) await this.#run(what, statement);
      const now = renamed.length === 0 ? before : ((await findTypes(target, [type]))[0]?.labels ?? before);
      for (const { what, statement } of addedLabels({ ...enums, target: now })) await this.#run(what, statement);
    }
  }

  // Columns and rows that come go by its new name.
  async #renameType(told: ToldEnum | ToldType): Promise<void> {
    const { target, work } = this.#deps;
    const [was] = await findKnownObjects(target, work, [`pg_type:${told.oid}`]);
    if (was === undefined) return;
    const [, schema] = JSON.parse(was.key) as readonly string[];
    const to = { schema: told.schema === schema ? was.schema : this.#schemaThere(told.schema), name: told.name };
    const moved = sameTable(was, to) ? [] : (renameStatements(was, { ...was, ...to }) ?? []);
    if (moved.length === 0) return;
    const steps = to.schema === was.schema ? moved : [createSchema(to.schema), ...moved];
    const error = await this.#try(steps);
    // Its name may be another's for a while: then it is made right with all that follows.
    if (error !== null) return;
    this.#what.push(`type ${showTable(was)} renamed to ${showTable(to)}`);
    this.#renamed.set(showTable(was), showTable(to));
    const key = objectKey({ kind: 'type', schema: told.schema, name: told.name, table: '' });
    const drop = dropStatements({ ...was, ...to }, []).map(({ text }) => text);
    await rememberObject(target, work, { ...was, ...to, key, shown: showTable(told), drop });
  }

  #schemaThere(schema: string): string {
    const { scope } = this.#deps.work;
    const pair = scope.kind === 'schemas' ? scope.pairs.find(({ from }) => from === schema) : undefined;
    return pair?.to ?? schema;
  }

  // A composite's value has all attributes or does not fit; a domain takes more from here on. What it takes no more comes later.
  async #type({ oid, attributes, domain }: ToldType): Promise<void> {
    const { target, work } = this.#deps;
    const [known] = await findKnownObjects(target, work, [`pg_type:${oid}`]);
    if (known?.type === undefined) return;
    const before = known.type;
    const shown = `type ${showTable(known)}`;
    if (attributes !== null && before.composite !== null) {
      const statements = alteredComposite(known, before.composite.attributes, attributes);
      if (statements.length === 0) return;
      const error = await this.#try(statements);
      if (error === null) {
        this.#what.push(`${shown} altered`);
        const composite = { ...before.composite, attributes };
        await rememberObject(target, work, { ...known, type: { ...before, composite } });
      } else {
        // As a rule it needs what is new as well, and comes with that.
        this.#notes.push(`${shown} waits to be altered on the target: ${error.message}`);
      }
    }
    if (domain === null || before.domain === null) return;
    for (const statement of loosenedDomain(known, before.domain, domain))
      await this.#run(`domain ${showTable(known)} altered`, statement);
    const left = afterLoosening(before.domain, domain);
    await rememberObject(target, work, { ...known, type: { ...before, domain: left } });
  }

  async #partitions(mirrored: MirroredTable, tree: ToldTree): Promise<void> {
    const { target, work } = this.#deps;
    const standing = await targetTree(target, mirrored.to);
    if (standing === null) {
      this.#notes.push(
        `partitions of ${showTable(mirrored.from)} changed on the source; ${showTable(mirrored.to)} on the target has none`,
      );
      return;
    }
    const known = new Map(
      (
        await findKnownObjects(
          target,
          work,
          tree.partitions.map(({ oid }) => `pg_class:${oid}`),
        )
      ).map((each) => [each.id, each]),
    );
    const names = new Map<number, TableName>([[tree.root, mirrored.to]]);
    const there = new Map(standing.map((each) => [showTable(each), each]));
    for (const each of tree.partitions) {
      const to = partitionTarget(mirrored, each);
      names.set(each.oid, to);
      const was = known.get(`pg_class:${each.oid}`);
      const old = was === undefined ? undefined : there.get(showTable({ schema: was.schema, name: was.name }));
      if (old === undefined || sameTable(old, to) || there.has(showTable(to))) continue;
      await this.#rename(old, to);
      await rememberObject(target, work, knownPartition(each.oid, { schema: each.schema, name: each.name }, to));
      there.delete(showTable(old));
      there.set(showTable(to), { ...old, ...to });
    }
    const wanted = new Map(tree.partitions.map((each) => [showTable(names.get(each.oid) ?? each), each]));
    for (const [name, each] of there) {
      const told = wanted.get(name);
      const parent = told === undefined ? undefined : names.get(told.parent);
      if (told !== undefined && told.bound === each.bound && parent !== undefined && sameTable(parent, each.parent))
        continue;
      // What is below one that goes, goes with it.
      if (!there.has(showTable(each.parent)) && !sameTable(each.parent, mirrored.to)) continue;
      await this.#run(
        `partition ${name} detached`,
        sql`alter table ${ident(each.parent.schema, each.parent.name)} detach partition ${ident(each.schema, each.name)}`,
      );
      there.delete(name);
      this.#detached = true;
    }
    for (const each of tree.partitions) {
      const to = names.get(each.oid) ?? each;
      const parent = names.get(each.parent);
      if (parent === undefined || there.has(showTable(to))) continue;
      await this.#join(mirrored, { told: each, to, parent });
    }
  }

  async #rename(from: TableName, to: TableName): Promise<void> {
    const what = `table ${showTable(from)} renamed to ${showTable(to)}`;
    if (from.schema !== to.schema) {
      await this.#run(what, sql`alter table ${ident(from.schema, from.name)} set schema ${ident(to.schema)}`);
    }
    if (from.name === to.name) return;
    await this.#run(what, sql`alter table ${ident(to.schema, from.name)} rename to ${ident(to.name)}`);
  }

  async #join(
    mirrored: MirroredTable,
    { told, to, parent }: { readonly told: ToldPartition; readonly to: TableName; readonly parent: TableName },
  ): Promise<void> {
    const { target, work } = this.#deps;
    await rememberObject(target, work, knownPartition(told.oid, { schema: told.schema, name: told.name }, to));
    const [found] = await target.query<{ partition: boolean }>(sql`select c.relispartition as partition
      from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where n.nspname = ${to.schema} and c.relname = ${to.name}`);
    const [child, above] = [ident(to.schema, to.name), ident(parent.schema, parent.name)];
    if (found !== undefined) {
      // Mirrored until now, it has every row that the source's had there.
      if (this.#deps.mirroredBy(told.oid) === undefined) this.#rereadOnce(mirrored);
      // The rows that it has here may be older than its bounds.
      if (this.#later) await target.run(sql`delete from ${child}`);
      await this.#run(
        `partition ${showTable(to)} attached`,
        sql`alter table ${above} attach partition ${child} ${trusted(told.bound)}`,
      );
      return;
    }
    const below = told.key === null ? sql`` : sql` partition by ${trusted(told.key)}`;
    await this.#run(
      `partition ${showTable(to)} made`,
      sql`create table ${child} partition of ${above} ${trusted(told.bound)}${below}`,
    );
    const isNew = this.#message.objects.some(({ id, tag }) => id === `pg_class:${told.oid}` && tag === 'CREATE TABLE');
    if (!isNew) this.#rereadOnce(mirrored);
  }

  #rereadOnce(mirrored: MirroredTable): void {
    if (!this.#reread.includes(mirrored)) this.#reread.push(mirrored);
  }

  async #run(what: string, statement: Sql): Promise<void> {
    const error = await this.#try([statement]);
    if (error !== null) throw cannot(`${this.#message.tag} on the source: ${what}`, error, [statement.text]);
    this.#what.push(what);
  }

  async #try(statements: readonly Sql[]): Promise<SluiceError | null> {
    const { target } = this.#deps;
    await target.run(sql`savepoint ddl`);
    try {
      for (const statement of statements) await target.run(statement);
      await target.run(sql`release savepoint ddl`);
      this.#statements.push(...statements.map(({ text }) => text));
      return null;
    } catch (error) {
      const known = toSluiceError(error);
      if (known.retry === 'backoff' || target.lost.aborted) throw known;
      await target.run(sql`rollback to savepoint ddl`);
      await target.run(sql`release savepoint ddl`);
      return known;
    }
  }
}

function cannot(what: string, error: SluiceError, statements: readonly string[]): SluiceError {
  return new SluiceError('wrong_state', `a change of the source's schema cannot follow: ${what}: ${error.message}`, {
    detail: error.detail ?? 'Every change of the transactions before is applied.',
    hint: `On the target run ${statements.join('; ')}; then RESUME MIRROR.`,
    cause: error,
  });
}

// Whether it is a table and no partition; null: there is none of that name.
async function isAlone(target: Connection, { schema, name }: TableName): Promise<boolean | null> {
  const [row] = await target.query<{
    alone: boolean;
  }>(sql`select c.relkind in ('r', 'p') and not c.relispartition as alone
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${name}`);
  return row?.alone ?? null;
}

interface Standing extends TableName {
  readonly parent: TableName;
  readonly bound: string;
}

// Every partition below, parents first; null: it is not partitioned.
async function targetTree(target: Connection, root: TableName): Promise<readonly Standing[] | null> {
  const rows = await target.query<Standing & { level: number }>(sql`
    select n.nspname::text as schema, c.relname::text as name, tree.level,
      pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bound, case when tree.level > 0 then
        pg_catalog.json_build_object('schema', pn.nspname, 'name', p.relname) end as parent
    from pg_catalog.pg_class r join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    cross join lateral pg_catalog.pg_partition_tree(r.oid) tree
    join pg_catalog.pg_class c on c.oid = tree.relid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join pg_catalog.pg_class p on p.oid = tree.parentrelid left join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
    where rn.nspname = ${root.schema} and r.relname = ${root.name} and r.relkind = 'p'
    order by tree.level, c.oid`);
  return rows.length === 0 ? null : rows.filter(({ level }) => level > 0);
}
