// New tables of the source join the mirror: published, made on the target and filled, all as of one place of the log.
import { randomBytes } from 'node:crypto';
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { ObjectLine } from '../mirror/object.ts';
import type { TableChange } from '../mirror/table-change.ts';
import { applicationName, type MirroredTable, type MirrorWork } from '../mirror/work.ts';
import { beginCopiedTable, compareToken, finishCopiedTable } from '../peers/checkpoint.ts';
import { connectPeer } from '../peers/connect.ts';
import { addPrimaryKey } from '../peers/ddl.ts';
import { growTrees, planInput, readSourceSchema, readTargetFacts } from '../peers/ddl-input.ts';
import { planSchema } from '../peers/ddl-plan.ts';
import { parentsFirst, type TableTree, tableObject } from '../peers/ddl-tree.ts';
import { readFiles, withFiles } from '../peers/files.ts';
import { inspectTables } from '../peers/inspect.ts';
import { type TargetFacts, tablesWithRows } from '../peers/inspect-target.ts';
import { findKnownObjects, findKnownTable, type KnownObject } from '../peers/known-objects.ts';
import { findTables, identityProblems, readRelations } from '../peers/preflight-tables.ts';
import { readPublication } from '../peers/publication.ts';
import { type DatabasePlan, planSides, readSourceSide, readTargetSide } from '../peers/schema/read-plan.ts';
import { writeSchemaChange } from '../peers/schema-changes.ts';
import { shapeLeaves, shapeOf, writeMemories } from '../peers/shape.ts';
import { createSlotWithSnapshot } from '../peers/slot.ts';
import { isApart } from '../peers/standing-partitions.ts';
import type { Connection } from '../pg/client.ts';
import { formatLsn, type Lsn } from '../pg/lsn.ts';
import { ident, join, literal, type Sql, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { copyAnew, emptyTable } from './recopy.ts';
import type { CdcReport } from './report.ts';

export interface JoinDeps {
  readonly work: MirrorWork;
  readonly source: Connection;
  /** Without an open transaction. */
  readonly target: Connection;
  readonly report: CdcReport;
  readonly signal: AbortSignal;
}

/**
 * Every commit before one place of the log is in the copy, and the stream brings all from there on. Waits for transactions that
 * are open on the source. A table that cannot join is told of and tried again with the next change of the schema.
 * @returns those that joined, which is written down on the target
 */
export async function joinTables(deps: JoinDeps, come: readonly MirroredTable[]): Promise<readonly TableChange[]> {
  const { work, source, signal } = deps;
  const able = await publish(deps, await identified(deps, come));
  if (able.length === 0) return [];
  const side = await readSourceSide(source, work);
  const application = applicationName('fetch', work);
  await using repl = await connectPeer(work.source, { application, replication: 'database' }, signal);
  const name = `sluice_join_${work.id.replaceAll('-', '').slice(0, 12)}_${randomBytes(4).toString('hex')}`;
  const { lsn, snapshot } = await createSlotWithSnapshot(repl, name, { temporary: true });
  await using then = await connectPeer(work.source, { application }, signal);
  await then.run(sql`begin isolation level repeatable read read only`);
  await then.run(sql`set transaction snapshot ${literal(snapshot)}`);
  const roots = await inspectTables(
    then,
    able.map(({ from }) => from),
  );
  const trees = parentsFirst(await growTrees(then, able, roots));
  const changes: TableChange[] = [];
  for (const tree of trees) {
    try {
      await holdStill(deps, then, tree);
      const target = await readTargetSide(deps.target, work, { holds: side?.facts.holds });
      const database = planSides({ source: side, target }, work, [tree]);
      await makeNeeds(deps, database);
      if (await join1(deps, { tree, database, then, lsn })) changes.push({ kind: 'join', table: tree.mapping });
    } catch (error) {
      // Those that have joined must be followed before anything else: the rest comes again after that.
      if (changes.length > 0 && toSluiceError(error).kind === 'upstream' && !deps.target.lost.aborted) break;
      throw error;
    }
  }
  return changes;
}

// What TRUNCATE and ALTER TABLE write anew, an older snapshot does not see: none may come from here on, nor have come since.
async function holdStill({ source }: JoinDeps, then: Connection, { root, partitions }: TableTree): Promise<void> {
  const tables = [root, ...partitions].map(({ schema, name }) => sql`only ${ident(schema, name)}`);
  await then.run(sql`lock table ${join(tables)} in access share mode`);
  const before = (await readFiles(then, [root.oid])).get(root.oid);
  if ((await readFiles(source, [root.oid])).get(root.oid)?.node === before?.node) return;
  throw new SluiceError('upstream', `source table ${showTable(root)} was altered while it was to be read`, {
    sqlstate: 'XX000',
  });
}

// Publishing a table whose rows nothing identifies would make the source refuse its own updates.
async function identified(deps: JoinDeps, come: readonly MirroredTable[]): Promise<readonly MirroredTable[]> {
  const { work, source } = deps;
  const tables = await inspectTables(
    source,
    come.map(({ from }) => from),
    { sizes: false },
  );
  const { version } = source;
  const found = findTables({ ...work, tables: come }, tables, await readRelations(source, tables));
  const able: MirroredTable[] = [];
  for (const each of found) {
    const [problem] = identityProblems(each, version);
    if (problem === undefined) able.push(each.mapping);
    else
      await refuse(deps, each.mapping, {
        reason: `updates and deletes of ${problem.table} cannot be followed: ${problem.why}`,
        statement: `on the source: ${problem.mend}`,
      });
  }
  return able;
}

async function publish(deps: JoinDeps, come: readonly MirroredTable[]): Promise<readonly MirroredTable[]> {
  const { work, source } = deps;
  const { name, made } = work.publication;
  const publication = await readPublication(source, name);
  const published = new Set(publication?.tables.map(showTable));
  const able: MirroredTable[] = [];
  for (const mirrored of come) {
    const table = showTable(mirrored.from);
    if (published.has(table)) {
      able.push(mirrored);
      continue;
    }
    const statement = sql`alter publication ${ident(name)} add table only ${ident(mirrored.from.schema, mirrored.from.name)}`;
    if (!made) {
      await refuse(deps, mirrored, {
        reason: `publication ${name} does not publish it`,
        statement: `on the source: ${statement.text};`,
      });
      continue;
    }
    try {
      await source.run(statement);
      able.push(mirrored);
    } catch (error) {
      const known = toSluiceError(error);
      if (source.lost.aborted || known.kind !== 'upstream' || known.retry === 'backoff') throw known;
      // It is gone again.
      if (known.sqlstate === '42P01') continue;
      await refuse(deps, mirrored, {
        reason: `it cannot be published: ${known.message}`,
        statement: `on the source: ${statement.text};`,
      });
    }
  }
  return able;
}

async function refuse(
  { report }: JoinDeps,
  { from }: MirroredTable,
  { reason, statement, sqlstate }: { readonly reason: string; readonly statement: string; readonly sqlstate?: string },
): Promise<void> {
  const line: ObjectLine = { ...tableObject(from), stage: 'before', state: 'failed', reason, statement, sqlstate };
  await report.objects([line]);
  await report.noteOnce(`new table ${showTable(from)} is not mirrored yet: ${reason}. To mend it, ${statement}`);
}

// Schemas, types, functions …: what of it is refused is told when it is settled with all other objects.
async function makeNeeds({ work, target }: JoinDeps, database: DatabasePlan): Promise<void> {
  const early = database.objects.filter(
    ({ line, steps }) => line.stage === 'before' && line.state === 'waiting' && steps.length > 0,
  );
  const known = await findKnownObjects(
    target,
    work,
    early.map(({ id }) => id),
  );
  // What goes by another name there gets its own with all other objects.
  const there = new Set(known.filter(({ kind }) => kind !== 'schema').map(({ id }) => id));
  for (const { id, steps } of early) {
    if (there.has(id)) continue;
    for (const step of steps) {
      try {
        await target.transaction(async () => {
          await compareToken(target, work);
          await target.run(join(step, '; '));
        });
      } catch (error) {
        const known = toSluiceError(error);
        if (target.lost.aborted || known.kind !== 'upstream' || known.retry === 'backoff') throw known;
        break;
      }
    }
  }
}

interface Joining {
  readonly tree: TableTree;
  readonly database: DatabasePlan;
  /** Sees the source as of `lsn`. */
  readonly then: Connection;
  readonly lsn: Lsn;
}

// Table, rows and what is remembered of them in one transaction.
async function join1(deps: JoinDeps, joining: Joining): Promise<boolean> {
  const { target, report } = deps;
  const { tree, then } = joining;
  const { mapping } = tree;
  const schema = await readSourceSchema(then, [tree]);
  let standing = false;
  try {
    await target.transaction(async () => {
      standing = await makeAndFill(deps, joining, schema);
    });
  } catch (error) {
    if (error instanceof Unable) {
      await refuse(deps, mapping, error.why);
      return false;
    }
    const known = toSluiceError(error);
    if (target.lost.aborted || then.lost.aborted || known.kind !== 'upstream' || known.retry === 'backoff') throw known;
    await refuse(deps, mapping, refusal(known));
    return false;
  }
  await report.objects([{ ...tableObject(mapping.from), stage: 'before', state: standing ? 'existed' : 'created' }]);
  return true;
}

interface Refusal {
  readonly reason: string;
  readonly statement: string;
}

/** A person must see to it first. */
class Unable extends Error {
  readonly why: Refusal;

  constructor(why: Refusal) {
    super(why.reason);
    this.why = why;
  }
}

// Inside a transaction. @returns whether the target had the table
async function makeAndFill(
  deps: JoinDeps,
  joining: Joining,
  schema: Awaited<ReturnType<typeof readSourceSchema>>,
): Promise<boolean> {
  const { target, work } = deps;
  const { tree, database } = joining;
  const { mapping } = tree;
  await compareToken(target, work);
  const [known] = await findKnownObjects(target, work, [`pg_class:${tree.root.oid}`]);
  if (known?.kind === 'table') await dropDetached(target, known);
  const facts = await readTargetFacts(target, schema);
  // Nothing is dropped here: what a mirror may replace, it has replaced when it began.
  const kept = { ...work, options: { ...work.options, resync: false } };
  const plan = planSchema(planInput(schema, facts, kept, database));
  const [problem] = [...plan.problems, ...plan.missing.map((each) => `target table ${showTable(each)} does not exist`)];
  if (problem !== undefined) {
    // What was a partition and is held there: its place is all that is needed.
    const held = known?.kind === 'table' && plan.remedies.length === 0 ? [putAside(known)] : [];
    throw new Unable({ reason: problem, statement: `on the target: ${[...plan.remedies, ...held].join(' ')}` });
  }
  const standing = facts.tables.get(showTable(mapping.to)) !== undefined;
  const strange = await notOurs(deps, facts, plan.joining);
  const [filled] = await tablesWithRows(target, standing && known === undefined ? [mapping.to, ...strange] : strange);
  if (filled !== undefined) {
    const to = showTable(filled);
    throw new Unable({ reason: `target table ${to} has rows`, statement: `empty ${to} on the target` });
  }
  await fill(deps, joining, { statements: plan.steps.flatMap((step) => step.statements), standing });
  return standing;
}

// Those of the tables that stand on the target without our doing.
async function notOurs(
  { target, work }: JoinDeps,
  { tables }: TargetFacts,
  names: readonly TableName[],
): Promise<readonly TableName[]> {
  const strange: TableName[] = [];
  for (const name of names) {
    const oid = tables.get(showTable(name))?.oid;
    const isOurs =
      (await findKnownTable(target, work, name)) !== null || (oid !== undefined && (await isApart(target, work, oid)));
    if (!isOurs) strange.push(name);
  }
  return strange;
}

// What was a partition is made anew, so that it is as it is on the source by now; what depends on it keeps it, to be emptied.
async function dropDetached(target: Connection, { schema, name }: KnownObject): Promise<void> {
  const rows = await target.query(sql`select 1 as there from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname = ${schema} and c.relname = ${name}`);
  if (rows.length === 0) return;
  await target.run(sql`savepoint detached`);
  try {
    await target.run(sql`drop table ${ident(schema, name)}`);
    await target.run(sql`release savepoint detached`);
  } catch (error) {
    const known = toSluiceError(error);
    if (target.lost.aborted || known.sqlstate !== '2BP01') throw known;
    await target.run(sql`rollback to savepoint detached`);
    await target.run(sql`release savepoint detached`);
  }
}

// With all that is its own, so that no name of it is in the way.
function putAside({ schema, name }: KnownObject): string {
  const aside = ident(`${schema}_aside`).text;
  return `CREATE SCHEMA IF NOT EXISTS ${aside}; ALTER TABLE ${ident(schema, name).text} SET SCHEMA ${aside};`;
}

function refusal(error: SluiceError) {
  const reason = error.detail === undefined ? error.message : `${error.message} (${error.detail})`;
  return { reason, statement: 'mend that on the target', sqlstate: error.sqlstate };
}

async function fill(
  { target, work }: JoinDeps,
  { tree, then, lsn }: Joining,
  { statements, standing }: { readonly statements: readonly Sql[]; readonly standing: boolean },
): Promise<void> {
  const { mapping, root } = tree;
  const ran: string[] = [];
  const run = async (statement: Sql) => {
    await target.run(statement);
    ran.push(statement.text);
  };
  for (const statement of statements) await run(statement);
  const [to] = await inspectTables(target, [mapping.to], { sizes: false });
  if (to === undefined) return;
  if (standing) await emptyTable(target, to);
  const columns = root.columns
    .filter((column) => column.generated === '' && to.columns.some((each) => each.name === column.name))
    .map(({ name }) => name);
  const rows =
    columns.length === 0
      ? 0
      : await copyAnew({ source: then, target }, { mirrored: mapping, table: root, columns, to });
  const key = to.primaryKey === null ? addPrimaryKey(root, mapping.to, mapping.exclude) : null;
  if (key !== null) await run(key);
  ran.push(`-- ${rows} rows, as of ${formatLsn(lsn)}`);
  const [made] = await inspectTables(target, [mapping.to], { sizes: false });
  if (made === undefined) return;
  await beginCopiedTable(target, work, { table: mapping.from, snapshotLsn: lsn });
  await finishCopiedTable(target, work, mapping.from);
  const shape = withFiles(shapeOf(mapping, root, made), (await readFiles(then, [root.oid])).get(root.oid));
  await writeMemories(target, work, [{ table: showTable(mapping.from), shape, leaves: shapeLeaves(root) }]);
  const tables: readonly TableChange[] = [{ kind: 'join', table: mapping }];
  await writeSchemaChange(target, work, {
    table: showTable(mapping.from),
    what: 'table joins the mirror',
    lsn,
    statements: ran,
    tables,
  });
}
