// A table that stands on the target becomes a partition: as it is, with other columns, or made anew.
import type { Connection } from '../pg/client.ts';
import { ident, type Sql, sql, trusted } from '../pg/sql.ts';
import type { TableName } from '../pg/table.ts';
import { attachPartition } from './ddl.ts';

/** One way to do it: all of its steps, or none. */
export interface AttachWay {
  /** But for `as it is`, rows of it are gone. */
  readonly kind: 'as it is' | 'fitted' | 'made anew';
  readonly steps: readonly Sql[];
}

/** What stands there by the name of the partition. */
export interface Found {
  readonly oid: number;
  readonly kind: string;
  /** Null: it is no partition. */
  readonly parent: TableName | null;
  readonly bound: string | null;
}

/** Any relation of the target by that name; null: there is none. */
export async function findByName(target: Connection, { schema, name }: TableName): Promise<Found | null> {
  const [row] = await target.query<Found>(sql`select c.oid, c.relkind::text as kind,
      pg_catalog.pg_get_expr(c.relpartbound, c.oid) as bound, (
        select pg_catalog.json_build_object('schema', pn.nspname, 'name', p.relname) from pg_catalog.pg_inherits i
        join pg_catalog.pg_class p on p.oid = i.inhparent join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
        where i.inhrelid = c.oid and c.relispartition) as parent
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = ${schema} and c.relname = ${name}`);
  return row ?? null;
}

export interface AttachWish {
  readonly to: TableName;
  readonly parent: TableName;
  readonly bound: string;
  /** pg_get_partkeydef, if it has partitions itself. */
  readonly key: string | null;
}

/** The statement that makes the partition, which is not there. */
export function makePartition({ to, parent, bound, key }: AttachWish): Sql {
  const below = key === null ? sql`` : sql` partition by ${trusted(key)}`;
  return sql`create table ${named(to)} partition of ${named(parent)} ${trusted(bound)}${below}`;
}

/** Ways to do it with a table whose rows all come again, the one that changes the least first. */
export async function waysToAttach(
  target: Connection,
  wish: AttachWish,
  of: {
    readonly found: Found;
    /** It has every row that the source's had there. */
    readonly whole: boolean;
  },
): Promise<readonly AttachWay[]> {
  const { found, whole } = of;
  const { to, parent, key } = wish;
  const asItIs: AttachWay = { kind: 'as it is', steps: [attachPartition(parent, to, wish)] };
  const anew: AttachWay = { kind: 'made anew', steps: [sql`drop table ${named(to)}`, makePartition(wish)] };
  // Not with the partitions that it had: those may be others by now.
  if ((key !== null) !== (found.kind === 'p')) return [anew];
  const fitted: AttachWay = { kind: 'fitted', steps: await fittedSteps(target, wish) };
  return key === null || whole ? [asItIs, fitted, anew] : [anew, asItIs, fitted];
}

// Emptied, and given the columns that its table has.
async function fittedSteps(target: Connection, wish: AttachWish): Promise<readonly Sql[]> {
  const { to, parent } = wish;
  const [own, wanted] = [await columnsOf(target, to), await columnsOf(target, parent)];
  const alter = sql`alter table ${named(to)}`;
  const steps: Sql[] = [sql`delete from ${named(to)}`];
  const isKept = (column: AttachedColumn) => wanted.some((each) => isAlike(each, column));
  for (const column of own.filter((each) => !isKept(each))) steps.push(sql`${alter} drop column ${ident(column.name)}`);
  for (const column of wanted) {
    const there = own.find((each) => isAlike(each, column));
    if (there === undefined) steps.push(sql`${alter} add column ${addedColumn(column)}`);
    else if (column.notNull && !there.notNull)
      steps.push(sql`${alter} alter column ${ident(column.name)} set not null`);
    if (there?.identity) steps.push(sql`${alter} alter column ${ident(column.name)} drop identity`);
  }
  steps.push(...(await missingChecks(target, wish)), attachPartition(parent, to, wish));
  return steps;
}

