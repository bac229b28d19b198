// Makes the target's table fit the rows to come, inside the transaction that will bring them.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { TableChange } from '../mirror/table-change.ts';
import { applicationName, type MirroredTable, type MirrorWork } from '../mirror/work.ts';
import { beginCopiedTable, finishCopiedTable, moveCopiedTables } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import {
  addColumns,
  type ColumnNeeds,
  columnNeeds,
  dropColumn,
  dropExpression,
  renameColumn,
  retypeColumn,
  setNotNull,
} from '../peers/ddl-columns.ts';
import { followTree } from '../peers/ddl-follow.ts';
import { type ColumnNames, fetchColumns } from '../peers/fetch-columns.ts';
import { inspectTables } from '../peers/inspect.ts';
import { type Shape, type ShapeLeaf, writeMemories } from '../peers/shape.ts';
import { leavesOf, nameThen } from '../peers/told-tree.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn } from '../pg/lsn.ts';
import { ident, onlyOf, type Sql, sql } from '../pg/sql.ts';
import { type Column, showTable, type Table, type TableName } from '../pg/table.ts';
import { agree, sameType } from './agree.ts';
import { type ColumnChange, planChanges } from './changes.ts';
import { holdAsSeen } from './hold.ts';
import { madeFirst } from './made-first.ts';
import { type MadeFirst, ownColumns, putAside, runOnTarget } from './mend.ts';
import { place } from './met.ts';
import { copyAnew, emptyTable, withLaterTable } from './recopy.ts';
import type { Rename } from './renames.ts';
import { describe, notFollowed, oneServer, softDeleted } from './reshape-words.ts';
import { mayReadAgain } from './written.ts';

/** What must be done to one table before rows of a relation can be written. */
export interface TablePlan {
  readonly mirrored: MirroredTable;
  readonly source: Table;
  readonly target: Table;
  readonly changes: readonly ColumnChange[];
  /** Nobody can tell which columns the rows have: they may have come and gone under one name. */
  readonly unclear: boolean;
  readonly stored: Shape;
  /** Of the transaction that needs it. */
  readonly xid: number;
  /** Columns that identify a row, under the names that they have now on the source and then on the target; null: none. */
  readonly key: readonly ColumnNames[] | null;
}

/** A table was read whole again: it has all commits before `lsn`, and this shape. */
export interface Recopied {
  readonly lsn: Lsn;
  readonly shape: Shape;
  /** Its partitions that hold rows; null: it is not partitioned. */
  readonly leaves: readonly ShapeLeaf[] | null;
  /** Its partitions that the mirror has as tables of their own until it comes to where they were attached. */
  readonly attached: readonly MirroredTable[];
}

export interface Reshaped {
  readonly what: string;
  readonly recopied: Recopied | null;
  readonly statements: readonly string[];
  readonly notes: readonly string[];
  /** Tables that were its partitions until now, and lack rows that the source's got there meanwhile. */
  readonly reread: readonly MirroredTable[];
  /** As DdlDone has them. */
  readonly left: readonly MirroredTable[];
  readonly tables?: readonly TableChange[] | undefined;
}

export interface ReshapeDeps {
  readonly work: MirrorWork;
  readonly source: Connection;
  /** With an open transaction. */
  readonly target: Connection;
  readonly signal?: AbortSignal;
  /** The mirrored table of that OID on the source; left out where partitions do not follow. */
  readonly mirroredBy?: ((oid: number) => MirroredTable | undefined) | undefined;
}

/** Does it. @throws `wrong_state` with the statement to run, if the target refuses; its transaction is of no more use then */
export async function reshape(deps: ReshapeDeps, plan: TablePlan): Promise<Reshaped> {
  const work = new Reshaping(deps, plan);
  if (await work.isBlind()) return await reread(deps, plan);
  await deps.target.run(sql`savepoint reshape`);
  try {
    await work.run();
  } catch (error) {
    if (!(error instanceof Unconvertible)) throw error;
    await deps.target.run(sql`rollback to savepoint reshape`);
    return await reread(deps, plan);
  }
  await deps.target.run(sql`release savepoint reshape`);
  const what = plan.changes.map(describe).filter((each) => each !== '');
  return {
    what: what.length > 0 ? what.join(', ') : 'values read again',
    recopied: null,
    reread: [],
    left: [],
    ...work.outcome,
  };
}

