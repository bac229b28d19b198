// Checks of the source's tables: all there, readable in full, and identified so that their own updates go on working.

import type { MirroredTable } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, sql } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import type { PeerFacts } from './checks.ts';
import { holdsNames } from './inspect-types.ts';
import { type Finding, type MirrorPlan, ok, problem, warning } from './preflight-finding.ts';

/** A table of the plan, or one of its partitions, as our role sees it. */
export interface Relation extends TableName {
  readonly oid: number;
  readonly identity: Table['replicaIdentity'];
  /** Key columns of the index that identifies rows in the stream, as the server itself sees it; null: none. */
  readonly identityColumns: readonly string[] | null;
  readonly hasPrimaryKey: boolean;
  /** A generated column among identityColumns: it is not in the stream. */
  readonly identityGenerated: boolean;
  readonly schemaUsage: boolean;
  /** Columns that our role may not select. */
  readonly hiddenColumns: readonly string[];
  /** Generated columns with the columns of the row that each is computed from. */
  readonly generated: readonly { readonly column: string; readonly from: readonly string[] }[];
  /** Row-level security would hide rows from us. */
  readonly rowSecurity: boolean;
  readonly owned: boolean;
}

/** A table of the plan with what was found of it. */
export interface FoundTable {
  readonly mapping: MirroredTable;
  readonly table: Table;
  readonly relation: Relation;
  /** Partitions that hold its rows; empty for a plain table. */
  readonly leaves: readonly Relation[];
}

/** Reads what inspection does not: rights, row security and the identity that the server itself would use. */
export async function readRelations(db: Connection, tables: readonly Table[]): Promise<ReadonlyMap<number, Relation>> {
  const oids = [...new Set(tables.flatMap((table) => [table.oid, ...table.leaves.map((leaf) => leaf.oid)]))];
  // As pg_get_replica_identity_index, which opens the table, and fails where that is being dropped.
  const rows = await db.query<Relation>(sql`
    select c.oid, n.nspname::text as schema, c.relname::text as name, c.relreplident::text as identity,
      (select json_agg(a.attname order by key.place)
        from pg_catalog.pg_index x
        cross join lateral unnest(x.indkey) with ordinality as key(attnum, place)
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = key.attnum
        where x.indexrelid = i.index and key.place <= x.indnkeyatts) as "identityColumns",
      exists (select from pg_catalog.pg_index x where x.indrelid = c.oid and x.indisprimary and x.indimmediate)
        as "hasPrimaryKey",
      exists (select from pg_catalog.pg_index x join pg_catalog.pg_attribute a
        on a.attrelid = c.oid and a.attnum = any(x.indkey[0:x.indnkeyatts - 1])
        where x.indexrelid = i.index and a.attgenerated <> '') as "identityGenerated",
      has_schema_privilege(n.oid, 'usage') as "schemaUsage",
      (select coalesce(json_agg(a.attname order by a.attnum), '[]') from pg_catalog.pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
          and not has_column_privilege(c.oid, a.attnum, 'select')) as "hiddenColumns",
      -- Up to 14 the column itself needs the others, later its expression does.
      (select coalesce(json_agg(json_build_object('column', g.attname, 'from', (
          select coalesce(json_agg(distinct a.attname), '[]') from pg_catalog.pg_depend d
          join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid and a.attnum <> g.attnum
          where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = c.oid and (
            d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.objsubid = g.attnum
            or d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid in (select k.oid from pg_catalog.pg_attrdef k
              where k.adrelid = c.oid and k.adnum = g.attnum)))) order by g.attnum), '[]')
        from pg_catalog.pg_attribute g where g.attrelid = c.oid and g.attnum > 0 and not g.attisdropped
          and g.attgenerated <> '') as generated,
      row_security_active(c.oid) as "rowSecurity",
      pg_has_role(current_user, c.relowner, 'usage') as owned
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    left join lateral (select x.indexrelid as index from pg_catalog.pg_index x
      where x.indrelid = c.oid and x.indimmediate
        and case c.relreplident when 'd' then x.indisprimary when 'i' then x.indisreplident else false end
        and (x.indisvalid or c.relkind = 'p' and c.relreplident = 'd'
          and pg_catalog.current_setting('server_version_num')::int >= 180000)) i on true
    where c.oid = any(${oids}::oid[])`);
  return new Map(rows.map((row) => [row.oid, row]));
}

