// One connection to a PostgreSQL server, with every setting that changes what a value looks like pinned.
import pg from 'pg';
import { SluiceError, saidBy, toSluiceError } from '../base/errors.ts';
import { guardClient } from './guard.ts';
import type { Sql } from './sql.ts';

/** What pg needs to connect; made by peers/connect for a peer. */
export type ClientConfig = pg.ClientConfig & { readonly replication?: 'database' };

// A role or database may carry hostile values for each of these (ALTER ROLE … SET). Timeouts first: they may be a millisecond.
// https://www.postgresql.org/docs/18/runtime-config-client.html
const pinned = [
  'set statement_timeout = 0',
  'set idle_in_transaction_session_timeout = 0',
  'set idle_session_timeout = 0',
  'set lock_timeout = 0',
  "set datestyle = 'ISO, MDY'",
  "set intervalstyle = 'postgres'",
  "set timezone = 'UTC'",
  "set client_encoding = 'UTF8'",
  "set bytea_output = 'hex'",
  'set extra_float_digits = 3',
  "set lc_monetary = 'C'",
  'set standard_conforming_strings = on',
  'set array_nulls = on',
  "set search_path = ''",
  "set xmloption = 'content'",
  'set row_security = off',
  // What the server prints, and what statements of ours make without saying so.
  'set quote_all_identifiers = off',
  'set transform_null_equals = off',
  'set check_function_bodies = off',
  "set default_tablespace = ''",
  'set default_table_access_method = heap',
  'set synchronize_seqscans = off',
  'set client_min_messages = warning',
  'set default_transaction_read_only = off',
  "set default_transaction_isolation = 'read committed'",
  'set default_transaction_deferrable = off',
].join('; ');

// transaction_timeout came with 17. And a commit that the server calls durable must be: `off` would have us acknowledge to
// the source what a crash of the target takes back. Asked one by one: pg_settings prints all of a server's settings each time.
const pinnedWhereNeeded = `select pg_catalog.current_setting('server_version_num')::int as version,
  case when pg_catalog.current_setting('server_version_num')::int >= 170000
    then pg_catalog.set_config('transaction_timeout', '0', false) end,
  case when pg_catalog.current_setting('synchronous_commit') = 'off'
    then pg_catalog.set_config('synchronous_commit', 'on', false) end`;

export interface QueryResult<Row> {
  readonly rows: readonly Row[];
  /** Rows that the command says it touched; 0 where it says none. */
  readonly rowCount: number;
}

/** What is left when one lets go of a connection that is to be used by another. */
export interface Session {
  readonly client: pg.Client;
  readonly version: number;
  readonly server: string | undefined;
}

/** Who takes a session in place of its end. */
export type Keeper = (session: Session) => void;

