// The catalog, opened: its server found or started, its schema brought up to date, its key proven, a pool to work with.
import { SluiceError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { ClientConfig, Connection } from '../pg/client.ts';
import { sql } from '../pg/sql.ts';
import { migrate, ownMigrations, withCatalogLock } from './migrate.ts';
import { Pool } from './pool.ts';
import { prepareReader, type Reader } from './reader.ts';
import { Seal } from './seal.ts';
import { type CatalogPlace, type CatalogServer, openServer } from './server.ts';

export interface CatalogOptions {
  readonly place: CatalogPlace;
  readonly secretKey: string;
  readonly log: Log;
}

/** An open catalog. Close it with `await using`; an embedded server that nobody else uses stops with it. */
export class Catalog implements AsyncDisposable {
  readonly pool: Pool;
  readonly seal: Seal;
  readonly #server: CatalogServer;
  readonly #reader: Reader;

  constructor(parts: { readonly server: CatalogServer; readonly seal: Seal; readonly reader: Reader }) {
    this.#server = parts.server;
    this.seal = parts.seal;
    this.#reader = parts.reader;
    this.pool = new Pool({ connect: (signal) => parts.server.connect(signal), max: 8, patienceMs: 5_000 });
  }

  /** One connection outside the pool, for locks and LISTEN. @throws `unreachable` at once if the server is away */
  connect(signal: AbortSignal): Promise<Connection> {
    return this.#server.connect(signal);
  }

  /**
   * How a client of the gateway reads the catalog: a role that sees the views and nothing else.
   * @throws `forbidden` where the catalog's user was not allowed to make that role
   */
  readerConfig(): ClientConfig {
    if (this.#reader.kind === 'none') throw this.#reader.error;
    const { user, password } = this.#reader;
    return { ...this.#server.config(), user, password };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
    await this.#server[Symbol.asyncDispose]();
  }
}

/**
 * Opens the catalog. Two processes may do so at once.
 * @throws `unreachable`, `login_refused`, `unsupported` (a newer catalog), `invalid_option` (another secret key)
 */
export async function openCatalog(options: CatalogOptions, signal: AbortSignal): Promise<Catalog> {
  const { place, secretKey, log } = options;
  const server = await openServer(place, log, signal);
  try {
    await using db = await server.connect(signal);
    const seal = new Seal(secretKey);
    const reader = await withCatalogLock(db, async () => {
      checkVersion(db);
      await migrate(db, ownMigrations());
      await proveKey(db, seal);
      if (place.kind === 'embedded') await closeToPublic(db);
      return prepareReader(db, seal);
    });
    if (reader.kind === 'none') log.warn(`${reader.error.message}; SELECT through the gateway will be refused`);
    return new Catalog({ server, seal, reader });
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
}

function checkVersion({ version }: Connection): void {
  if (version >= 140_000) return;
  throw new SluiceError('unsupported', `the catalog's PostgreSQL is too old (${Math.floor(version / 10_000)})`, {
    hint: 'Give SLUICE_CATALOG_URL a PostgreSQL 14 or later.',
  });
}

// The first start seals a known word; each later start must be able to open it, before it could seal a peer with a wrong key.
async function proveKey(db: Connection, seal: Seal): Promise<void> {
  const proof = seal.seal('sluice', 'the catalog').toString('hex');
  await db.run(
    sql`insert into sluice_private.facts (name, value) values ('key_proof', ${proof}) on conflict do nothing`,
  );
  const { value } = await db.one<{ value: string }>(
    sql`select value from sluice_private.facts where name = 'key_proof'`,
  );
  seal.open(Buffer.from(value, 'hex'), 'the catalog');
}

// The embedded server is ours alone, so the reader gets nothing by way of PUBLIC. Elsewhere other users have their own rules.
async function closeToPublic(db: Connection): Promise<void> {
  await db.run(sql`revoke create on schema public from public`);
  await db.run(sql`revoke temporary on database postgres from public`);
  await db.run(sql`revoke connect on database template1 from public`);
}
