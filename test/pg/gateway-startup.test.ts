// What a client asks for in its startup packet, and what it is told: as the server itself would have told it.
import type { Duplex } from 'node:stream';
import pg from 'pg';
import { expect, test } from 'vitest';
import { startupMessage } from '../../src/wire/backend.ts';
import { testGateway } from '../support/relay.ts';
import { testDatabase } from '../support/servers.ts';

// https://www.postgresql.org/docs/18/protocol-flow.html#PROTOCOL-ASYNC
const reported = ['application_name', 'client_encoding', 'DateStyle', 'IntervalStyle', 'TimeZone'];

/** Logs in with these startup parameters; what the client was told, and what the session then has. */
async function begin(config: pg.ClientConfig, startup: Readonly<Record<string, string>>) {
  const client = new pg.Client(config);
  client.on('error', () => {});
  const { connection } = client as unknown as {
    connection: {
      startup(config: { readonly user: string; readonly database: string }): void;
      readonly stream: Duplex;
      on(event: string, heard: (message: { parameterName: string; parameterValue: string }) => void): void;
    };
  };
  const told = new Map<string, string>();
  connection.on('parameterStatus', ({ parameterName, parameterValue }) => told.set(parameterName, parameterValue));
  // As it stands: pg itself would add an encoding.
  connection.startup = ({ user, database }) => {
    connection.stream.write(startupMessage(new Map(Object.entries({ user, database, ...startup }))));
  };
  await client.connect();
  const atLogin = reported.map((name) => [name, told.get(name)]);
  const { rows } = await client.query(
    `select ${reported.map((name) => `current_setting('${name}') as "${name}"`).join(', ')}`,
  );
  const afterwards = reported.map((name) => [name, told.get(name)]);
  await client.end();
  return { atLogin, afterwards, has: Object.entries(rows[0] as Record<string, string>) };
}

test('whatever a client sets at login, it is told what it got, at a peer and on the catalog', async () => {
  await using db = await testDatabase(18);
  await using gateway = await testGateway({ catalog: db, peers: { peer: db } });
  const direct = { host: db.host, port: db.port, user: db.user, password: db.password, database: db.database };
  // The first session of the catalog is asked what it reports; later ones need not.
  await (await gateway.client()).end();
  for (const startup of [
    { application_name: 'mine' },
    { client_encoding: "'utf-8'" },
    { client_encoding: 'unicode' },
    { client_encoding: 'latin1' },
    { client_encoding: 'UTF8', DateStyle: 'ISO', TimeZone: 'europe/berlin' },
    { datestyle: 'german', intervalstyle: 'ISO_8601' },
    { options: '-c datestyle=sql,dmy -c application_name=by\\ options -c timezone=Asia/Tokyo' },
    {},
  ]) {
    const own = await begin(direct, startup);
    expect(own.atLogin).toEqual(own.has);
    for (const database of ['peer', 'anything else']) {
      const through = await begin({ ...gateway.config(database), user: db.user }, startup);
      expect({ database, startup, ...through }).toEqual({ database, startup, ...own });
    }
  }
});
