// schema_changes = full under kill -9: rows and changes of the schema come by chance, the process dies at any moment, both sides are equal in the end.
// SLUICE_KILLS=20 kills that often.
import { expect, test } from 'vitest';
import { pause } from '../../src/base/retry.ts';
import { everything } from '../support/ddl-full.ts';
import { DdlWriter, writtenTables } from '../support/ddl-writer.ts';
import { createPeer, type Gateway, startGateway } from '../support/gateway.ts';
import { Random } from '../support/random.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { untilLate } from '../support/wait.ts';

const kills = Number(process.env.SLUICE_KILLS ?? 3);

test(
  'rows and changes of the schema follow, however often the process is killed among them',
  async () => {
    await using source = await testDatabase(14);
    await using target = await testDatabase(18);
    await source.exec(`${writtenTables}; create table mark (n int primary key)`);
    await using gateway = await startGateway();
    await gateway.query(createPeer('src', source));
    await gateway.query(createPeer('dst', target));
    await gateway.query("create mirror full_killed from src to dst for all tables with (schema_changes = 'full')");
    await untilLate('the mirror runs', async () => (await mirror(gateway)).status === 'running');
    const chance = new Random(11);
    const writer = new DdlWriter(chance, source);
    try {
      for (let n = 1; n <= kills; n++) {
        for (let some = chance.int(2, 8); some > 0; some--) await writer.transaction();
        // At once, while rows come, while what follows from them is made, or when all is done.
        await pause(chance.pick([0, 20, 80, 300]));
        await gateway.kill('SIGKILL');
        if (chance.chance(0.5)) await writer.transaction();
        await gateway.start();
      }
      await allThere(gateway, source, target);
      expect(await everything(target)).toEqual(await everything(source));
    } catch (error) {
      throw new Error(`after:\n${writer.said.slice(-200).join(';\n')}`, { cause: error });
    }
  },
  120_000 + kills * 30_000,
);

async function mirror(gateway: Gateway) {
  const [row] = await gateway.query<{ status: string; trouble: string | null }>(
    'select status, trouble from sluice.mirrors',
  );
  return row ?? { status: '', trouble: null };
}

async function allThere(gateway: Gateway, source: TestDatabase, target: TestDatabase): Promise<void> {
  for (const n of [1, 2]) {
    await source.exec(`insert into mark values (${n})`);
    await untilLate('the last row, and all that follows from changes', async () => {
      const { status, trouble } = await mirror(gateway);
      if (status !== 'running' && status !== 'retrying' && trouble !== null) throw new Error(trouble);
      const [row] = await target.exec<{ done: boolean }>(`select exists (select from mark where n = ${n})
        and not exists (select from _sluice.known_objects where id = 'wanted')
        and not exists (select from _sluice.schema_changes) as done`);
      return row?.done === true;
    });
  }
}
