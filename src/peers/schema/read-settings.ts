// What is said of the database itself: settings, privileges, its comment. It is not ours to change on the target; the ledger has the statements.
import type { Connection } from '../../pg/client.ts';
import { ident, literal, type Sql, sql, trusted } from '../../pg/sql.ts';
import { type Entity, entity } from './entity.ts';
import type { ServerFacts } from './facts.ts';
import { hidden, isOpenSetting } from './hidden.ts';

const notOurs = 'the database itself is not changed by a mirror';

export async function readDatabaseItself(db: Connection, _: ServerFacts): Promise<readonly Entity[]> {
  return [...(await readSettings(db)), ...(await readDatabaseGrants(db)), ...(await readDatabaseComment(db))];
}

async function readDatabaseComment(db: Connection): Promise<readonly Entity[]> {
  const { comment } = await db.one<{ comment: string | null }>(sql`
    select pg_catalog.shobj_description(d.oid, 'pg_database') as comment
    from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()`);
  if (comment === null) return [];
  const object = { id: 'comment:database', kind: 'comment', name: 'on the database', definition: comment } as const;
  return [told(object, (database) => sql`comment on database ${database} is ${literal(comment)}`, { role: null })];
}

function told(
  object: Pick<Entity, 'id' | 'kind' | 'name' | 'definition'>,
  statement: (database: Sql) => Sql,
  { role, asIs = true }: { readonly role: string | null; readonly asIs?: boolean },
): Entity {
  return entity({
    ...object,
    ...{ stage: 'rights', statements: [], quiet: true, keeps: notOurs },
    verdict: ({ target }) => ({
      leaveOut:
        role === null || target.roles.has(role)
          ? notOurs
          : `${notOurs}, and the target has no role ${ident(role).text}`,
      statement: statement(ident(target.database)).text,
      others: asIs && (role === null || target.roles.has(role)),
    }),
  });
}

// Their values are lists of names, quoted already. https://www.postgresql.org/docs/18/catalog-pg-db-role-setting.html
const lists: ReadonlySet<string> = new Set([
  ...['search_path', 'temp_tablespaces', 'session_preload_libraries', 'local_preload_libraries'],
  ...['shared_preload_libraries', 'unix_socket_directories'],
]);

async function readSettings(db: Connection): Promise<readonly Entity[]> {
  const rows = await db.query<{ role: string | null; setting: string }>(sql`
    select r.rolname::text as role, s.setting
    from pg_catalog.pg_db_role_setting d cross join lateral pg_catalog.unnest(d.setconfig) as s(setting)
    join pg_catalog.pg_database b on b.oid = d.setdatabase left join pg_catalog.pg_roles r on r.oid = d.setrole
    where b.datname = pg_catalog.current_database() order by r.rolname, s.setting`);
  return rows.map(({ role, setting }) => {
    const at = setting.indexOf('=');
    const [name, value] = [setting.slice(0, at), setting.slice(at + 1)];
    // Applications keep keys of theirs in settings; the ledger shows none.
    const shown = isOpenSetting(name) ? value : hidden;
    const to = lists.has(name) ? trusted(value === '' ? "''" : value) : literal(shown);
    const set = trusted(
      name
        .split('.')
        .map((part) => ident(part).text)
        .join('.'),
    );
    return told(
      {
        ...{ id: `setting:${JSON.stringify([role, name])}`, kind: 'setting', definition: value },
        name: role === null ? `of the database: ${name}` : `of ${role} in the database: ${name}`,
      },
      (database) =>
        role === null
          ? sql`alter database ${database} set ${set} to ${to}`
          : sql`alter role ${ident(role)} in database ${database} set ${set} to ${to}`,
      { role, asIs: isOpenSetting(name) },
    );
  });
}

async function readDatabaseGrants(db: Connection): Promise<readonly Entity[]> {
  const rows = await db.query<{ role: string | null; privileges: readonly string[]; revoked: boolean }>(sql`
    with found as (select d.datdba as owner, d.datacl as acl from pg_catalog.pg_database d
      where d.datname = pg_catalog.current_database() and d.datacl is not null),
    has as (select x.* from found, lateral pg_catalog.aclexplode(acl) x where x.grantee <> owner),
    usual as (select x.* from found, lateral pg_catalog.aclexplode(pg_catalog.acldefault('d', owner)) x where x.grantee <> owner)
    select r.rolname::text as role, pg_catalog.json_agg(changed.privilege_type order by changed.privilege_type) as privileges, revoked
    from (select grantee, privilege_type, false as revoked from has h where not exists (select from usual u
          where u.grantee = h.grantee and u.privilege_type = h.privilege_type)
        union all select grantee, privilege_type, true from usual u where not exists (select from has h
          where u.grantee = h.grantee and u.privilege_type = h.privilege_type)) changed
    left join pg_catalog.pg_roles r on r.oid = changed.grantee
    group by r.rolname, revoked order by revoked, r.rolname`);
  return rows.map(({ role, privileges, revoked }) => {
    const list = trusted(privileges.join(', ').toLowerCase());
    const who = role === null ? sql`public` : ident(role);
    return told(
      {
        ...{
          id: `database grant:${JSON.stringify([role, revoked])}`,
          kind: 'grant',
          definition: privileges.join(', '),
        },
        name: `${revoked ? 'revoked from' : 'to'} ${role ?? 'PUBLIC'} on the database`,
      },
      (database) =>
        revoked
          ? sql`revoke ${list} on database ${database} from ${who}`
          : sql`grant ${list} on database ${database} to ${who}`,
      { role },
    );
  });
}
