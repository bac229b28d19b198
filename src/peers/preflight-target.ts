// Checks of the target: rights to make what is missing, and that what is there is empty and can take the source's rows.
import type { Connection } from '../pg/client.ts';
import { ident, join, sql } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';
import type { PeerFacts } from './checks.ts';
import { type Finding, type MirrorPlan, ok, problem, warning } from './preflight-finding.ts';
import type { FoundTable } from './preflight-tables.ts';

// That many tables are looked into with one statement.
const tablesPerTrip = 200;

interface SchemaRights {
  readonly schema: string;
  readonly create: boolean;
  readonly usage: boolean;
}

interface TableRights {
  readonly oid: number;
  /** Rights that writing rows takes and our role lacks: `insert`, `update` … */
  readonly lacking: readonly string[];
  readonly rowSecurity: boolean;
  readonly owned: boolean;
}

/** What is read of the target beside its facts. */
export interface TargetObjects {
  /** Relations that stand where the mirror's tables go. */
  readonly tables: readonly Table[];
  readonly rights: ReadonlyMap<number, TableRights>;
  /** Oids of those that hold rows. */
  readonly filled: ReadonlySet<number>;
  /** Schemas that exist, of those that are used. */
  readonly schemas: ReadonlyMap<string, SchemaRights>;
}

/** Reads rights and fill of the tables that stand where the mirror's go. */
export async function readTargetObjects(
  db: Connection,
  plan: MirrorPlan,
  tables: readonly Table[],
): Promise<TargetObjects> {
  const wanted = [...new Set([plan.target.metadataSchema, ...plan.tables.map(({ to }) => to.schema)])];
  const schemas = await db.query<SchemaRights>(sql`
    select nspname::text as schema, has_schema_privilege(oid, 'create') as create,
      has_schema_privilege(oid, 'usage') as usage
    from pg_catalog.pg_namespace where nspname = any(${wanted}::text[])`);
  const oids = tables.map((table) => table.oid);
  const rights = await db.query<TableRights>(sql`
    select c.oid, row_security_active(c.oid) as "rowSecurity", pg_has_role(current_user, c.relowner, 'usage') as owned,
      (select coalesce(json_agg(p), '[]') from unnest(array['select', 'insert', 'update', 'delete', 'truncate']) p
        where not has_table_privilege(c.oid, p)) as lacking
    from pg_catalog.pg_class c where c.oid = any(${oids}::oid[])`);
  const byOid = new Map(rights.map((row) => [row.oid, row]));
  const bySchema = new Map(schemas.map((row) => [row.schema, row]));
  const readable = tables.filter(
    (table) =>
      bySchema.get(table.schema)?.usage === true &&
      byOid.get(table.oid)?.lacking.includes('select') === false &&
      byOid.get(table.oid)?.rowSecurity === false,
  );
  return { tables, rights: byOid, schemas: bySchema, filled: await filledTables(db, readable) };
}

async function filledTables(db: Connection, tables: readonly Table[]): Promise<ReadonlySet<number>> {
  // A table without a page has no row; only of the others it must be asked.
  const candidates = tables.filter((table) => table.leaves.some((leaf) => leaf.kind === 'f' || leaf.pages > 0));
  const filled = new Set<number>();
  for (let at = 0; at < candidates.length; at += tablesPerTrip) {
    const some = candidates.slice(at, at + tablesPerTrip);
    const asked = some.map(
      (table) => sql`select ${table.oid}::oid as oid where exists (select from ${ident(table.schema, table.name)})`,
    );
    for (const { oid } of await db.query<{ oid: number }>(join(asked, ' union all '))) filled.add(oid);
  }
  return filled;
}

/** All checks of the target. Pure. */
export function checkTarget(
  plan: MirrorPlan,
  found: readonly FoundTable[],
  target: TargetObjects & { readonly facts: PeerFacts },
): readonly Finding[] {
  const { facts } = target;
  if (facts.isStandby) {
    const message = 'the target is a standby, which cannot be written to';
    return [problem('target server', 'not_ready', { message, hint: 'Give the primary.' })];
  }
  const standing = new Map(target.tables.map((table) => [showTable(table), table]));
  const pairs = found.flatMap((each) => {
    const table = standing.get(showTable(each.mapping.to));
    return table === undefined ? [] : [{ found: each, table }];
  });
  return [
    checkCreate(plan, target, standing),
    checkThere(plan, standing),
    checkStanding(plan, target),
    ...(plan.options.resync ? [checkReplace(target)] : [checkEmpty(plan, target), ...checkKeys(plan, pairs)]),
  ];
}

