// A mirror's work between two test databases and its snapshot's steps, as a runner would call them, with what they report.
import { randomUUID } from 'node:crypto';
import { silentLog } from '../../src/base/log.ts';
import type { OptionValue } from '../../src/base/options.ts';
import { type ObjectLine, objectKey } from '../../src/mirror/object.ts';
import { readMirrorOptions } from '../../src/mirror/options.ts';
import type { MirroredTable, MirrorWork } from '../../src/mirror/work.ts';
import { claimCheckpoint, ensureCheckpointTables } from '../../src/peers/checkpoint.ts';
import { connectPeer } from '../../src/peers/connect.ts';
import { SessionShelf } from '../../src/peers/shelf.ts';
import { Connection } from '../../src/pg/client.ts';
import { showTable } from '../../src/pg/table.ts';
import type { SnapshotDeps } from '../../src/snapshot/deps.ts';
import { finishSnapshot } from '../../src/snapshot/finish.ts';
import { SourceMemory } from '../../src/snapshot/known-source.ts';
import { prepareTarget } from '../../src/snapshot/prepare.ts';
import { runSnapshot } from '../../src/snapshot/run.ts';
import { peerOf } from './peer.ts';
import type { ServerAddress } from './servers.ts';
import './sliced.ts';

export interface Place extends ServerAddress {
  readonly database: string;
}

/** A connection as ours are: pinned, with an empty search_path. */
export async function pinned({ host, port, user, password, database }: Place): Promise<Connection> {
  return await Connection.open({ host, port, user, password, database });
}

/** `shop.orders` goes to `shop.orders`; give more to say more. */
export function table(name: string, more: Partial<Omit<MirroredTable, 'from'>> = {}): MirroredTable {
  const [schema = 'public', only = ''] = name.includes('.') ? name.split('.') : ['public', name];
  const from = { schema, name: only };
  return { from, to: from, key: null, exclude: [], where: null, ...more };
}

const plain = { sslMode: 'disable' } as const;

export function mirrorWork(
  sides: { readonly from: Place; readonly to: Place },
  tables: readonly MirroredTable[],
  options: Readonly<Record<string, OptionValue>> = {},
): MirrorWork {
  const read = readMirrorOptions(Object.entries(options).map(([name, value]) => ({ name, value })));
  const id = randomUUID();
  const suffix = id.slice(0, 8);
  return {
    id,
    name: 'move',
    token: 1n,
    source: peerOf(sides.from, plain),
    target: peerOf(sides.to, plain),
    options: read,
    tables,
    scope: { kind: 'tables' },
    publication: { name: `pub_${suffix}`, made: true },
    slot: read.initial_copy_only
      ? null
      : { name: read.replication_slot_name ?? `slot_${suffix}`, made: read.replication_slot_name === undefined },
  };
}

export interface Told {
  readonly planned: Map<string, readonly string[]>;
  readonly copied: { readonly table: string; readonly part: number; readonly rows: number }[];
  readonly finished: string[];
  readonly notes: string[];
  readonly waits: (readonly string[])[];
  /** The ledger, each object as it was told of last. */
  readonly objects: Map<string, ObjectLine>;
}

export function listening(work: MirrorWork): SnapshotDeps & { readonly told: Told } {
  const told: Told = { planned: new Map(), copied: [], finished: [], notes: [], waits: [], objects: new Map() };
  return {
    work,
    log: silentLog,
    told,
    report: {
      async planned(of, plan) {
        told.planned.set(
          showTable(of.from),
          plan.parts.map((part) => part.what),
        );
      },
      async part(of, part, now) {
        if (now.state === 'copied') told.copied.push({ table: showTable(of.from), part, rows: now.rows });
      },
      async before() {},
      async workers() {},
      async finished(of) {
        told.finished.push(showTable(of.from));
      },
      async objects(lines) {
        for (const line of lines) {
          const before = told.objects.get(objectKey(line));
          told.objects.set(
            objectKey(line),
            line.state === 'existed' && before?.state === 'created' ? { ...before, reason: line.reason } : line,
          );
        }
      },
      async later() {},
      async changed() {},
      async waits(lines) {
        told.waits.push(lines);
      },
      async note(message) {
        told.notes.push(message);
      },
    },
  };
}

/**
 * The same, with something that another session does once: just before the first of these objects is made.
 * @param of which line of the ledger, when it says that it is being made
 */
export function whenMaking<Deps extends SnapshotDeps>(
  deps: Deps,
  of: (line: ObjectLine) => boolean,
  act: () => Promise<unknown>,
): Deps & { readonly acted: () => boolean } {
  let acted = false;
  const objects = async (lines: readonly ObjectLine[]) => {
    await deps.report.objects(lines);
    if (acted || !lines.some((line) => line.state === 'making' && of(line))) return;
    acted = true;
    await act();
  };
  return { ...deps, report: { ...deps.report, objects }, acted: () => acted };
}

/** Takes the mirror over, as every step begins. */
export async function claim(work: MirrorWork, shelf?: SessionShelf): Promise<void> {
  await using db = await connectPeer(work.target, { application: 'sluice test claim', shelf });
  await ensureCheckpointTables(db, work.target.metadataSchema);
  await claimCheckpoint(db, work);
}

const never = new AbortController().signal;

/** All three steps, one after the other. */
export async function copyAll(work: MirrorWork): Promise<Told> {
  const sessions = new SessionShelf();
  const deps = { ...listening(work), sessions, memory: new SourceMemory() };
  try {
    await claim(work, sessions);
    await prepareTarget(deps, never);
    await runSnapshot(deps, never);
    await finishSnapshot(deps, never);
  } finally {
    await sessions.end();
  }
  return deps.told;
}
