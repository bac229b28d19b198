// Functions, procedures and window functions, as pg_get_functiondef prints them; aggregates put together from the catalog.
import type { Connection } from '../../pg/client.ts';
import { ident, literal, type Sql, sql, trusted } from '../../pg/sql.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';
import { hidden, isOpenSetting } from './hidden.ts';

/** https://www.postgresql.org/docs/18/catalog-pg-proc.html */
export async function readRoutines(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_proc')) return [];
  return [...(await readFunctions(db, facts)), ...(await readAggregates(db, facts))];
}

// As format_type prints them: argument names are no part of an identity.
export const argumentTypes = trusted(`(select '(' || coalesce(pg_catalog.string_agg(
    pg_catalog.format_type(argument.type, null), ', ' order by argument.place), '') || ')'
  from pg_catalog.unnest(p.proargtypes) with ordinality as argument(type, place))`);

interface FunctionRow {
  readonly id: string;
  readonly schema: string;
  readonly name: string;
  readonly arguments: string;
  readonly kind: 'f' | 'p' | 'w';
  readonly definition: string;
  readonly shape: string;
  /** Whether its body is SQL that was read when it was made (14), and so may stand in a circle. */
  readonly atomic: boolean;
  readonly head: string;
  readonly hollow: boolean;
  /** `app.key=x` of SET clauses of settings with a dot in their name. */
  readonly settings: readonly string[];
}

// The body of a function that only holds its place while those that need each other are made.
const hollowBody = 'select from a_function_that_is_still_to_be_made';

async function readFunctions(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  const rows = await db.query<FunctionRow>(sql`
    select 'pg_proc:' || p.oid as id, n.nspname::text as schema, p.proname::text as name, ${argumentTypes} as arguments,
      p.prokind::text as kind, pg_catalog.pg_get_functiondef(p.oid) as definition,
      pg_catalog.concat_ws(' ; ', pg_catalog.pg_get_function_arguments(p.oid), pg_catalog.pg_get_function_result(p.oid),
        l.lanname, p.provolatile, p.proisstrict, p.prosecdef, p.proparallel, p.proconfig, p.probin, p.prosrc) as shape,
      (select coalesce(pg_catalog.json_agg(own.setting), '[]') from pg_catalog.unnest(p.proconfig) own(setting)
        where own.setting ~ '^[^=]*[.]') as settings,
      p.prosqlbody is not null as atomic, p.prosrc = ${hollowBody} as hollow,
      case when p.prosqlbody is null then '' else
        'create or replace ' || case p.prokind when 'p' then 'procedure ' else 'function ' end
        || pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(p.proname)
        || '(' || pg_catalog.pg_get_function_arguments(p.oid) || ')'
        || coalesce(' returns ' || pg_catalog.pg_get_function_result(p.oid), '') end as head
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      join pg_catalog.pg_language l on l.oid = p.prolang
    where p.prokind <> 'a' and ${isUsers(facts, 'pg_proc', 'p', 'n')}
      -- Constructors of ranges come with their type.
      and not exists (select from pg_catalog.pg_depend own
        where own.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and own.objid = p.oid and own.deptype = 'i')
    order by n.nspname, p.proname, p.oid`);
  return rows.map(({ id, schema, name, arguments: types, kind, definition, shape, atomic, head, hollow, settings }) =>
    entity({
      ...{ id, schema, name, arguments: types, definition, shape, hollow, shown: withoutSecrets(definition, settings) },
      kind: kind === 'p' ? 'procedure' : 'function',
      statements: [[trusted(definition)]],
      shell: atomic ? sql`${trusted(head)} language plpgsql as ${literal(hollowBody)}` : undefined,
    }),
  );
}

// https://www.postgresql.org/docs/18/sql-createfunction.html: a SET clause is a line of its own before the body.
function withoutSecrets(definition: string, settings: readonly string[]): string | undefined {
  const secret = settings.map(splitSetting).filter(({ name }) => !isOpenSetting(name));
  if (secret.length === 0) return undefined;
  return secret.reduce((text, { value }) => {
    const shown = text.replace(` TO ${quoted(value)}\n`, () => ` TO '${hidden}'\n`);
    return shown === text ? hidden : shown;
  }, definition);
}

function splitSetting(setting: string): { readonly name: string; readonly value: string } {
  const at = setting.indexOf('=');
  return { name: setting.slice(0, at), value: setting.slice(at + 1) };
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}

