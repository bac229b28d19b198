// The demo's part as a client of the gateway: says the statements, watches the copy, makes changes, looks at both sides.
import pg from 'pg';
import { pause, throwIfStopped } from '../src/base/retry.ts';
import type { Connection } from '../src/pg/client.ts';
import type { ServerConfig } from '../src/pg/embedded.ts';
import { literal, type Sql, sql } from '../src/pg/sql.ts';
import { compareTable, isEqual } from './compare.ts';
import { type LiveCopy, livePanel } from './live.ts';
import { type Screen, shownCount } from './screen.ts';
import { changes, shopTables } from './shop.ts';

/** A connection to the gateway, as psql would have it. */
export class GatewayClient implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #screen: Screen;

  private constructor(client: pg.Client, screen: Screen) {
    this.#client = client;
    this.#screen = screen;
    client.on('error', () => {}); // the gateway ends before us when the demo is interrupted
  }

  static async connect(at: { port: number; password: string }, screen: Screen): Promise<GatewayClient> {
    const client = new pg.Client({ host: '127.0.0.1', ...at, user: 'demo', database: 'sluice' });
    const connected = new GatewayClient(client, screen);
    await client.connect();
    return connected;
  }

  /** Sends a statement and shows it with its tag; `shown` in its place where it holds a password. */
  async say(text: string, shown = text): Promise<void> {
    // pg keeps only the tag's first word, so we read it from the message.
    let tag = '';
    const listen = (message: { readonly text: string }) => {
      tag = message.text;
    };
    const { connection } = this.#client as unknown as { readonly connection: NodeJS.EventEmitter };
    connection.on('commandComplete', listen);
    await this.#client.query(text);
    connection.off('commandComplete', listen);
    this.#screen.statement(`${shown};`, tag);
  }

  async query<Row>(statement: Sql): Promise<readonly Row[]> {
    return (await this.#client.query(statement.text, [...statement.values])).rows as Row[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end().catch(() => {});
  }
}

/** Says CREATE PEER for an embedded server, with the password covered on the screen. */
export async function createPeer(gateway: GatewayClient, name: string, server: ServerConfig): Promise<void> {
  const text = (password: string) =>
    [
      `CREATE PEER ${name} FROM POSTGRES WITH (host = '${server.host}', port = ${server.port},`,
      `  user = '${server.user}', password = ${password}, database = '${server.database}')`,
    ].join('\n');
  await gateway.say(text(literal(server.password).text.trim()), text("'********'"));
}

interface MirrorRow {
  readonly status: string;
  readonly phase: string;
  readonly trouble: string | null;
  readonly hint: string | null;
  readonly rows_estimated: string;
  readonly rows_copied: string;
  readonly bytes_copied: string;
}

const afterTheLoad: Readonly<Record<string, string>> = {
  finishing: 'All rows are there; making keys, indexes and constraints, setting sequences …',
  catching_up: 'Bringing what changed meanwhile …',
};

// Often enough to look alive, seldom enough to cost nothing.
const redrawMs = 100;

/** Shows the copy's progress until the mirror follows its source; throws what is in its way, if that needs a person. */
export async function watchCopy(
  deps: { readonly gateway: GatewayClient; readonly screen: Screen },
  mirror: string,
  signal: AbortSignal,
): Promise<void> {
  const { gateway, screen } = deps;
  let began = performance.now();
  let seen = 'new';
  for (;;) {
    throwIfStopped(signal);
    const [row] = await gateway.query<MirrorRow>(sql`select * from sluice.mirrors where name = ${mirror}`);
    if (row === undefined) throw new Error(`the mirror ${mirror} is gone`);
    if (row.status === 'failed') throw new Error([row.trouble, row.hint].filter(Boolean).join('. '));
    const loaded = row.phase !== 'new' && row.phase !== 'preparing' && row.phase !== 'snapshotting';
    // The rate is the copy's: making tables is not part of it, nor what comes after the last row.
    if (row.phase === 'new' || row.phase === 'preparing') began = performance.now();
    const copy = await lookAtCopy(gateway, mirror, { row, elapsedMs: performance.now() - began });
    const ofLoad = { ...copy, phase: 'snapshotting' };
    if (loaded && (seen === 'new' || seen === 'preparing' || seen === 'snapshotting')) {
      screen.panel(livePanel(ofLoad, screen.size), true);
    } else if (row.phase === 'snapshotting' && copy.whole.ofRows > 0) screen.panel(livePanel(ofLoad, screen.size));
    if (row.phase !== seen && row.phase in afterTheLoad) screen.line(`  ${afterTheLoad[row.phase]}`);
    if (row.phase === 'finishing' && copy.objectsTotal > 0) screen.panel(livePanel(copy, screen.size));
    seen = row.phase;
    if (row.status === 'running') return;
    await pause(redrawMs);
  }
}

