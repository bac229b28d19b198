// Looks at every mirror's slot now and then, whether the mirror runs or rests: what is kept for it may fill the source's disk.
import { toSluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import { pause } from '../base/retry.ts';
import type { Catalog } from '../catalog/open.ts';
import { PeerTable } from '../catalog/peers.ts';
import { type UnwatchedSlot, unwatchedSlots, writeObservedSlot } from '../catalog/progress-write.ts';
import type { PeerConfig } from '../mirror/peer.ts';
import { applicationName } from '../mirror/work.ts';
import { connectPeer } from '../peers/connect.ts';
import { readSlot } from '../peers/slot.ts';

export interface WatchDeps {
  readonly catalog: Catalog;
  readonly log: Log;
  /** Seconds between two looks at one slot; 10 unless told. */
  readonly slotLookSeconds?: number;
}

// Slots that are looked at at once.
const atOnce = 4;
const answerWithinMs = 15_000;

/** Runs until stopped. A look that fails is left out: how old the last one is stands beside it. */
export async function watchSlots(deps: WatchDeps, signal: AbortSignal): Promise<void> {
  const { catalog, log, slotLookSeconds = 10 } = deps;
  const watcher = new Watcher(deps, slotLookSeconds * 1_000);
  while (!signal.aborted) {
    try {
      await watcher.look(await catalog.pool.use((db) => unwatchedSlots(db, slotLookSeconds)), signal);
    } catch (error) {
      log.debug({ err: toSluiceError(error) }, 'the slots could not be looked at');
    }
    await pause(Math.min(2_000, slotLookSeconds * 500), signal).catch(() => undefined);
  }
}

class Watcher {
  readonly #deps: WatchDeps;
  readonly #againAfterMs: number;
  /** When each mirror's slot was last asked for, whatever came of it. */
  readonly #asked = new Map<string, number>();
  /** Settings of peers with which the server refused us; it may ban who asks again. */
  readonly #refused = new Map<string, string>();

  constructor(deps: WatchDeps, againAfterMs: number) {
    this.#deps = deps;
    this.#againAfterMs = againAfterMs;
  }

  async look(unwatched: readonly UnwatchedSlot[], signal: AbortSignal): Promise<void> {
    const now = Date.now();
    for (const [id, at] of this.#asked) if (now - at >= this.#againAfterMs) this.#asked.delete(id);
    const due = unwatched.filter(({ id }) => !this.#asked.has(id));
    if (due.length === 0) return;
    const peers = await new PeerTable(this.#deps.catalog).findById([...new Set(due.map(({ sourceId }) => sourceId))]);
    const left = [...due];
    const lookOn = async () => {
      for (let next = left.shift(); next !== undefined && !signal.aborted; next = left.shift()) {
        const source = peers.get(next.sourceId);
        if (source !== undefined) await this.#lookAt(next, source, signal);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, lookOn));
  }

  async #lookAt(
    mirror: UnwatchedSlot,
    source: { readonly id: string; readonly config: PeerConfig },
    signal: AbortSignal,
  ): Promise<void> {
    const settings = JSON.stringify(source.config);
    if (this.#refused.get(source.id) === settings) return;
    this.#refused.delete(source.id);
    this.#asked.set(mirror.id, Date.now());
    try {
      await this.#observe(mirror, source.config, AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]));
    } catch (error) {
      const known = toSluiceError(error);
      if (known.kind === 'login_refused') this.#refused.set(source.id, settings);
      this.#deps.log.debug({ err: known, mirror: mirror.name }, 'the slot could not be looked at');
    }
  }

  async #observe(mirror: UnwatchedSlot, config: PeerConfig, signal: AbortSignal): Promise<void> {
    const use = { application: applicationName('slot watch', mirror) };
    await using source = await connectPeer(config, use, signal);
    const slot = await readSlot(source, mirror.slot);
    if (slot === null) return;
    await this.#deps.catalog.pool.transaction((db) =>
      writeObservedSlot(db, mirror.id, {
        slot: mirror.slot,
        active: slot.active,
        walStatus: slot.walStatus,
        invalidation: slot.invalidation,
        safeWalBytes: slot.safeWalSize,
        lagBytes: slot.lagBytes,
        restartLsn: slot.restartLsn,
        confirmedLsn: slot.confirmedFlush,
      }),
    );
  }
}
