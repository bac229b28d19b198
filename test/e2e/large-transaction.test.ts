// A transaction larger than our memory: it comes before its commit, waits on the disk, and arrives whole, in pieces.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ident, sql, trusted } from '../../src/pg/sql.ts';
import { peakMemoryMb, resetPeakMemory } from '../bench/report.ts';
import { createPeer, startGateway } from '../support/gateway.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test.skipIf(process.platform !== 'linux')(
  '300,000 rows of one transaction, 150 MB, arrive at once and leave the process small, and one that is open when we are killed comes again',
  async () => {
    await using gateway = await startGateway();
    await using source = await testDatabase(18);
    await using target = await testDatabase(14);
    await source.exec('create table large (id int primary key, v text)');
    await source.exec(`alter database ${ident(source.database).text} set logical_decoding_work_mem = '4MB'`);
    await gateway.query(createPeer('large_from', source));
    await gateway.query(createPeer('large_to', target));
    await gateway.query('create mirror large from large_from to large_to for all tables');
    await until('it streams', async () => {
      const [row] = await gateway.query<{ status: string }>("select status from sluice.mirrors where name = 'large'");
      return row?.status === 'running';
    });
    resetPeakMemory(gateway.pid);
    const before = peakMemoryMb(gateway.pid);
    await source.exec("insert into large select g, repeat(g::text || ' ', 64) from generate_series(1, 300000) g");
    const seen = new Set<number>();
    await until(
      'the rows are there',
      async () => {
        const [row] = await target.exec<{ n: number }>('select count(*)::int as n from large');
        seen.add(row?.n ?? 0);
        return row?.n === 300_000;
      },
      120_000,
    );
    expect([...seen].filter((n) => n !== 0)).toEqual([300_000]);
    const sum = 'select sum(hashtextextended(t::text, 0)) as sum from large t';
    expect(await target.exec(sum)).toEqual(await source.exec(sum));
    expect(peakMemoryMb(gateway.pid) - before).toBeLessThan(110);
    // Killed while the next one comes: what was kept of it is gone, and all of it comes again.
    const writer = await source.connect();
    const some = (from: number) =>
      trusted(
        `insert into large select g, repeat(g::text || ' ', 64) from generate_series(${from}, ${from + 11_999}) g`,
      );
    const blocks = async () => {
      const [row] = await source.exec<{ n: number }>(
        "select stream_count::int as n from pg_stat_replication_slots where slot_name = 'peerflow_slot_large'",
      );
      return row?.n ?? 0;
    };
    const sent = await blocks();
    expect(sent).toBeGreaterThan(0);
    await writer.run(sql`begin`);
    await writer.run(some(300_001));
    await until('the source sends it', async () => (await blocks()) > sent);
    await gateway.kill('SIGKILL');
    await gateway.start();
    await writer.run(some(312_001));
    await writer.run(sql`commit`);
    await until('all rows are there', async () => {
      const [row] = await target.exec<{ n: number }>('select count(*)::int as n from large');
      seen.add(row?.n ?? 0);
      return row?.n === 324_000;
    });
    expect([...seen].filter((n) => n !== 0)).toEqual([300_000, 324_000]);
    expect(readdirSync(join(gateway.dataDir, 'spill'))).toEqual([]);
    expect(await target.exec(sum)).toEqual(await source.exec(sum));
    await gateway.query('drop mirror large');
  },
  180_000,
);