/** A connection. Close it with `await using` or `close()`. Values of numeric, int8 and dates come as text, never rounded. */
export class Connection implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #lost = new AbortController();
  readonly #server: string | undefined;
  #version = 0;
  #keeper: Keeper | undefined;
  /** Lets go of the client and of who may abort. */
  readonly #letGo = new AbortController();
  #closing = false;
  /** The last statement's end, whatever its answer; null: none runs. */
  #running: Promise<void> | null = null;

  private constructor(client: pg.Client, server: string | undefined) {
    this.#client = client;
    this.#server = server;
    const fail = (error: Error) => this.#lose(error);
    const end = () => this.#lose(new Error('connection closed'));
    client.on('error', fail);
    client.on('end', end);
    this.#letGo.signal.addEventListener('abort', () => client.off('error', fail).off('end', end));
  }

  /**
   * Connects and pins the settings.
   * @param signal aborting it breaks the connection off, also while it is being made and later while a query runs
   * @param server what its errors are said to come from
   * @param keeper gets the session when the connection is closed, if it may still be used
   * @throws `login_refused`, `unreachable`, `upstream`
   */
  static async open(
    config: ClientConfig,
    signal?: AbortSignal,
    { server, keeper }: { readonly server?: string | undefined; readonly keeper?: Keeper | undefined } = {},
  ): Promise<Connection> {
    if (signal?.aborted) throw new SluiceError('stopped', 'stopped');
    const client = new pg.Client({ connectionTimeoutMillis: 15_000, keepAlive: true, ...config, types: textTypes });
    guardClient(client);
    const connection = new Connection(client, server);
    connection.#obey(signal);
    try {
      await client.connect();
      connection.#version = await pinAll(client);
      connection.#keeper = keeper;
    } catch (error) {
      connection.destroy();
      if (signal?.aborted) throw new SluiceError('stopped', 'stopped', { cause: error });
      throw connectError(error, config);
    }
    return connection;
  }

  /**
   * Makes a session as good as a new one that nobody has used.
   * @returns undefined if it cannot be, and then it is ended
   */
  static async renew({ client, version, server }: Session): Promise<Connection | undefined> {
    const connection = new Connection(client, server);
    connection.#version = version;
    const impatience = setTimeout(() => connection.destroy(), 2_000);
    try {
      // Who closes a connection amid a transaction wants nothing of it.
      await client.query('rollback');
      await client.query('discard all');
      await pinAll(client);
      return connection.lost.aborted ? undefined : connection;
    } catch {
      connection.destroy();
      return undefined;
    } finally {
      clearTimeout(impatience);
    }
  }

  /** This one, in other hands. @returns undefined if it is lost */
  handOn(keeper: Keeper | undefined, signal?: AbortSignal): Connection | undefined {
    if (this.lost.aborted) return undefined;
    const connection = new Connection(this.#client, this.#server);
    this.#letGo.abort();
    connection.#version = this.#version;
    connection.#keeper = keeper;
    connection.#obey(signal);
    return connection;
  }

  #obey(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = () => this.destroy();
    const stopObeying = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort, { once: true });
    this.#lost.signal.addEventListener('abort', stopObeying, { once: true });
    this.#letGo.signal.addEventListener('abort', stopObeying, { once: true });
  }

  /** The pg client below, for COPY, pipelines and raw frames. */
  get client(): pg.Client {
    return this.#client;
  }

  /** The server's version as server_version_num: 180004. Of a connection: a server that is upgraded ends them all. */
  get version(): number {
    return this.#version;
  }

  /** What its errors are said to come from. */
  get server(): string | undefined {
    return this.#server;
  }

  /** Aborted when the connection is gone, whoever closed it. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The server's process id for this connection. */
  get pid(): number {
    return (this.#client as unknown as { readonly processID: number | null }).processID ?? 0;
  }

  /** Runs one statement, after those that were given before it. @throws `upstream` with all fields, `connection_lost` */
  async run<Row = Record<string, unknown>>(statement: Sql): Promise<QueryResult<Row>> {
    const before = this.#running;
    const result = before === null ? this.#send(statement) : before.then(() => this.#send(statement));
    const end = result.then(
      () => undefined,
      () => undefined,
    );
    this.#running = end;
    try {
      const { rows, rowCount } = await result;
      return { rows: rows as Row[], rowCount: rowCount ?? 0 };
    } catch (error) {
      throw this.#error(error);
    } finally {
      if (this.#running === end) this.#running = null;
    }
  }

  #send({ text, values }: Sql): Promise<pg.QueryResult> {
    return this.#client.query(values.length === 0 ? text : { text, values: [...values] });
  }

  /** Runs one statement and gives its rows. */
  async query<Row = Record<string, unknown>>(statement: Sql): Promise<readonly Row[]> {
    return (await this.run<Row>(statement)).rows;
  }

  /** Runs one statement and gives its only row. @throws `internal` if there is not exactly one */
  async one<Row = Record<string, unknown>>(statement: Sql): Promise<Row> {
    const rows = await this.query<Row>(statement);
    const row = rows[0];
    if (row === undefined || rows.length > 1) throw new SluiceError('internal', `expected one row, got ${rows.length}`);
    return row;
  }

  /** Runs `work` in a transaction; commits when it returns, rolls back when it throws. `begin` may say more than `begin`. */
  async transaction<T>(work: () => Promise<T>, begin = 'begin'): Promise<T> {
    await this.run({ text: begin, values: [] });
    try {
      const value = await work();
      await this.run({ text: 'commit', values: [] });
      return value;
    } catch (error) {
      if (!this.lost.aborted) await this.run({ text: 'rollback', values: [] }).catch(() => this.destroy());
      throw error;
    }
  }

  /** Says goodbye and waits until the socket is closed; or hands the session on. */
  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    if (this.lost.aborted) return;
    if (this.#keeper !== undefined && this.#running === null) {
      this.#letGo.abort();
      this.#lose(new Error('connection closed'));
      return this.#keeper({ client: this.#client, version: this.#version, server: this.#server });
    }
    const gone = new Promise<void>((resolve) => this.lost.addEventListener('abort', () => resolve(), { once: true }));
    // A server that does not answer must not hold us up: break off after a moment.
    const impatience = setTimeout(() => this.destroy(), 2_000);
    void this.#client.end().catch(() => this.destroy());
    await gone;
    clearTimeout(impatience);
  }

  /** Breaks the socket off at once; a running query fails with `connection_lost`. */
  destroy(): void {
    this.#closing = true;
    const { connection } = this.#client as unknown as { readonly connection: { readonly stream: { destroy(): void } } };
    connection.stream.destroy();
    this.#lose(new Error('connection broken off'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #lose(error: Error): void {
    if (!this.#lost.signal.aborted) this.#lost.abort(error);
  }

  #error(error: unknown): SluiceError {
    const known = toSluiceError(error);
    if (known.kind === 'internal' && this.lost.aborted) {
      return new SluiceError('connection_lost', 'the connection to the server was lost', { cause: error });
    }
    return saidBy(known, this.#server);
  }
}

// A role or database may allow a statement less time than a busy server takes for the first one, which lifts that limit.
const mostPins = 10;

async function pinAll(client: pg.Client): Promise<number> {
  await pin(client);
  const { rows } = await client.query<{ readonly version: number }>(pinnedWhereNeeded);
  return rows[0]?.version ?? 0;
}

async function pin(client: pg.Client): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      if (tries > 1) await client.query('set statement_timeout = 0');
      await client.query(pinned);
      return;
    } catch (error) {
      // query_canceled
      if (toSluiceError(error).sqlstate !== '57014' || tries === mostPins) throw error;
    }
  }
}

function connectError(error: unknown, config: ClientConfig): SluiceError {
  const known = toSluiceError(error);
  if (known.kind !== 'internal') return known;
  return new SluiceError('unreachable', `cannot connect to ${config.host}:${config.port}: ${known.message}`, {
    cause: error,
  });
}

// Everything stays the text that the server sent, but for what JavaScript holds exactly: booleans, small integers, json.
// https://www.postgresql.org/docs/18/catalog-pg-type.html
const exact: ReadonlySet<number> = new Set([16, 21, 23, 26, 114, 3802, 1009, 1005, 1007, 1028]);
const asText = (value: string | Buffer) => value;
const textTypes: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: string) =>
    format !== 'binary' && exact.has(oid)
      ? pg.types.getTypeParser(oid, 'text')
      : asText) as pg.CustomTypesConfig['getTypeParser'],
};
