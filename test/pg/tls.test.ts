// TLS to a peer: libpq's six sslmodes against a server that has it, and what a certificate that does not fit says.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PeerConfig, SslMode } from '../../src/mirror/peer.ts';
import { cancelQuery, openPeer, peerClientConfig } from '../../src/peers/connect.ts';
import { Connection } from '../../src/pg/client.ts';
import { sql } from '../../src/pg/sql.ts';
import { type Authority, type Certificate, hasOpenssl, makeAuthority } from '../support/certificates.ts';
import { allWords, peerOf } from '../support/peer.ts';
import { type OwnServer, ownServer } from '../support/servers.ts';
import { sshHost } from '../support/ssh.ts';
import { until } from '../support/wait.ts';

const use = { application: 'test' };

describe.skipIf(!hasOpenssl).each([14, 18] as const)('PostgreSQL %i with TLS (needs openssl)', (major) => {
  let authority: Authority;
  let stranger: Authority;
  let client: Certificate;
  let server: OwnServer;
  let peer: PeerConfig;

  beforeAll(async () => {
    authority = makeAuthority();
    stranger = makeAuthority('Another authority');
    // By name only: 127.0.0.1, where we connect to, is not in it.
    const certificate = authority.issue('db.example', 'DNS:db.example');
    client = authority.issue('with_cert');
    const hba = join(authority.folder, 'pg_hba.conf');
    writeFileSync(
      hba,
      ['hostssl all tls_only', 'hostnossl all plain_only', 'host all sluice']
        .map((line) => `${line} 127.0.0.1/32 scram-sha-256\n`)
        .join('') + 'hostssl all with_cert 127.0.0.1/32 cert\n',
    );
    chmodSync(hba, 0o644);
    const settings = {
      ssl: 'on',
      ssl_cert_file: certificate.certificateFile,
      ssl_key_file: certificate.keyFile,
      ssl_ca_file: authority.certificateFile,
      hba_file: hba,
    };
    server = await ownServer({ major, settings });
    peer = peerOf(server.server.config());
    await using admin = await openPeer(peer, use);
    for (const role of ['tls_only', 'plain_only', 'with_cert']) {
      await admin.connection.client.query(`create role ${role} login password 'x'`);
    }
  });

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    authority?.[Symbol.dispose]();
    stranger?.[Symbol.dispose]();
  });

  async function tlsOf(more: Partial<PeerConfig>): Promise<string | null> {
    await using link = await openPeer({ ...peer, ...more }, use);
    const [row] = await link.connection.query<{ ssl: boolean }>(
      sql`select ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()`,
    );
    expect(row?.ssl).toBe(link.tls !== null); // what we say is what the server sees
    return link.tls;
  }

  async function refusal(more: Partial<PeerConfig>): Promise<unknown> {
    return await tlsOf(more).catch((error: unknown) => error);
  }

  test.each([
    ['disable', null],
    ['allow', null],
    ['prefer', 'TLSv1.3'],
    ['require', 'TLSv1.3'],
  ] as const)('sslmode %s ends with %s', async (sslMode, tls) => {
    expect(await tlsOf({ sslMode })).toBe(tls);
  });

  test('allow and prefer try the other way where pg_hba.conf refuses the first', async () => {
    expect(await tlsOf({ sslMode: 'allow', user: 'tls_only', password: 'x' })).toBe('TLSv1.3');
    expect(await tlsOf({ sslMode: 'prefer', user: 'plain_only', password: 'x' })).toBeNull();
    const refused = { sqlstate: '28000', hint: expect.stringContaining('pg_hba.conf') };
    expect(await refusal({ sslMode: 'require', user: 'plain_only', password: 'x' })).toMatchObject(refused);
    expect(await refusal({ sslMode: 'disable', user: 'tls_only', password: 'x' })).toMatchObject(refused);
  });

  test('a wrong password is said once, not tried again the other way', async () => {
    const failed = () => readFileSync(server.server.logFile, 'utf8').split('password authentication failed').length - 1;
    const before = failed();
    const refused = await refusal({ sslMode: 'prefer', user: 'sluice', password: 'wrong' });
    expect(refused).toMatchObject({ sqlstate: '28P01' });
    expect(failed() - before).toBe(1);
  });

  test.each(['verify-ca', 'verify-full'] as const)('%s takes the certificate that root_ca signed', async (sslMode) => {
    expect(await tlsOf({ sslMode, rootCa: authority.certificate, tlsHost: 'db.example' })).toBe('TLSv1.3');
  });

  test('verify-ca does not look at the name; verify-full does, and says which one is wanted', async () => {
    expect(await tlsOf({ sslMode: 'verify-ca', rootCa: authority.certificate })).toBe('TLSv1.3');
    expect(await refusal({ sslMode: 'verify-full', rootCa: authority.certificate })).toMatchObject({
      sqlstate: '08001',
      message: expect.stringContaining('certificate is not for "127.0.0.1"'),
      hint: expect.stringContaining('tls_host'),
    });
  });

  test.each(['require', 'verify-ca', 'verify-full'] as const)(
    '%s with a root_ca refuses what another authority signed',
    async (sslMode) => {
      const refused = await refusal({ sslMode, rootCa: stranger.certificate, tlsHost: 'db.example' });
      expect(refused).toMatchObject({
        kind: 'unreachable',
        sqlstate: '08001',
        message: expect.stringContaining('not signed by root_ca'),
      });
      expect(allWords(refused)).not.toContain(peer.password);
    },
  );

  test('verify-full without a root_ca trusts only what this machine trusts', async () => {
    expect(await refusal({ sslMode: 'verify-full', tlsHost: 'db.example' })).toMatchObject({
      message: expect.stringContaining('that this machine trusts'),
      hint: expect.stringContaining('root_ca'),
    });
  });

  test('a client certificate logs in where the server asks for one', async () => {
    const clientTls = { certificate: client.certificate, privateKey: client.privateKey };
    expect(await tlsOf({ sslMode: 'require', user: 'with_cert', clientTls })).toBe('TLSv1.3');
    const without = await refusal({ sslMode: 'require', user: 'with_cert', password: 'x' });
    expect(without).toMatchObject({ kind: 'login_refused', sqlstate: '28000' });
  });

  test('a root_ca or client_tls that is no PEM is refused before anything is sent, and not shown', async () => {
    expect(await refusal({ sslMode: 'require', rootCa: 'garbage' })).toMatchObject({ sqlstate: '22023' });
    const clientTls = { certificate: client.certificate, privateKey: 'not-a-key-hunter2' };
    const refused = await refusal({ sslMode: 'require', clientTls });
    expect(refused).toMatchObject({ sqlstate: '22023', message: 'peer option "client_tls" cannot be read' });
    expect(allWords(refused)).not.toContain('hunter2');
  });

  test.each<SslMode>(['allow', 'prefer', 'require'])(
    'the settings for a client of one’s own (%s) connect the same way, again and again, and cancel too',
    async (sslMode) => {
      const user = sslMode === 'allow' ? 'tls_only' : peer.user;
      const mine = { ...peer, sslMode, user, password: user === 'tls_only' ? 'x' : peer.password };
      const config = await peerClientConfig(mine, use);
      await using first = await Connection.open(config);
      await using second = await Connection.open(config);
      for (const each of [first, second]) {
        expect(await each.query(sql`select ssl from pg_catalog.pg_stat_ssl where pid = ${each.pid}`)).toEqual([
          { ssl: true },
        ]);
      }
      const { secretKey } = first.client as unknown as { secretKey: number };
      const sleeping = first.run(sql`select pg_catalog.pg_sleep(60)`).catch((error: unknown) => error);
      await cancelQuery(config, { processId: first.pid, secretKey });
      expect(await sleeping).toMatchObject({ sqlstate: '57014' });
    },
  );

  test('TLS goes through an SSH host too, and closing the connection closes the session', async () => {
    await using host = await sshHost();
    const ssh = { host: '127.0.0.1', port: host.port, user: 'pass', password: 'ssh-secret' };
    const tls = { sslMode: 'verify-full', rootCa: authority.certificate, tlsHost: 'db.example' } as const;
    expect(await tlsOf({ ssh, ...tls })).toBe('TLSv1.3');
    expect(await refusal({ ssh, ...tls, tlsHost: 'other.example' })).toMatchObject({ sqlstate: '08001' });
    await until('every session is closed', () => host.sessions === 0);
  });

  test('a replication connection goes through TLS as well', async () => {
    await using link = await openPeer({ ...peer, sslMode: 'require' }, { ...use, replication: 'database' });
    expect(await link.connection.one(sql`IDENTIFY_SYSTEM`)).toMatchObject({ dbname: 'postgres' });
  });
});
