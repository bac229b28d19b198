// From a newer server to an older one: what that cannot hold is found before anything starts, and is in the ledger afterwards.
import { expect, test } from 'vitest';
import { testCatalog } from '../support/catalog.ts';
import { copyAll } from '../support/copied.ts';
import { databaseWork, exceptions, made, sides } from '../support/database.ts';

const newer = `
  create table t (id int primary key, doc jsonb); insert into t values (1, '{"a": [1, 2]}');
  create view invoker with (security_invoker = true) as select id from t; create view on_invoker as select id from invoker;
  create function on_it() returns bigint begin atomic select count(*) from on_invoker; end;
  create view plain as select id from t;
  create view json as select j.n from t, json_table(t.doc, '$.a[*]' columns (n int path '$')) j;
  create view on_json as select n from json;
  create function merging() returns void begin atomic merge into t using (values (1)) v (id) on t.id = v.id when matched then do nothing; end;
  create function in_a_string() returns int language plpgsql as $$ begin merge into t using (values (1)) v (id) on t.id = v.id when matched then do nothing; return 1; end $$;
  create collation ruled (provider = icu, locale = 'und', rules = '&a < b'); create collation built (provider = builtin, locale = 'C.UTF-8');
  create unlogged sequence fleeting`;

test('each object that an older target cannot hold is a finding, and then a line that says which version could', async () => {
  await using it = await sides(newer, 'select 1', [18, 14]);
  await using world = await testCatalog();
  await world.peer('src', it.from);
  await world.peer('dst', it.to);
  const found = await world.show(
    'explain create mirror older from src to dst for all tables with (initial_copy_only = true)',
  );
  const finding = found.find(({ check }) => check === 'objects');
  const lines = [
    'collation public.built: its provider is builtin: these need PostgreSQL 17 on the target',
    'collation public.ruled: it has rules of its own: these need PostgreSQL 16 on the target',
    'function public.on_it(): view on_invoker is left out',
    'sequence public.fleeting: it is unlogged: these need PostgreSQL 15 on the target',
    'view public.invoker: it is security_invoker: these need PostgreSQL 15 on the target',
    'view public.on_invoker: view invoker is left out',
  ];
  expect(finding).toMatchObject({
    state: 'warning',
    message: '6 objects of the source will not be made on the target with the mirror',
  });
  expect(finding?.detail?.split('\n').toSorted()).toEqual(lines);
  // Nothing was made for that.
  expect(await it.to.exec(`select 1 from pg_class where relname in ('t', 'plain')`)).toEqual([]);

  const told = await copyAll(await databaseWork(it));
  // What no catalog tells before is told with the server's own words.
  expect(exceptions(told)).toEqual([
    expect.stringMatching(/^failed function public.merging\(\): syntax error at or near/),
    expect.stringMatching(/^failed view public.json: syntax error at or near/),
    'failed view public.on_json: view json is not there',
    ...lines.map((line) => `left_out ${line}`),
  ]);
  expect(made(told, 'view', 'function')).toEqual(['function public.in_a_string()', 'view public.plain']);
});
