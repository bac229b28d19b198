// A table whose new values are not in the log and whose rows cannot be told apart: read whole once more, as of a later place of the log.
import { randomBytes } from 'node:crypto';
import { SluiceError } from '../base/errors.ts';
import { applicationName, type MirroredTable, type MirrorWork } from '../mirror/work.ts';
import { connectPeer } from '../peers/connect.ts';
import { inspectTables } from '../peers/inspect.ts';
import type { Relation } from '../peers/pgoutput.ts';
import { createSlotWithSnapshot } from '../peers/slot.ts';
import { readTree, type SeenTree } from '../peers/told-tree.ts';
import type { Connection } from '../pg/client.ts';
import { relayCopy } from '../pg/copy.ts';
import type { Lsn } from '../pg/lsn.ts';
import { ident, join, literal, names, onlyOf, sql, trusted } from '../pg/sql.ts';
import type { Table, TableName } from '../pg/table.ts';
import { altered, holdTable } from './hold.ts';
import { look, type Seen, type SeenAttribute } from './look.ts';

/** The source's table as of one place of its log. */
export interface LaterTable {
  readonly lsn: Lsn;
  readonly table: Table;
  readonly now: Seen;
  readonly own: readonly SeenAttribute[];
  /** As the stream would say it there. */
  readonly relation: Relation;
  readonly types: readonly string[];
  /** Null: it is not partitioned. */
  readonly tree: SeenTree | null;
}

/**
 * Calls `work` with the table as of now and a connection that sees exactly that. Every commit before `lsn` is in it, none at or
 * after it is. Waits for transactions that are open on the source.
 */
export async function withLaterTable<T>(
  work: MirrorWork,
  of: {
    readonly mirrored: MirroredTable;
    readonly oid: number;
    readonly xid: number;
    /** A connection that sees what is there now. */
    readonly source: Connection;
  },
  use: (later: LaterTable, source: Connection) => Promise<T>,
): Promise<T> {
  const application = applicationName('fetch', work);
  await using repl = await connectPeer(work.source, { application, replication: 'database' });
  const name = `sluice_copy_${work.id.replaceAll('-', '').slice(0, 12)}_${randomBytes(4).toString('hex')}`;
  const { lsn, snapshot } = await createSlotWithSnapshot(repl, name, { temporary: true });
  await using source = await connectPeer(work.source, { application });
  await source.run(sql`begin isolation level repeatable read read only`);
  await source.run(sql`set transaction snapshot ${literal(snapshot)}`);
  const nothing: Relation = { kind: 'relation', ...of.mirrored.from, oid: of.oid, identity: 'd', columns: [] };
  const { table: now, own } = await look(source, { oid: of.oid, xid: of.xid, relation: nothing });
  const [table] = now === null ? [] : await inspectTables(source, [now], { sizes: false });
  if (table === undefined || now === null) {
    throw new SluiceError('source_changed', 'a table of the source is gone that was there a moment ago');
  }
  // What TRUNCATE and ALTER TABLE write anew, an older snapshot does not see: none may come from here on, nor have come since.
  const plain = table.columns.filter((column) => column.generated === '');
  await holdTable(
    source,
    table,
    plain.map(({ name }) => name).filter((name) => !of.mirrored.exclude.includes(name)),
  );
  const tree = await readTree(source, of.oid);
  const present = await look(of.source, { oid: of.oid, xid: of.xid, relation: nothing });
  if (JSON.stringify([present.table, present.own]) !== JSON.stringify([now, own])) {
    throw altered(table);
  }
  const columns = plain.map((column) => ({ name: column.name, key: false, type: column.type.oid, typmod: -1 }));
  const types = plain.map((column) => column.type.text);
  return await use({ lsn, table, now, own, relation: { ...nothing, columns }, types, tree }, source);
}

/** Empties the target's table, whoever refers to it. */
export async function emptyTable(target: Connection, to: Table): Promise<void> {
  await target.run(sql`delete from ${onlyOf(to)}${named(to)}`);
}

const named = (of: TableName) => ident(of.schema, of.name);

/** Inside the target's open transaction, into the empty table. */
export async function copyAnew(
  db: { readonly source: Connection; readonly target: Connection },
  of: {
    readonly mirrored: MirroredTable;
    readonly table: Table;
    readonly columns: readonly string[];
    readonly to: Table;
    /** OIDs of the partitions that have rows for it: a query finds those, too, that were attached after its snapshot. */
    readonly leaves?: readonly number[] | undefined;
  },
): Promise<number> {
  const { mirrored, table, to } = of;
  const rows = sql`${onlyOf(table)}${named(table)} as ${ident(mirrored.from.name)}`;
  // The newline ends a comment that the predicate may end with.
  const conditions = [
    ...(mirrored.where === null ? [] : [sql`(${trusted(`${mirrored.where}\n`)})`]),
    ...(of.leaves === undefined
      ? []
      : [sql`${ident(mirrored.from.name)}.tableoid = any(${literal(`{${of.leaves.join()}}`)}::pg_catalog.oid[])`]),
  ];
  const where = conditions.length === 0 ? sql`` : sql` where ${join(conditions, ' and ')}`;
  const list = names(of.columns);
  const relay = {
    ...db,
    sourceSql: sql`copy (select ${list} from ${rows}${where}) to stdout`,
    targetSql: sql`copy ${named(to)} (${list}) from stdin`,
  };
  return (await relayCopy(relay)).rows;
}