/** Puts plan, inspected tables and relations together; tables that are missing are left out. Pure. */
export function findTables(
  plan: MirrorPlan,
  tables: readonly Table[],
  relations: ReadonlyMap<number, Relation>,
): readonly FoundTable[] {
  const byName = new Map(tables.map((table) => [showTable(table), table]));
  return plan.tables.flatMap((mapping) => {
    const table = byName.get(showTable(mapping.from));
    const relation = table && relations.get(table.oid);
    if (table === undefined || relation === undefined) return [];
    const leaves = table.leaves.filter((leaf) => leaf.oid !== table.oid).map((leaf) => relations.get(leaf.oid));
    return [{ mapping, table, relation, leaves: leaves.filter((leaf) => leaf !== undefined) }];
  });
}

/** All checks of the source's tables. Pure. */
export function checkSourceTables(
  plan: MirrorPlan,
  found: readonly FoundTable[],
  facts: Pick<PeerFacts, 'version' | 'user'>,
): readonly Finding[] {
  return [
    checkMissing(plan, found),
    checkKinds(plan, found),
    ...checkColumns(plan, found),
    ...checkNaming(found),
    checkRights(plan, found, facts.user),
    checkRowSecurity(plan, found, facts.user),
    ...(plan.slot === null ? [] : [checkIdentity(found, facts.version), checkOwner(plan, found)]),
  ];
}

function checkMissing(plan: MirrorPlan, found: readonly FoundTable[]): Finding {
  const check = 'source tables';
  const there = new Set(found.map(({ mapping }) => showTable(mapping.from)));
  const missing = plan.tables.map(({ from }) => showTable(from)).filter((name) => !there.has(name));
  if (missing.length === 0) return ok(check, `all ${found.length} source tables are there`);
  const message =
    missing.length === 1 ? `source table ${missing[0]} does not exist` : `${missing.length} source tables do not exist`;
  const hint = 'Names are schema.table; unquoted ones fold to lower case.';
  return problem(check, 'undefined_table', { message, detail: `Missing: ${missing.join(', ')}.`, hint });
}

// What a copy reads like a table, and a stream does not speak of.
const copyable = { f: 'foreign table', v: 'view', m: 'materialized view', r: '', p: '' } as const;

function checkKinds(plan: MirrorPlan, found: readonly FoundTable[]): Finding {
  const check = 'kinds of tables';
  const following = plan.slot !== null;
  const wrong = found.flatMap(({ table }) => {
    const what = copyable[table.kind];
    if (table.persistence === 't') return [`${showTable(table)} (temporary)`];
    if (!following) return [];
    if (what !== '') return [`${showTable(table)} (${what})`];
    if (table.persistence === 'u') return [`${showTable(table)} (unlogged: its changes are not in the log)`];
    if (table.leaves.some((leaf) => leaf.kind === 'f')) return [`${showTable(table)} (has a foreign partition)`];
    return [];
  });
  if (wrong.length > 0) {
    // Of one, the message says all.
    const detail = wrong.length === 1 ? undefined : `${wrong.join(', ')}.`;
    const leave = wrong.length === 1 ? 'Leave it out' : 'Leave them out';
    const hint = following ? `${leave}, or copy without following: initial_copy_only = true.` : `${leave}.`;
    return problem(check, 'unsupported', {
      message: `${wrong[0]} cannot be ${following ? 'followed' : 'mirrored'}`,
      detail,
      hint,
    });
  }
  const foreign = found.filter(({ table }) => table.leaves.some((leaf) => leaf.kind === 'f'));
  if (foreign.length === 0) return ok(check, 'all can be read');
  return warning(check, 'foreign tables are read as of a moment of their own, each part of them anew', {
    detail: `Foreign, or with foreign partitions: ${foreign.map(({ table }) => showTable(table)).join(', ')}.`,
    hint: 'Let nobody write to them while they are copied, and cut none of them by a key that changes.',
  });
}

// What a text search is configured by is the system's, as a rule.
const usual: ReadonlySet<string> = new Set(['regconfig', 'regdictionary', 'regcollation']);

// A value of such a type travels as a name, whatever the mirror made of what it names, and when.
function checkNaming(found: readonly FoundTable[]): readonly Finding[] {
  const columns = found.flatMap(({ mapping, table }) =>
    table.columns
      .filter(({ name, type }) => holdsNames(type) && !mapping.exclude.includes(name))
      .filter(({ type }) => !usual.has(type.text.replace('[]', '')))
      .map(({ name, type }) => `${showTable(table)}.${name} (${type.text})`),
  );
  if (columns.length === 0) return [];
  return [
    warning('names as values', 'values are names of objects, and the target takes only those that it has by then', {
      detail: `Columns: ${columns.join(', ')}.`,
      hint: 'Exclude them if they name tables that get another name or are left out, or what is made after the rows (views, indexes).',
    }),
  ];
}

