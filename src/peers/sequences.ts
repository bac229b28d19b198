// Sequences of mirrored tables: which there are, where they stand, and setting the target's to match.
import { SluiceError, toSluiceError } from '../base/errors.ts';
import type { MirroredTable, MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import { ident, join, literal, quoteLiteral, quoteName, sql, trusted } from '../pg/sql.ts';
import { showTable, type Table, type TableName } from '../pg/table.ts';

/** How a column uses a sequence: identity and serial own it, a default may call any. */
export interface SequenceUse {
  readonly table: TableName;
  readonly column: string;
  readonly how: 'identity' | 'owned' | 'default';
}

/** A sequence with all its settings (https://www.postgresql.org/docs/18/catalog-pg-sequence.html); numbers are exact as text. */
export interface Sequence extends TableName {
  readonly oid: number;
  readonly type: string;
  readonly start: string;
  readonly increment: string;
  readonly min: string;
  readonly max: string;
  readonly cache: string;
  readonly cycle: boolean;
  /** Unlogged (15). */
  readonly unlogged?: boolean;
  /** As regclass prints it under an empty search_path: what stands in a default's `nextval('…'::regclass)`. */
  readonly regclass: string;
  readonly uses: readonly SequenceUse[];
}

/** Where a sequence stands: the next value is `last`, or the one after it if `called`. */
export interface SequenceValue {
  readonly last: bigint;
  readonly called: boolean;
}

/** All sequences that columns of these tables own or call in a default, each once, by name. */
export async function readSequences(
  db: Connection,
  tables: readonly Pick<Table, 'oid'>[],
): Promise<readonly Sequence[]> {
  const oids = tables.map((table) => table.oid);
  // A sequence depends on the column that owns it ('a', or 'i' for identity); a default depends on the sequence it calls.
  return await db.query<Sequence>(sql`
    with uses as (
      select d.objid as sequence, d.refobjid as table, d.refobjsubid as attnum,
        case d.deptype when 'i' then 'identity' else 'owned' end as how
      from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
        and d.refobjid = any(${oids}::oid[]) and d.refobjsubid > 0 and d.deptype in ('a', 'i')
      union all
      select d.refobjid, f.adrelid, f.adnum, 'default'
      from pg_catalog.pg_attrdef f join pg_catalog.pg_depend d
        on d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass and d.objid = f.oid
          and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      where f.adrelid = any(${oids}::oid[]))
    select c.oid, n.nspname::text as schema, c.relname::text as name,
      pg_catalog.format_type(s.seqtypid, null) as type, s.seqstart::text as start, s.seqincrement::text as increment,
      s.seqmin::text as min, s.seqmax::text as max, s.seqcache::text as cache, s.seqcycle as cycle, c.relpersistence = 'u' as unlogged,
      c.oid::pg_catalog.regclass::text as regclass,
      pg_catalog.json_agg(pg_catalog.json_build_object(
        'table', pg_catalog.json_build_object('schema', tn.nspname, 'name', t.relname),
        'column', a.attname, 'how', uses.how) order by uses.how, tn.nspname, t.relname, a.attnum) as uses
    from uses join pg_catalog.pg_sequence s on s.seqrelid = uses.sequence
    join pg_catalog.pg_class c on c.oid = s.seqrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    join pg_catalog.pg_class t on t.oid = uses.table join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = t.oid and a.attnum = uses.attnum
    group by c.oid, n.nspname, c.relname, s.seqrelid, s.seqtypid, s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
      s.seqcache, s.seqcycle, c.relpersistence
    order by n.nspname, c.relname`);
}

/** Whether the database has any sequence but those in this schema. */
export async function hasSequences(db: Connection, besides: string): Promise<boolean> {
  const { has } = await db.one<{ has: boolean }>(sql`select exists (select from pg_catalog.pg_class c
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'S' and n.nspname <> ${besides}) as has`);
  return has;
}

const sequencesPerTrip = 200;

/** Where each of these sequences stands now, by `showTable` of its name. Needs SELECT on them. */
export async function readSequenceValues(
  db: Connection,
  sequences: readonly TableName[],
): Promise<ReadonlyMap<string, SequenceValue>> {
  const values = new Map<string, SequenceValue>();
  for (let at = 0; at < sequences.length; at += sequencesPerTrip) {
    const some = sequences.slice(at, at + sequencesPerTrip);
    const each = some.map(
      (sequence, i) =>
        sql`select ${literal(i)} as place, last_value, is_called from ${ident(sequence.schema, sequence.name)}`,
    );
    const rows = await db.query<{ place: number; last_value: string; is_called: boolean }>(join(each, ' union all '));
    for (const row of rows) {
      const sequence = some[row.place];
      if (sequence === undefined) continue;
      values.set(showTable(sequence), { last: BigInt(row.last_value), called: row.is_called });
    }
  }
  return values;
}

/**
 * What a target's sequence must be set to, or null if it may stay. It never goes back: a value that was handed out is not
 * handed out again. Only a sequence that was never used takes the source's place wherever that is, and one that cycles
 * follows wherever the source goes.
 */
export function nextSetting(
  source: SequenceValue,
  target: SequenceValue,
  kind: { readonly increment: bigint; readonly cycle: boolean },
): SequenceValue | null {
  if (source.last === target.last && source.called === target.called) return null;
  if (kind.cycle || !target.called) return source;
  const ahead = kind.increment < 0n ? target.last - source.last : source.last - target.last;
  if (ahead === 0n) return source.called && !target.called ? source : null;
  return ahead > 0n ? source : null;
}

/** What a sequence of the target is to be set to. */
export interface SequenceSetting {
  readonly sequence: TableName;
  readonly value: SequenceValue;
}

/** A setting that the target did not take, and why. */
export interface Refused extends SequenceSetting {
  readonly error: SluiceError;
}

/**
 * Sets sequences, in one round trip for many; outside of a transaction. Durable as any other statement of the connection.
 * @returns those that the target refuses; all others are set
 * @throws `connection_lost`, and what may pass by itself
 */
export async function setSequences(
  target: Connection,
  settings: readonly SequenceSetting[],
): Promise<readonly Refused[]> {
  const refused: Refused[] = [];
  for (let at = 0; at < settings.length; at += sequencesPerTrip) {
    const some = settings.slice(at, at + sequencesPerTrip);
    if ((await trySet(target, some)) === null) continue;
    for (const each of some) {
      const error = await trySet(target, [each]);
      if (error !== null) refused.push({ ...each, error });
    }
  }
  return refused;
}

async function trySet(target: Connection, settings: readonly SequenceSetting[]): Promise<SluiceError | null> {
  const each = settings.map(({ sequence, value }) => {
    const name = trusted(quoteLiteral(quoteName(sequence.schema, sequence.name)));
    return sql`pg_catalog.setval(${name}::pg_catalog.regclass, ${literal(value.last)}, ${literal(value.called)})`;
  });
  try {
    await target.run(sql`select ${join(each)}`);
    return null;
  } catch (error) {
    const known = toSluiceError(error);
    if (target.lost.aborted || known.kind !== 'upstream' || known.retry === 'backoff') throw known;
    return known;
  }
}

/** A sequence of the source and the one that stands for it on the target. */
export interface SequencePair {
  readonly source: Sequence;
  readonly target: Sequence;
}

/**
 * Finds the target's sequence for each of the source's by the columns that use them, so that neither name nor schema has to
 * be the same. Where several columns share one on the source, the first pair counts for each target.
 */
export function pairSequences(
  tables: readonly Pick<MirroredTable, 'from' | 'to'>[],
  source: readonly Sequence[],
  target: readonly Sequence[],
): { readonly pairs: readonly SequencePair[]; readonly missing: readonly Sequence[] } {
  const key = (table: TableName, column: string) => JSON.stringify([table.schema, table.name, column]);
  const to = new Map(tables.map((table) => [showTable(table.from), table.to]));
  const byColumn = new Map<string, Sequence[]>();
  for (const sequence of target) {
    for (const use of sequence.uses) {
      const list = byColumn.get(key(use.table, use.column)) ?? [];
      if (!list.includes(sequence)) list.push(sequence);
      byColumn.set(key(use.table, use.column), list);
    }
  }
  const pairs: SequencePair[] = [];
  const missing: Sequence[] = [];
  for (const sequence of source) {
    const found = new Set<Sequence>();
    for (const use of sequence.uses) {
      const table = to.get(showTable(use.table));
      const there = table === undefined ? [] : (byColumn.get(key(table, use.column)) ?? []);
      // A column may own one and call another: then the name tells them apart.
      const same = there.length > 1 ? there.filter((each) => each.name === sequence.name) : there;
      for (const each of same) found.add(each);
    }
    if (found.size === 0) missing.push(sequence);
    for (const each of found) pairs.push({ source: sequence, target: each });
  }
  return { pairs, missing };
}

/**
 * Sets every sequence of the mirrored tables on the target to where the source's stands now.
 * @param tables the same tables, inspected on either side
 * @returns how many were moved, those of the source that the target has no counterpart for, and those that it refuses to set
 */
export async function moveSequences(
  sides: { readonly source: Connection; readonly target: Connection },
  mapping: readonly Pick<MirroredTable, 'from' | 'to'>[],
  tables: { readonly source: readonly Pick<Table, 'oid'>[]; readonly target: readonly Pick<Table, 'oid'>[] },
): Promise<{ readonly moved: number; readonly missing: readonly Sequence[]; readonly refused: readonly Refused[] }> {
  const there = await readSequences(sides.target, tables.target);
  const { pairs, missing } = pairSequences(mapping, await readSequences(sides.source, tables.source), there);
  const now = await readSequenceValues(
    sides.source,
    pairs.map((pair) => pair.source),
  );
  const before = await readSequenceValues(
    sides.target,
    pairs.map((pair) => pair.target),
  );
  const settings = pairs.flatMap(({ source, target }) => {
    const [from, at] = [now.get(showTable(source)), before.get(showTable(target))];
    if (from === undefined || at === undefined) throw new SluiceError('internal', 'a sequence without a value');
    const kind = { increment: BigInt(target.increment), cycle: target.cycle };
    const value = nextSetting(from, at, kind);
    return value === null ? [] : [{ sequence: target, value }];
  });
  const refused = await setSequences(sides.target, settings);
  return { moved: settings.length - refused.length, missing, refused };
}

/**
 * For the stream: keeps the target's sequences near the source's. Cheap enough to be called every few seconds.
 * @returns those that the target refuses to set
 */
export async function syncSequences(
  source: Connection,
  target: Connection,
  work: Pick<MirrorWork, 'tables'>,
): Promise<readonly Refused[]> {
  const from = await tableOids(
    source,
    work.tables.map((table) => table.from),
  );
  const to = await tableOids(
    target,
    work.tables.map((table) => table.to),
  );
  return (await moveSequences({ source, target }, work.tables, { source: from, target: to })).refused;
}

/** For people: which it is, and why; the same words for every value. */
export function refusedWords({ sequence, error }: Refused): string {
  const why = error.sqlstate === outOfRange ? 'its bounds do not hold that value' : error.message;
  return `sequence ${showTable(sequence)} of the target stays behind the source's: ${why}`;
}

// numeric_value_out_of_range
const outOfRange = '22003';

/** OIDs of the tables of these names, of those that there are. */
export async function tableOids(
  db: Connection,
  names: readonly TableName[],
): Promise<readonly { readonly oid: number }[]> {
  const schemas = names.map((name) => name.schema);
  const tables = names.map((name) => name.name);
  return await db.query<{ oid: number }>(sql`
    select c.oid from rows from (pg_catalog.unnest(${schemas}::text[]), pg_catalog.unnest(${tables}::text[])) as wanted(schema, name)
    join pg_catalog.pg_namespace n on n.nspname = wanted.schema
    join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = wanted.name and c.relkind in ('r', 'p')`);
}
