// What one change of the schema costs where there are thousands of tables: SLUICE_DDL_FULL_TABLES=10000 prints it.
import { expect, test } from 'vitest';
import { following } from '../support/following.ts';
import { testDatabase } from '../support/servers.ts';
import { until } from '../support/wait.ts';

const tables = Number(process.env.SLUICE_DDL_FULL_TABLES ?? 0);

test.runIf(tables > 0)(
  'one change of the schema among thousands of tables is followed in seconds',
  async () => {
    await using source = await testDatabase(18);
    await using target = await testDatabase(14);
    const names = Array.from({ length: tables }, (_, i) => `t${i}`);
    const make = names.map(
      (name) => `create table ${name} (id int primary key, a int, b text); create index on ${name} (a)`,
    );
    for (const side of [source, target]) {
      for (let at = 0; at < make.length; at += 500) await side.exec(make.slice(at, at + 500).join(';'));
    }
    const f = await following({
      ...{ source, target, tables: 'select 1', mirrored: names },
      options: { schema_changes: 'full' },
      scope: { kind: 'all' },
    });
    let peak = 0;
    const sampling = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 20);
    const running = f.start();
    const left = async () => {
      const found = await target.exec<{ id: string }>(
        'select id from _sluice.known_objects order by id = $$wanted$$ desc limit 1',
      );
      return found.length === 0 || found[0]?.id === 'wanted';
    };
    await Promise.race([until('the first look', async () => !(await left()), 600_000), running.done]);
    const rows: Record<string, string>[] = [];
    const timed = async (what: string, change: string, seen: string) => {
      globalThis.gc?.();
      const before = process.memoryUsage().rss;
      peak = before;
      const from = Date.now();
      await source.exec(change);
      await until(what, async () => (await target.exec(seen)).length > 0, 300_000);
      const visible = Date.now() - from;
      await until('nothing is left', async () => !(await left()), 300_000);
      const mb = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
      rows.push({
        what,
        visible: `${visible} ms`,
        settled: `${Date.now() - from} ms`,
        rss: mb(before),
        peak: mb(peak),
      });
    };
    for (let n = 0; n < 2; n++) {
      await timed(
        'a column and a row',
        `alter table t1 add c${n} int default 1; insert into t1 (id, c${n}) values (${n}, 2)`,
        `select from pg_attribute where attrelid = 't1'::regclass and attname = 'c${n}'`,
      );
      await timed(
        'a column without a row',
        `alter table t2 add c${n} int`,
        `select from pg_attribute where attrelid = 't2'::regclass and attname = 'c${n}'`,
      );
      await timed('an index', `create index i${n} on t3 (b)`, `select from pg_class where relname = 'i${n}'`);
    }
    clearInterval(sampling);
    await running.stop();
    console.table(rows);
    expect(rows).toHaveLength(6);
  },
  1_200_000,
);
