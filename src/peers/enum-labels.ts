// Labels that the source's enums have and the target's lack: statements that give them, told apart from labels that got another name. Pure but for the look.
import type { Connection } from '../pg/client.ts';
import { ident, literal, type Sql, sql } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { findTypes, readTypeDefinitions } from './inspect-schema.ts';
import { readTypes } from './inspect-types.ts';

/** An enum of both sides that differs, by its name on the target. */
export interface EnumPair extends TableName {
  readonly source: readonly string[];
  readonly target: readonly string[];
}

/** Enums that columns of these tables are made of, and that are not the same on the target. */
export async function differingEnums(
  db: { readonly source: Connection; readonly target: Connection },
  tables: readonly TableName[],
  schemaOnTarget: (schema: string) => string = (schema) => schema,
): Promise<readonly EnumPair[]> {
  const [schemas, names] = [tables.map((each) => each.schema), tables.map((each) => each.name)];
  const types = await db.source.query<{ oid: number }>(sql`
    select distinct a.atttypid as oid
    from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${names}::text[])) as wanted(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = wanted.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped`);
  const facts = await readTypes(
    db.source,
    types.map((each) => each.oid),
  );
  const enums = [...facts.values()].filter((type) => type.kind === 'e').map((type) => type.oid);
  const found = await readTypeDefinitions(db.source, enums);
  const source = found.map((type) => ({ ...type, schema: schemaOnTarget(type.schema) }));
  const target = new Map((await findTypes(db.target, source)).map((type) => [showTable(type), type]));
  return source.flatMap((type): EnumPair[] => {
    const there = target.get(showTable(type))?.labels;
    if (there == null || type.labels === null || type.labels.join('\0') === there.join('\0')) return [];
    return [{ schema: type.schema, name: type.name, source: type.labels, target: there }];
  });
}

export interface LabelChange {
  readonly what: string;
  readonly statement: Sql;
}

/** A label is never dropped, so one that the source does not have has another name there. */
export function renamedLabels(pair: EnumPair): readonly LabelChange[] {
  const lost = pair.target.filter((label) => !pair.source.includes(label));
  const fresh = pair.source.filter((label) => !pair.target.includes(label));
  // In the same order, if none came with them; else each is between the same neighbours.
  const found = lost.flatMap((label, i) => {
    const to = lost.length === fresh.length ? fresh[i] : between(pair, label);
    return to === undefined ? [] : [{ label, to }];
  });
  return found.map(({ label, to }) => ({
    what: `label '${label}' of type ${showTable(pair)} renamed to '${to}'`,
    statement: sql`alter type ${ident(pair.schema, pair.name)} rename value ${literal(label)} to ${literal(to)}`,
  }));
}

function between({ source, target }: EnumPair, label: string): string | undefined {
  const at = target.indexOf(label);
  const start = at === 0 ? 0 : source.indexOf(target[at - 1] ?? '') + 1;
  const end = at === target.length - 1 ? source.length : source.indexOf(target[at + 1] ?? '');
  return end - start === 1 ? source[start] : undefined;
}

/** The labels that are new, each after the one that the source has before it; none while one may have another name. */
export function addedLabels(pair: EnumPair): readonly LabelChange[] {
  if (pair.target.some((label) => !pair.source.includes(label))) return [];
  const type = ident(pair.schema, pair.name);
  const [first] = pair.target;
  return pair.source.flatMap((label, i): LabelChange[] => {
    if (pair.target.includes(label)) return [];
    const before = pair.source[i - 1];
    const place =
      before !== undefined
        ? sql` after ${literal(before)}`
        : first !== undefined
          ? sql` before ${literal(first)}`
          : sql``;
    return [
      {
        what: `label '${label}' of type ${showTable(pair)} added`,
        statement: sql`alter type ${type} add value ${literal(label)}${place}`,
      },
    ];
  });
}
