// A mirror's stream by itself: tables on both sides, publication, slot and checkpoint, and runCdc in this process.
import { randomUUID } from 'node:crypto';
import { silentLog } from '../../src/base/log.ts';
import { readOptions } from '../../src/base/options.ts';
import type { Spill } from '../../src/base/spill.ts';
import type { AppliedBatch, CdcReport } from '../../src/cdc/report.ts';
import { runCdc } from '../../src/cdc/run.ts';
import type { Conflict } from '../../src/mirror/conflict.ts';
import { type ObjectLine, objectKey } from '../../src/mirror/object.ts';
import { mirrorOptions } from '../../src/mirror/options.ts';
import { withTableChanges } from '../../src/mirror/table-change.ts';
import { type MirroredTable, type MirrorWork, type ObjectScope, withSchemas } from '../../src/mirror/work.ts';
import {
  advanceCheckpoint,
  beginCopiedTable,
  claimCheckpoint,
  ensureCheckpointTables,
  finishCopiedTable,
} from '../../src/peers/checkpoint.ts';
import type { SchemaChange } from '../../src/peers/schema-changes.ts';
import { type Lsn, parseLsn } from '../../src/pg/lsn.ts';
import { ident, join, literal, sql } from '../../src/pg/sql.ts';
import { showTable, type TableName } from '../../src/pg/table.ts';
import { peerOf } from './peer.ts';
import type { TestDatabase } from './servers.ts';
import { testCatchUpBytes, testSpill } from './spill.ts';
import { until } from './wait.ts';

export interface Running {
  readonly done: Promise<void>;
  /** Asks it to stop and waits; throws what it failed with. */
  stop(): Promise<void>;
}

export interface Following {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
  readonly work: MirrorWork;
  readonly batches: AppliedBatch[];
  readonly notes: string[];
  readonly conflicts: Conflict[];
  readonly changes: SchemaChange[];
  /** The ledger, by objectKey. */
  readonly objects: Map<string, ObjectLine>;
  consistent: number;
  /** Starts runCdc. `report` may override what is done with a report. */
  start(report?: Partial<CdcReport>): Running;
  /** Writes a mark on the source and waits until it is on the target: all before it is there, too. */
  settle(): Promise<void>;
  /** The rows of a table on both sides, as text, in one order. */
  rows(table: string): Promise<{ source: readonly string[]; target: readonly string[] }>;
}

export interface FollowingOptions {
  readonly source: TestDatabase;
  readonly target: TestDatabase;
  /** Runs on both sides. */
  readonly tables: string;
  /** Mirrored tables of schema public, or more exactly. */
  readonly mirrored: readonly (string | (Partial<MirroredTable> & { readonly from: TableName }))[];
  readonly options?: Readonly<Record<string, string | number | boolean>>;
  readonly viaRoot?: boolean;
  readonly scope?: ObjectScope;
  /** Where large transactions wait for their commit; null: on the source. */
  readonly spill?: Spill | null;
  /** As CdcDeps has it. */
  readonly catchUpBytes?: number;
  readonly catchUpStallMs?: number;
}

const plain = { sslMode: 'disable' } as const;

/** Makes all that the stream needs; both sides hold what `tables` put there. */
export async function following(options: FollowingOptions): Promise<Following> {
  const { source, target } = options;
  const mark = 'create table mark (n bigint primary key);';
  await source.exec(`${options.tables}; ${mark}`);
  await target.exec(`${options.tables}; ${mark}`);
  const tables = [...options.mirrored, 'mark'].map((table): MirroredTable => {
    const given = typeof table === 'string' ? { from: { schema: 'public', name: table } } : table;
    return { to: given.from, key: null, exclude: [], where: null, ...given };
  });
  const id = randomUUID();
  const name = `f_${id.slice(0, 8)}`;
  const list = join(tables.map(({ from }) => ident(from.schema, from.name)));
  await source.connection.run(
    sql`create publication ${ident(name)} for table ${list} with (publish_via_partition_root = ${literal(options.viaRoot ?? true)})`,
  );
  const slot = await source.connection.one<{ lsn: string }>(
    sql`select lsn::text from pg_create_logical_replication_slot(${name}, 'pgoutput')`,
  );
  const written = Object.entries(options.options ?? {}).map(([option, value]) => ({ name: option, value }));
  const work: MirrorWork = {
    id,
    name,
    token: 1n,
    source: peerOf(source, plain),
    target: peerOf(target, plain),
    options: readOptions('mirror', mirrorOptions, written),
    tables: withSchemas(tables, options.scope ?? { kind: 'tables' }),
    scope: options.scope ?? { kind: 'tables' },
    publication: { name, made: true },
    slot: { name, made: true },
  };
  await prepareCheckpoint(target, work, parseLsn(slot.lsn));
  const batches: AppliedBatch[] = [];
  const notes: string[] = [];
  const conflicts: Conflict[] = [];
  const changes: SchemaChange[] = [];
  const objects = new Map<string, ObjectLine>();
  let marks = 0;
  const followed: Following = {
    source,
    target,
    work,
    batches,
    notes,
    conflicts,
    changes,
    objects,
    consistent: 0,
    start: (report) => {
      const controller = new AbortController();
      const told: CdcReport = {
        batch: (batch) => void batches.push(batch),
        position: () => {},
        conflict: async (conflict) => void conflicts.push(conflict),
        consistent: async () => void followed.consistent++,
        note: async (message) => void notes.push(message),
        waits: async () => {},
        noteOnce: async (message) => void notes.push(message),
        objects: async (lines) => {
          for (const line of lines) objects.set(objectKey(line), line);
        },
        gone: async (keys) => {
          for (const key of keys) objects.delete(key);
        },
        changed: async (change) => {
          if (changes.some(({ id }) => id === change.id)) return;
          changes.push(change);
          // As the catalog does.
          const tables = withTableChanges(followed.work.tables, change.tables ?? []);
          Object.assign(followed, { work: { ...followed.work, tables } });
        },
        ...report,
      };
      const spill = options.spill === undefined ? testSpill : options.spill;
      const catchUpBytes = options.catchUpBytes ?? testCatchUpBytes;
      const { catchUpStallMs } = options;
      const done = runCdc(
        { work: followed.work, report: told, log: silentLog, spill, catchUpBytes, catchUpStallMs },
        controller.signal,
      );
      // A failure is looked at by stop(), or by whoever awaits done.
      done.catch(() => {});
      return {
        done,
        stop: async () => {
          controller.abort();
          await done;
        },
      };
    },
    settle: async () => {
      const n = ++marks + Date.now() * 1000;
      await source.connection.run(sql`insert into mark values (${n})`);
      await until('the mark on the target', async () => {
        return (await target.connection.query(sql`select 1 as there from mark where n = ${n}`)).length > 0;
      });
    },
    rows: async (table) => {
      const text = `select t::text as row from ${table} t order by t::text collate "C"`;
      const [a, b] = [await source.exec<{ row: string }>(text), await target.exec<{ row: string }>(text)];
      return { source: a.map(({ row }) => row), target: b.map(({ row }) => row) };
    },
  };
  return followed;
}

async function prepareCheckpoint(target: TestDatabase, work: MirrorWork, lsn: Lsn): Promise<void> {
  const db = target.connection;
  await ensureCheckpointTables(db, work.target.metadataSchema);
  await claimCheckpoint(db, work);
  for (const { from } of work.tables) {
    await beginCopiedTable(db, work, { table: from, snapshotLsn: lsn });
    await finishCopiedTable(db, work, from);
  }
  await advanceCheckpoint(db, work, lsn);
}

export { showTable };