interface AttachedColumn {
  readonly name: string;
  readonly type: string;
  /** Null: the type's own. */
  readonly collation: TableName | null;
  readonly notNull: boolean;
  readonly identity: boolean;
  /** `''`, `s` or `v`. */
  readonly generated: string;
  /** Of a generated one. */
  readonly expression: string | null;
}

async function columnsOf(target: Connection, of: TableName): Promise<readonly AttachedColumn[]> {
  return await target.query<AttachedColumn>(sql`
    select a.attname::text as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type, a.attnotnull as "notNull",
      a.attidentity <> '' as identity, a.attgenerated::text as generated,
      case when a.attgenerated <> '' then pg_catalog.pg_get_expr(d.adbin, d.adrelid) end as expression,
      (select pg_catalog.json_build_object('schema', cn.nspname, 'name', co.collname) from pg_catalog.pg_collation co
        join pg_catalog.pg_namespace cn on cn.oid = co.collnamespace join pg_catalog.pg_type t on t.oid = a.atttypid
        where co.oid = a.attcollation and a.attcollation <> t.typcollation) as collation
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where n.nspname = ${of.schema} and c.relname = ${of.name} order by a.attnum`);
}

function isAlike(a: AttachedColumn, b: AttachedColumn): boolean {
  const text = ({ name, type, collation, generated, expression }: AttachedColumn) =>
    JSON.stringify([name, type, collation, generated, expression]);
  return text(a) === text(b);
}

// It is empty: what the table says of its columns may be said at once.
function addedColumn({ name, type, collation, notNull, generated, expression }: AttachedColumn): Sql {
  const kind = generated === 's' ? 'stored' : 'virtual';
  const computed = generated === '' ? '' : ` generated always as (${expression}) ${kind}`;
  const collate = collation === null ? sql`` : sql` collate ${named(collation)}`;
  return sql`${ident(name)} ${trusted(type)}${collate}${trusted(computed)}${trusted(notNull ? ' not null' : '')}`;
}

// Those that a partition must have, too.
async function missingChecks(target: Connection, { to, parent }: AttachWish): Promise<readonly Sql[]> {
  const of = ({ schema, name }: TableName) => sql`(select c.oid from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema} and c.relname = ${name})`;
  const rows = await target.query<{ name: string; definition: string; other: boolean }>(sql`
    select k.conname::text as name, pg_catalog.pg_get_constraintdef(k.oid) as definition, own.oid is not null as other
    from pg_catalog.pg_constraint k
    left join pg_catalog.pg_constraint own on own.conrelid = ${of(to)} and own.conname = k.conname
    where k.conrelid = ${of(parent)} and k.contype = 'c' and not k.connoinherit
      and (own.oid is null or pg_catalog.pg_get_constraintdef(own.oid) <> pg_catalog.pg_get_constraintdef(k.oid))`);
  return rows.flatMap(({ name, definition, other }) => [
    ...(other ? [sql`alter table ${named(to)} drop constraint ${ident(name)}`] : []),
    sql`alter table ${named(to)} add constraint ${ident(name)} ${trusted(definition.replace(/ NOT VALID$/, ''))}`,
  ]);
}

/** A name that nothing of the target's schema has, for what is in the way. */
export async function freeName(target: Connection, { schema, name }: TableName): Promise<string> {
  const rows = await target.query<{ name: string }>(sql`select c.relname::text as name from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace where n.nspname = ${schema}
    union all select t.typname::text from pg_catalog.pg_type t
    join pg_catalog.pg_namespace n on n.oid = t.typnamespace where n.nspname = ${schema}`);
  const taken = new Set(rows.map((row) => row.name));
  const base = Buffer.byteLength(name) > 50 ? 'table' : name;
  let free = `${base}_own`;
  for (let n = 2; taken.has(free); n++) free = `${base}_own_${n}`;
  return free;
}

function named({ schema, name }: TableName): Sql {
  return ident(schema, name);
}
