// Where the log of a source ends that nobody else writes to.
import { expect, test } from 'vitest';
import { endOfFlushedLog } from '../../src/cdc/look.ts';
import { formatLsn } from '../../src/pg/lsn.ts';
import { sql } from '../../src/pg/sql.ts';
import { databaseOn, ownServer } from '../support/servers.ts';

test('the end of the log that a stream is waited for is one that it can reach, though nobody commits any more', async () => {
  await using own = await ownServer({ major: 17 });
  await using db = await databaseOn(own.server.config(), 17);
  await db.exec(
    'create table t (n int); revoke execute on function pg_logical_emit_message(boolean, text, text, boolean) from public',
  );
  await using writer = await db.connect();
  await writer.run(sql`begin`);
  const isFlushed = async (lsn: bigint) =>
    await db.connection.one<{ flushed: boolean; end: string }>(
      sql`select pg_current_wal_flush_lsn() >= ${formatLsn(lsn)}::pg_lsn as flushed, pg_current_wal_insert_lsn() >= ${formatLsn(lsn)}::pg_lsn as exists`,
    );
  for (let tries = 0; tries < 5; tries++) {
    await writer.run(sql`insert into t values (1)`);
    expect(await isFlushed(await endOfFlushedLog(db.connection))).toEqual({ flushed: true, exists: true });
  }
  // Who may not write it waits, as for anybody's commit.
  await db.exec('create role plain; grant connect on database template1 to plain; set role plain');
  await writer.run(sql`insert into t values (1)`);
  expect(await endOfFlushedLog(db.connection)).toBeTypeOf('bigint');
});
