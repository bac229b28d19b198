// Labels that the source's enums have and the target's lack: statements that give them, and where one change is told, which it was. Pure but for the look.
import type { Connection } from '../pg/client.ts';
import { ident, literal, type Sql, sql, trusted } from '../pg/sql.ts';
import { showTable, type TableName } from '../pg/table.ts';
import { findTypes } from './inspect-schema.ts';
import { readTypes } from './inspect-types.ts';
import type { KnownLabels } from './known-labels.ts';
import type { EnumSides, LabelStep, SourceLabel } from './label-drift.ts';

/** An enum of both sides that differs, by its name on the target. */
export interface EnumPair extends TableName {
  readonly source: readonly string[];
  readonly target: readonly string[];
}

/** Enums that columns of these tables are made of, if the target has them. `known`: what is remembered of them, if anything may be. */
export async function readEnums(
  db: { readonly source: Connection; readonly target: Connection },
  tables: readonly TableName[],
  of: { readonly schemaOnTarget: (schema: string) => string; readonly known: KnownLabels | null },
): Promise<readonly EnumSides[]> {
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
  const found = [...facts.values()].filter((type) => type.kind === 'e');
  if (found.length === 0) return [];
  const labels = await readLabels(
    db.source,
    found.map((type) => type.oid),
  );
  const source = found.map(({ oid, schema, name }) => ({ oid, schema: of.schemaOnTarget(schema), name }));
  const target = new Map((await findTypes(db.target, source)).map((type) => [showTable(type), type]));
  return source.flatMap((type): EnumSides[] => {
    const there = target.get(showTable(type))?.labels;
    if (there == null) return [];
    return [{ ...type, source: labels.get(type.oid) ?? [], target: there, known: of.known?.get(type.oid) ?? null }];
  });
}

// OIDs begin anew at their end, hence the remainder. A new name is a new row of the catalog.
async function readLabels(db: Connection, types: readonly number[]): Promise<ReadonlyMap<number, SourceLabel[]>> {
  const rows = await db.query<Record<keyof SourceLabel | 'type', unknown> & { readonly label: string }>(sql`
    select e.enumtypid as type, e.oid as oid, e.enumlabel::text as label,
      ((e.oid::bigint - e.enumtypid::bigint + 4294967296) % 4294967296)::float8 as made,
      pg_catalog.age(e.xmin)::float8 as named
    from pg_catalog.pg_enum e where e.enumtypid = any(${[...types]}::oid[]) order by e.enumtypid, e.enumsortorder`);
  const labels = new Map<number, SourceLabel[]>(types.map((oid) => [oid, []]));
  for (const { type, oid, label, made, named } of rows) {
    labels.get(Number(type))?.push({ oid: Number(oid), label, made: Number(made), named: Number(named) });
  }
  return labels;
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
  return found.map(({ label, to }) => labelChange(pair, { kind: 'rename', from: label, to }));
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
  const [first] = pair.target;
  return pair.source.flatMap((label, i): LabelChange[] => {
    if (pair.target.includes(label)) return [];
    const before = pair.source[i - 1];
    const beginning = first === undefined ? null : ({ side: 'before', of: first } as const);
    const place = before === undefined ? beginning : ({ side: 'after', of: before } as const);
    return [labelChange(pair, { kind: 'add', label, place })];
  });
}

/** A step in words, and the statement that makes it. */
export function labelChange(type: TableName, step: LabelStep): LabelChange {
  const alter = sql`alter type ${ident(type.schema, type.name)}`;
  if (step.kind === 'rename') {
    return {
      what: `label '${step.from}' of type ${showTable(type)} renamed to '${step.to}'`,
      statement: sql`${alter} rename value ${literal(step.from)} to ${literal(step.to)}`,
    };
  }
  const { label, place } = step;
  const at = place === null ? sql`` : sql` ${trusted(place.side)} ${literal(place.of)}`;
  return {
    what: `label '${label}' of type ${showTable(type)} added`,
    statement: sql`${alter} add value ${literal(label)}${at}`,
  };
}
