// Text search: parsers, templates, dictionaries and configurations with their mappings.
import type { Connection } from '../../pg/client.ts';
import { ident, join, type Sql, sql, trusted } from '../../pg/sql.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';

interface Row {
  readonly id: string;
  readonly schema: string;
  readonly name: string;
  readonly options: readonly (readonly [name: string, value: string])[];
}

export async function readTextSearch(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  return [
    ...(await readParsers(db, facts)),
    ...(await readTemplates(db, facts)),
    ...(await readDictionaries(db, facts)),
    ...(await readConfigurations(db, facts)),
  ];
}

function options(list: Row['options']): Sql {
  return join(list.map(([name, value]) => sql`${trusted(name)} = ${trusted(value)}`));
}

const optionsOf = (values: string) =>
  trusted(`(select pg_catalog.json_agg(pg_catalog.json_build_array(each.name, each.value)) from (values ${values})
    as each(name, value) where each.value is not null) as options`);
const routine = (column: string) => `case when ${column}::oid <> 0 then ${column}::pg_catalog.regproc::text end`;

/** https://www.postgresql.org/docs/18/sql-createtsparser.html */
async function readParsers(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_ts_parser')) return [];
  const rows = await db.query<Row>(sql`
    select 'pg_ts_parser:' || p.oid as id, n.nspname::text as schema, p.prsname::text as name, ${optionsOf(
      `('start', ${routine('p.prsstart')}), ('gettoken', ${routine('p.prstoken')}), ('end', ${routine('p.prsend')}),
       ('headline', ${routine('p.prsheadline')}), ('lextypes', ${routine('p.prslextype')})`,
    )}
    from pg_catalog.pg_ts_parser p join pg_catalog.pg_namespace n on n.oid = p.prsnamespace
    where ${isUsers(facts, 'pg_ts_parser', 'p', 'n')} order by 2, 3`);
  return rows.map(({ options: given, ...row }) => {
    const statement = sql`create text search parser ${ident(row.schema, row.name)} (${options(given)})`;
    return entity({ ...row, kind: 'text search parser', statements: [[statement]] });
  });
}

async function readTemplates(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_ts_template')) return [];
  const rows = await db.query<Row>(sql`
    select 'pg_ts_template:' || t.oid as id, n.nspname::text as schema, t.tmplname::text as name, ${optionsOf(
      `('init', ${routine('t.tmplinit')}), ('lexize', ${routine('t.tmpllexize')})`,
    )}
    from pg_catalog.pg_ts_template t join pg_catalog.pg_namespace n on n.oid = t.tmplnamespace
    where ${isUsers(facts, 'pg_ts_template', 't', 'n')} order by 2, 3`);
  return rows.map(({ options: given, ...row }) => {
    const statement = sql`create text search template ${ident(row.schema, row.name)} (${options(given)})`;
    return entity({ ...row, kind: 'text search template', statements: [[statement]] });
  });
}

interface DictionaryRow extends Omit<Row, 'options'> {
  readonly template: string;
  readonly templateSchema: string;
  /** As stored: `name = 'value', …`, which is how it is written. */
  readonly options: string | null;
}

/** https://www.postgresql.org/docs/18/sql-createtsdictionary.html */
async function readDictionaries(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_ts_dict')) return [];
  const rows = await db.query<DictionaryRow>(sql`
    select 'pg_ts_dict:' || d.oid as id, n.nspname::text as schema, d.dictname::text as name, t.tmplname::text as template,
      tn.nspname::text as "templateSchema", d.dictinitoption as options
    from pg_catalog.pg_ts_dict d join pg_catalog.pg_namespace n on n.oid = d.dictnamespace
      join pg_catalog.pg_ts_template t on t.oid = d.dicttemplate join pg_catalog.pg_namespace tn on tn.oid = t.tmplnamespace
    where ${isUsers(facts, 'pg_ts_dict', 'd', 'n')} order by 2, 3`);
  return rows.map(({ options: given, template, templateSchema, ...row }) => {
    const more = given === null ? sql`` : sql`, ${trusted(given)}`;
    const statement = sql`create text search dictionary ${ident(row.schema, row.name)} (template = ${ident(templateSchema, template)}${more})`;
    return entity({ ...row, kind: 'text search dictionary', statements: [[statement]] });
  });
}

interface ConfigurationRow extends Omit<Row, 'options'> {
  readonly parser: string;
  readonly parserSchema: string;
  readonly mappings: readonly { readonly token: string; readonly dictionaries: readonly string[] }[];
}

/** https://www.postgresql.org/docs/18/catalog-pg-ts-config-map.html */
async function readConfigurations(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_ts_config')) return [];
  const rows = await db.query<ConfigurationRow>(sql`
    select 'pg_ts_config:' || c.oid as id, n.nspname::text as schema, c.cfgname::text as name, p.prsname::text as parser,
      pn.nspname::text as "parserSchema",
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('token', mapped.token, 'dictionaries', mapped.dictionaries)
          order by mapped.number), '[]')
        from (select m.maptokentype as number, (select t.alias from pg_catalog.ts_token_type(c.cfgparser) t where t.tokid = m.maptokentype) as token,
            pg_catalog.json_agg(pg_catalog.quote_ident(dn.nspname) || '.' || pg_catalog.quote_ident(d.dictname) order by m.mapseqno) as dictionaries
          from pg_catalog.pg_ts_config_map m join pg_catalog.pg_ts_dict d on d.oid = m.mapdict
            join pg_catalog.pg_namespace dn on dn.oid = d.dictnamespace
          where m.mapcfg = c.oid group by m.maptokentype) mapped) as mappings
    from pg_catalog.pg_ts_config c join pg_catalog.pg_namespace n on n.oid = c.cfgnamespace
      join pg_catalog.pg_ts_parser p on p.oid = c.cfgparser join pg_catalog.pg_namespace pn on pn.oid = p.prsnamespace
    where ${isUsers(facts, 'pg_ts_config', 'c', 'n')} order by 2, 3`);
  return rows.map(({ parser, parserSchema, mappings, ...row }) => {
    const name = ident(row.schema, row.name);
    const map = mappings.map(
      ({ token, dictionaries }) =>
        sql`alter text search configuration ${name} add mapping for ${ident(token)} with ${join(dictionaries.map(trusted))}`,
    );
    const create = sql`create text search configuration ${name} (parser = ${ident(parserSchema, parser)})`;
    return entity({ ...row, kind: 'text search configuration', statements: [[create, ...map]] });
  });
}
