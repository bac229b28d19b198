// The world that is attacked: a gateway process with two peers, what it holds, and clients who must not notice.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type pg from 'pg';
import { pause } from '../../src/base/retry.ts';
import { type Authority, hasOpenssl, makeAuthority } from '../support/certificates.ts';
import { createPeer, type Gateway, isAlive, startGateway } from '../support/gateway.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

export interface FuzzWorld extends AsyncDisposable {
  readonly gateway: Gateway;
  /** Whether it offers TLS. */
  readonly tls: boolean;
  /** Attacks that are going on. */
  readonly running: Set<string>;
  readonly catalog: TestDatabase;
  readonly peers: readonly TestDatabase[];
  config(database?: string): pg.ClientConfig;
}

// Whatever is put into it, it stays empty: the time that a statement takes must not depend on what was said before.
const emptyTable = `create table public.t (id int);
  create function public.nothing() returns trigger language plpgsql as 'begin return null; end';
  create trigger nothing before insert on public.t for each row execute function public.nothing()`;

/** Every connection to these databases is counted, so they are nobody else's. */
export async function fuzzWorld(): Promise<FuzzWorld> {
  const databases = await Promise.all([testDatabase(18), testDatabase(14), testDatabase(18)]);
  const [catalog, peer, other] = databases;
  await Promise.all([peer, other].map((db) => db.exec(emptyTable)));
  const authority: Authority | undefined = hasOpenssl ? makeAuthority() : undefined;
  const issued = authority?.issue('localhost', 'DNS:localhost,IP:127.0.0.1');
  const gateway = await startGateway({
    env: {
      SLUICE_CATALOG_URL: catalog.url,
      SLUICE_HTTP_PORT: '0',
      SLUICE_MAX_CONNECTIONS: '500',
      SLUICE_LOGIN_TIMEOUT: '5',
      ...(issued === undefined ? {} : { SLUICE_TLS_CERT: issued.certificateFile, SLUICE_TLS_KEY: issued.keyFile }),
    },
  });
  const dispose = async () => {
    await gateway[Symbol.asyncDispose]();
    authority?.[Symbol.dispose]();
    await Promise.all(databases.map((db) => db[Symbol.asyncDispose]()));
  };
  try {
    const admin = await gateway.connect();
    await admin.query(createPeer('peer', peer) + createPeer('other', other));
    await admin.end();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    gateway,
    tls: issued !== undefined,
    running: new Set(),
    catalog,
    peers: [peer, other],
    config: (database = 'sluice') => ({
      host: '127.0.0.1',
      port: gateway.port,
      user: 'fuzzer',
      password: gateway.password,
      database,
    }),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Resident bytes of the gateway. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes ?? 0) * 1024;
}

/** Connections of clients that the gateway still holds, whatever the other side thinks of them. */
export function clientsOf({ pid, port }: { readonly pid: number; readonly port: number }): number {
  const held = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined) held.add(inode);
    } catch {
      // closed meanwhile
    }
  }
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  const listening = '0A';
  // https://docs.kernel.org/networking/proc_net_tcp.html
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local, , state, , , , , , inode]) =>
        local?.endsWith(`:${hexPort}`) && state !== listening && held.has(inode!),
    ).length;
}

/** Sessions on the peers that are not this test's own. */
export async function sessionsOnPeers(world: FuzzWorld): Promise<number> {
  const counts = await Promise.all(
    world.peers.map((db) =>
      db.exec<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
      ),
    ),
  );
  return counts.reduce((sum, [row]) => sum + (row?.n ?? 0), 0);
}

export interface Watched {
  /** Slowest answer that a client who did nothing wrong has had. */
  slowestMs: number;
  /** What went on then. */
  slowestDuring: string;
  asked: number;
  mostResident: number;
}

/** Clients who do nothing wrong, as long as the attack lasts. @throws if one is not served, or the gateway is gone */
export async function watch(world: FuzzWorld, signal: AbortSignal): Promise<Watched> {
  const seen: Watched = { slowestMs: 0, slowestDuring: '', asked: 0, mostResident: 0 };
  const { gateway } = world;
  const lag = monitorEventLoopDelay();
  lag.enable();
  const timed = async (what: () => Promise<unknown>) => {
    const began = performance.now();
    lag.reset();
    await what();
    const took = performance.now() - began;
    seen.asked += 1;
    // What this process itself was too busy to hear is not the gateway's fault.
    if (lag.max / 1e6 > took / 4) return;
    if (took > seen.slowestMs) seen.slowestDuring = [...world.running].join(', ');
    seen.slowestMs = Math.max(seen.slowestMs, took);
  };
  const [home, visitor] = [await gateway.connect(), await gateway.connect({ database: 'other' })];
  while (!signal.aborted) {
    if (!isAlive(gateway.pid)) throw new Error(`the gateway is gone: ${gateway.output.slice(-3_000)}`);
    await timed(() => home.query('select count(*) from peer.public.t where false'));
    await timed(() => visitor.query('select $1::int + 1', [1]));
    await timed(() => home.query('show peers'));
    await timed(async () => {
      const fresh = await gateway.connect();
      await fresh.query('select 1');
      await fresh.end();
    });
    seen.mostResident = Math.max(seen.mostResident, residentBytes(gateway.pid));
    await pause(100);
  }
  await Promise.all([home.end(), visitor.end()]);
  return seen;
}

/** Waits until nothing is left of the clients that are gone. */
export async function settled(world: FuzzWorld): Promise<void> {
  await until('no session is left on a peer', async () => (await sessionsOnPeers(world)) === 0, 20_000);
  await until('no client is left', () => clientsOf(world.gateway) === 0, 20_000);
}
