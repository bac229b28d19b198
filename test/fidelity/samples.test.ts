// Databases as people have them: a shop, a forum, and a business's with 200 tables; after a mirror pg_dump prints both sides the same.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { databaseOn, type OwnServer } from '../support/servers.ts';
import { pgDump } from './dump.ts';
import { erp } from './samples/erp.ts';
import { faithful, filled, fixture, mirrorAll, sample, serverWithRoles } from './world.ts';

// Seconds each; but on a machine that does much else besides, minutes.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

describe.skipIf(pgDump === undefined)('a database as people have it', () => {
  let own: OwnServer;
  beforeAll(async () => {
    own = await serverWithRoles(18);
  });
  afterAll(() => own?.[Symbol.asyncDispose]());

  test.each([
    ['a shop', () => sample('shop')],
    ['a forum', () => sample('forum')],
    ['a business with 200 tables', () => ({ file: 'erp', text: erp() })],
  ])('%s is the same on the target, every object and every row', async (_, text) => {
    await using source = await filled(own, 18, [text(), fixture('followable')]);
    await using target = await databaseOn(own.server.config(), 18);
    const { lines, handedOver, ...verdict } = await mirrorAll(source, target, { follow: true, administrator: target });
    expect(verdict).toEqual(faithful);
    expect(lines.filter(({ state }) => state !== 'waiting')).toEqual([]);
    // Nor is anything missing when the stream was stopped and the script was run.
    expect(handedOver).toEqual({ refused: [], differences: [] });
  });
});
