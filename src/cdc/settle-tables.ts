// Tables that come, go or get another name on the source: they join the mirror with their rows, leave it, or are renamed.
import { type SluiceError, toSluiceError } from '../base/errors.ts';
import type { TableChange } from '../mirror/table-change.ts';
import { targetName } from '../mirror/target-name.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import { compareToken } from '../peers/checkpoint.ts';
import { renameKnownTable } from '../peers/known-objects.ts';
import { forgetCopied, renameCopied } from '../peers/known-tables.ts';
import { writeSchemaChange } from '../peers/schema-changes.ts';
import { tablesInScope } from '../peers/scope-tables.ts';
import type { Shape } from '../peers/shape.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { ident, join, type Sql, sql } from '../pg/sql.ts';
import { sameTable, showTable, type TableName } from '../pg/table.ts';
import type { CdcReport } from './report.ts';

/** What is another than the mirror knows. */
export interface TablesLook {
  readonly gone: readonly MirroredTable[];
  /** Its rows come under a partitioned table's name from now on. */
  readonly attached: readonly MirroredTable[];
  readonly renamed: readonly { readonly was: MirroredTable; readonly now: TableName }[];
  /** In scope, and not mirrored. */
  readonly come: readonly MirroredTable[];
}

/**
 * @param shapes by showTable of the source's names
 * @param refused tables, by showTable of the target's names, that keep those there whatever they are called on the source
 */
export async function lookAtTables(
  source: Connection,
  work: MirrorWork,
  { shapes, refused }: { readonly shapes: ReadonlyMap<string, Shape>; readonly refused: ReadonlySet<string> },
): Promise<TablesLook> {
  const oids = work.tables.map(({ from }) => shapes.get(showTable(from))?.oid ?? 0);
  const rows = await source.query<TableName & { oid: number; partition: boolean }>(sql`
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relispartition as partition
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = any(${oids}::oid[])`);
  const byOid = new Map(rows.map((row) => [row.oid, row]));
  const gone: MirroredTable[] = [];
  const attached: MirroredTable[] = [];
  const renamed: { was: MirroredTable; now: TableName }[] = [];
  for (const [i, mirrored] of work.tables.entries()) {
    const now = byOid.get(oids[i] ?? 0);
    if (now === undefined) gone.push(mirrored);
    else if (now.partition) attached.push(mirrored);
    else if (!sameTable(now, mirrored.from) || isOutdated(work, mirrored, refused))
      renamed.push({ was: mirrored, now: { schema: now.schema, name: now.name } });
  }
  const ours = new Set(rows.map(showTable));
  const listed = await tablesInScope(source, work);
  return { gone, attached, renamed, come: listed.filter(({ from }) => !ours.has(showTable(from))) };
}

// It was renamed while the first copy ran.
function isOutdated(work: MirrorWork, mirrored: MirroredTable, refused: ReadonlySet<string>): boolean {
  return !refused.has(showTable(mirrored.to)) && !sameTable(targetName(work, mirrored, mirrored.from), mirrored.to);
}

export interface TablesDeps {
  readonly work: MirrorWork;
  /** Without an open transaction. */
  readonly target: Connection;
  readonly report: CdcReport;
  readonly shapes: ReadonlyMap<string, Shape>;
  readonly lsn: Lsn;
}

/** Follows what was dropped, attached and renamed. @returns the changes, which are written down on the target */
export async function settleTables(deps: TablesDeps, look: TablesLook): Promise<readonly TableChange[]> {
  const gone = await leave(deps, look.gone);
  const attached: TableChange[] = look.attached.map(({ from }) => ({ kind: 'leave', from }));
  await inOne(deps, { what: 'now a partition', statements: [], changes: attached });
  const renamed = await rename(deps, look.renamed);
  return [...gone, ...attached, ...renamed];
}

// Each that goes is dropped by itself, so that what one is held by holds up no other.
async function leave(deps: TablesDeps, gone: readonly MirroredTable[]): Promise<readonly TableChange[]> {
  const { work, report } = deps;
  const all: TableChange[] = [];
  let left = [...gone];
  for (let before = -1; left.length !== before && left.length > 0; ) {
    before = left.length;
    const still: MirroredTable[] = [];
    for (const mirrored of left) {
      const change: TableChange = { kind: 'leave', from: mirrored.from };
      const there = work.options.soft_delete ? null : await ownTable(deps, mirrored);
      const statements = there === null ? [] : [sql`drop table ${ident(there.schema, there.name)}`];
      const answer = await inOne(deps, { what: 'dropped', statements, changes: [change] });
      if (answer === null) all.push(change);
      else still.push(mirrored);
    }
    left = still;
  }
  for (const mirrored of left) {
    const change: TableChange = { kind: 'leave', from: mirrored.from };
    await inOne(deps, { what: 'dropped on the source; it stays on the target', statements: [], changes: [change] });
    await report.note(
      `table ${showTable(mirrored.from)} was dropped on the source and cannot be dropped on the target: something depends on ${showTable(mirrored.to)} there`,
    );
    all.push(change);
  }
  if (work.options.soft_delete && gone.length > 0) {
    await report.note(
      `dropped on the source and kept on the target (soft_delete): ${gone.map(({ to }) => showTable(to)).join(', ')}`,
    );
  }
  return all;
}

