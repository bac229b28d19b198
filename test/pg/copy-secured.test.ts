// COPY through TLS and through an SSH host: the same bytes, and the target's own error, as over a plain socket.
import { expect, test } from 'vitest';
import type { PeerConfig } from '../../src/mirror/peer.ts';
import { connectPeer } from '../../src/peers/connect.ts';
import { relayCopy } from '../../src/pg/copy.ts';
import { sql } from '../../src/pg/sql.ts';
import { hasOpenssl, makeAuthority } from '../support/certificates.ts';
import { peerOf } from '../support/peer.ts';
import { ownServer, testDatabase } from '../support/servers.ts';
import { sshHost } from '../support/ssh.ts';

const rows = sql`copy (select i, repeat('x', 200) || i from (select generate_series(1, 60000) i) s) to stdout (format binary)`;
const digest = sql`select count(*)::int as n, md5(string_agg(v, ',' order by i)) as h from public.t`;
const expected = sql`select 60000 as n, md5(string_agg(repeat('x', 200) || i, ',' order by i)) as h from generate_series(1, 60000) i`;

async function copyThrough(source: PeerConfig, target: PeerConfig): Promise<void> {
  const use = { application: 'test' };
  await using from = await connectPeer(source, use);
  await using to = await connectPeer(target, use);
  await to.run(sql`create table public.t (i int primary key, v text)`);
  const relay = { source: from, sourceSql: rows, target: to, targetSql: sql`copy public.t from stdin (format binary)` };
  expect((await relayCopy(relay)).rows).toBe(60_000);
  expect(await to.query(digest)).toEqual(await from.query(expected));
  await expect(relayCopy(relay)).rejects.toMatchObject({
    sqlstate: '23505',
    fields: { where: expect.stringContaining('COPY t') },
  });
}

test.skipIf(!hasOpenssl)('rows come out of a server with TLS and go into one (needs openssl)', async () => {
  using authority = makeAuthority();
  const certificate = authority.issue('db.example', 'DNS:db.example');
  const settings = { ssl: 'on', ssl_cert_file: certificate.certificateFile, ssl_key_file: certificate.keyFile };
  await using server = await ownServer({ settings });
  const peer = peerOf(server.server.config(), { sslMode: 'require' });
  await copyThrough(peer, peer);
});

test('rows come through an SSH host', async () => {
  await using host = await sshHost();
  await using db = await testDatabase(18);
  const ssh = { host: '127.0.0.1', port: host.port, user: 'pass', password: 'ssh-secret' };
  const peer = peerOf(db, { ssh });
  await copyThrough(peer, peer);
});