function checkColumns(plan: MirrorPlan, found: readonly FoundTable[]): readonly Finding[] {
  const check = 'columns of the mappings';
  const missing = found.flatMap(({ mapping, table }) => {
    const named = [...mapping.exclude, ...(mapping.key === null ? [] : [mapping.key])];
    const lacking = named.filter((name) => !table.columns.some((column) => column.name === name));
    return [...new Set(lacking)].map((name) => `${showTable(table)}.${name}`);
  });
  const findings: Finding[] = [];
  if (missing.length > 0) {
    const message = `column ${missing[0]} does not exist`;
    const hint = 'Look at "key" and "exclude" of the mapping.';
    findings.push(problem(check, 'undefined_column', { message, detail: `Missing: ${missing.join(', ')}.`, hint }));
  }
  const needed = found.flatMap(({ mapping, table, relation }) =>
    plan.slot === null || relation.identity === 'f'
      ? []
      : mapping.exclude
          .filter((name) => relation.identityColumns?.includes(name))
          .map((name) => `${showTable(table)}.${name}`),
  );
  if (needed.length > 0) {
    const message = `column ${needed[0]} identifies the row and cannot be excluded`;
    const hint = 'Leave it in, or set initial_copy_only = true.';
    findings.push(problem(check, 'invalid_option', { message, detail: `Columns: ${needed.join(', ')}.`, hint }));
  }
  const computed = plan.options.schema === 'none' ? [] : found.flatMap(leftWithoutSource);
  if (computed.length > 0) {
    const message = `column ${computed[0]?.from} cannot be excluded: ${computed[0]?.column} is generated from it`;
    const all = computed.map(({ column, from }) => `${column} from ${from}`);
    const hint = 'Exclude the generated columns, too, or leave in what they are generated from.';
    findings.push(problem(check, 'invalid_option', { message, detail: `Generated: ${all.join(', ')}.`, hint }));
  }
  return findings.length > 0 ? findings : [ok(check, 'all columns that are named are there')];
}

// The target computes generated columns itself, and so needs all that they are made of.
function leftWithoutSource({ mapping, table, relation }: FoundTable) {
  const shown = (name: string) => `${showTable(table)}.${name}`;
  return relation.generated
    .filter(({ column }) => !mapping.exclude.includes(column))
    .flatMap(({ column, from }) =>
      from
        .filter((name) => mapping.exclude.includes(name))
        .map((name) => ({ column: shown(column), from: shown(name) })),
    );
}

// The copy reads partitions one by one, so a right on the root alone does not do.
function checkRights(plan: MirrorPlan, found: readonly FoundTable[], user: string): Finding {
  const check = 'rights to read';
  const lacking = found.flatMap(({ mapping, relation, leaves }) =>
    (plan.options.do_initial_copy ? [relation, ...leaves] : []).filter(
      ({ schemaUsage, hiddenColumns }) => !schemaUsage || hiddenColumns.some((name) => !mapping.exclude.includes(name)),
    ),
  );
  if (lacking.length === 0) return ok(check, 'every table may be read');
  const role = ident(user).text;
  const grants = lacking
    .slice(0, 20)
    .map((each) => `GRANT SELECT ON ${ident(each.schema, each.name).text} TO ${role};`);
  const schemas = [...new Set(lacking.filter((each) => !each.schemaUsage).map((each) => each.schema))];
  const usage = schemas.map((schema) => `GRANT USAGE ON SCHEMA ${ident(schema).text} TO ${role};`);
  return problem(check, 'forbidden', {
    message: `our role may not read ${showTable(lacking[0] as TableName)} of the source`,
    detail: `Tables: ${lacking.map(showTable).join(', ')}.`,
    hint: [...usage, ...grants].join(' '),
  });
}

function checkRowSecurity(plan: MirrorPlan, found: readonly FoundTable[], user: string): Finding {
  const check = 'row security';
  const hidden = found.flatMap(({ relation, leaves }) =>
    plan.options.do_initial_copy ? [relation, ...leaves].filter((each) => each.rowSecurity) : [],
  );
  if (hidden.length === 0) return ok(check, 'no policy hides rows from us');
  return problem(check, 'forbidden', {
    message: `row-level security would hide rows of ${showTable(hidden[0] as TableName)} from the copy`,
    detail: `Tables: ${hidden.map(showTable).join(', ')}.`,
    hint: `ALTER ROLE ${ident(user).text} BYPASSRLS, or let the peer log in as the owner of the tables.`,
  });
}

