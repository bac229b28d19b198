// Which rows of some tables changed in a stretch of a slot's log: their keys, before and after, gathered in a table on the target.
import { toSluiceError } from '../base/errors.ts';
import { throwIfStopped } from '../base/retry.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import type { Connection } from '../pg/client.ts';
import type { Lsn } from '../pg/lsn.ts';
import { ident, join, literal, type Sql, sql, trusted } from '../pg/sql.ts';
import { type Column, showTable, type Table } from '../pg/table.ts';
import { looseType } from './apply-sql.ts';
import { messageOffset, walData } from './apply-walk.ts';
import { connectPeer } from './connect.ts';
import {
  type Change,
  cellEnd,
  cells,
  type Relation,
  readChange,
  readLength,
  readMessage,
  readUint64,
  tags,
} from './pgoutput.ts';
import { endWalsender } from './slot.ts';
import { ChangeStream } from './stream.ts';

/** A table whose changed rows are wanted. */
export interface KeyedTable {
  /** showTable of the source's name. */
  readonly name: string;
  /** OIDs of it and of its partitions: the stream may call its rows by either. */
  readonly oids: readonly number[];
  /** The columns that identify a row on the source. */
  readonly key: readonly string[];
  /** Changes of transactions that committed before are of no interest. */
  readonly from: Lsn;
}

/** Tables of which the stream does not tell all keys, with the reason; the keys of the others are complete. */
export type Untold = ReadonlyMap<string, string>;

export interface Stretch {
  readonly work: MirrorWork;
  readonly slot: string;
  readonly source: Connection;
  readonly target: Connection;
  readonly tables: readonly KeyedTable[];
  /** The slot's stream begins here. */
  readonly from: Lsn;
  /** Every transaction that committed before it is looked at. */
  readonly upTo: Lsn;
}

// In one round trip to the target.
const keysPerTrip = 2_000;
// A server that has nothing to send says how far it is when it is asked.
const askEveryMs = 250;

const gathered = ident('pg_temp', 'sluice_changed_keys');

/**
 * Reads the slot's stream without moving the slot and gathers the keys in a temporary table of the target's session. Keys may
 * be there more than once.
 * @returns null if the target does not grant temporary tables
 * @throws as ChangeStream, `stopped`
 */
