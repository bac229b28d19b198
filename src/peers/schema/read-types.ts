// Types of every kind: enums, composites, domains, ranges, base types with their functions, and shells that were never completed.
import { isArray } from '../../pg/array-type.ts';
import type { Connection } from '../../pg/client.ts';
import { ident, join, type Sql, sql, trusted } from '../../pg/sql.ts';
import { alteredComposite, alteredDomain } from '../altered-types.ts';
import { missingLabels } from '../ddl-fit.ts';
import { createType } from '../ddl-types.ts';
import { readTypeDefinitions, type TypeDefinition } from '../inspect-schema.ts';
import { type Entity, entity } from './entity.ts';
import { isUsers, type ServerFacts } from './facts.ts';

interface TypeRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'b' | 'c' | 'd' | 'e' | 'r' | 'p';
  readonly defined: boolean;
  /** CREATE TYPE's options, for base types; values as SQL. */
  readonly options: readonly (readonly [name: string, value: string])[] | null;
}

const routine = (column: string) =>
  trusted(`case when t.${column}::oid <> 0 then (select pg_catalog.quote_ident(fn.nspname) || '.' || pg_catalog.quote_ident(f.proname)
    from pg_catalog.pg_proc f join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace where f.oid = t.${column}) end`);

/** https://www.postgresql.org/docs/18/catalog-pg-type.html and sql-createtype.html */
export async function readAllTypes(db: Connection, facts: ServerFacts): Promise<readonly Entity[]> {
  if (!facts.holds.has('pg_type')) return [];
  const rows = await db.query<TypeRow>(sql`
    select t.oid, n.nspname::text as schema, t.typname::text as name, t.typtype::text as kind, t.typisdefined as defined,
      case when t.typtype = 'b' then (select pg_catalog.json_agg(pg_catalog.json_build_array(each.name, each.value) order by each.place)
        from (values
          (1, 'input', ${routine('typinput')}), (2, 'output', ${routine('typoutput')}),
          (3, 'receive', ${routine('typreceive')}), (4, 'send', ${routine('typsend')}),
          (5, 'typmod_in', ${routine('typmodin')}), (6, 'typmod_out', ${routine('typmodout')}),
          (7, 'analyze', ${routine('typanalyze')}), (8, 'subscript', ${routine('typsubscript')}),
          (9, 'internallength', case when t.typlen = -1 then 'variable' else t.typlen::text end),
          (10, 'passedbyvalue', case when t.typbyval then '' end),
          (11, 'alignment', case t.typalign when 'c' then 'char' when 's' then 'int2' when 'i' then 'int4' else 'double' end),
          (12, 'storage', case t.typstorage when 'e' then 'external' when 'x' then 'extended' when 'm' then 'main' else 'plain' end),
          (13, 'category', pg_catalog.quote_literal(t.typcategory::text)),
          (14, 'preferred', case when t.typispreferred then 'true' end),
          (15, 'default', coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), pg_catalog.quote_literal(t.typdefault))),
          (16, 'element', case when t.typelem <> 0 then pg_catalog.format_type(t.typelem, null) end),
          (17, 'delimiter', pg_catalog.quote_literal(t.typdelim::text)),
          (18, 'collatable', case when t.typcollation <> 0 then 'true' end)) as each(place, name, value)
        where each.value is not null) end as options
    from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    left join pg_catalog.pg_class c on c.oid = t.typrelid
    where t.typtype in ('b', 'c', 'd', 'e', 'r', 'p') and (c.oid is null or c.relkind = 'c')
      and not ${trusted(isArray('t'))}
      and ${isUsers(facts, 'pg_type', 't', 'n')}
    order by n.nspname, t.typname`);
  const definitions = new Map(
    (
      await readTypeDefinitions(
        db,
        rows.map(({ oid }) => oid),
      )
    ).map((each) => [each.oid, each]),
  );
  return rows.map((row) => {
    const { oid, schema, name, defined } = row;
    const named = { id: `pg_type:${oid}`, kind: 'type' as const, schema, name };
    const shell = sql`create type ${ident(schema, name)}`;
    if (!defined) return entity({ ...named, statements: [[shell]], hollow: true });
    if (row.options !== null) return entity({ ...named, statements: [[createBase(row, row.options)]], shell });
    const definition = definitions.get(oid);
    const statements = definition === undefined ? null : createType(definition);
    if (definition === undefined || statements === null) return entity({ ...named, statements: [] });
    const canonical = (definition.range?.canonical ?? null) !== null;
    return entity({
      ...{ ...named, statements: [statements] },
      ...(canonical ? { shell } : {}),
      ...alterable(definition),
      ...(definition.labels === null
        ? {}
        : { labels: definition.labels, mend: (there: Entity) => mendLabels(definition, there) }),
    });
  });
}

function alterable(mine: TypeDefinition): Pick<Entity, 'type' | 'alter'> {
  const { composite, domain } = mine;
  if (composite !== null) {
    const alter: Entity['alter'] = (_there, before) =>
      before?.composite ? alteredComposite(mine, before.composite.attributes, composite.attributes) : undefined;
    return { type: { composite, domain }, alter };
  }
  if (domain === null) return {};
  const alter: Entity['alter'] = ({ type }, before) =>
    type?.domain
      ? alteredDomain(mine, { there: type.domain, before: before?.domain ?? domain, now: domain })
      : undefined;
  return { type: { composite, domain }, alter };
}

function createBase({ schema, name }: TypeRow, options: NonNullable<TypeRow['options']>): Sql {
  const list = options.map(([option, value]) =>
    value === '' ? trusted(option) : sql`${trusted(option)} = ${trusted(value)}`,
  );
  return sql`create type ${ident(schema, name)} (${join(list)})`;
}

// More labels than the source's are no harm; missing ones are added in their places.
function mendLabels(mine: TypeDefinition, there: Entity): readonly (readonly Sql[])[] | undefined {
  const { labels } = there;
  if (labels === undefined) return undefined;
  const missing = missingLabels(mine, { ...mine, labels });
  // One by one: each may stand before or after one that was added.
  return missing.map((statement) => [trusted(statement.replace(/;$/, ''))]);
}
