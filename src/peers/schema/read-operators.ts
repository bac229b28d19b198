// Casts, operators, operator families with their members, and operator classes.
import type { Connection } from '../../pg/client.ts';
import { ident, join, type Sql, sql, trusted } from '../../pg/sql.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';

export async function readOperators(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  return [
    ...(await readCasts(db, facts)),
    ...(await readPlainOperators(db, facts)),
    ...(await readFamilies(db, facts)),
    ...(await readClasses(db, facts)),
    ...(await readLooseMembers(db, facts)),
  ];
}

/** The text of an operator by OID, as CREATE OPERATOR takes it: `operator(public.===)`; null for none. */
function operatorText(oid: string): Sql {
  return trusted(`case when ${oid} <> 0 then (select 'operator(' || pg_catalog.quote_ident(opn.nspname) || '.' || op.oprname || ')'
    from pg_catalog.pg_operator op join pg_catalog.pg_namespace opn on opn.oid = op.oprnamespace where op.oid = ${oid}) end`);
}

function typeText(oid: string): Sql {
  return trusted(`case when ${oid} <> 0 then pg_catalog.format_type(${oid}, null) end`);
}

/** https://www.postgresql.org/docs/18/catalog-pg-cast.html */
async function readCasts(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_cast')) return [];
  const rows = await db.query<{
    id: string;
    from: string;
    to: string;
    function: string | null;
    method: string;
    context: string;
  }>(sql`
    select 'pg_cast:' || c.oid as id, pg_catalog.format_type(c.castsource, null) as from,
      pg_catalog.format_type(c.casttarget, null) as to,
      case when c.castfunc <> 0 then c.castfunc::pg_catalog.regprocedure::text end as function,
      c.castmethod::text as method, c.castcontext::text as context
    from pg_catalog.pg_cast c where ${isUsers(facts, 'pg_cast', 'c')}
      -- A range's comes with its type.
      and not exists (select from pg_catalog.pg_depend own
        where own.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass and own.objid = c.oid and own.deptype = 'i')
    order by 2, 3`);
  return rows.map(({ id, from, to, function: by, method, context }) => {
    const how =
      by !== null ? sql`with function ${trusted(by)}` : method === 'i' ? sql`with inout` : sql`without function`;
    const when = { a: sql` as assignment`, i: sql` as implicit` }[context] ?? sql``;
    const types = `(${from} AS ${to})`;
    const statement = sql`create cast ${trusted(types)} ${how}${when}`;
    return entity({ id, kind: 'cast', name: '', arguments: types, statements: [[statement]] });
  });
}

interface Options {
  readonly options: readonly (readonly [name: string, value: string])[];
}

function optionList(options: Options['options']): Sql {
  return join(
    options.map(([name, value]) => (value === '' ? trusted(name) : sql`${trusted(name)} = ${trusted(value)}`)),
  );
}

/**
 * What only the commutator or negator of another made is no operator yet, and no object.
 * https://www.postgresql.org/docs/18/sql-createoperator.html
 */
async function readPlainOperators(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_operator')) return [];
  const rows = await db.query<Options & { id: string; schema: string; name: string; arguments: string }>(sql`
    select 'pg_operator:' || o.oid as id, n.nspname::text as schema, o.oprname::text as name,
      '(' || case when o.oprleft = 0 then 'NONE' else pg_catalog.format_type(o.oprleft, null) end || ', '
        || case when o.oprright = 0 then 'NONE' else pg_catalog.format_type(o.oprright, null) end || ')' as arguments,
      (select pg_catalog.json_agg(pg_catalog.json_build_array(each.name, each.value) order by each.place) from (values
        (1, 'function', o.oprcode::pg_catalog.regproc::text), (2, 'leftarg', ${typeText('o.oprleft')}),
        (3, 'rightarg', ${typeText('o.oprright')}), (4, 'commutator', ${operatorText('o.oprcom')}),
        (5, 'negator', ${operatorText('o.oprnegate')}),
        (6, 'restrict', case when o.oprrest::oid <> 0 then o.oprrest::text end),
        (7, 'join', case when o.oprjoin::oid <> 0 then o.oprjoin::text end),
        (8, 'hashes', case when o.oprcanhash then '' end), (9, 'merges', case when o.oprcanmerge then '' end))
        as each(place, name, value) where each.value is not null) as options
    from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
    where o.oprcode::oid <> 0 and ${isUsers(facts, 'pg_operator', 'o', 'n')} order by n.nspname, o.oprname, o.oid`);
  return rows.map(({ options, ...row }) => {
    const statement = sql`create operator ${ident(row.schema)}.${trusted(row.name)} (${optionList(options)})`;
    return entity({ ...row, kind: 'operator', statements: [[statement]] });
  });
}