function checkOwner(plan: MirrorPlan, found: readonly FoundTable[]): Finding {
  const check = 'rights to publish';
  if (!plan.publication.made) return ok(check, 'the publication is given');
  const foreign = found.filter(({ relation }) => !relation.owned);
  if (foreign.length === 0) return ok(check, 'every table is ours to publish');
  return problem(check, 'forbidden', {
    message: `our role does not own ${showTable(foreign[0]?.table as TableName)} and so may not publish it`,
    detail: `Tables: ${foreign.map(({ table }) => showTable(table)).join(', ')}.`,
    hint: 'GRANT the owning role to ours, or have the owner make a publication and give it as publication_name.',
  });
}

// Publishing a table whose rows nothing identifies makes the source refuse its own updates and deletes, so we never do.
function checkIdentity(found: readonly FoundTable[], version: number): Finding {
  const check = 'replica identity';
  const tables = found.filter(({ table }) => table.kind === 'r' || table.kind === 'p');
  const problems = tables.flatMap((each) => identityProblems(each, version));
  if (problems.length === 0) return ok(check, 'every row can be told apart in the stream');
  return problem(check, 'not_ready', {
    message: `updates and deletes of ${problems[0]?.table} cannot be followed: ${problems[0]?.why}`,
    detail: problems.map(({ table, why }) => `${table}: ${why}`).join('\n'),
    hint: problems.map(({ mend }) => mend).join(' '),
  });
}

export interface IdentityProblem {
  readonly table: string;
  readonly why: string;
  readonly mend: string;
}

/** What stands against following updates and deletes of a table, partition by partition, with the statement that mends it. */
export function identityProblems({ table, relation, leaves }: FoundTable, version: number): readonly IdentityProblem[] {
  const own = identityProblem(relation);
  if (own !== null) return [own, ...leaves.map(identityProblem).filter((each) => each !== null)];
  if (relation.identity === 'f' && version >= 180_000 && table.columns.some((column) => column.generated === 'v')) {
    const why = 'REPLICA IDENTITY FULL and a virtual generated column do not go together in PostgreSQL 18';
    return [{ table: showTable(table), why, mend: `ALTER TABLE ${quoted(relation)} REPLICA IDENTITY USING INDEX …;` }];
  }
  // The source looks at each partition's own identity; the stream speaks of all by the root's.
  return leaves.flatMap((leaf) => {
    const problem = identityProblem(leaf);
    if (problem !== null) return [problem];
    const alike =
      (relation.identity === 'f') === (leaf.identity === 'f') &&
      (relation.identity === 'f' || sameNames(relation.identityColumns ?? [], leaf.identityColumns ?? []));
    if (alike) return [];
    const mend = `ALTER TABLE ${quoted(leaf)} REPLICA IDENTITY ${relation.identity === 'f' ? 'FULL' : 'DEFAULT'};`;
    return [{ table: showTable(leaf), why: `its replica identity is not that of ${showTable(table)}`, mend }];
  });
}

function identityProblem(relation: Relation): IdentityProblem | null {
  if (relation.identity === 'f') return null;
  const table = showTable(relation);
  const full = `ALTER TABLE ${quoted(relation)} REPLICA IDENTITY FULL;`;
  if (relation.identityColumns === null) {
    const defaults = relation.identity !== 'd' && relation.hasPrimaryKey;
    const why = {
      n: 'its replica identity is NOTHING',
      i: 'the index of its replica identity is gone',
      d: 'it has no primary key (or a deferrable one, which identifies nothing)',
    }[relation.identity];
    return { table, why, mend: defaults ? `ALTER TABLE ${quoted(relation)} REPLICA IDENTITY DEFAULT;` : full };
  }
  if (!relation.identityGenerated) return null;
  return { table, why: 'a generated column is part of what identifies its rows', mend: full };
}

function quoted(table: TableName): string {
  return ident(table.schema, table.name).text;
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}

/** The tables as a publication takes them. Pure. */
export function publishedTables(found: readonly FoundTable[]): readonly {
  readonly table: Table;
  readonly exclude: readonly string[];
  readonly where: string | null;
}[] {
  return found.map(({ mapping, table }) => ({ table, exclude: mapping.exclude, where: mapping.where }));
}
