// Sessions between two steps: the next one finds them logged in, and servers that have the catalogs of a database at hand.
import type { PeerConfig } from '../mirror/peer.ts';
import { Connection, type Session } from '../pg/client.ts';
import { literal, sql } from '../pg/sql.ts';

/** What is put back is as good as new: without locks, settings and temporary objects of who had it. */
export class SessionShelf {
  /** By their peer's settings, which may be altered meanwhile. */
  readonly #idle = new Map<string, Connection[]>();
  readonly #returning = new Set<Promise<void>>();

  /**
   * One that waits for this peer, under another application's name; undefined: there is none.
   * @param how `comesBack`: whether it is put here again when it is closed
   */
  async take(
    peer: PeerConfig,
    { application, comesBack }: { readonly application: string; readonly comesBack: boolean },
    signal?: AbortSignal,
  ): Promise<Connection | undefined> {
    await Promise.all(this.#returning);
    if (signal?.aborted) return undefined;
    const waiting = this.#idle.get(keyOf(peer)) ?? [];
    for (let kept = waiting.pop(); kept !== undefined; kept = waiting.pop()) {
      const connection = kept.handOn(comesBack ? this.keeper(peer) : undefined, signal);
      try {
        await connection?.run(sql`set application_name = ${literal(application)}`);
        if (connection !== undefined) return connection;
      } catch {
        // The server ended it, or is gone itself: whoever logs in hears why.
        connection?.destroy();
      }
    }
    return undefined;
  }

  /** For a new connection to this peer: called in place of its end. */
  keeper(peer: PeerConfig): (session: Session) => void {
    const key = keyOf(peer);
    return (session) => {
      const put = this.#put(key, session).finally(() => this.#returning.delete(put));
      this.#returning.add(put);
    };
  }

  async #put(key: string, session: Session): Promise<void> {
    const connection = await Connection.renew(session);
    if (connection === undefined) return;
    const waiting = this.#idle.get(key) ?? [];
    this.#idle.set(key, waiting);
    waiting.push(connection);
  }

  /** Ends those that wait. */
  async end(): Promise<void> {
    await Promise.all(this.#returning);
    const all = [...this.#idle.values()].flat();
    this.#idle.clear();
    await Promise.all(all.map((each) => each.close()));
  }
}

const keyOf = (peer: PeerConfig) => JSON.stringify(peer);

// Whoever runs the mirror begins at once, if it is this process that does.
const leftForMs = 2_000;

/** Sessions that a command leaves to who runs its mirror, by the mirror's id. */
export class LeftSessions {
  readonly #left = new Map<string, { readonly shelf: SessionShelf; readonly timer: NodeJS.Timeout }>();

  leave(id: string, shelf: SessionShelf): void {
    const timer = setTimeout(() => void this.take(id)?.end(), leftForMs);
    this.#left.set(id, { shelf, timer });
  }

  take(id: string): SessionShelf | undefined {
    const left = this.#left.get(id);
    this.#left.delete(id);
    clearTimeout(left?.timer);
    return left?.shelf;
  }

  /** Ends all that nobody has taken. */
  async end(): Promise<void> {
    await Promise.all([...this.#left.keys()].map((id) => this.take(id)?.end()));
  }
}
