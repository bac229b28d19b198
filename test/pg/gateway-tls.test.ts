// The gateway's door with TLS: who gets in, by which certificate, and what is not taken for encrypted.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { peerClientConfig } from '../../src/peers/connect.ts';
import { makeAuthority } from '../support/certificates.ts';
import { peerOf } from '../support/peer.ts';
import {
  hasOpenssl,
  hasPsql,
  psql,
  RawClient,
  refusal,
  requestOf,
  type TestGateway,
  testGateway,
} from '../support/relay.ts';
import { databaseOn, ownServer, type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

describe.skipIf(!hasOpenssl)('TLS', () => {
  let catalog: TestDatabase;
  let peer: TestDatabase;
  let home: string;
  let secure: TestGateway;
  let cert: string;
  beforeAll(async () => {
    [catalog, peer] = await Promise.all([testDatabase(18), testDatabase(14)]);
    await peer.exec('create table public.t (id int, what text)');
    home = mkdtempSync(join(tmpdir(), 'sluice-tls-'));
    const [certFile, keyFile] = [join(home, 'cert.pem'), join(home, 'key.pem')];
    const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-sha384', '-days', '2', '-subj', '/CN=localhost'];
    execFileSync(
      'openssl',
      [...args, '-addext', 'subjectAltName=DNS:localhost', '-keyout', keyFile, '-out', certFile],
      {
        stdio: 'ignore',
      },
    );
    cert = readFileSync(certFile, 'utf8');
    secure = await testGateway({ catalog, peers: { peer }, tls: { cert, key: readFileSync(keyFile, 'utf8') } });
  });
  afterAll(async () => {
    await secure?.[Symbol.asyncDispose]();
    rmSync(home, { recursive: true, force: true });
    await Promise.all([catalog, peer].map((db) => db?.[Symbol.asyncDispose]()));
  });

  test('pg talks over it, checks the certificate, and binds its login to it', async () => {
    const ssl = { ca: cert, servername: 'localhost' };
    for (const enableChannelBinding of [false, true]) {
      const client = new pg.Client({
        ...secure.config(),
        host: 'localhost',
        ssl,
        enableChannelBinding,
      } as pg.ClientConfig);
      await client.connect();
      expect((await client.query('select count(*)::int as n from peer.public.t')).rows).toEqual([{ n: 0 }]);
      await client.end();
    }
    const wrong = await refusal({ ...secure.config(), host: 'localhost', ssl, password: 'wrong' });
    expect(wrong).toMatchObject({ code: '28P01' });
  });

  test('on this machine a login may do without', async () => {
    const client = await secure.client();
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await client.end();
  });

  test.skipIf(!hasPsql)('psql verifies it in full and requires channel binding', async () => {
    const env = {
      PGHOST: 'localhost',
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: join(home, 'cert.pem'),
      PGCHANNELBINDING: 'require',
    };
    const done = await psql(secure, ['\\conninfo', 'select 1'], { env });
    expect(done.err).toBe('');
    expect(done.out).toContain('SSL connection');
  });

  test('TLS from the first byte is taken if it says that it means PostgreSQL', async () => {
    const open = (ALPNProtocols: string[]) =>
      new Promise<string>((resolve) => {
        const socket = connectTls({
          host: '127.0.0.1',
          port: secure.port,
          ca: cert,
          servername: 'localhost',
          ALPNProtocols,
        });
        socket.once('secureConnect', () => {
          const body = Buffer.from('\0\x03\0\0user\0me\0\0', 'latin1');
          const head = Buffer.alloc(4);
          head.writeUInt32BE(body.length + 4);
          socket.write(Buffer.concat([head, body]));
        });
        let heard = '';
        socket.on('data', (chunk) => {
          heard += chunk.toString('latin1');
          if (heard.includes('SCRAM-SHA-256\0\0')) socket.destroy();
        });
        socket.on('error', () => {});
        socket.on('close', () => resolve(heard));
      });
    expect(await open(['postgresql'])).toContain('SCRAM-SHA-256-PLUS');
    expect(await open(['http/1.1'])).toBe('');
  });

  test('words smuggled in before encryption are not taken for encrypted ones', async () => {
    using raw = new RawClient(secure.port);
    raw.send(Buffer.concat([requestOf(80877103), Buffer.from('smuggled')]));
    await until('it is closed', () => raw.closed);
    expect(raw.received.toString()).toContain('C08P01');
  });
});

/** A server with TLS whose certificate an authority of its own signed, and the way to it that looks at that. */
async function securedServer(name: string) {
  const authority = makeAuthority(`Authority ${name}`);
  const certificate = authority.issue(`${name}.example`, `DNS:${name}.example`);
  const settings = { ssl: 'on', ssl_cert_file: certificate.certificateFile, ssl_key_file: certificate.keyFile };
  const own = await ownServer({ settings });
  // Gone with its server.
  const db = await databaseOn(own.server.config(), 18);
  const secured = { sslMode: 'verify-full', rootCa: authority.certificate, tlsHost: `${name}.example` } as const;
  return {
    db,
    certificate,
    way: await peerClientConfig(peerOf(db, secured), { application: 'sluice gateway', lends: true }),
    async [Symbol.asyncDispose]() {
      await own[Symbol.asyncDispose]();
      authority[Symbol.dispose]();
    },
  };
}

test.skipIf(!hasOpenssl)(
  'two peers are visited with TLS, each by its own authority, and again when their sessions were ended; another certificate is refused',
  async () => {
    await using here = await securedServer('here');
    await using there = await securedServer('there');
    await using catalog = await testDatabase(18);
    const peers = { here: here.db, there: there.db };
    await using gateway = await testGateway({ catalog, peers, ways: { here: here.way, there: there.way } });
    const client = await gateway.client();
    const visit = async (name: string) =>
      (await client.query(`select ssl from ${name}.pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()`))
        .rows;
    const endAll = async () => {
      for (const db of Object.values(peers)) {
        await db.exec(
          'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
        );
      }
    };
    const again = (name: string) => until(`${name} again`, async () => await visit(name).catch(() => undefined));
    for (const name of ['here', 'there']) expect(await visit(name)).toEqual([{ ssl: true }]);
    await endAll();
    for (const name of ['here', 'there']) expect(await again(name)).toEqual([{ ssl: true }]);
    // From now on the one shows what the other's authority signed.
    copyFileSync(there.certificate.certificateFile, here.certificate.certificateFile);
    copyFileSync(there.certificate.keyFile, here.certificate.keyFile);
    await here.db.exec('select pg_reload_conf()');
    await endAll();
    const refused = await until('it is refused', () =>
      visit('here').then(
        () => undefined,
        (error: pg.DatabaseError) => error.code === '08001' && error,
      ),
    );
    expect(refused.message).toMatch(/certificate/);
    expect(await again('there')).toEqual([{ ssl: true }]);
    await client.end();
  },
  60_000,
);
