// Foreign-data wrappers, servers and foreign tables; user mappings only to be told of, as they hold passwords.
import type { Connection } from '../../pg/client.ts';
import { ident, join, literal, type Sql, sql, trusted } from '../../pg/sql.ts';
import type { TableName } from '../../pg/table.ts';
import { collate } from '../ddl-types.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';
import { hidden, isOpenOption } from './hidden.ts';

export async function readForeign(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  return [
    ...(await readWrappers(db, facts)),
    ...(await readServers(db, facts)),
    ...(await readUserMappings(db, facts)),
    ...(await readForeignTables(db, facts)),
  ];
}

type Options = readonly { readonly name: string; readonly value: string }[];

function optionsText(options: Options, hides = false): Sql {
  if (options.length === 0) return sql``;
  const list = options.map(
    ({ name, value }) => sql`${ident(name)} ${literal(hides && !isOpenOption(name) ? hidden : value)}`,
  );
  return sql` options (${join(list)})`;
}

const optionsOf = (column: string) =>
  trusted(`(select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', o.option_name, 'value', o.option_value)), '[]')
    from pg_catalog.pg_options_to_table(${column}) o)`);

/** An object that is made by one statement, with secrets in its options hidden from people. */
function withOptions(
  given: Pick<Entity, 'id' | 'kind' | 'name'>,
  options: Options,
  make: (options: Sql) => Sql,
): Entity {
  const shown = make(optionsText(options, true)).text;
  return entity({
    ...given,
    statements: [[make(optionsText(options))]],
    ...(options.some(({ name }) => !isOpenOption(name)) ? { shown } : {}),
  });
}

/** https://www.postgresql.org/docs/18/sql-createforeigndatawrapper.html */
async function readWrappers(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_foreign_data_wrapper')) return [];
  const routine = (column: string) =>
    trusted(`case when ${column}::oid <> 0 then ${column}::pg_catalog.regproc::text end`);
  const rows = await db.query<{
    id: string;
    name: string;
    handler: string | null;
    validator: string | null;
    options: Options;
  }>(sql`
    select 'pg_foreign_data_wrapper:' || w.oid as id, w.fdwname::text as name, ${routine('w.fdwhandler')} as handler,
      ${routine('w.fdwvalidator')} as validator, ${optionsOf('w.fdwoptions')} as options
    from pg_catalog.pg_foreign_data_wrapper w where ${isUsers(facts, 'pg_foreign_data_wrapper', 'w')} order by w.fdwname`);
  return rows.map(({ id, name, handler, validator, options }) => {
    const by = [
      ...(handler === null ? [] : [sql` handler ${trusted(handler)}`]),
      ...(validator === null ? [] : [sql` validator ${trusted(validator)}`]),
    ];
    const head = sql`create foreign data wrapper ${ident(name)}${join(by, '')}`;
    return withOptions({ id, kind: 'foreign-data wrapper', name }, options, (list) => sql`${head}${list}`);
  });
}

interface ServerRow {
  readonly id: string;
  readonly name: string;
  readonly type: string | null;
  readonly version: string | null;
  readonly wrapper: string;
  readonly options: Options;
}

/** https://www.postgresql.org/docs/18/sql-createserver.html */
async function readServers(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_foreign_server')) return [];
  const rows = await db.query<ServerRow>(sql`
    select 'pg_foreign_server:' || s.oid as id, s.srvname::text as name, s.srvtype as type, s.srvversion as version,
      w.fdwname::text as wrapper, ${optionsOf('s.srvoptions')} as options
    from pg_catalog.pg_foreign_server s join pg_catalog.pg_foreign_data_wrapper w on w.oid = s.srvfdw
    where ${isUsers(facts, 'pg_foreign_server', 's')} order by s.srvname`);
  return rows.map(({ id, name, type, version, wrapper, options }) => {
    const typed = type === null ? sql`` : sql` type ${literal(type)}`;
    const versioned = version === null ? sql`` : sql` version ${literal(version)}`;
    const head = sql`create server ${ident(name)}${typed}${versioned} foreign data wrapper ${ident(wrapper)}`;
    return withOptions({ id, kind: 'server', name }, options, (list) => sql`${head}${list}`);
  });
}

async function readUserMappings(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_foreign_server')) return [];
  const rows = await db.query<{ id: string; user: string; server: string; public: boolean }>(sql`
    select 'pg_user_mapping:' || m.umid as id, coalesce(m.usename, 'public')::text as user, m.srvname::text as server,
      m.umuser = 0 as public
    from pg_catalog.pg_user_mappings m where m.umid >= 16384 order by m.srvname, 2`);
  return rows.map(({ id, user, server, public: isPublic }) => {
    const to = isPublic ? 'public' : ident(user).text;
    const statement = `create user mapping for ${to} server ${ident(server).text} options (user '…', password '${hidden}')`;
    return entity({
      ...{ id, kind: 'user mapping', name: `${user} on ${server}`, statements: [], definition: '' },
      verdict: () => ({ leaveOut: 'it holds a password, which is not for us to read', statement }),
    });
  });
}

