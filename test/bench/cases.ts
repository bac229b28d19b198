// What is copied: each case fills a source and says what a target needs before and after its rows.
import type { Connection } from '../../src/pg/client.ts';
import { trusted } from '../../src/pg/sql.ts';
import { runProgram } from '../support/gateway.ts';
import {
  createSmall,
  createWide,
  fillWide,
  indexSmall,
  indexTeller,
  indexWide,
  tellerTables,
  wideKey,
} from './data.ts';
import type { Database } from './servers.ts';

export interface CopyCase {
  /** For `--case`. */
  readonly name: string;
  readonly title: string;
  readonly fill: (source: Database) => Promise<void>;
  /** Makes the tables, without keys and indexes. */
  readonly createTables: (target: Connection) => Promise<void>;
  /** What makes keys, indexes and constraints after that: lists that may run side by side, statements of one in turn. */
  readonly indexes: readonly (readonly string[])[];
  /**
   * Whether targets stay until the servers go: ext4 looks past the places of files that were deleted in the last minutes, again and
   * again, and the second to make thousands of files would pay for what the first one's database left.
   */
  readonly keepsTargets?: true;
  /** Rivals that are left out because they would take hours, and why. */
  readonly without?: Readonly<Record<string, string>>;
}

export interface CopySizes {
  readonly wideRows: number;
  readonly smallTables: number;
  readonly manyTables: number;
  /** Of pgbench: 100,000 accounts each. */
  readonly pgbenchScale: number;
}

/** All cases, in the order in which they are printed. */
export function copyCases(sizes: CopySizes): readonly CopyCase[] {
  const wide = {
    fill: async ({ connection }: Database, indexes: readonly (readonly string[])[]) => {
      await createWide(connection);
      await fillWide(connection, sizes.wideRows);
      await runAll(connection, indexes);
    },
  };
  return [
    {
      name: 'wide',
      title: `one wide table, ${sizes.wideRows} rows, its primary key`,
      fill: (source) => wide.fill(source, [wideKey]),
      createTables: createWide,
      indexes: [wideKey],
    },
    {
      name: 'wide-indexed',
      title: `one wide table, ${sizes.wideRows} rows, 6 indexes, a check`,
      fill: (source) => wide.fill(source, [wideKey, ...indexWide]),
      createTables: createWide,
      indexes: [wideKey, ...indexWide],
    },
    {
      name: 'pgbench',
      title: `pgbench -s ${sizes.pgbenchScale}`,
      fill: async (source) => {
        const done = await runProgram('pgbench', {
          args: ['-i', '-q', '-s', String(sizes.pgbenchScale), '-d', source.url],
        });
        if (done.code !== 0) throw new Error(`pgbench ended with ${done.code}: ${done.stderr.slice(-2000)}`);
        // It has no key; without this nothing may follow its updates.
        await source.connection.run(trusted('alter table public.pgbench_history replica identity full'));
      },
      createTables: async (target) => {
        await target.run(trusted(tellerTables));
      },
      indexes: indexTeller,
    },
    small('small', sizes.smallTables, 100),
    {
      ...small('many', sizes.manyTables, 10),
      without: {
        pgcopydb: 'it took 40 ms a table in the case before',
        subscription: 'one worker and one slot for each table',
      },
    },
  ];
}

function small(name: string, tables: number, rows: number): CopyCase {
  return {
    name,
    title: `${tables} small tables of ${rows} rows, 3 indexes each, ${tables / 2} foreign keys`,
    fill: async ({ connection }) => {
      await createSmall(connection, tables, rows);
      await runAll(connection, indexSmall(tables));
      await connection.run(trusted('analyze'));
    },
    createTables: (target) => createSmall(target, tables, 0),
    indexes: indexSmall(tables),
    keepsTargets: true,
  };
}

/** Makes keys, indexes and constraints one after another. */
export async function runAll(db: Connection, indexes: readonly (readonly string[])[]): Promise<void> {
  const statements = indexes.flat();
  for (let at = 0; at < statements.length; at += 200) await db.run(trusted(statements.slice(at, at + 200).join('; ')));
}
