// What is to be known of a server before its objects are read and judged: its version, our rights, its roles and extensions.
import type { Connection } from '../../pg/client.ts';
import { literal, type Sql, sql, trusted } from '../../pg/sql.ts';
import { maySwitchOff } from '../apply-session.ts';
import { type Held, takeCensus } from './census.ts';

export interface ServerFacts {
  /** server_version_num */
  readonly version: number;
  readonly database: string;
  readonly user: string;
  readonly superuser: boolean;
  /** Whether row-level security is nothing to our role, even where it is forced. */
  readonly bypassesRowSecurity: boolean;
  /** Roles that our role may give its objects to, and whether it has their rights without asking for them. */
  readonly becomes: ReadonlyMap<string, { readonly inherits: boolean }>;
  /** Whether sessions of ours may be `session_replication_role = replica`, where triggers and rules do not fire. */
  readonly replicaRole: boolean;
  readonly roles: ReadonlySet<string>;
  /** Extensions that can be installed, with those that are. */
  readonly available: ReadonlySet<string>;
  /** Which kinds of things of users there are at all, or are asked for: others are not read. */
  readonly holds: ReadonlySet<Held>;
  /** Schemas that are not the user's: ours. */
  readonly ours: readonly string[];
  /** Who owns what is made on the target, if tables of that owner are not told of: they are as they should be. */
  readonly usualOwner?: string | undefined;
}

/** What is known before. */
export interface AskedFacts {
  readonly usualOwner?: string | undefined;
  readonly holds?: ReadonlySet<Held> | undefined;
}

/** @param ours schemas that hold what Sluice keeps on that side @param holds if only these kinds are asked for */
export async function readServerFacts(
  db: Connection,
  ours: readonly string[],
  { usualOwner, holds }: AskedFacts = {},
): Promise<ServerFacts> {
  const { version } = db;
  const row = await db.one<{
    database: string;
    user: string;
    superuser: boolean;
    bypasses: boolean;
    becomes: readonly { readonly role: string; readonly inherits: boolean }[];
    roles: readonly string[];
    available: readonly string[];
  }>(sql`select pg_catalog.current_database()::text as database, current_user::text as user,
    me.rolsuper as superuser, me.rolsuper or me.rolbypassrls as bypasses,
    (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('role', r.rolname,
        'inherits', pg_catalog.pg_has_role(me.oid, r.oid, 'usage'))), '[]')
      from pg_catalog.pg_roles r where pg_catalog.pg_has_role(me.oid, r.oid, ${memberOr(version)})) as becomes,
    (select pg_catalog.json_agg(rolname) from pg_catalog.pg_roles) as roles,
    (select coalesce(pg_catalog.json_agg(name), '[]') from (select name from pg_catalog.pg_available_extensions
      union select extname from pg_catalog.pg_extension) known) as available
    from pg_catalog.pg_roles me where me.rolname = current_user`);
  return {
    version,
    database: row.database,
    user: row.user,
    superuser: row.superuser,
    bypassesRowSecurity: row.bypasses,
    becomes: new Map(row.becomes.map(({ role, inherits }) => [role, { inherits }])),
    replicaRole: await maySwitchOff(db),
    roles: new Set(row.roles),
    available: new Set(row.available),
    holds: holds ?? (await takeCensus(db)),
    ...{ ours, usualOwner },
  };
}

// Being a member is enough before 16, which tells apart who may become it.
function memberOr(version: number): string {
  return version >= 160_000 ? 'set' : 'member';
}

/**
 * The condition for rows of a catalog that are a user's: neither the system's, nor an extension's, nor ours, nor temporary.
 * @param catalog e.g. `pg_proc`
 * @param row the alias of its row in the query
 * @param schema the alias of its pg_namespace row, if it is in a schema
 */
export function isUsers(facts: Pick<ServerFacts, 'ours'>, catalog: string, row: string, schema?: string): Sql {
  const of = trusted(row);
  const named = schema === undefined ? sql`true` : notTheirs(facts, schema);
  return sql`(${of}.oid >= 16384 and ${named} and not exists (select from pg_catalog.pg_depend member
    where member.classid = ${literal(`pg_catalog.${catalog}`)}::pg_catalog.regclass and member.objid = ${of}.oid
      and member.deptype = 'e'))`;
}

/** The condition for schemas of users. @param schema the alias of the pg_namespace row */
export function notTheirs(facts: Pick<ServerFacts, 'ours'>, schema: string): Sql {
  const name = sql`${trusted(schema)}.nspname`;
  return sql`${name} <> all (${['information_schema', ...facts.ours]}::name[]) and ${name} !~ '^pg_(toast|temp)'`;
}