export async function gatherChangedKeys(stretch: Stretch, signal: AbortSignal): Promise<Untold | null> {
  const { work, target, source } = stretch;
  try {
    await target.run(sql`drop table if exists ${gathered}`);
    await target.run(sql`create temporary table sluice_changed_keys (source_table text not null, key text[] not null)`);
  } catch (error) {
    if (toSluiceError(error).sqlstate === '42501') return null;
    throw error;
  }
  // A dead owner's may still hold it.
  await endWalsender(source, stretch.slot, signal);
  const use = { application: applicationName('keys', work), replication: 'database' } as const;
  await using connection = await connectPeer(work.source, use, signal);
  let wake = () => {};
  await using stream = await ChangeStream.start(connection, {
    slot: stretch.slot,
    publication: work.publication.name,
    from: stretch.from,
    binary: false,
    blocks: null,
    onChange: () => wake(),
  });
  const reader = new KeyReader(stretch.tables, stretch.upTo);
  while (!reader.ended) {
    throwIfStopped(signal);
    const chunk = stream.take();
    if (chunk !== undefined) {
      reader.read(chunk);
      if (reader.waiting >= keysPerTrip) await write(target, reader.take());
      continue;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        stream.ask();
        resolve();
      }, askEveryMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  await write(target, reader.take());
  return reader.untold;
}

/** A key as the stream's text has it: one value for each column. */
export type Key = readonly string[];

async function write(target: Connection, keys: readonly (readonly [string, Key])[]): Promise<void> {
  for (let at = 0; at < keys.length; at += keysPerTrip) {
    const rows = keys.slice(at, at + keysPerTrip).map(([table, key]) => ({ table, key }));
    await target.run(sql`insert into ${gathered} (source_table, key)
      select k."table", k.key from pg_catalog.json_to_recordset(${JSON.stringify(rows)}::json) as k("table" text, key text[])`);
  }
}

interface Keyed {
  readonly table: KeyedTable;
  /** Places of the key's columns in the relation's rows. */
  readonly places: readonly number[];
}

/** Reads frames of the stream and keeps keys. */
export class KeyReader {
  readonly #tables = new Map<number, KeyedTable>();
  readonly #upTo: Lsn;
  readonly #relations = new Map<number, Keyed>();
  readonly #untold = new Map<string, string>();
  #keys = new Map<string, readonly [string, Key]>();
  /** Commit position of the open transaction. */
  #begin: Lsn | null = null;
  #ended = false;

  constructor(tables: readonly KeyedTable[], upTo: Lsn) {
    for (const table of tables) for (const oid of table.oids) this.#tables.set(oid, table);
    this.#upTo = upTo;
  }

  /** Whether every transaction that committed before `upTo` was read. */
  get ended(): boolean {
    return this.#ended;
  }

  get untold(): Untold {
    return this.#untold;
  }

  /** Keys that wait to be taken. */
  get waiting(): number {
    return this.#keys.size;
  }

  take(): readonly (readonly [string, Key])[] {
    const taken = [...this.#keys.values()];
    this.#keys = new Map();
    return taken;
  }

  /** @param chunk whole CopyData frames */
  read(chunk: Buffer): void {
    let next = 0;
    while (next < chunk.length && !this.#ended) {
      const frame = next;
      next += readLength(chunk, frame + 1) + 1;
      if (chunk[frame + 5] === walData) this.#message(chunk, frame + messageOffset, next);
      // A keepalive between transactions: all that committed before it was sent.
      else if (this.#begin === null && readUint64(chunk, frame + 6) >= this.#upTo) this.#ended = true;
    }
  }

  #message(chunk: Buffer, at: number, end: number): void {
    switch (chunk[at]) {
      case tags.begin:
        this.#begin = readUint64(chunk, at + 1);
        // Transactions come in the order of their commits.
        if (this.#begin >= this.#upTo) this.#ended = true;
        return;
      case tags.commit:
        this.#begin = null;
        return;
      case tags.relation:
        this.#meet(readMessage(chunk, at, end) as Relation);
        return;
      case tags.insert:
      case tags.update:
      case tags.delete:
        this.#change(readChange(chunk, at), chunk);
        return;
      case tags.truncate: {
        const message = readMessage(chunk, at, end);
        for (const oid of message.kind === 'truncate' ? message.relations : [])
          this.#leave(this.#tables.get(oid), 'it was truncated');
        return;
      }
      default:
    }
  }

  #leave(table: KeyedTable | undefined, reason: string): void {
    if (table !== undefined && !this.#isBefore(table)) this.#untold.set(table.name, reason);
  }

  #isBefore(table: KeyedTable): boolean {
    return this.#begin !== null && this.#begin < table.from;
  }

  #meet(relation: Relation): void {
    const table = this.#tables.get(relation.oid);
    if (table === undefined) return;
    const places = table.key.map((name) => relation.columns.findIndex((column) => column.name === name && column.key));
    this.#relations.set(relation.oid, { table, places });
  }

  #change(change: Change, chunk: Buffer): void {
    const keyed = this.#relations.get(change.relation);
    if (keyed === undefined || this.#isBefore(keyed.table) || this.#untold.has(keyed.table.name)) return;
    const { table, places } = keyed;
    if (places.includes(-1)) {
      this.#leave(table, 'its key changed');
      return;
    }
    const old = change.kind === 'insert' || change.old < 0 ? null : keyAt(chunk, change.old, places);
    if (old !== null) this.#keep(table, old);
    if (change.kind === 'delete') return;
    // A long value that did not change is left out of the new row; the old one has it then.
    this.#keep(
      table,
      keyAt(chunk, change.row, places).map((value, i) => value ?? old?.[i] ?? null),
    );
  }

  #keep(table: KeyedTable, values: readonly (string | null)[]): void {
    const key = values.filter((value) => value !== null);
    if (key.length < values.length) this.#leave(table, 'a change did not tell its key');
    else this.#keys.set(JSON.stringify([table.name, key]), [table.name, key]);
  }
}

