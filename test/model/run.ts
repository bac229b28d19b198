// One run of the model: writers, a mirror that begins under their load, strikes, reads of the target all the while, and at quiet every row.
import { compareTables, isEqual } from '../../demo/compare.ts';
import { pause } from '../../src/base/retry.ts';
import { Scope } from '../../src/base/scope.ts';
import type { Connection } from '../../src/pg/client.ts';
import { sql, trusted } from '../../src/pg/sql.ts';
import { showTable } from '../../src/pg/table.ts';
import { cuttable } from '../support/cuttable.ts';
import { createPeer, startGateway } from '../support/gateway.ts';
import { Random } from '../support/random.ts';
import { databaseOn, ownServer, type SharedMajor, type TestDatabase, testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';
import { promised, readPromises, totalText } from './promises.ts';
import { paused, type Strike, type Struck, strike } from './strikes.ts';
import { type ModelTable, modelDefinition, modelTables, plainTables, textTable } from './tables.ts';
import { type Counters, mostRows, type Shared, Writer } from './writer.ts';

export interface ModelRun {
  readonly seed: number;
  readonly from: SharedMajor;
  /** How long the writers write once the mirror is made. */
  readonly seconds: number;
}

/** What a run did. */
export interface ModelResult {
  readonly seed: number;
  readonly from: string;
  readonly transactions: number;
  readonly 'taken back': number;
  readonly changes: number;
  readonly strikes: number;
  readonly kills: number;
  readonly 'target reads': number;
  readonly rows: number;
}

const changesColumns = process.env.SLUICE_MODEL_COLUMNS !== '0';
const isTold = process.env.SLUICE_MODEL_SAID !== undefined;

interface World extends Struck {
  readonly run: ModelRun;
  readonly chance: Random;
  readonly plain: readonly ModelTable[];
  readonly shared: Shared;
  readonly counters: Counters;
  readonly writers: readonly Writer[];
  readonly total: string;
  readonly struckBy: Strike[];
  /** Writes down when that was, for SLUICE_MODEL_SAID. */
  readonly told: (what: string) => void;
  reads: number;
  streaming: boolean;
}

/** Runs the model. @throws with the seed and the first difference */
export async function runModel(run: ModelRun): Promise<ModelResult> {
  const { seed, from } = run;
  const chance = new Random(seed);
  await using source = await testDatabase(from);
  // A table that is read again needs a place of the source's log, for which the source waits for all that is open on its server.
  await using own = from === 18 ? await ownServer({ major: 18 }) : null;
  await using target = own === null ? await testDatabase(18) : await databaseOn(own.server.config(), 18);
  await using ways = new Scope();
  const [there, here] = [await cuttable(source), await cuttable(target)];
  ways.defer(() => there[Symbol.asyncDispose]());
  ways.defer(() => here[Symbol.asyncDispose]());
  await using gateway = await startGateway();
  const mirror = `model_${seed}_${from}`;
  const struck = { mirror, gateway, source, target, ways: { source: there, target: here } };
  const world = await begin(run, struck, chance);
  try {
    await live(world);
    const rows = await compare(world);
    return await result(world, rows);
  } catch (error) {
    throw new Error(await story(world, error), { cause: error });
  } finally {
    await rollBackPrepared(source);
  }
}

async function begin(run: ModelRun, struck: Struck, chance: Random): Promise<World> {
  const { source } = struck;
  const plain = chance.chance(0.5) ? [...plainTables, textTable] : plainTables;
  await source.exec(modelDefinition(plain));
  // Transactions of this size are streamed or spilled by the source.
  await source.exec(`alter database ${source.database} set logical_decoding_work_mem = '64kB'`);
  const shared: Shared = {
    tables: plain,
    labels: ['sad', "it's", 'happy'],
    regions: [0, 1],
    publishesLeaves: false,
    most: run.seconds > 20 ? 4000 : 1200,
  };
  const counters: Counters = { committed: 0, rolledBack: 0, prepared: 0, refused: 0 };
  const writers: Writer[] = [];
  for (let number = 0; number < chance.int(3, 4); number++) {
    await source.exec(
      `insert into model.purse values (${number}, 0), (${number + 100}, 0); insert into model.tally values (${number})`,
    );
    const db = await writing(source);
    writers.push(new Writer({ db, number, chance: new Random(run.seed * 100 + number), shared, counters }));
  }
  await writers[0]?.fill();
  const [sum] = await source.exec<{ total: string }>(`select ${totalText(plain)} as total`);
  const facts = { run, chance, plain, shared, counters, writers, total: sum?.total ?? '' };
  const began = Date.now();
  const told = (what: string) => {
    if (isTold)
      console.log(`${((Date.now() - began) / 1000).toFixed(1)} s, ${counters.committed} transactions: ${what}`);
  };
  return { ...struck, ...facts, struckBy: [], told, reads: 0, streaming: false };
}

async function writing(source: TestDatabase): Promise<Connection> {
  const db = await source.connect();
  await db.run(trusted(`set search_path = model; set lock_timeout = '500ms'; set deadlock_timeout = '100ms'`));
  return db;
}

// Everything at once, until the time is over and all that was written is on the target.
async function live(world: World): Promise<void> {
  const { source, gateway, run, chance } = world;
  await using writing = new Scope();
  await using around = new Scope(writing.signal);
  for (const [i, writer] of world.writers.entries()) {
    writing.run(async (signal) => {
      while (!signal.aborted) {
        const began = Date.now();
        // The first changes columns, too; during the copy that would stop the mirror.
        await (i === 0 && changesColumns && world.streaming && chance.chance(0.3)
          ? writer.change()
          : writer.transact());
        // Rests longer than it works: the mirror must be able to keep up, on a busy machine, too.
        await pause(10 + 2 * (Date.now() - began));
      }
    });
  }
  await makeMirror(world);
  around.run((signal) => read(world, signal));
  writing.run((signal) => grow(world, signal));
  const random = new Random(run.seed + 7);
  const goesOn = () => !writing.signal.aborted && !around.signal.aborted;
  // Some strikes meet the copy.
  for (let left = random.int(0, 2); left > 0 && goesOn() && !world.streaming; left--) {
    await pause(random.int(100, 1500));
    world.struckBy.push(await strike(world, random));
  }
  await until('the mirror streams', () => world.streaming || !goesOn(), 120_000);
  world.told('streams');
  for (const over = Date.now() + run.seconds * 1000; Date.now() < over && goesOn(); ) {
    await pause(random.int(200, 2000));
    world.struckBy.push(await strike(world, random));
    world.told(world.struckBy.at(-1) ?? '');
  }
  writing.stop();
  await writing.join();
  world.told('the writers stopped');
  if (around.signal.aborted) await around.join();
  for (const writer of world.writers) await writer.finishPrepared();
  await world.writers[0]?.touch();
  await source.connection.run(sql`insert into model.marker values (1)`);
  await allArrives(world);
  world.told('all is there');
  around.stop();
  await around.join();
  await gateway.query(`pause mirror ${world.mirror}`);
  await paused(gateway, world.mirror);
}

async function makeMirror(world: World): Promise<void> {
  const { gateway, mirror, source, target, ways, chance, plain } = world;
  await gateway.query(createPeer('src', { ...source, ...address(ways.source) }));
  await gateway.query(createPeer('dst', { ...target, ...address(ways.target) }));
  const tables = modelTables(plain);
  const options = [
    `max_batch_size = ${chance.pick([30, 700, 250_000])}`,
    `sync_interval = ${chance.pick([0, 0, 0, 1])}`,
    `snapshot_num_rows_per_partition = ${chance.pick([100, 250_000])}`,
  ];
  // Partitions are published as the root or each by itself.
  if (chance.chance(0.4)) {
    world.shared.publishesLeaves = true;
    await source.exec(`create publication leaves for table ${tables.map(({ from }) => showTable(from)).join(', ')}`);
    options.push("publication_name = 'leaves'");
  }
  const mapped = tables.map(({ from, to, exclude, where }) => {
    const more = `${exclude.length > 0 ? `, exclude: [${exclude.join(', ')}]` : ''}${where === null ? '' : `, where: $$ ${where} $$`}`;
    return `{ from: ${showTable(from)}, to: ${showTable(to)}${more} }`;
  });
  await gateway.query(
    `create mirror ${mirror} from src to dst with table mapping (${mapped.join(', ')}) with (${options.join(', ')})`,
  );
}

const address = ({ host, port }: { readonly host: string; readonly port: number }) => ({ host, port });

async function status({
  gateway,
  mirror,
}: World): Promise<{ status: string; phase: string; trouble: string } | undefined> {
  const [row] = await gateway.query<{ status: string; phase: string; trouble: string }>(
    `select status, phase, concat_ws(' ', trouble, trouble_detail, hint) as trouble from sluice.mirrors where name = '${mirror}'`,
  );
  if (row?.status === 'failed') throw new MirrorFailed(row.trouble);
  return row;
}

// Reads the target's promises for as long as the signal lets it, from the moment that the mirror says it is one state of the source.
async function read(world: World, signal: AbortSignal): Promise<void> {
  const { target, plain } = world;
  const expected = JSON.stringify(promised(world.total));
  const db = await target.connect();
  await db.run(trusted(`set lock_timeout = '300ms'`));
  while (!signal.aborted) {
    world.streaming ||= (await status(world).catch(passing))?.phase === 'streaming';
    const answers = world.streaming ? await readPromises(db, plain) : null;
    if (answers !== null) {
      world.reads++;
      if (JSON.stringify(answers) !== expected)
        throw new Error(`a read of the target says ${JSON.stringify(answers)}, and not ${expected}`);
    }
    await pause(world.streaming ? 15 : 100);
  }
}

class MirrorFailed extends Error {}

// The gateway may be gone just then.
function passing(error: unknown): undefined {
  if (error instanceof MirrorFailed) throw error;
}

// New labels and partitions, each at both sides: labels follow by themselves, a partition must be on the target before rows are in it.
async function grow(world: World, signal: AbortSignal): Promise<void> {
  const { source, target, shared } = world;
  const db = await writing(source);
  for (let n = 2; !signal.aborted; n++) {
    await pause(1500, signal).catch(() => {});
    if (!world.streaming || signal.aborted || n > 12) continue;
    const label = `label ${n}`;
    await db.run(trusted(`alter type mood add value '${label}'`));
    shared.labels.push(label);
    const partition = `create table if not exists model.regions_${n} partition of model.regions for values in (${n})`;
    await target.exec(partition);
    for (let tries = 0; tries < 20; tries++) {
      const made = await db.run(trusted(partition)).catch(() => null);
      if (made === null) continue;
      shared.regions.push(n);
      break;
    }
  }
}

// After a long run a mirror that was struck again and again has much to make good: it has time as long as it goes on.
async function allArrives(world: World): Promise<void> {
  for (let before = ''; ; ) {
    try {
      const end = await until('all that was written is on the target', () => arrived(world), 60_000);
      if (end instanceof Error) throw end;
      return;
    } catch (error) {
      const [now] = await world.target.exec<{ lsn: string }>('select lsn::text as lsn from _sluice.checkpoints');
      if (error instanceof MirrorFailed || now === undefined || now.lsn === before) throw error;
      before = now.lsn;
      world.told(`goes on, at ${before}`);
    }
  }
}

// True, or why it never will be.
async function arrived(world: World): Promise<boolean | Error> {
  try {
    const now = await status(world);
    const rows = await world.target.exec('select from model.marker');
    return now?.phase === 'streaming' && rows.length === 1;
  } catch (error) {
    if (error instanceof MirrorFailed) return error;
    throw error;
  }
}

async function compare({ source, target, plain, reads }: World): Promise<number> {
  const pairs = modelTables(plain).map(({ from, to, exclude, where }) => ({ from, to, exclude, where }));
  const results = await compareTables(source.connection, target.connection, pairs);
  const different = results.filter((each) => !isEqual(each));
  if (different.length > 0) throw new Error(`rows differ at quiet: ${JSON.stringify(different, null, 1)}`);
  await compareSequences(source, target);
  if (reads === 0) throw new Error('the target was never read');
  return results.reduce((sum, { sourceRows }) => sum + sourceRows, 0);
}

// The target gives out no number that the source has given out.
async function compareSequences(source: TestDatabase, target: TestDatabase): Promise<void> {
  for (const name of ['serials_id_seq', 'always_id_seq', 'events_id_seq']) {
    const text = `select last_value::int as last, is_called as called from model.${name}`;
    const [[there], [here]] = [await source.exec<Value>(text), await target.exec<Value>(text)];
    if (next(here) < next(there)) throw new Error(`sequence ${name} stands at ${next(here)} and not ${next(there)}`);
  }
}

interface Value {
  readonly last: number;
  readonly called: boolean;
}
const next = (value: Value | undefined) => (value === undefined ? Number.NaN : value.last + (value.called ? 1 : 0));

async function result(world: World, rows: number): Promise<ModelResult> {
  const { run, counters, gateway, mirror, struckBy, reads, plain } = world;
  const [sum] = await gateway.query<{ n: string }>(
    `select sum(inserts + updates + deletes + truncates)::text as n from sluice.tables where mirror = '${mirror}'`,
  );
  await gateway.query(`drop mirror ${mirror}`);
  return {
    seed: run.seed,
    from: `${run.from}${plain.includes(textTable) || run.from === 14 ? ' text' : ''}`,
    transactions: counters.committed,
    'taken back': counters.rolledBack + counters.refused,
    changes: Number(sum?.n),
    strikes: struckBy.length,
    kills: struckBy.filter((each) => each === 'kill -9').length,
    'target reads': reads,
    rows,
  };
}

async function story(world: World, error: unknown): Promise<string> {
  const { run, struckBy, writers, gateway } = world;
  const said = writers.map((writer, i) => `writer ${i}:\n${writer.said.slice(-4).join('\n--\n')}`);
  const changed =
    writers[0]?.said.filter((text) => text.includes('changing') || /^(begin|commit|rollback|--)/.test(text)) ?? [];
  const now = await status(world).catch((failed: Error) => failed.message);
  const why =
    error instanceof Error
      ? `${error.message} ${error.cause instanceof Error ? error.cause.message : ''}`
      : String(error);
  return [
    `seed ${run.seed} from PostgreSQL ${run.from} (SLUICE_MODEL_SEEDS=${run.seed}): ${why}`,
    `${mostRows} rows, struck by: ${struckBy.join(', ')}; the mirror: ${JSON.stringify(now)}`,
    ...(isTold ? [...said, 'changes of columns:', ...changed, 'the journal:', ...(await journal(world))] : []),
    ...(isTold ? [gateway.output.slice(-4000)] : []),
  ].join('\n');
}

async function journal({ gateway, mirror }: World): Promise<readonly string[]> {
  const rows = await gateway
    .query<{ line: string }>(
      `select at::text || ' ' || event || ' ' || message || ' ' || details::text as line from sluice.journal where mirror = '${mirror}' order by id`,
    )
    .catch(() => []);
  return rows.map(({ line }) => line);
}

// One that stands open would keep the database from being dropped.
async function rollBackPrepared(source: TestDatabase): Promise<void> {
  const open = await source.exec<{ gid: string }>(
    'select gid from pg_prepared_xacts where database = current_database()',
  );
  for (const { gid } of open) await source.exec(`rollback prepared '${gid}'`);
}
