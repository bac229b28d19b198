// Row-level security: whether it is on, also for owners, and the policies that say which rows are seen.
import type { Connection } from '../../pg/client.ts';
import { ident, join, sql, trusted } from '../../pg/sql.ts';
import { showTable, type TableName } from '../../pg/table.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';

export async function readRowSecurity(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  return [...(await readFlags(db, facts)), ...(await readPolicies(db, facts))];
}

interface FlagRow extends TableName {
  readonly id: string;
  readonly enabled: boolean;
  readonly forced: boolean;
}

async function readFlags(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  const rows = await db.query<FlagRow>(sql`
    select 'pg_class:' || c.oid as id, n.nspname::text as schema, c.relname::text as name,
      c.relrowsecurity as enabled, c.relforcerowsecurity as forced
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where (c.relrowsecurity or c.relforcerowsecurity) and c.relkind in ('r', 'p') and ${isUsers(facts, 'pg_class', 'c', 'n')}
    order by n.nspname, c.relname`);
  return rows.flatMap((row) => [
    ...(row.enabled ? [flagEntity(row, 'enabled')] : []),
    ...(row.forced ? [flagEntity(row, 'forced')] : []),
  ]);
}

// The owner, and so our role, sees all rows unless it is forced; then not even a copy by us would be whole.
function flagEntity({ id, schema, name }: FlagRow, flag: 'enabled' | 'forced'): Entity {
  return entity({
    ...{
      id: `${id}:row security ${flag}`,
      kind: 'row security',
      schema,
      name: flag,
      table: showTable({ schema, name }),
    },
    ...{ stage: 'policies', needs: [id] },
    statements: [
      [sql`alter table ${ident(schema, name)} ${trusted(flag === 'enabled' ? 'enable' : 'force')} row level security`],
    ],
    verdict: ({ follows, target }) =>
      flag === 'forced' && follows && !target.bypassesRowSecurity
        ? { hold: 'row-level security would hold for our own role, and its policies for mirrored rows' }
        : null,
  });
}

interface PolicyRow extends TableName {
  readonly id: string;
  readonly relation: string;
  readonly policy: string;
  readonly command: '*' | 'r' | 'a' | 'w' | 'd';
  readonly permissive: boolean;
  /** Null: PUBLIC. */
  readonly roles: readonly (string | null)[];
  readonly using: string | null;
  readonly check: string | null;
  readonly columns: readonly string[];
}

const commands = { '*': 'all', r: 'select', a: 'insert', w: 'update', d: 'delete' } as const;

async function readPolicies(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_policy')) return [];
  const rows = await db.query<PolicyRow>(sql`
    select 'pg_policy:' || p.oid as id, 'pg_class:' || c.oid as relation, n.nspname::text as schema, c.relname::text as name,
      p.polname::text as policy, p.polcmd::text as command, p.polpermissive as permissive,
      (select pg_catalog.json_agg(r.rolname order by r.rolname) from pg_catalog.unnest(p.polroles) as role(oid)
        left join pg_catalog.pg_roles r on r.oid = role.oid) as roles,
      pg_catalog.pg_get_expr(p.polqual, p.polrelid) as using, pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) as check,
      (select coalesce(pg_catalog.json_agg(distinct a.attname), '[]') from pg_catalog.pg_depend d
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
        where d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass and d.objid = p.oid and d.refobjid = c.oid
          and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjsubid > 0) as columns
    from pg_catalog.pg_policy p
    join pg_catalog.pg_class c on c.oid = p.polrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where ${isUsers(facts, 'pg_class', 'c', 'n')}
    order by n.nspname, c.relname, p.polname`);
  return rows.map(policyEntity);
}

function policyEntity(row: PolicyRow): Entity {
  const { id, relation, schema, name, policy, command, permissive, roles, using, check, columns } = row;
  // PUBLIC goes without saying, so that nothing in the text can be taken for the schema of that name.
  const named = roles.filter((role) => role !== null);
  const to = named.length === 0 ? sql`` : sql` to ${join(named.map((role) => ident(role)))}`;
  const seen = using === null ? sql`` : sql` using (${trusted(using)})`;
  const written = check === null ? sql`` : sql` with check (${trusted(check)})`;
  return entity({
    ...{ id, kind: 'policy', schema, name: policy, table: showTable({ schema, name }), columns, stage: 'policies' },
    statements: [
      [
        sql`create policy ${ident(policy)} on ${ident(schema, name)} as ${trusted(permissive ? 'permissive' : 'restrictive')} for ${trusted(commands[command])}${to}${seen}${written}`,
      ],
    ],
    needs: [relation],
    verdict: ({ target }) => {
      const missing = roles.filter((role) => role !== null && !target.roles.has(role));
      return missing.length === 0 ? null : { leaveOut: noSuchRole(missing) };
    },
  });
}

/** In words, for what names roles that are not on the target. */
export function noSuchRole(missing: readonly (string | null)[]): string {
  return missing.length === 1
    ? `the target has no role "${missing[0]}"`
    : `the target has no roles ${missing.map((role) => `"${role}"`).join(', ')}`;
}