// Null: the cell is null or left out.
function keyAt(chunk: Buffer, row: number, places: readonly number[]): readonly (string | null)[] {
  const found = places.map((): string | null => null);
  let at = row + 2;
  for (let index = 0, left = chunk.readUInt16BE(row); left > 0; index++, left--) {
    const place = places.indexOf(index);
    const kind = chunk[at];
    if (place >= 0 && kind !== cells.null && kind !== cells.unchanged)
      found[place] = chunk.toString('utf8', at + 5, at + 5 + readLength(chunk, at + 1));
    at = cellEnd(chunk, at);
  }
  return found;
}

/** The tables that have gathered keys. */
export async function changedTables(target: Connection): Promise<ReadonlySet<string>> {
  const rows = await target.query<{ name: string }>(sql`select distinct source_table as name from ${gathered}`);
  return new Set(rows.map(({ name }) => name));
}

/** Which rows of a target table are meant. */
export interface ChangedRows {
  readonly name: string;
  readonly to: Table;
  readonly key: readonly Column[];
}

// DECLARE takes no parameters.
const keysOf = (name: string) => sql`select distinct key from ${gathered} where source_table = ${literal(name)}`;

/** Deletes the rows with gathered keys; gives how many there were. In the caller's transaction. */
export async function deleteChangedRows(target: Connection, { name, to, key }: ChangedRows): Promise<number> {
  const rows = to.kind === 'p' ? ident(to.schema, to.name) : sql`only ${ident(to.schema, to.name)}`;
  const same = key.map(
    (column, i) => sql`t.${ident(column.name)} = (k.key[${trusted(String(i + 1))}])::${keyType(column)}`,
  );
  const { rowCount } = await target.run(
    sql`delete from ${rows} t using (${keysOf(name)}) k where ${join(same, ' and ')}`,
  );
  return rowCount;
}

/** The gathered keys of a table, so many at a time, once each. In the caller's transaction. */
export async function* changedKeys(target: Connection, name: string, atOnce: number): AsyncGenerator<readonly Key[]> {
  await target.run(sql`declare sluice_keys no scroll cursor for ${keysOf(name)}`);
  for (;;) {
    const rows = await target.query<{ key: Key }>(sql`fetch ${trusted(String(atOnce))} from sluice_keys`);
    if (rows.length === 0) break;
    yield rows.map(({ key }) => key);
  }
  await target.run(sql`close sluice_keys`);
}

/** A condition of a query on the source: the row's key is one of these. Values stand in it, as COPY takes no parameters. */
export function keyIsOneOf(key: readonly Column[], keys: readonly Key[]): Sql {
  const columns = join(key.map((column) => ident(column.name)));
  const values = key.map((column, i) => sql`(k.value ->> ${trusted(String(i))})::${keyType(column)}`);
  return sql`(${columns}) in (select ${join(values)} from pg_catalog.json_array_elements(${literal(JSON.stringify(keys))}::json) as k(value))`;
}

const keyType = (column: Column) => trusted(looseType(column.type.text));

/** Whether equal keys are found equal on both sides, by operators that are in reach: of built-in types, enums and domains. */
export function comparesAlike(source: Column, target: Column): boolean {
  const { type } = source;
  const collation = (column: Column) => (column.collation === null ? '' : showTable(column.collation));
  return (
    (type.builtin || type.kind === 'e' || type.kind === 'd') &&
    type.text === target.type.text &&
    collation(source) === collation(target)
  );
}
