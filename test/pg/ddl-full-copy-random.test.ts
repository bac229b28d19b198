// Chance changes the schema in every way while the first copy runs, and may cut the copy off: at quiet both sides are equal.
import { expect, test } from 'vitest';
import { everything } from '../support/ddl-full.ts';
import { DdlWriter, writtenTables } from '../support/ddl-writer.ts';
import { Random } from '../support/random.ts';
import { running } from '../support/running.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

// A minute for each few of them: SLUICE_DDL_COPY_SEEDS=50 SLUICE_DDL_COPY_SEED=1.
const first = Number(process.env.SLUICE_DDL_COPY_SEED ?? 1);
const seeds = Number(process.env.SLUICE_DDL_COPY_SEEDS ?? (process.env.SLUICE_LONG_TESTS === '1' ? 10 : 0));

const holding = `create table mark (id int primary key, v text); create function wait() returns trigger language plpgsql as $$ begin
    if new.id = 200 then perform pg_advisory_xact_lock_shared(7); end if; return new; end $$;
  create trigger wait before insert on mark for each row execute function wait(); alter table mark enable always trigger wait`;
const ended = `select pg_terminate_backend(pid) from pg_stat_activity
  where application_name like 'sluice %' and datname = current_database()`;
// A view that was made while its table still had its old name there calls it by an alias, which is its name by now.
const ours = (lines: readonly string[]) =>
  lines
    .filter((line) => !/wait\(\)|\bwait\b|\bmark\b/.test(line))
    .map((line) => line.replaceAll(/("(?:[^"]|"")*"|\w+) \1(?=[;,\s)]|$)/g, '$1'));

const runs = Array.from({ length: seeds }, (_, i) => first + i).map((seed) => ({
  seed,
  from: seed % 2 === 1 ? (14 as const) : (18 as const),
  to: seed % 2 === 1 ? (18 as const) : (14 as const),
}));

test.runIf(seeds > 0).each(runs.length > 0 ? runs : [{ seed: 0, from: 14 as const, to: 18 as const }])(
  'a schema that changes by chance while the first copy runs (seed $seed) is equal at quiet, from PostgreSQL $from to $to',
  async ({ seed, from, to }) => {
    await using source = await testDatabase(from);
    await using target = await testDatabase(to);
    const chance = new Random(seed);
    const writer = new DdlWriter(chance, source);
    // Copied before `mark`, that is.
    await source.exec(`${writtenTables}; select 1;
      insert into one select -g, g, repeat('w', 1600) from generate_series(100, 500) g;
      create table mark (id int primary key, v text); insert into mark select g, repeat('x', 1600) from generate_series(1, 300) g;`);
    await source.exec("set lock_timeout = '3s'");
    for (let n = chance.int(0, 6); n > 0; n--) await writer.transaction();
    await target.exec(holding);
    await target.exec('select pg_advisory_lock(7)');
    await using it = await running(source, target);
    await it.world.say(`create mirror copy_random_${seed} from src to dst for all tables with (schema_changes = 'full',
      snapshot_num_tables_in_parallel = 1, snapshot_max_parallel_workers = 1)`);
    const waits = async () =>
      (
        await target.exec(`select 1 from pg_locks where locktype = 'advisory' and not granted
          and database = (select oid from pg_database where datname = current_database())`)
      ).length > 0;
    const status = async () => (await it.world.show('show mirrors'))[0]?.status;
    const quiet = async () => {
      if ((await status()) === 'failed') return 'failed';
      if ((await status()) !== 'running') return;
      const left = await target.exec(
        `select 1 from _sluice.known_objects where id = 'wanted' union all select 1 from _sluice.schema_changes`,
      );
      const [here] = await source.exec<{ n: number }>('select max(id) as n from mark');
      const [there] = await target.exec<{ n: number }>('select max(id) as n from mark');
      return left.length === 0 && here?.n === there?.n ? 'quiet' : undefined;
    };
    try {
      if (chance.chance(0.3)) for (let n = chance.int(1, 4); n > 0; n--) await writer.transaction();
      for (let cuts = chance.int(0, 2); cuts >= 0; cuts--) {
        await until('half way', async () => (await waits()) || (await status()) === 'failed', 60_000);
        for (let n = chance.int(2, 12); n > 0; n--) await writer.transaction();
        writer.said.push(`-- ${cuts} more cuts`);
        if (cuts === 0) continue;
        await Promise.all([source.exec(ended), target.exec(ended)]);
        await until('the sessions are gone', async () => !(await waits()));
      }
      await target.exec('select pg_advisory_unlock(7)');
      for (let n = chance.int(0, 4); n > 0; n--) await writer.transaction();
      for (let n = 0; n < 2; n++) {
        await source.exec("insert into mark select max(id) + 1, 'mark' from mark");
        expect(await until('the mirror is quiet', quiet, 60_000)).toBe('quiet');
      }
      expect(ours(await everything(target))).toEqual(ours(await everything(source)));
    } catch (error) {
      const rows = await it.world.database.exec<{ line: string }>(
        "select concat_ws(' ', event, message, case when event = 'trouble' then details end) as line from sluice.journal order by id",
      );
      const journal = rows.map(({ line }) => line).join('\n');
      throw new Error(`seed ${seed}, after:\n${writer.said.join(';\n')};\njournal:\n${journal}`, { cause: error });
    }
  },
  240_000,
);
