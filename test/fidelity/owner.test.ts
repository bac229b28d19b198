// Applied as an ordinary role that owns the target's database: no superuser, no session_replication_role.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { databaseOn, type OwnServer } from '../support/servers.ts';
import { pgDump } from './dump.ts';
import { everything, faithful, filled, fixture, mirrorAll, serverWithRoles } from './world.ts';

const role = 'plain_owner';

// Seconds each; but on a machine that does much else besides, minutes.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

describe.skipIf(pgDump === undefined)('an ordinary owner of the target', () => {
  let from: OwnServer;
  let to: OwnServer;
  beforeAll(async () => {
    from = await serverWithRoles(18);
    to = await serverWithRoles(18, { role: `${role} login password 'secret' nosuperuser nocreaterole nobypassrls` });
  });
  afterAll(async () => {
    await from?.[Symbol.asyncDispose]();
    await to?.[Symbol.asyncDispose]();
  });

  test.each([
    ['copied', false],
    ['followed', true],
  ])(
    'has everything that it may make, %s; for the rest there is a script for an administrator, after which nothing is missing',
    async (_, follow) => {
      await using source = await filled(from, 18, [...everything(18), fixture('followable')]);
      await using target = await databaseOn(to.server.config(), 18);
      await target.exec(`alter database ${target.database} owner to ${role}; alter schema public owner to ${role}`);
      const asOwner = { ...target, user: role, password: 'secret' };
      const { lines, handedOver, ...verdict } = await mirrorAll(source, asOwner, { follow, administrator: target });
      expect(verdict).toEqual(faithful);
      // What holds a secret is for a person to fill in; and to whom it belongs, after that.
      const mine = 'fn.q"uo.te; --(text, text[])';
      expect(handedOver).toEqual({
        differences: [`FUNCTION ${mine}`, 'USER MAPPING USER MAPPING public SERVER serv er'],
        refused: [expect.stringContaining('alter routine fn."q""uo.te; --"(text, text[]) owner to "sluice"')],
      });
      const without = lines.filter(({ statement }) => statement === null || statement === '');
      expect(without.map(({ kind, name, reason }) => `${kind} ${name}: ${reason}`)).toEqual([]);
    },
  );
});