interface AggregateRow {
  readonly id: string;
  readonly schema: string;
  readonly name: string;
  readonly arguments: string;
  /** pg_get_function_arguments: names and modes, ORDER BY of ordered sets. */
  readonly signature: string;
  readonly variadicAny: boolean;
  /** `sfunc = …` in the order of CREATE AGGREGATE; values as SQL. */
  readonly options: readonly (readonly [name: string, value: string])[];
}

const function_ = (column: string) =>
  trusted(`case when a.${column}::oid <> 0 then (select pg_catalog.quote_ident(fn.nspname) || '.' || pg_catalog.quote_ident(f.proname)
    from pg_catalog.pg_proc f join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace where f.oid = a.${column}) end`);
const operator =
  trusted(`case when a.aggsortop <> 0 then (select 'operator(' || pg_catalog.quote_ident(onn.nspname) || '.' || o.oprname || ')'
    from pg_catalog.pg_operator o join pg_catalog.pg_namespace onn on onn.oid = o.oprnamespace where o.oid = a.aggsortop) end`);

// https://www.postgresql.org/docs/18/catalog-pg-aggregate.html and sql-createaggregate.html
async function readAggregates(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  const modify = (column: string) =>
    sql`case a.${trusted(column)} when 'r' then 'read_only' when 's' then 'shareable' when 'w' then 'read_write' end`;
  const rows = await db.query<AggregateRow>(sql`
    select 'pg_proc:' || p.oid as id, n.nspname::text as schema, p.proname::text as name, ${argumentTypes} as arguments,
      case when p.pronargs = 0 then '*' else pg_catalog.pg_get_function_arguments(p.oid) end as signature,
      (select pg_catalog.json_agg(pg_catalog.json_build_array(each.name, each.value) order by each.place) from (values
        (1, 'sfunc', ${function_('aggtransfn')}),
        (2, 'stype', pg_catalog.format_type(a.aggtranstype, null)),
        (3, 'sspace', nullif(a.aggtransspace, 0)::text),
        (4, 'finalfunc', ${function_('aggfinalfn')}),
        (5, 'finalfunc_extra', case when a.aggfinalextra then '' end),
        (6, 'finalfunc_modify', ${modify('aggfinalmodify')}),
        (7, 'combinefunc', ${function_('aggcombinefn')}),
        (8, 'serialfunc', ${function_('aggserialfn')}),
        (9, 'deserialfunc', ${function_('aggdeserialfn')}),
        (10, 'initcond', pg_catalog.quote_literal(a.agginitval)),
        (11, 'msfunc', ${function_('aggmtransfn')}),
        (12, 'minvfunc', ${function_('aggminvtransfn')}),
        (13, 'mstype', case when a.aggmtranstype <> 0 then pg_catalog.format_type(a.aggmtranstype, null) end),
        (14, 'msspace', nullif(a.aggmtransspace, 0)::text),
        (15, 'mfinalfunc', ${function_('aggmfinalfn')}),
        (16, 'mfinalfunc_extra', case when a.aggmfinalextra then '' end),
        (17, 'mfinalfunc_modify', ${modify('aggmfinalmodify')}),
        (18, 'minitcond', pg_catalog.quote_literal(a.aggminitval)),
        (19, 'sortop', ${operator}),
        (20, 'parallel', case p.proparallel when 's' then 'safe' when 'r' then 'restricted' end),
        (21, 'hypothetical', case when a.aggkind = 'h' then '' end)) as each(place, name, value)
        where each.value is not null) as options
    from pg_catalog.pg_aggregate a join pg_catalog.pg_proc p on p.oid = a.aggfnoid
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where ${isUsers(facts, 'pg_proc', 'p', 'n')}
    order by n.nspname, p.proname, p.oid`);
  return rows.map((row) => {
    const { id, schema, name, arguments: types } = row;
    const options = row.options.map(
      ([option, value]): Sql => (value === '' ? trusted(option) : sql`${trusted(option)} = ${trusted(value)}`),
    );
    const statement = sql`create aggregate ${ident(schema, name)}(${trusted(row.signature)}) (${joined(options)})`;
    return entity({ ...{ id, schema, name, arguments: types }, kind: 'aggregate', statements: [[statement]] });
  });
}

function joined(options: readonly Sql[]): Sql {
  return options.reduce((all, option) => sql`${all}, ${option}`);
}
