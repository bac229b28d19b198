// Work on the target after the load, by several connections side by side, each taking the next that is left.
import { throwIfStopped } from '../base/retry.ts';
import { Scope } from '../base/scope.ts';
import { applicationName, type MirrorWork } from '../mirror/work.ts';
import { connectPeer } from '../peers/connect.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';

/** Runs all, first ones first, on as many connections as the mirror may have; the first failure stops the others. */
export async function inParallel<T>(
  work: MirrorWork,
  items: readonly T[],
  run: (target: Connection, item: T) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await onConnections(work, items, { run, connections: work.options.snapshot_num_tables_in_parallel }, signal);
}

/** The same, one after another. */
export async function inTurn<T>(
  work: MirrorWork,
  items: readonly T[],
  run: (target: Connection, item: T) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  await onConnections(work, items, { run, connections: 1 }, signal);
}

async function onConnections<T>(
  work: MirrorWork,
  items: readonly T[],
  how: { readonly run: (target: Connection, item: T) => Promise<void>; readonly connections: number },
  signal: AbortSignal,
): Promise<void> {
  if (items.length === 0) return;
  await using scope = new Scope(signal);
  const left = [...items];
  for (let i = 0; i < Math.min(items.length, how.connections); i++) {
    scope.run(async (stop) => {
      await using target = await connectPeer(work.target, { application: applicationName('finish', work) }, stop);
      await target.run(sql`set maintenance_work_mem = '256MB'`);
      await target.run(sql`set synchronous_commit = off`);
      for (let item = left.shift(); item !== undefined; item = left.shift()) {
        throwIfStopped(stop);
        await how.run(target, item);
      }
    });
  }
  await scope.join();
  throwIfStopped(signal);
}