async function lookAtCopy(
  gateway: GatewayClient,
  mirror: string,
  now: { readonly row: MirrorRow; readonly elapsedMs: number },
): Promise<LiveCopy> {
  const { row } = now;
  // As JSON, in which numbers are numbers.
  const [found] = await gateway.query<{ live: Omit<LiveCopy, 'phase' | 'whole'> & { secondsLeft: number | null } }>(sql`
    select pg_catalog.json_build_object(
      'secondsLeft', (select seconds_left from sluice.progress where mirror = ${mirror}),
      'objectsMade', (select coalesce(max(objects_made), 0) from sluice.progress where mirror = ${mirror}),
      'objectsTotal', (select coalesce(max(objects_total), 0) from sluice.progress where mirror = ${mirror}),
      'tables', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('table', source_table, 'state', state,
          'rows', rows_copied, 'ofRows', rows_estimated, 'secondsLeft', seconds_left)), '[]')
        from sluice.tables where mirror = ${mirror}),
      'making', (select coalesce(pg_catalog.json_agg(pg_catalog.json_build_object('kind', kind, 'name', name,
          'doing', doing, 'percent', percent) order by started_at), '[]')
        from sluice.objects where mirror = ${mirror} and state = 'making')) as live`);
  if (found === undefined) throw new Error(`nothing is known of the mirror ${mirror}`);
  const { secondsLeft, ...live } = found.live;
  const rows = Number(row.rows_copied);
  const ofRows = row.phase === 'snapshotting' ? Number(row.rows_estimated) : rows;
  const whole = { rows, ofRows, bytes: Number(row.bytes_copied), elapsedMs: now.elapsedMs };
  return { ...live, phase: row.phase, whole: { ...whole, secondsLeft: secondsLeft ?? undefined } };
}

/** Makes each kind of change on the source and waits for it on the target; tells how long that took after the commit. */
export async function showChanges(
  sides: { readonly source: Connection; readonly target: Connection; readonly screen: Screen },
  signal: AbortSignal,
): Promise<void> {
  const { source, target, screen } = sides;
  for (const change of changes) {
    await source.transaction(async () => {
      for (const statement of change.statements) await source.run(statement);
    });
    const ms = await untilArrived(target, change.arrived, signal);
    screen.line(`  ${change.title.padEnd(56)} ${screen.good('arrived')} after ${ms.toFixed(1).padStart(6)} ms`);
  }
  const latencies: number[] = [];
  for (let number = 1; number <= 100; number++) {
    await source.run(sql`insert into shop.audit_log (who, what) values ('demo', ${`change ${number}`})`);
    const arrived = sql`select exists (select from shop.audit_log where what = ${`change ${number}`}) as arrived`;
    latencies.push(await untilArrived(target, arrived, signal));
  }
  latencies.sort((a, b) => a - b);
  const [middle, worst] = [latencies[49]!, latencies[98]!];
  screen.line(
    `  100 single inserts: half were visible within ${middle.toFixed(1)} ms, 99 within ${worst.toFixed(1)} ms`,
  );
}

async function untilArrived(target: Connection, question: Sql, signal: AbortSignal): Promise<number> {
  const began = performance.now();
  for (;;) {
    throwIfStopped(signal);
    const [row] = await target.query<{ arrived: boolean }>(question);
    if (row?.arrived) return performance.now() - began;
    if (performance.now() - began > 60_000) throw new Error('a change did not arrive within a minute');
    await pause(1);
  }
}

/** Compares every table row by row and prints the result. @returns whether all are equal */
export async function compareSides(
  sides: { readonly source: Connection; readonly target: Connection; readonly screen: Screen },
  signal: AbortSignal,
): Promise<boolean> {
  const { source, target, screen } = sides;
  let equal = true;
  screen.line(`  ${'table'.padEnd(20)}${'source'.padStart(12)}${'target'.padStart(12)}   rows`);
  for (const table of shopTables) {
    throwIfStopped(signal);
    const result = await compareTable(source, target, { from: table, to: table });
    const same = isEqual(result);
    equal &&= same;
    const verdict = same ? screen.good('equal') : screen.bad(`${result.missing} missing, ${result.surplus} too many`);
    const counts = `${shownCount(result.sourceRows).padStart(12)}${shownCount(result.targetRows).padStart(12)}`;
    screen.line(`  ${result.table.padEnd(20)}${counts}   ${verdict}`);
    for (const example of result.examples) screen.line(`    ${example}`);
  }
  return equal;
}