interface ForeignColumn {
  readonly name: string;
  readonly type: string;
  readonly options: Options;
  readonly collation: TableName | null;
  readonly notNull: boolean;
  readonly default: string | null;
  readonly generated: string;
  readonly statistics: number;
}

interface ForeignTableRow extends TableName {
  readonly id: string;
  readonly server: string;
  readonly options: Options;
  readonly columns: readonly ForeignColumn[];
  readonly checks: readonly { readonly name: string; readonly definition: string }[];
  readonly parents: readonly string[] | null;
}

/** Partitions that are foreign come with their tables. https://www.postgresql.org/docs/18/sql-createforeigntable.html */
async function readForeignTables(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_foreign_table')) return [];
  const rows = await db.query<ForeignTableRow>(sql`
    select 'pg_class:' || c.oid as id, n.nspname::text as schema, c.relname::text as name, s.srvname::text as server,
      ${optionsOf('f.ftoptions')} as options,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', a.attname,
          'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'options', ${optionsOf('a.attfdwoptions')},
          'collation', case when a.attcollation <> t.typcollation then (
            select pg_catalog.json_build_object('schema', cn.nspname, 'name', co.collname) from pg_catalog.pg_collation co
            join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace where co.oid = a.attcollation) end,
          'notNull', a.attnotnull, 'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid), 'generated', a.attgenerated,
          'statistics', coalesce(a.attstattarget, -1)) order by a.attnum), '[]')
        from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
        left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns,
      (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('name', k.conname,
          'definition', pg_catalog.pg_get_constraintdef(k.oid)) order by k.conname), '[]')
        from pg_catalog.pg_constraint k where k.conrelid = c.oid and k.contype = 'c' and k.conislocal) as checks,
      (select pg_catalog.array_agg(pg_catalog.quote_ident(pn.nspname) || '.' || pg_catalog.quote_ident(p.relname) order by i.inhseqno)
        from pg_catalog.pg_inherits i join pg_catalog.pg_class p on p.oid = i.inhparent
        join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace where i.inhrelid = c.oid) as parents
    from pg_catalog.pg_foreign_table f join pg_catalog.pg_class c on c.oid = f.ftrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace join pg_catalog.pg_foreign_server s on s.oid = f.ftserver
    where not c.relispartition and ${isUsers(facts, 'pg_class', 'c', 'n')} order by n.nspname, c.relname`);
  return rows.map(foreignTable);
}

function foreignTable(row: ForeignTableRow): Entity {
  const { id, schema, name, columns, checks, parents } = row;
  const table = ident(schema, name);
  const make = (hides: boolean) => {
    const lines = [
      ...columns.map((column) => columnLine(column, hides)),
      ...checks.map((check) => sql`constraint ${ident(check.name)} ${trusted(check.definition)}`),
    ];
    return sql`create foreign table ${table} (${join(lines)}) server ${ident(row.server)}${optionsText(row.options, hides)}`;
  };
  const settings = columns
    .filter((column) => column.statistics >= 0)
    .map(
      (column) =>
        sql`alter foreign table ${table} alter column ${ident(column.name)} set statistics ${literal(column.statistics)}`,
    );
  const inherit = (parents ?? []).map((parent) => sql`alter foreign table ${table} inherit ${trusted(parent)}`);
  const secret = [...row.options, ...columns.flatMap(({ options }) => options)].some(
    ({ name: option }) => !isOpenOption(option),
  );
  return entity({
    ...{ id, kind: 'foreign table', schema, name, stage: 'views' },
    statements: [[make(false), ...settings, ...inherit]],
    shape: columns.map((column) => `${ident(column.name).text} ${column.type}`).join(', '),
    ...(secret ? { shown: make(true).text } : {}),
  });
}

function columnLine(column: ForeignColumn, hides: boolean): Sql {
  const expression = trusted(column.default ?? '');
  const value =
    column.default === null
      ? sql``
      : column.generated === ''
        ? sql` default ${expression}`
        : sql` generated always as (${expression}) ${column.generated === 's' ? sql`stored` : sql`virtual`}`;
  const notNull = column.notNull ? sql` not null` : sql``;
  return sql`${ident(column.name)} ${trusted(column.type)}${optionsText(column.options, hides)}${collate(column.collation)}${value}${notNull}`;
}