function checkCreate(
  plan: MirrorPlan,
  { facts, schemas }: TargetObjects & { readonly facts: PeerFacts },
  standing: ReadonlyMap<string, Table>,
): Finding {
  const check = 'rights to create';
  const makes = plan.options.schema === 'none' ? [] : plan.tables.filter(({ to }) => !standing.has(showTable(to)));
  const wanted = [...new Set([plan.target.metadataSchema, ...makes.map(({ to }) => to.schema)])];
  const missing = wanted.filter((schema) => !schemas.has(schema));
  const closed = wanted.filter((schema) => {
    const rights = schemas.get(schema);
    return rights !== undefined && !(rights.create && rights.usage);
  });
  if (missing.length > 0 && !facts.createOnDatabase) {
    return problem(check, 'forbidden', {
      message: `our role may not make schema ${missing[0]} on the target`,
      detail: `Schemas to make: ${missing.join(', ')}.`,
      hint: `GRANT CREATE ON DATABASE ${ident(facts.database).text} TO ${ident(facts.user).text};`,
    });
  }
  if (closed.length > 0) {
    const grants = closed.map(
      (name) => `GRANT USAGE, CREATE ON SCHEMA ${ident(name).text} TO ${ident(facts.user).text};`,
    );
    return problem(check, 'forbidden', {
      message: `our role may not make tables in schema ${closed[0]} of the target`,
      detail: `Schemas: ${closed.join(', ')}.`,
      hint: grants.join(' '),
    });
  }
  return ok(check, `${makes.length} tables are to be made on the target`);
}

function checkThere(plan: MirrorPlan, standing: ReadonlyMap<string, Table>): Finding {
  const check = 'target tables';
  const missing = plan.tables.map(({ to }) => showTable(to)).filter((name) => !standing.has(name));
  if (plan.options.schema !== 'none' || missing.length === 0) return ok(check, `${standing.size} stand already`);
  return problem(check, 'undefined_table', {
    message: `with schema = 'none' every target table must exist, and ${missing[0]} does not`,
    detail: `Missing: ${missing.join(', ')}.`,
    hint: "Make them, or leave schema = 'none' out.",
  });
}

// What stands must be tables that we may write to, whatever is in them.
function checkStanding(
  plan: MirrorPlan,
  { tables, rights, facts }: TargetObjects & { readonly facts: PeerFacts },
): Finding {
  const check = 'rights to write';
  const views = tables.filter((table) => table.kind !== 'r' && table.kind !== 'p');
  if (views.length > 0) {
    return problem(check, 'wrong_state', {
      message: `${showTable(views[0] as TableName)} of the target is not a table`,
      detail: `Not tables: ${views.map(showTable).join(', ')}.`,
      hint: 'Map to other names.',
    });
  }
  const closed = tables.filter((table) => (rights.get(table.oid)?.lacking.length ?? 0) > 0);
  if (closed.length > 0) {
    const all = closed.map((table) => `${showTable(table)} (${rights.get(table.oid)?.lacking.join(', ')})`);
    return problem(check, 'forbidden', {
      message: `our role may not write to ${showTable(closed[0] as TableName)} of the target`,
      detail: `Lacking: ${all.join('; ')}.`,
      hint: `GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON … TO ${ident(facts.user).text};`,
    });
  }
  const guarded = plan.options.resync ? [] : tables.filter((table) => rights.get(table.oid)?.rowSecurity === true);
  if (guarded.length > 0) {
    return problem(check, 'forbidden', {
      message: `row-level security of ${showTable(guarded[0] as TableName)} on the target holds for our role`,
      detail: `Tables: ${guarded.map(showTable).join(', ')}.`,
      hint: `ALTER ROLE ${ident(facts.user).text} BYPASSRLS, or let the peer log in as the owner of the tables.`,
    });
  }
  return ok(check, 'every table that stands may be written to');
}

function checkReplace({ tables, rights }: TargetObjects): Finding {
  const check = 'replacing tables';
  const foreign = tables.filter((table) => rights.get(table.oid)?.owned === false);
  if (foreign.length === 0) return ok(check, `${tables.length} tables are to be replaced`);
  return problem(check, 'forbidden', {
    message: `our role does not own ${showTable(foreign[0] as TableName)} of the target and cannot replace it`,
    detail: `Tables: ${foreign.map(showTable).join(', ')}.`,
    hint: 'ALTER TABLE … OWNER TO our role, or drop them.',
  });
}

function checkEmpty(plan: MirrorPlan, { tables, filled }: TargetObjects): Finding {
  const check = 'empty target tables';
  // Without an initial copy the rows are expected to be there.
  const full = plan.options.do_initial_copy ? tables.filter((table) => filled.has(table.oid)) : [];
  if (full.length === 0) return ok(check, 'no table that stands is in the way');
  return problem(check, 'wrong_state', {
    message: `${showTable(full[0] as TableName)} exists on the target and holds rows`,
    detail: `Tables with rows: ${full.map(showTable).join(', ')}.`,
    hint: 'Empty them (TRUNCATE), map to other names, or replace them: WITH (resync = true).',
  });
}

interface Pair {
  readonly found: FoundTable;
  readonly table: Table;
}

function checkKeys(plan: MirrorPlan, pairs: readonly Pair[]): readonly Finding[] {
  const slow = plan.slot === null ? [] : pairs.filter(isUnkeyed).map(({ table }) => showTable(table));
  if (slow.length === 0) return [];
  return [
    warning('keys of target tables', `${slow[0]} has no primary key`, {
      detail: `Tables: ${slow.join(', ')}.`,
      hint: 'Add the primary key of the source, or every update reads the whole table.',
    }),
  ];
}

function isUnkeyed({ found, table }: Pair): boolean {
  return found.table.primaryKey !== null && table.primaryKey === null && table.identityColumns === null;
}