/** Values that nobody can find by key come with all the others: the table becomes what the source's is a little later. */
async function reread(deps: ReshapeDeps, plan: TablePlan): Promise<Reshaped> {
  const { work, target } = deps;
  const { mirrored, stored, xid } = plan;
  if (work.options.soft_delete) throw softDeleted(plan, work.name, await makesOf(deps, plan));
  if (!(await mayReadAgain(work, deps))) throw oneServer(plan, work.name, await makesOf(deps, plan));
  const of = { mirrored, oid: stored.oid, xid, source: deps.source };
  return await withLaterTable(work, of, async (later, source) => {
    const { table, now, own, relation, types, lsn, tree } = later;
    const at = { whole: true, follows: true, exact: true, past: true };
    const sides = { mirrored, relation, types, stored, now, own, source: table, ...at };
    const changes = planChanges({ ...sides, target: plan.target }, place(sides)).filter(
      (each) => each.kind !== 'fetch',
    );
    if (work.options.schema_changes === 'off' && changes.length > 0) {
      throw notFollowed(plan, changes, await makesOf({ source, target }, { ...plan, source: table, changes }));
    }
    // Rows may lie in partitions that come later in the log, and what it tells of them before that place is passed over.
    const nameOf = (oid: number) => nameThen(source, oid);
    const { mirroredBy } = deps;
    const follows = tree !== null && mirroredBy !== undefined;
    const grown = follows ? await followTree({ work, target, mirroredBy }, { mirrored, tree, nameOf }) : null;
    const attached = follows ? tree.partitions.flatMap(({ oid }) => mirroredBy(oid) ?? []) : [];
    await emptyTable(target, plan.target);
    const done = await reshape(deps, { ...plan, source: table, changes, unclear: false });
    const [to] = await inspectTables(target, [mirrored.to], { sizes: false });
    if (to === undefined) throw new SluiceError('undefined_table', `table ${showTable(mirrored.to)} is gone`);
    const agreed = agree({ ...sides, target: to, mirror: work.name });
    const columns = relation.columns.map(({ name }) => name).filter((_, i) => !agreed.exclude.includes(`\0${i}`));
    const leaves = tree === null ? null : leavesOf(tree);
    const oids = leaves?.map(({ oid }) => oid);
    const rows = await copyAnew({ source, target }, { mirrored, table, columns, to, leaves: oids });
    await beginCopiedTable(target, work, { table: mirrored.from, snapshotLsn: lsn });
    await finishCopiedTable(target, work, mirrored.from);
    await moveCopiedTables(target, work, { tables: attached.map(({ from }) => from), snapshotLsn: lsn });
    const memory = { table: showTable(mirrored.from), shape: agreed.shape };
    await writeMemories(target, work, [leaves === null ? memory : { ...memory, leaves }]);
    const told = `-- ${rows} rows read again from the source, as of ${formatLsn(lsn)}`;
    return {
      what: [grown?.what ?? '', done.what].filter((each) => each !== '').join(', '),
      statements: [...(grown?.statements ?? []), ...done.statements, told],
      notes: [...(grown?.notes ?? []), ...done.notes],
      recopied: { lsn, shape: agreed.shape, leaves, attached },
      reread: (grown?.reread ?? []).filter((each) => each !== mirrored),
      left: grown?.left ?? [],
      tables: grown?.tables,
    };
  });
}

async function makesOf(db: Pick<ReshapeDeps, 'source' | 'target'>, plan: TablePlan): Promise<MadeFirst> {
  return await madeFirst(
    db,
    plan,
    plan.changes.flatMap((change) => ('type' in change ? [change.type] : [])),
  );
}

/** No cast of the target's makes the new values of the old ones. */
class Unconvertible extends Error {}

type Fetch = Extract<ColumnChange, { kind: 'fetch' }>;

class Reshaping {
  readonly #deps: ReshapeDeps;
  readonly #plan: TablePlan;
  readonly #statements: string[] = [];
  readonly #notes: string[] = [];
  readonly #late: Sql[] = [];
  readonly #fetches: Fetch[];

