// A transaction larger than our memory: it arrives whole, in pieces that are thrown away as soon as the target has them.
import { expect, test } from 'vitest';
import { peakMemoryMb, resetPeakMemory } from '../bench/report.ts';
import { createPeer, startGateway } from '../support/gateway.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

test.skipIf(process.platform !== 'linux')(
  '300,000 rows of one transaction, 150 MB, arrive at once and leave the process small',
  async () => {
    await using gateway = await startGateway();
    await using source = await testDatabase(18);
    await using target = await testDatabase(14);
    await source.exec('create table large (id int primary key, v text)');
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
    await gateway.query('drop mirror large');
  },
);
