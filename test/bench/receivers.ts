// Receivers of a replication stream that throw everything away: ours and pg-logical-replication's service, over copies of one slot.
import { setTimeout as wait } from 'node:timers/promises';
import { LogicalReplicationService } from 'pg-logical-replication';
import { ChangeStream } from '../../src/peers/stream.ts';
import { Connection } from '../../src/pg/client.ts';
import { sql } from '../../src/pg/sql.ts';
import { createTpcb, runTpcb } from './data.ts';
import { cpuSeconds, median, seconds, table } from './report.ts';
import { type BenchServers, type Database, freshDatabase, settle } from './servers.ts';

interface Receiver {
  readonly name: string;
  /** Reads until `commits` transactions were seen. */
  receive(source: Database, slot: string, commits: number): Promise<void>;
}

const publication = 'bench_receivers';
const commitTag = 0x43;

/** `pacedMs`: the socket rests for so long after each read, as ours does while there is a backlog. */
function service(pacedMs: number): Receiver {
  return {
    name: `pg-logical-replication, ${pacedMs === 0 ? 'as it comes' : `paced ${pacedMs} ms`}`,
    async receive(source, slot, commits) {
      const receiver = new LogicalReplicationService(source.config, {
        acknowledge: { auto: false, timeoutSeconds: 0 },
      });
      const options = `proto_version '1', publication_names '${publication}', binary 'true'`;
      let left = commits;
      const done = deferred();
      const plugin = {
        parse: (message: Buffer) => {
          if (message[0] === commitTag && --left === 0) done.resolve();
        },
        start: (client: { query(text: string): Promise<unknown> }, name: string, lsn: string) =>
          client.query(`START_REPLICATION SLOT "${name}" LOGICAL ${lsn} (${options})`),
      } as unknown as Parameters<LogicalReplicationService['subscribe']>[0];
      receiver.on('error', done.reject);
      receiver.on('start', () => {
        if (pacedMs === 0) return;
        const { stream } = (receiver as unknown as { _connection: { stream: NodeJS.ReadStream } })._connection;
        stream.on('data', () => {
          stream.pause();
          setTimeout(() => stream.resume(), pacedMs);
        });
      });
      receiver.subscribe(plugin, slot, '0/0').catch(done.reject);
      await done.promise;
      await receiver.destroy();
    },
  };
}

function deferred() {
  let resolve = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

const ours: Receiver = {
  name: 'ours',
  async receive(source, slot, commits) {
    const connection = await Connection.open({ ...source.config, replication: 'database' });
    let left = commits;
    const done = deferred();
    // CopyData's header has 5 bytes, XLogData's 25: then the message.
    const onChange = () => {
      try {
        for (let part = stream?.take(); part !== undefined; part = stream?.take()) {
          for (let at = 0; at < part.length; at += part.readUInt32BE(at + 1) + 1) {
            if (part[at + 5] === 0x77 && part[at + 30] === commitTag && --left === 0) done.resolve();
          }
        }
      } catch (error) {
        done.reject(error);
      }
    };
    let stream: ChangeStream | undefined;
    stream = await ChangeStream.start(connection, {
      slot,
      publication,
      from: 0n,
      binary: true,
      blocks: null,
      onChange,
    });
    // As following says it is while it is behind.
    stream.busy = true;
    onChange();
    await done.promise;
    await stream[Symbol.asyncDispose]();
  },
};

/** Prints one table: time, our processor time, the walsender's. */
export async function benchReceivers(
  servers: BenchServers,
  sizes: { readonly changes: number; readonly runs: number },
): Promise<void> {
  await using source = await freshDatabase(servers.source, 'bench_receivers');
  const transactions = Math.round(sizes.changes / 4);
  await createTpcb(source.connection, 100_000);
  await source.connection.run(sql`create publication bench_receivers for all tables`);
  await source.connection.run(sql`select pg_create_logical_replication_slot('bench_backlog', 'pgoutput')`);
  await runTpcb(source.connection, transactions);
  await settle(servers);
  const receivers = [ours, service(1), service(0)];
  const results = receivers.map(() => ({ ms: [] as number[], node: [] as number[], server: [] as number[] }));
  for (let run = 0; run < sizes.runs; run++) {
    for (const [i, receiver] of receivers.entries()) {
      const slot = `bench_${run}_${i}`;
      await source.connection.run(sql`select pg_copy_logical_replication_slot('bench_backlog', ${slot})`);
      let walsender = 0;
      const watching = new AbortController();
      const watch = watchWalsender(
        source,
        slot,
        (cpu) => {
          walsender = cpu;
        },
        watching.signal,
      );
      const cpu = process.cpuUsage();
      const started = performance.now();
      await receiver.receive(source, slot, transactions);
      results[i]?.ms.push(performance.now() - started);
      const used = process.cpuUsage(cpu);
      results[i]?.node.push((used.user + used.system) / 1e6);
      watching.abort();
      await watch;
      results[i]?.server.push(walsender);
    }
  }
  console.log(`\n### Receivers that throw away ${transactions * 4} changes in transactions of 4\n`);
  const rows = receivers.map((receiver, i) => {
    const { ms = [], node = [], server = [] } = results[i] ?? {};
    const time = median(ms);
    const rate = `${Math.round((transactions * 4) / (time / 1000)).toLocaleString('en')}/s`;
    return [receiver.name, seconds(time), rate, `${median(node).toFixed(2)} s`, `${median(server).toFixed(2)} s`];
  });
  console.log(table(['receiver', 'time', 'changes', 'node CPU', 'walsender CPU'], rows));
}

async function watchWalsender(
  source: Database,
  slot: string,
  tell: (cpu: number) => void,
  signal: AbortSignal,
): Promise<void> {
  await using db = await Connection.open(source.config);
  while (!signal.aborted) {
    const [row] = await db.query<{ pid: number | null }>(
      sql`select active_pid as pid from pg_replication_slots where slot_name = ${slot}`,
    );
    if (row?.pid != null) {
      const cpu = cpuSeconds(row.pid);
      if (!Number.isNaN(cpu)) tell(cpu);
    }
    await wait(100);
  }
}
