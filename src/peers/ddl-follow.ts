// What a change of the schema needs before the rows that come after it: what was dropped goes, partitions and labels are as they were there.
import type { SluiceError } from '../base/errors.ts';
import { objectKey } from '../mirror/object.ts';
import type { TableChange } from '../mirror/table-change.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { type Lsn, parseLsn } from '../pg/lsn.ts';
import { ident, sql, trusted } from '../pg/sql.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import { afterLoosening, alteredComposite, loosenedDomain } from './altered-types.ts';
import { partitionTarget } from './ddl.ts';
import { Attempts } from './ddl-attempt.ts';
import {
  type DdlMessage,
  isRefresh,
  type ToldEnum,
  type ToldPartition,
  type ToldTree,
  type ToldType,
} from './ddl-message.ts';
import { PartitionFollowing } from './ddl-partitions.ts';
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
import { forgetCopied } from './known-tables.ts';
import { dropStatements, renameStatements } from './schema/undo.ts';
import { type Standing, targetTree } from './standing-partitions.ts';

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
  /** Whether the target has it as of the change's place, with the columns, and their values, that the source's has now. */
  readonly isSettled?: (mirrored: MirroredTable) => Promise<boolean>;
}

export interface DdlDone {
  readonly what: string;
  readonly statements: readonly string[];
  readonly notes: readonly string[];
  /** Tables with rows that were never in the log: they must be read whole. */
  readonly reread: readonly MirroredTable[];
  /** Tables whose place on the target is another's now: they join the mirror anew. */
  readonly left: readonly MirroredTable[];
  /** The same, for the mirror's list of tables. */
  readonly tables?: readonly TableChange[];
  /** Types that have got another name, as showTable prints both. */
  readonly renamed: ReadonlyMap<string, string>;
  /** Whether a table that was there before is a partition now, or the other way round. */
  readonly moved: boolean;
}

/**
 * Inside the target's transaction, at the change's place among the rows.
 * @throws `wrong_state` with the statement to run, where rows to come may not fit without it
 */
export async function followDdl(deps: DdlDeps, message: DdlMessage): Promise<DdlDone> {
  const following = new Following(deps, message);
  await following.run();
  return await forgetLeft(deps, following.done);
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
  const following = new Following({ ...deps, place: 0n }, message, 'come anew');
  await following.bring(later);
  return await forgetLeft(deps, following.done);
}

async function forgetLeft({ target, work }: Omit<DdlDeps, 'place'>, done: DdlDone): Promise<DdlDone> {
  await forgetCopied(
    target,
    work,
    done.left.map(({ from }) => from),
  );
  return done;
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
  readonly #attempts: Attempts;
  readonly #partitions: PartitionFollowing;
  readonly #notes: string[] = [];
  readonly #renamed = new Map<string, string>();

  constructor(deps: DdlDeps, message: DdlMessage, rows: 'go on' | 'come anew' = 'go on') {
    this.#deps = deps;
    this.#message = message;
    const attempts = new Attempts({ ...deps, tag: message.tag });
    this.#attempts = attempts;
    this.#partitions = new PartitionFollowing({ ...deps, message, attempts, later: rows === 'come anew' });
  }

  get done(): DdlDone {
    const { what, statements } = this.#attempts;
    const { reread, left, moved, notes } = this.#partitions.done;
    const tables = left.map(({ from }): TableChange => ({ kind: 'leave', from }));
    return {
      ...{ what: what.join(', '), statements, notes: [...this.#notes, ...notes] },
      ...{ reread, left, moved, renamed: this.#renamed },
      ...(tables.length === 0 ? {} : { tables }),
    };
  }

  async run(): Promise<void> {
    const { target, work } = this.#deps;
    if (isRefresh(this.#message)) return await this.#refresh();
    await wantLook(target, work, this.#deps.place);
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
      if (this.#deps.isAhead?.(mirrored)) this.#partitions.passed(tree);
      else await this.#partitions.follow(mirrored, tree);
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
      const error = await this.#attempts.try([statement]);
      if (error === null) this.#attempts.what.push(`materialized view ${known.shown} refreshed`);
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
    for (const each of tree.partitions) {
      const to = partitionTarget(mirrored, each);
      const there = standing.find((one) => sameTable(one, to));
      if (there !== undefined) await this.#makeWay(there, { told: each, tree, nameOf });
    }
    await this.#partitions.follow(mirrored, tree);
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
    await this.#partitions.detach(there);
    const now = await nameOf(oid);
    const to = now === null ? null : { schema: this.#schemaThere(now.schema), name: now.name };
    if (now === null || to === null || (await isAlone(target, to)) !== null) {
      const error = await this.#attempts.try([sql`drop table ${ident(there.schema, there.name)}`]);
      // What something depends on becomes the other one.
      if (error === null) this.#attempts.what.push(`table ${showTable(there)} dropped`);
      return await forgetKnownTable(target, work, was);
    }
    await this.#partitions.rename(there, to);
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
        const error = await this.#attempts.try(object.drop.map(trusted));
        if (error === null) this.#attempts.what.push(`${object.kind} ${object.shown} dropped`);
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
      throw this.#attempts.refused(`${needed.kind} ${needed.shown} was dropped`, error, needed.drop);
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
      await this.#partitions.rename(was, to);
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
      for (const { what, statement } of renamed) await this.#attempts.run(what, statement);
      const now = renamed.length === 0 ? before : ((await findTypes(target, [type]))[0]?.labels ?? before);
      for (const { what, statement } of addedLabels({ ...enums, target: now }))
        await this.#attempts.run(what, statement);
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
    const error = await this.#attempts.try(steps);
    // Its name may be another's for a while: then it is made right with all that follows.
    if (error !== null) return;
    this.#attempts.what.push(`type ${showTable(was)} renamed to ${showTable(to)}`);
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
      const error = await this.#attempts.try(statements);
      if (error === null) {
        this.#attempts.what.push(`${shown} altered`);
        const composite = { ...before.composite, attributes };
        await rememberObject(target, work, { ...known, type: { ...before, composite } });
      } else {
        // As a rule it needs what is new as well, and comes with that.
        this.#notes.push(`${shown} waits to be altered on the target: ${error.message}`);
      }
    }
    if (domain === null || before.domain === null) return;
    for (const statement of loosenedDomain(known, before.domain, domain))
      await this.#attempts.run(`domain ${showTable(known)} altered`, statement);
    const left = afterLoosening(before.domain, domain);
    await rememberObject(target, work, { ...known, type: { ...before, domain: left } });
  }
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
