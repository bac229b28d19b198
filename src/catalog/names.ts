// What a gateway must know at each statement: which names are peers', and what each user may do. Read once, kept fresh by notifications.
import { toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { backoffMs, pause } from '../base/retry.ts';
import type { Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import type { UserAccess } from '../sql/statement.ts';
import type { Catalog } from './open.ts';
import { PeerTable } from './peers.ts';
import { readUsers } from './users.ts';

/** Names and what they stand for. */
export interface Known {
  /** Each peer's identity, and when it was changed last. */
  readonly peers: ReadonlyMap<string, PeerVersion>;
  readonly users: ReadonlyMap<string, UserAccess>;
}

export interface PeerVersion {
  readonly id: string;
  /** Other text: it was altered. */
  readonly changed: string;
}

/** The names of one catalog. What another process changed is known within milliseconds, what this one changed at once. */
export class Names {
  readonly #peers: PeerTable;
  readonly #listeners = new Set<(known: Known) => void>();
  // Undefined: something changed and was not read yet, or nobody would tell us of a change.
  #known: Known | undefined;
  /** Counts the times that something changed: what was read before that is old. */
  #changes = 0;
  #ring: () => void = () => {};

  constructor(catalog: Catalog) {
    this.#peers = new PeerTable(catalog);
  }

  /** Whether a peer has this name; asks the catalog only where that is not known. */
  isPeer(name: string): boolean | Promise<boolean> {
    return this.#known?.peers.has(name) ?? this.#peers.exists(name);
  }

  /** Undefined: there is none, or it is not known now. */
  peerVersion(name: string): PeerVersion | undefined {
    return this.#known?.peers.get(name);
  }

  /** Something was changed: ask until it is read again. */
  forget(): void {
    this.#known = undefined;
    this.#changes += 1;
    this.#ring();
  }

  /** @param ring called when something was forgotten and is to be read again */
  onForget(ring: () => void): void {
    this.#ring = ring;
  }

  /** @param listener gets all names, now if they are known and at every change. @returns ends it */
  onChange(listener: (known: Known) => void): () => void {
    this.#listeners.add(listener);
    if (this.#known !== undefined) listener(this.#known);
    return () => void this.#listeners.delete(listener);
  }

  /** Reads all names; what changed meanwhile is read by the next call. */
  async read(db: Connection): Promise<void> {
    const before = this.#changes;
    const peers = await db.query<{ name: string } & PeerVersion>(
      sql`select name, id, changed_at::text as changed from sluice_private.peers`,
    );
    const users = await readUsers(db);
    if (before !== this.#changes) return;
    const known = {
      peers: new Map(peers.map(({ name, id, changed }) => [name, { id, changed }])),
      users: new Map(users.map(({ name, access }) => [name, access])),
    };
    this.#known = known;
    for (const listener of this.#listeners) listener(known);
  }
}

// Should a notification be lost on its way, what is known is not old for longer.
const readEveryMs = 30_000;

/** Keeps names fresh until stopped; while the catalog is away, names are asked for one by one. */
export async function keepNames(
  deps: { readonly catalog: Catalog; readonly names: Names; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      await listen(deps, signal, () => {
        attempt = 0;
      });
    } catch (error) {
      if (!signal.aborted) deps.log.debug({ err: toSluiceError(error) }, 'names of the catalog are not followed');
    }
    deps.names.forget();
    await pause(Math.min(2_000, backoffMs(attempt)), signal).catch(() => undefined);
  }
}

async function listen(
  { catalog, names }: { readonly catalog: Catalog; readonly names: Names },
  signal: AbortSignal,
  onRead: () => void,
): Promise<void> {
  // Its end is the signal's, too.
  await using db = await catalog.connect(signal);
  let wake: () => void = () => {};
  let stale = true;
  const ring = () => {
    stale = true;
    wake();
  };
  names.onForget(ring);
  db.client.on('notification', () => names.forget());
  db.lost.addEventListener('abort', ring, { once: true });
  await db.run(sql`listen sluice_names`);
  while (!db.lost.aborted) {
    if (stale) {
      stale = false;
      await names.read(db);
      onRead();
      continue;
    }
    await new Promise<void>((resolve) => {
      const timer = setTimeout(ring, readEveryMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
