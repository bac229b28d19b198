// What the gateway's process holds: over a large result, before a client that reads slowly, and for each of many idle clients.
import { readFileSync } from 'node:fs';
import { setTimeout as rest } from 'node:timers/promises';
import pg from 'pg';
import { openReader, type Place } from './gateway-reader.ts';
import { table } from './report.ts';

/** Resident memory of a process now, in kB (Linux); NaN elsewhere. */
function residentKb(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  } catch {
    return Number.NaN;
  }
}

const firehose = (bytes: number) =>
  `select pg_catalog.repeat('x', 1000) from pg_catalog.generate_series(1, ${Math.round(bytes / 1011)})`;
const gb = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
const mb = (kb: number) => `${(kb / 1024).toFixed(0)} MB`;

interface Watched {
  readonly before: number;
  readonly most: number;
  readonly after: number;
}

/** Looks ten times a second while the work goes on. */
async function watch(pid: number, work: () => Promise<unknown>): Promise<Watched> {
  const before = residentKb(pid);
  let most = before;
  const looking = setInterval(() => {
    most = Math.max(most, residentKb(pid));
  }, 100);
  try {
    await work();
  } finally {
    clearInterval(looking);
  }
  await rest(1_000);
  return { before, most, after: residentKb(pid) };
}

export interface MemoryQuestion {
  readonly resultBytes: number;
  readonly idle: number;
  readonly idleOnPeer: number;
  /** Starts a gateway that has done nothing yet. */
  readonly fresh: () => Promise<MeasuredGateway>;
}

export interface MeasuredGateway extends AsyncDisposable {
  readonly pid: number;
  /** A session whose home is the catalog, and one whose home is a peer. */
  readonly catalog: Place;
  readonly peer: Place;
}

export async function benchMemory(question: MemoryQuestion): Promise<void> {
  const rows: string[][] = [];
  const add = (what: string, { before, most, after }: Watched, note = '') =>
    rows.push([what, mb(before), mb(most), mb(after), note]);
  {
    await using gateway = await question.fresh();
    const read = async (bytes: number, restMs: number) => {
      using reader = await openReader(gateway.peer);
      await reader.read(firehose(bytes), { restMs });
    };
    const { resultBytes } = question;
    await read(resultBytes / 20, 0);
    add(`a result of ${gb(resultBytes)}, read at once`, await watch(gateway.pid, () => read(resultBytes, 0)));
    const slowly = resultBytes / 10;
    add(`a result of ${gb(slowly)}, 2 ms of rest after each chunk`, await watch(gateway.pid, () => read(slowly, 2)));
  }
  for (const [home, count] of [
    ['catalog', question.idle],
    ['peer', question.idleOnPeer],
  ] as const) {
    await using gateway = await question.fresh();
    // The first clients load what all share. What the collector keeps for short-lived things counts.
    const clients = await idleClients(gateway[home], 50);
    await rest(2_000);
    const seen = await watch(gateway.pid, async () => {
      clients.push(...(await idleClients(gateway[home], count)));
      await rest(4_000);
    });
    const each = `${((seen.after - seen.before) / count).toFixed(1)} kB each`;
    add(`${count} idle clients at home on the ${home}`, seen, each);
    await endAll(clients);
  }
  console.log('\n### Memory of the gateway\n');
  console.log(table(['while', 'before', 'most', 'after', ''], rows));
}

async function endAll(clients: readonly pg.Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.end()));
}

async function idleClients(place: Place, count: number): Promise<pg.Client[]> {
  const clients = Array.from({ length: count }, () => new pg.Client({ ...place }));
  // A few at a time: the listen queue and the login's arithmetic are not what is measured.
  for (let at = 0; at < count; at += 50) {
    await Promise.all(
      clients.slice(at, at + 50).map((client) => {
        client.on('error', () => {});
        return client.connect();
      }),
    );
  }
  return clients;
}
