// What the source does in the benchmarks of the stream: small transactions, very large ones, updates of a wide table, single rows.
import type { Connection } from '../../src/pg/client.ts';
import { sql, trusted } from '../../src/pg/sql.ts';
import { createTpcb, createWide, fillWide, runBigTransaction, runTpcb, wideKey } from './data.ts';

export interface Workload {
  /** For `--case`. */
  readonly name: string;
  readonly title: string;
  readonly changes: number;
  /** What is asked of us: our rate against the apply worker's. */
  readonly bar: number;
  make(db: Connection): Promise<void>;
}

export interface WorkloadSizes {
  /** Of small transactions, four each. */
  readonly tpcbChanges: number;
  /** Of two transactions each. */
  readonly bigRows: number;
  readonly wideRows: number;
  readonly singleRows: number;
}

/** The tables of all of them, without rows. */
export async function createTables(db: Connection): Promise<void> {
  await createTpcb(db, 0);
  await createWide(db);
  await db.run(trusted(wideKey.join('; ')));
  await db.run(trusted('create table public.events (id bigint primary key, at timestamptz, what text)'));
}

/** Names of the tables. */
export const workloadTables = ['accounts', 'tellers', 'branches', 'history', 'wide', 'events'] as const;

/** Creates and fills them. */
export async function fillTables(db: Connection, sizes: WorkloadSizes): Promise<void> {
  await createTpcb(db, 100_000);
  await createWide(db);
  await db.run(trusted(wideKey.join('; ')));
  await fillWide(db, sizes.wideRows);
  await db.run(trusted('create table public.events (id bigint primary key, at timestamptz, what text)'));
}

/** In the order in which they are printed. */
export function streamWorkloads(sizes: WorkloadSizes): readonly Workload[] {
  const transactions = Math.round(sizes.tpcbChanges / 4);
  let events = 0;
  return [
    {
      name: 'tpcb',
      title: `small transactions (TPC-B), ${transactions * 4} changes in transactions of 4`,
      changes: transactions * 4,
      bar: 2,
      make: (db) => runTpcb(db, transactions),
    },
    {
      name: 'big',
      title: `2 transactions of ${sizes.bigRows} inserts`,
      changes: sizes.bigRows * 2,
      bar: 1.5,
      make: async (db) => {
        await runBigTransaction(db, sizes.bigRows);
        await runBigTransaction(db, sizes.bigRows);
      },
    },
    {
      name: 'wide',
      title: `${sizes.wideRows} updates of a wide table in transactions of 50, each row once, in no order`,
      changes: sizes.wideRows,
      bar: 1.25,
      make: (db) => updateWide(db, sizes.wideRows),
    },
    {
      name: 'single',
      title: `${sizes.singleRows} transactions of one insert`,
      changes: sizes.singleRows,
      bar: 0.95,
      make: async (db) => {
        await insertSingly(db, events + 1, events + sizes.singleRows);
        events += sizes.singleRows;
      },
    },
  ];
}

// A step that shares no divisor with the number of rows meets each once.
async function updateWide(db: Connection, rows: number): Promise<void> {
  await withoutWaiting(db, [
    `do $$
    begin
      for step in 1..${rows} loop
        update public.wide set a = a + 1, f = f + 0.5, h = pg_catalog.clock_timestamp(), n = pg_catalog.md5(step::text)
          where id = 1 + (step * 7919::bigint) % ${rows};
        if step % 50 = 0 then commit; end if;
      end loop;
    end $$`,
  ]);
}

async function insertSingly(db: Connection, from: number, to: number): Promise<void> {
  await withoutWaiting(db, [
    `do $$
    begin
      for i in ${from}..${to} loop
        insert into public.events values (i, pg_catalog.clock_timestamp(), 'event number ' || i);
        commit;
      end loop;
    end $$`,
  ]);
}

async function withoutWaiting(db: Connection, statements: readonly string[]): Promise<void> {
  await db.run(trusted('set synchronous_commit = off'));
  for (const statement of statements) await db.run(trusted(statement));
  await db.run(sql`reset synchronous_commit`);
}
