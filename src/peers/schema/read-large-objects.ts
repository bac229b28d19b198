// Owners, grants and comments of large objects: of thousands that have the same, one entity tells.
import type { Connection } from '../../pg/client.ts';
import { ident, join, literal, type Sql, sql, trusted } from '../../pg/sql.ts';
import { mayRead } from '../large-objects.ts';
import { type Entity, entity } from './entity.ts';
import type { ServerFacts } from './facts.ts';
import { mayGive } from './read-owners.ts';
import { noSuchRole } from './read-policies.ts';

interface Group {
  readonly oids: readonly number[];
  /** Of the OIDs and all that is said of them. */
  readonly sum: string;
}

/** Those that are copied: what our role may not read stays where it is. */
export async function readLargeObjectRights(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_largeobject_metadata')) return [];
  return [...(await readComments(db)), ...(await readGrants(db)), ...(await readOwners(db))];
}

const perTransaction = 500;

function chunks<T, U>(list: readonly T[], make: (some: readonly T[]) => U): readonly U[] {
  const made: U[] = [];
  for (let at = 0; at < list.length; at += perTransaction) made.push(make(list.slice(at, at + perTransaction)));
  return made;
}

async function readComments(db: Connection): Promise<readonly Entity[]> {
  const rows = await db.query<{ oid: number; text: string }>(sql`
    select m.oid, d.description as text from pg_catalog.pg_largeobject_metadata m
    join pg_catalog.pg_description d on d.objoid = m.oid and d.classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass
    where ${mayRead} order by m.oid`);
  if (rows.length === 0) return [];
  const steps = chunks(rows, (some) =>
    some.map(({ oid, text }) => sql`comment on large object ${literal(oid)} is ${literal(text)}`),
  );
  return [
    entity({
      ...{ id: 'large objects:comments', kind: 'comment', name: 'large objects', stage: 'comments', statements: steps },
      definition: `${rows.length} comments on large objects`,
      mend: () => steps,
    }),
  ];
}

async function readGrants(db: Connection): Promise<readonly Entity[]> {
  const rows = await db.query<
    Group & { role: string | null; grantor: string | null; privileges: readonly string[]; grantable: boolean }
  >(sql`
    with granted as (
      select m.oid, g.rolname::text as role, case when x.grantor <> m.lomowner then b.rolname::text end as grantor, x.is_grantable as grantable,
        pg_catalog.json_agg(x.privilege_type order by x.privilege_type)::text as privileges
      from pg_catalog.pg_largeobject_metadata m cross join lateral pg_catalog.aclexplode(m.lomacl) x
      left join pg_catalog.pg_roles g on g.oid = x.grantee left join pg_catalog.pg_roles b on b.oid = x.grantor
      where x.grantee <> m.lomowner and ${mayRead}
      group by 1, 2, 3, 4)
    select role, grantor, privileges::json as privileges, grantable, pg_catalog.json_agg(oid::int8 order by oid) as oids,
      pg_catalog.md5(pg_catalog.string_agg(oid::text, ',' order by oid)) as sum
    from granted group by role, grantor, granted.privileges, grantable order by grantor nulls first, role, granted.privileges`);
  const idOf = ({ role, grantor, privileges, grantable }: (typeof rows)[number]) =>
    `large objects:${JSON.stringify([role, grantor, privileges, grantable])}`;
  return rows.map((row) => {
    const { role, grantor, privileges, grantable, oids, sum } = row;
    const to = role === null ? sql`public` : ident(role);
    const option = trusted(grantable ? ' with grant option' : '');
    const list = trusted(privileges.join(', ').toLowerCase());
    const steps = chunks(oids, (some): readonly Sql[] => {
      const grant = sql`grant ${list} on large object ${join(some.map(literal))} to ${to}${option}`;
      return grantor === null ? [grant] : [sql`set local role ${ident(grantor)}`, grant, sql`reset role`];
    });
    const what = `large objects: ${privileges.join(', ')}${grantable ? ' with grant option' : ''}`;
    return entity({
      ...{
        id: `large objects:${JSON.stringify([role, grantor, privileges, grantable])}`,
        kind: 'grant',
        stage: 'rights',
      },
      name: `${what} to ${role ?? 'PUBLIC'}${grantor === null ? '' : ` by ${grantor}`}`,
      ...{ statements: steps, definition: sum, mend: () => steps },
      // Who may grant was granted that before.
      needs: grantor === null ? [] : rows.filter((each) => each.role === grantor && each.grantor === null).map(idOf),
      verdict: ({ target }) => {
        const missing = [role, grantor].filter((each) => each !== null && !target.roles.has(each));
        return missing.length === 0 ? null : { leaveOut: noSuchRole(missing) };
      },
    });
  });
}

async function readOwners(db: Connection): Promise<readonly Entity[]> {
  const rows = await db.query<Group & { owner: string }>(sql`
    select pg_catalog.pg_get_userbyid(m.lomowner)::text as owner, pg_catalog.json_agg(m.oid::int8 order by m.oid) as oids,
      pg_catalog.md5(pg_catalog.string_agg(m.oid::text, ',' order by m.oid)) as sum
    from pg_catalog.pg_largeobject_metadata m where ${mayRead} group by m.lomowner order by 1`);
  return rows.map(({ owner, oids, sum }) => {
    const steps = chunks(oids, (some) =>
      some.map((oid) => sql`alter large object ${literal(oid)} owner to ${ident(owner)}`),
    );
    return entity({
      ...{
        id: `large objects:owner ${owner}`,
        kind: 'owner',
        name: `large objects of ${owner}`,
        stage: 'owners',
        quiet: true,
      },
      ...{ statements: steps, definition: sum, mend: () => steps },
      verdict: (all) => mayGive(all, { owner, written: false }),
    });
  });
}
