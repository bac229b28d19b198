// Procedural languages that come with no extension, transforms, and access methods.
import type { Connection } from '../../pg/client.ts';
import { ident, join, type Sql, sql, trusted } from '../../pg/sql.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';

interface LanguageRow {
  readonly id: string;
  readonly name: string;
  readonly trusted: boolean;
  readonly handler: string;
  readonly inline: string | null;
  readonly validator: string | null;
}

const routine = (column: string) =>
  trusted(`case when ${column}::oid <> 0 then ${column}::pg_catalog.regproc::text end`);

/** https://www.postgresql.org/docs/18/sql-createlanguage.html */
export async function readLanguages(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_language')) return [];
  const rows = await db.query<LanguageRow>(sql`
    select 'pg_language:' || l.oid as id, l.lanname::text as name, l.lanpltrusted as trusted,
      l.lanplcallfoid::pg_catalog.regproc::text as handler, ${routine('l.laninline')} as inline,
      ${routine('l.lanvalidator')} as validator
    from pg_catalog.pg_language l where l.lanispl and ${isUsers(facts, 'pg_language', 'l')} order by l.lanname`);
  return rows.map(({ id, name, trusted: isTrusted, handler, inline, validator }) => {
    const kind = isTrusted ? sql`trusted language` : sql`language`;
    const parts: Sql[] = [sql`create ${kind} ${ident(name)} handler ${trusted(handler)}`];
    if (inline !== null) parts.push(sql`inline ${trusted(inline)}`);
    if (validator !== null) parts.push(sql`validator ${trusted(validator)}`);
    return entity({ id, kind: 'language', name, statements: [[join(parts, ' ')]] });
  });
}

/** https://www.postgresql.org/docs/18/sql-createtransform.html */
export async function readTransforms(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_transform')) return [];
  const rows = await db.query<{
    id: string;
    type: string;
    language: string;
    from: string | null;
    to: string | null;
  }>(sql`
    select 'pg_transform:' || t.oid as id, pg_catalog.format_type(t.trftype, null) as type, l.lanname::text as language,
      case when t.trffromsql::oid <> 0 then t.trffromsql::pg_catalog.regprocedure::text end as from,
      case when t.trftosql::oid <> 0 then t.trftosql::pg_catalog.regprocedure::text end as to
    from pg_catalog.pg_transform t join pg_catalog.pg_language l on l.oid = t.trflang
    where ${isUsers(facts, 'pg_transform', 't')} order by 2, 3`);
  return rows.map(({ id, type, language, from, to }) => {
    const ways: Sql[] = [];
    if (from !== null) ways.push(sql`from sql with function ${trusted(from)}`);
    if (to !== null) ways.push(sql`to sql with function ${trusted(to)}`);
    const of = `for ${type} language ${ident(language).text}`;
    return entity({
      ...{ id, kind: 'transform', name: '', arguments: of },
      statements: [[sql`create transform ${trusted(of)} (${join(ways)})`]],
    });
  });
}

/** https://www.postgresql.org/docs/18/sql-create-access-method.html */
export async function readAccessMethods(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_am')) return [];
  const rows = await db.query<{ id: string; name: string; type: string; handler: string }>(sql`
    select 'pg_am:' || a.oid as id, a.amname::text as name, a.amtype::text as type,
      a.amhandler::pg_catalog.regproc::text as handler
    from pg_catalog.pg_am a where ${isUsers(facts, 'pg_am', 'a')} order by a.amname`);
  return rows.map(({ id, name, type, handler }) => {
    const of = type === 'i' ? sql`index` : sql`table`;
    const statement = sql`create access method ${ident(name)} type ${of} handler ${trusted(handler)}`;
    return entity({ id, kind: 'access method', name, statements: [[statement]] });
  });
}