interface FamilyRow {
  readonly id: string;
  readonly schema: string;
  readonly name: string;
  readonly method: string;
}

function using(method: string): string {
  return ` using ${ident(method).text}`;
}

async function readFamilies(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_opfamily')) return [];
  const rows = await db.query<FamilyRow>(sql`
    select 'pg_opfamily:' || f.oid as id, n.nspname::text as schema, f.opfname::text as name, a.amname::text as method
    from pg_catalog.pg_opfamily f join pg_catalog.pg_namespace n on n.oid = f.opfnamespace
      join pg_catalog.pg_am a on a.oid = f.opfmethod
    where ${isUsers(facts, 'pg_opfamily', 'f', 'n')} order by n.nspname, f.opfname, a.amname`);
  return rows.map(({ id, schema, name, method }) =>
    entity({
      ...{ id, kind: 'operator family', schema, name, arguments: using(method) },
      statements: [[sql`create operator family ${ident(schema, name)}${trusted(using(method))}`]],
    }),
  );
}

// Operators come as CREATE OPERATOR CLASS and ALTER OPERATOR FAMILY take them.
const operatorMember = trusted(`'operator ' || o.amopstrategy || ' ' || o.amopopr::pg_catalog.regoperator
  || case when o.amopsortfamily <> 0 then (select ' for order by ' || pg_catalog.quote_ident(sn.nspname) || '.' || pg_catalog.quote_ident(sf.opfname)
    from pg_catalog.pg_opfamily sf join pg_catalog.pg_namespace sn on sn.oid = sf.opfnamespace where sf.oid = o.amopsortfamily) else '' end`);
const functionMember =
  trusted(`'function ' || p.amprocnum || ' (' || pg_catalog.format_type(p.amproclefttype, null) || ', '
  || pg_catalog.format_type(p.amprocrighttype, null) || ') ' || p.amproc::pg_catalog.regprocedure`);
const ofClass = (catalog: string, row: string) =>
  trusted(`(select d.refobjid from pg_catalog.pg_depend d where d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass
    and d.objid = ${row}.oid and d.refclassid = 'pg_catalog.pg_opclass'::pg_catalog.regclass and d.deptype = 'i')`);

interface ClassRow extends FamilyRow {
  readonly family: string;
  readonly familySchema: string;
  readonly default: boolean;
  readonly type: string;
  readonly storage: string | null;
  readonly members: readonly string[];
}

