// What becomes of a session's open servers when peers are altered, dropped or made anew under the same name.
import { SluiceError } from '../base/errors.ts';
import type { PeerVersion } from '../catalog/names.ts';
import { catalogName } from './transaction.ts';
import type { Upstream } from './upstream.ts';

interface Changed {
  /** Open to what the name stood for before. */
  readonly stale: readonly Upstream[];
  /** The session's home is no more, or another peer has its name. */
  readonly homeless: boolean;
}

/** Compares what is open with what the names stand for now. A session at home on a peer keeps it while that is only altered. */
export function changedPeers(
  upstreams: readonly Upstream[],
  peers: ReadonlyMap<string, PeerVersion>,
  home: string,
): Changed {
  const stale = upstreams.filter((upstream) => {
    const { name, version } = upstream;
    if (name === catalogName) return false;
    const now = peers.get(name);
    if (now === undefined || version === undefined) return true;
    return now.id !== version.id || (name !== home && now.changed !== version.changed);
  });
  return { stale, homeless: stale.some(({ name }) => name === home) };
}

/** What a session is told whose peer is no more. */
export function peerGone(name: string): SluiceError {
  return new SluiceError('stopped', `terminating connection because peer "${name}" was dropped`, { sqlstate: '57P01' });
}
