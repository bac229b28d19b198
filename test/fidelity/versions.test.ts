// Every kind of object from every major to 18 and back to 14: pg_dump prints both sides the same, or the ledger says what is not.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { databaseOn, type OwnServer, type TestedMajor } from '../support/servers.ts';
import { pgDump } from './dump.ts';
import { everything, faithful, filled, fixture, mirrorAll, serverWithRoles } from './world.ts';

// Seconds each; but on a machine that does much else besides, minutes.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

describe.skipIf(pgDump === undefined)('a database with objects of every kind and hostile names', () => {
  let to18: OwnServer;
  beforeAll(async () => {
    to18 = await serverWithRoles(18);
  });
  afterAll(() => to18?.[Symbol.asyncDispose]());

  test.each<TestedMajor>([14, 15, 16, 17])(
    'is on PostgreSQL 18 what it was on %i, but for what the ledger lists',
    async (major) => {
      await using server = await serverWithRoles(major);
      await using source = await filled(server, major, everything(major));
      await using target = await databaseOn(to18.server.config(), 18);
      const { lines, handedOver: _, ...verdict } = await mirrorAll(source, target, { follow: false, restoreOn: to18 });
      expect(verdict).toEqual(faithful);
      expect(lines.map(({ state, kind }) => `${state} ${kind}`)).toEqual(['left_out user mapping']);
    },
  );

  describe('from PostgreSQL 18', () => {
    let from18: OwnServer;
    beforeAll(async () => {
      from18 = await serverWithRoles(18, { role: 'only_there', tablespace: 'elsewhere' });
    });
    afterAll(() => from18?.[Symbol.asyncDispose]());

    test('is the same on another, but for what is a server’s own, and while a mirror follows for what waits', async () => {
      await using source = await filled(from18, 18, [...everything(18), fixture('server'), fixture('followable')]);
      try {
        for (const follow of [false, true]) {
          await using target = await databaseOn(to18.server.config(), 18);
          const { lines, handedOver: _, ...verdict } = await mirrorAll(source, target, { follow });
          expect(verdict).toEqual(faithful);
          expect(lines.filter(({ state }) => state === 'failed')).toEqual([]);
          expect(lines.some(({ state }) => state === 'waiting')).toBe(follow);
        }
      } finally {
        await source.exec('drop subscription "sub; x"');
      }
    });

    test('goes back to PostgreSQL 14 with all that 14 knows', async () => {
      await using to14 = await serverWithRoles(14);
      await using source = await filled(from18, 18, everything(14));
      await using target = await databaseOn(to14.server.config(), 14);
      const { lines, handedOver: _, ...verdict } = await mirrorAll(source, target, { follow: false, restoreOn: to14 });
      expect(verdict).toEqual(faithful);
      expect(lines.filter(({ state }) => state === 'failed')).toEqual([]);
    });
  });
});
