// A peer's settings for a test database, as CREATE PEER would make them.
import type { PeerConfig } from '../../src/mirror/peer.ts';
import type { ServerAddress } from './servers.ts';

/** How to reach a database of a test server; `more` says what is different. */
export function peerOf(db: ServerAddress & { readonly database: string }, more: Partial<PeerConfig> = {}): PeerConfig {
  return {
    host: db.host,
    port: db.port,
    user: db.user,
    password: db.password,
    database: db.database,
    sslMode: 'prefer',
    rootCa: undefined,
    tlsHost: undefined,
    clientTls: undefined,
    ssh: undefined,
    metadataSchema: '_sluice',
    ...more,
  };
}

/** Everything that an error says, its causes included, to look for secrets in it. */
export function allWords(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error) ?? '';
  const { detail, hint, fields } = error as { detail?: string; hint?: string; fields?: object };
  const own = [error.message, error.stack, detail, hint, JSON.stringify(fields), JSON.stringify(error)];
  return [...own, error.cause === undefined ? '' : allWords(error.cause)].join('\n');
}
