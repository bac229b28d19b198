// A source that sends transactions before their commit, large ones or all.
import { ident } from '../../src/pg/sql.ts';
import type { Following } from './following.ts';
import { type SharedMajor, streamedSettings, type TestDatabase, testDatabase } from './servers.ts';
import { until } from './wait.ts';

/** Sends what is larger than 64 kB at once, or everything. */
export async function eager(major: SharedMajor, how: 'large' | 'all' = 'large'): Promise<TestDatabase> {
  const source = await testDatabase(major);
  await beEager(source, how);
  return source;
}

/** Makes that database such a source. */
export async function beEager(source: TestDatabase, how: 'large' | 'all' = 'large'): Promise<void> {
  const settings = Object.entries(streamedSettings(source.major)).map(([name, value]) =>
    name.startsWith('debug') && how === 'large' ? ([name, 'buffered'] as const) : ([name, value] as const),
  );
  for (const [name, value] of settings)
    await source.exec(`alter database ${ident(source.database).text} set ${name} = '${value}'`);
}

/** Waits until that many transactions were sent so. */
export async function expectStreamed({ source, work }: Following, least: number): Promise<void> {
  const slot = work.slot?.name ?? '';
  await until('the source says that it streamed', async () => {
    const [said] = await source.exec<{ transactions: number }>(
      `select stream_txns::int as transactions from pg_catalog.pg_stat_replication_slots where slot_name = '${slot}'`,
    );
    return (said?.transactions ?? 0) >= least;
  });
}