/** https://www.postgresql.org/docs/18/sql-createopclass.html */
async function readClasses(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_opclass')) return [];
  const rows = await db.query<ClassRow>(sql`
    select 'pg_opclass:' || c.oid as id, n.nspname::text as schema, c.opcname::text as name, a.amname::text as method,
      f.opfname::text as family, fn.nspname::text as "familySchema", c.opcdefault as default,
      pg_catalog.format_type(c.opcintype, null) as type, ${typeText('c.opckeytype')} as storage,
      (select coalesce(pg_catalog.json_agg(member.text order by member.what, member.number, member.text), '[]') from (
        select 1 as what, o.amopstrategy as number, ${operatorMember} as text from pg_catalog.pg_amop o
          where o.amopfamily = c.opcfamily and ${ofClass('pg_amop', 'o')} = c.oid
        union all select 2, p.amprocnum, ${functionMember} from pg_catalog.pg_amproc p
          where p.amprocfamily = c.opcfamily and ${ofClass('pg_amproc', 'p')} = c.oid) member) as members
    from pg_catalog.pg_opclass c join pg_catalog.pg_namespace n on n.oid = c.opcnamespace
      join pg_catalog.pg_am a on a.oid = c.opcmethod join pg_catalog.pg_opfamily f on f.oid = c.opcfamily
      join pg_catalog.pg_namespace fn on fn.oid = f.opfnamespace
    where ${isUsers(facts, 'pg_opclass', 'c', 'n')} order by n.nspname, c.opcname, a.amname`);
  return rows.map((row) => {
    const { id, schema, name, method } = row;
    const isDefault = row.default ? sql` default` : sql``;
    const storage = `storage ${row.storage ?? row.type}`;
    // One without members says so by its storage.
    const members = row.storage !== null || row.members.length === 0 ? [...row.members, storage] : row.members;
    const statement = sql`create operator class ${ident(schema, name)}${isDefault} for type ${trusted(row.type)}${trusted(using(method))} family ${ident(row.familySchema, row.family)} as ${join(members.map(trusted))}`;
    return entity({
      ...{ id, kind: 'operator class', schema, name, arguments: using(method), statements: [[statement]] },
    });
  });
}

/**
 * Members that an extension adds to a family are not marked as its own. One came with an extension where the family, or the
 * operator or function, is an extension's, and neither is a user's.
 */
function cameWithExtension(family: string, calls: { readonly catalog: string; readonly oid: string }): Sql {
  const extensions = (catalog: string, oid: string) => `exists (select from pg_catalog.pg_depend e
    where e.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and e.objid = ${oid} and e.deptype = 'e')`;
  const [ofFamily, ofCalled] = [extensions('pg_opfamily', family), extensions(calls.catalog, calls.oid)];
  return trusted(
    `((${ofFamily} or ${ofCalled}) and (${ofFamily} or ${family} < 16384) and (${ofCalled} or ${calls.oid} < 16384))`,
  );
}

const operatorCame = cameWithExtension('o.amopfamily', { catalog: 'pg_operator', oid: 'o.amopopr' });
const functionCame = cameWithExtension('p.amprocfamily', { catalog: 'pg_proc', oid: 'p.amproc' });

interface MemberRow extends FamilyRow {
  readonly member: string;
  /** `operator 1 (integer, bigint)` */
  readonly identity: string;
}

/** Members that belong to a family and to no class of it. */
async function readLooseMembers(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_amop') && !facts.holds.has('pg_amproc')) return [];
  const rows = await db.query<MemberRow>(sql`
    select member.*, n.nspname::text as schema, f.opfname::text as name, a.amname::text as method from (
      select 'pg_amop:' || o.oid as id, o.amopfamily as family, ${operatorMember} as member,
        'operator ' || o.amopstrategy || ' (' || pg_catalog.format_type(o.amoplefttype, null) || ', '
          || pg_catalog.format_type(o.amoprighttype, null) || ')' as identity
      from pg_catalog.pg_amop o where ${isUsers(facts, 'pg_amop', 'o')} and ${ofClass('pg_amop', 'o')} is null and not ${operatorCame}
      union all
      select 'pg_amproc:' || p.oid, p.amprocfamily, ${functionMember},
        'function ' || p.amprocnum || ' (' || pg_catalog.format_type(p.amproclefttype, null) || ', '
          || pg_catalog.format_type(p.amprocrighttype, null) || ')'
      from pg_catalog.pg_amproc p where ${isUsers(facts, 'pg_amproc', 'p')} and ${ofClass('pg_amproc', 'p')} is null and not ${functionCame}) member
    join pg_catalog.pg_opfamily f on f.oid = member.family join pg_catalog.pg_namespace n on n.oid = f.opfnamespace
    join pg_catalog.pg_am a on a.oid = f.opfmethod order by 1`);
  return rows.map(({ id, schema, name, method, member, identity }) => {
    const of = ident(schema, name).text;
    return entity({
      ...{ id, kind: 'operator family member', schema, name: '', arguments: `${identity} of ${of}${using(method)}` },
      statements: [[sql`alter operator family ${trusted(of)}${trusted(using(method))} add ${trusted(member)}`]],
    });
  });
}