  constructor(deps: ReshapeDeps, plan: TablePlan) {
    this.#deps = deps;
    this.#plan = plan;
    this.#fetches = plan.changes.filter((change) => change.kind === 'fetch');
  }

  get outcome() {
    return { statements: this.#statements, notes: this.#notes };
  }

  async run(): Promise<void> {
    const { changes } = this.#plan;
    const needs = await this.#needs();
    for (const statement of needs?.before ?? []) await this.#run(statement);
    for (const change of changes) await this.#make(change, needs);
    for (const statement of needs?.after ?? []) await this.#run(statement);
    await this.#fetch();
    for (const statement of this.#late) {
      await this.#tryOut([[statement]], (error) => {
        this.#notes.push(`not made on the target yet: ${statement.text} (${error.message})`);
      });
    }
  }

  /** Whether there are values that can be found neither in the log nor by key. */
  async isBlind(): Promise<boolean> {
    const { key, target, unclear, changes } = this.#plan;
    if (unclear) return true;
    if (key !== null) return false;
    const blind = this.#fetches.filter((change) => change.why !== 'by hand');
    // A type that has become another by now: there will be nothing to read its values by then, either.
    const passing = changes.flatMap((each) => (each.kind === 'retype' && each.source === null ? [each] : []));
    // So has one that is new: rows that are older than it may have shown something.
    const added = changes.flatMap((each) =>
      each.kind === 'add' && !sameType(each.source.type.text, each.type.text) ? [each] : [],
    );
    const all = [...blind, ...passing, ...added];
    if (all.length === 0 || !(await hasRows(this.#deps.target, target))) return false;
    // Where they cannot be read again, what a wider type most likely holds must do.
    return all.some((each) => !this.#widens(each)) || (await mayReadAgain(this.#deps.work, this.#deps));
  }

  // A wider type holds the same values, unless somebody computed others for it.
  #widens({ name }: { readonly name: string }): boolean {
    const change = this.#plan.changes.find((each) => each.kind === 'retype' && each.name === name);
    const there = this.#plan.target.columns.find((each) => each.name === this.#before(name));
    return change?.kind === 'retype' && there !== undefined && isWider(there.type.text, change.type.text);
  }

  // The name that a column of the target had before it was renamed.
  #before(name: string): string {
    const renames = this.#plan.changes.filter((change) => change.kind === 'rename').toReversed();
    return renames.reduce((now, { from, to }) => (now === to ? from : now), name);
  }

  async #needs(): Promise<ColumnNeeds | null> {
    const { mirrored, source, changes } = this.#plan;
    const columns = changes.flatMap((change): Column[] => {
      if (change.kind === 'compute') return [change.source];
      if (change.kind === 'add') return [withType(change.source, change.type)];
      if (change.kind !== 'retype') return [];
      const of = change.source ?? source.columns[0];
      return of === undefined ? [] : [withType(of, change.type)];
    });
    if (columns.length === 0) return null;
    const as = new Map(
      changes.flatMap((each) => (each.kind === 'add' ? [[each.source.name, each.name] as const] : [])),
    );
    // A partition has no columns of its own.
    const to = await this.#owner(null);
    const needs = await columnNeeds(this.#deps, { mirrored: { ...mirrored, to }, table: source, columns, as });
    if (needs.problems.length === 0) return needs;
    throw new SluiceError('wrong_state', `columns of ${showTable(source)} cannot be made on the target`, {
      detail: needs.problems.join('; '),
      hint: 'Make what is missing on the target, then RESUME MIRROR.',
    });
  }

  async #make(change: ColumnChange, needs: ColumnNeeds | null): Promise<void> {
    const { mirrored } = this.#plan;
    switch (change.kind) {
      case 'drop':
        return await this.#drop(change.name);
      case 'rename':
        return await this.#rename(change);
      case 'retype':
        return await this.#retype(change, needs);
      case 'add':
      case 'compute': {
        if (needs === null) return;
        const column = change.source;
        const missing = change.kind === 'add' ? change.missing : null;
        const [name, type] = change.kind === 'add' ? [change.name, change.type.text] : [column.name, column.type.text];
        const fetched = this.#fetches.some((each) => each.name === name);
        const { now, late } = addColumns(needs, { name, type, column, missing, fetched });
        for (const statement of now) await this.#run(statement);
        this.#late.push(...late);
        return;
      }
      case 'keep computed':
        return await this.#run(dropExpression(await this.#owner(change.name), change.name));
      case 'let be null':
        return await this.#run(setNotNull(mirrored.to, change.name, false));
      case 'may not be null':
        this.#late.push(setNotNull(mirrored.to, change.name, true));
        return;
      case 'fetch':
        return;
      default:
        change satisfies never;
    }
  }

  async #rename(change: Rename): Promise<void> {
    const owner = await this.#owner(change.from);
    const statement = renameColumn(owner, change);
    await this.#tryOut([[statement]], (error) => {
      // duplicate_column
      if (error.sqlstate !== '42701') throw this.#refused(statement, error);
      const run = runOnTarget([putAside(owner, change.to, this.#plan.target)]);
      throw this.#refused(statement, error, `${ownColumns([change.to], owner)} ${run}`);
    });
  }

  async #drop(name: string): Promise<void> {
    const owner = await this.#owner(name);
    const statement = dropColumn(owner, name);
    await this.#tryOut([[statement]], async (error) => {
      // dependent_objects_still_exist: something that only the target has. Rows can go without the column.
      if (error.sqlstate !== '2BP01') throw this.#refused(statement, error);
      this.#notes.push(`not made on the target: ${statement.text} (${error.detail ?? error.message})`);
      const there = this.#plan.target.columns.find((each) => each.name === name);
      if (there?.notNull && there.default === null) await this.#run(setNotNull(owner, name, false));
    });
  }

  async #retype(change: Extract<ColumnChange, { kind: 'retype' }>, needs: ColumnNeeds | null): Promise<void> {
    const there = this.#plan.target.columns.find((each) => each.name === this.#before(change.name));
    if (there === undefined) return;
    const isKey = this.#plan.key?.some((names) => names.target === change.name) ?? false;
    const isEmpty = !(await hasRows(this.#deps.target, this.#plan.target));
    // If it has another type again by now, its values are read when that comes.
    const read = !isKey && this.#plan.key !== null && (change.source === null || this.#isFetched(change.name));
    const { ways, late } = retypeColumn(needs, {
      table: await this.#owner(change.name),
      there,
      name: change.name,
      type: change.type.text,
      column: change.source,
      forget: isEmpty || read,
    });
    await this.#tryOut(ways, (error) => {
      if (isConversion(error)) throw new Unconvertible(error.message, { cause: error });
      throw this.#refused(ways[0]?.[0] ?? sql``, error);
    });
    this.#late.push(...late);
  }

  #isFetched(name: string): boolean {
    return this.#fetches.some((each) => each.name === name);
  }

  async #fetch(): Promise<void> {
    const { key, mirrored, source, changes } = this.#plan;
    const { work, target, signal } = this.#deps;
    if (key === null || this.#fetches.length === 0) return;
    if (!(await hasRows(target, this.#plan.target))) return;
    // A key's own values are what its rows are found by.
    const columns = this.#fetches
      .filter((each) => !key.some((names) => names.target === each.name))
      .map(({ source: from, name }) => ({ source: from, target: name }));
    const [there] = await inspectTables(target, [mirrored.to], { sizes: false });
    if (there === undefined) return;
    const use = { application: applicationName('fetch', work) };
    await using from = await connectPeer(work.source, use, signal);
    await holdAsSeen(
      from,
      source,
      [...key, ...columns].map((names) => names.source),
    );
    const fetch = { mirrored, source, target: there, key, columns };
    const { read, matched, written } = await fetchColumns({ source: from, target }, fetch, signal);
    const moved = changes.some(
      (each) => (each.kind === 'retype' || each.kind === 'fetch') && key.some((names) => names.target === each.name),
    );
    if (moved && matched === 0 && read > 0) {
      throw new SluiceError('wrong_state', `the key of ${showTable(source)} has other values on the source now`, {
        detail: 'A change of its column computed them anew, and such values are not in the log.',
        hint: `On the target make the same change of ${showTable(mirrored.to)} with the values that the source has; then RESUME MIRROR.`,
      });
    }
    const names = columns.map((each) => each.target).join(', ');
    // What was read in vain is nobody's news.
    if (written > 0) this.#statements.push(`-- ${names}: values of ${written} rows read from the source`);
  }

  async #run(statement: Sql): Promise<void> {
    try {
      await this.#deps.target.run(statement);
    } catch (error) {
      throw this.#refused(statement, toSluiceError(error));
    }
    this.#statements.push(statement.text);
  }

  // The first way that the server takes is right.
  async #tryOut(
    ways: readonly (readonly Sql[])[],
    otherwise: (error: SluiceError) => void | Promise<void>,
  ): Promise<void> {
    const { target } = this.#deps;
    let first: SluiceError | undefined;
    for (const way of ways) {
      await target.run(sql`savepoint way`);
      try {
        for (const statement of way) await target.run(statement);
        await target.run(sql`release savepoint way`);
        this.#statements.push(...way.map(({ text }) => text));
        return;
      } catch (error) {
        const known = toSluiceError(error);
        if (known.retry === 'backoff' || target.lost.aborted) throw known;
        first ??= known;
        await target.run(sql`rollback to savepoint way`);
        await target.run(sql`release savepoint way`);
      }
    }
    if (first !== undefined) await otherwise(first);
  }

  #refused(statement: Sql, error: SluiceError, hint?: string): SluiceError {
    if (error.retry === 'backoff') return error;
    const from = showTable(this.#plan.mirrored.from);
    return new SluiceError('wrong_state', `a change of ${from} failed on the target: ${error.message}`, {
      detail: error.detail ?? `Every change of the transactions before is applied.`,
      hint: hint ?? runOnTarget([statement.text]),
      cause: error,
    });
  }

  // A column that a table inherits is changed where it comes from. Null: one that is not there yet.
  async #owner(column: string | null): Promise<TableName> {
    const { target, mirrored } = this.#plan;
    if (column !== null && target.inherits.length === 0 && target.partitionOf === null) return mirrored.to;
    const rows = await this.#deps.target.query<TableName>(sql`
      with recursive up(oid, level) as (
        select ${target.oid}::oid, 0
        union all
        select i.inhparent, up.level + 1 from up join pg_catalog.pg_inherits i on i.inhrelid = up.oid
        where case when ${column}::text is null then (select c.relispartition from pg_catalog.pg_class c where c.oid = up.oid)
          else exists (select from pg_catalog.pg_attribute a where a.attrelid = i.inhparent and a.attname = ${column}::text
            and not a.attisdropped) end)
      select n.nspname::text as schema, c.relname::text as name from up join pg_catalog.pg_class c on c.oid = up.oid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace order by up.level desc limit 1`);
    return rows[0] ?? mirrored.to;
  }
}

function withType(column: Column, type: { readonly oid: number; readonly text: string }): Column {
  return type.oid === column.type.oid ? column : { ...column, type: { ...column.type, ...type } };
}

// Conversions that keep what the value says, so that USING has no reason to be there.
const wider: Readonly<Record<string, readonly string[]>> = {
  smallint: ['integer', 'bigint', 'numeric'],
  integer: ['bigint', 'numeric'],
  bigint: ['numeric'],
  real: ['double precision'],
  character: ['character varying', 'text'],
  'character varying': ['text', 'character varying'],
  numeric: ['numeric'],
  date: ['timestamp without time zone'],
};

function isWider(from: string, to: string): boolean {
  const bare = (type: string) => type.replace(/\([^)]*\)/, '');
  return wider[bare(from)]?.includes(bare(to)) ?? false;
}

// datatype_mismatch, cannot_coerce, and what a cast says of a value (data_exception).
function isConversion({ sqlstate }: SluiceError): boolean {
  return sqlstate === '42804' || sqlstate === '42846' || sqlstate.startsWith('22');
}

async function hasRows(db: Connection, table: Table): Promise<boolean> {
  const rows = await db.query(sql`select 1 as one from ${onlyOf(table)}${ident(table.schema, table.name)} limit 1`);
  return rows.length > 0;
}
