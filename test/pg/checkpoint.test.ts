// What the target remembers of a mirror, and who may write it.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  advanceCheckpoint,
  beginCopiedTable,
  claimCheckpoint,
  dropCheckpoint,
  ensureCheckpointTables,
  finishCopiedTable,
  holdToken,
  readCheckpoint,
  readCopiedTables,
  readParts,
  recordPart,
} from '../../src/peers/checkpoint.ts';
import { readRemembered, writeEmptied, writeMemories } from '../../src/peers/shape.ts';
import { testDatabase } from '../support/servers.ts';

const table = { schema: 'Odd "schema"', name: 't' };
const owner = (token: bigint, id: string) => ({ id, name: 'm', token, target: { metadataSchema: '_sluice' } });

test.each([14, 18] as const)('only the newest owner moves the checkpoint, on PostgreSQL %i', async (major) => {
  await using db = await testDatabase(major);
  const id = randomUUID();
  const [first, second] = [owner(1n, id), owner(2n, id)];
  const other = await db.connect();
  // Two processes come at once.
  await Promise.all([ensureCheckpointTables(db.connection, '_sluice'), ensureCheckpointTables(other, '_sluice')]);
  await claimCheckpoint(db.connection, first);
  expect(await readCheckpoint(db.connection, first)).toBeNull();
  await advanceCheckpoint(db.connection, first, 0x1_0000_0002n);
  expect(await readCheckpoint(db.connection, first)).toBe(0x1_0000_0002n);
  await claimCheckpoint(other, second);
  for (const act of [
    () => claimCheckpoint(db.connection, first),
    () => holdToken(db.connection, first),
    () => readCheckpoint(db.connection, first),
    () => advanceCheckpoint(db.connection, first, 9n),
  ]) {
    await expect(act()).rejects.toMatchObject({ kind: 'fenced' });
  }
  expect(await readCheckpoint(other, second)).toBe(0x1_0000_0002n);
});

test('what an older version has made on the target gets what came since', async () => {
  await using db = await testDatabase(14);
  const mine = owner(1n, randomUUID());
  await ensureCheckpointTables(db.connection, '_sluice');
  await db.exec('alter table _sluice.copied_tables drop column emptied_by, drop column unread');
  await ensureCheckpointTables(db.connection, '_sluice');
  await claimCheckpoint(db.connection, mine);
  await writeMemories(db.connection, mine, [{ table: 's.t', unread: [3], leaves: [] }]);
  await writeEmptied(db.connection, mine, [{ tables: ['s.t'], xid: 7 }]);
  expect((await readRemembered(db.connection, mine)).get('s.t')).toMatchObject({ unread: [3], emptiedBy: 7 });
});

test('parts of a table are remembered until it begins anew, and nothing is left of a dropped mirror', async () => {
  await using db = await testDatabase(18);
  const mine = owner(1n, randomUUID());
  await ensureCheckpointTables(db.connection, '_sluice');
  await claimCheckpoint(db.connection, mine);
  await beginCopiedTable(db.connection, mine, { table, snapshotLsn: 5n });
  await recordPart(db.connection, mine, { table, part: 0, rows: 3, bytes: 10 });
  expect(await readParts(db.connection, mine, table)).toEqual([{ part: 0, rows: 3, bytes: 10 }]);
  await expect(recordPart(db.connection, mine, { table, part: 0, rows: 3, bytes: 10 })).rejects.toMatchObject({
    sqlstate: '23505',
  });
  await finishCopiedTable(db.connection, mine, table);
  const [copied] = [...(await readCopiedTables(db.connection, mine)).values()];
  expect(copied).toMatchObject({ snapshotLsn: 5n, finished: true });
  await beginCopiedTable(db.connection, mine, { table, snapshotLsn: 7n });
  expect(await readParts(db.connection, mine, table)).toEqual([]);
  await dropCheckpoint(db.connection, mine);
  expect(await db.exec(`select 1 from pg_namespace where nspname = '_sluice'`)).toEqual([]);
  await dropCheckpoint(db.connection, mine);
});