// The target's table that was made or taken for it, under the name that it has now; null: it is not there any more.
async function ownTable({ target, shapes }: TablesDeps, { from }: MirroredTable): Promise<TableName | null> {
  const oid = shapes.get(showTable(from))?.targetOid ?? 0;
  const [row] = await target.query<TableName>(sql`select n.nspname::text as schema, c.relname::text as name
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid = ${oid}::oid and c.relkind in ('r', 'p')`);
  return row ?? null;
}

async function rename(deps: TablesDeps, renamed: TablesLook['renamed']): Promise<readonly TableChange[]> {
  if (renamed.length === 0) return [];
  const { work, report } = deps;
  const changes: TableChange[] = [];
  const aside: Sql[] = [];
  const final: Sql[] = [];
  const moves: { from: TableName; to: TableName }[] = [];
  let n = 0;
  for (const { was, now } of renamed) {
    const to = targetName(work, was, now);
    changes.push({ kind: 'rename', from: was.from, table: { ...was, from: now, to } });
    const there = await ownTable(deps, was);
    if (there === null || sameTable(there, to)) continue;
    const free = `sluice_renamed_${++n}`;
    const between = { schema: to.schema, name: free };
    moves.unshift({ from: there, to: between });
    moves.push({ from: between, to });
    if (there.schema !== to.schema) aside.push(sql`create schema if not exists ${ident(to.schema)}`);
    // All are put aside first: two may have changed names.
    aside.push(sql`alter table ${ident(there.schema, there.name)} rename to ${ident(free)}`);
    if (there.schema !== to.schema)
      aside.push(sql`alter table ${ident(there.schema, free)} set schema ${ident(to.schema)}`);
    final.push(sql`alter table ${ident(to.schema, free)} rename to ${ident(to.name)}`);
  }
  const what =
    renamed.length === 1 ? `renamed to ${showTable(renamed[0]?.now ?? { schema: '', name: '' })}` : 'tables renamed';
  const answer = await inOne(deps, { what, statements: [...aside, ...final], changes, moves });
  if (answer === null) return changes;
  // Under its old name there it goes on as well.
  const kept = renamed.flatMap(({ was, now }): TableChange[] =>
    sameTable(was.from, now) ? [] : [{ kind: 'rename', from: was.from, table: { ...was, from: now } }],
  );
  await inOne(deps, { what: `${what} on the source only`, statements: [], changes: kept });
  const list = renamed.map(({ was }) => showTable(was.to)).join(', ');
  await report.noteOnce(
    `the target refuses the new names of ${list}, which go on under their old ones there: ${answer.message}`,
  );
  return kept;
}

// In one transaction with what is remembered of the tables. @returns what the target refuses it with; null: it is done
async function inOne(
  { work, target, lsn }: TablesDeps,
  of: {
    readonly what: string;
    readonly statements: readonly Sql[];
    readonly changes: readonly TableChange[];
    /** Of the target's tables, one after another. */
    readonly moves?: readonly { readonly from: TableName; readonly to: TableName }[];
  },
): Promise<SluiceError | null> {
  if (of.changes.length === 0) return null;
  try {
    await target.transaction(async () => {
      await compareToken(target, work);
      if (of.statements.length > 0) await target.run(join(of.statements, '; '));
      const left = of.changes.flatMap((each) => (each.kind === 'leave' ? [each.from] : []));
      await forgetCopied(target, work, left);
      const renamed = of.changes.flatMap((each) =>
        each.kind === 'rename' ? [{ from: each.from, to: each.table.from }] : [],
      );
      await renameCopied(target, work, renamed);
      for (const move of of.moves ?? []) await renameKnownTable(target, work, move);
      const [first] = of.changes;
      const table = first === undefined || first.kind === 'join' ? '' : showTable(first.from);
      const statements = of.statements.map(({ text }) => text);
      await writeSchemaChange(target, work, { table, what: of.what, lsn, statements, tables: of.changes });
    });
    return null;
  } catch (error) {
    const known = toSluiceError(error);
    if (target.lost.aborted || known.kind !== 'upstream' || known.retry === 'backoff') throw known;
    return known;
  }
}
