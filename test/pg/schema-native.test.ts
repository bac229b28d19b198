// What is written in C or stands in the server itself: functions, transforms and table access methods arrive, or are told of with what to run.
import { expect, test } from 'vitest';
import { type ObjectLine, objectStages } from '../../src/mirror/object.ts';
import { copyAll } from '../support/copied.ts';
import { databaseWork, exceptions, made, moveDatabase, ordinaryRole, sides } from '../support/database.ts';

const native = `create table t (id int primary key, at timestamp, v text);
  create schema "o""dd";
  create function "o""dd".moddatetime() returns trigger language c as '$libdir/moddatetime', 'moddatetime';
  create trigger stamp before update on t for each row execute function "o""dd".moddatetime(at);
  create function "o""dd".distance(text, text) returns int language c immutable strict as '$libdir/fuzzystrmatch', 'levenshtein';
  create index t_distance on t ("o""dd".distance(v, 'x'));
  create type "o""dd"."mo""od" as enum ('a'); create domain "o""dd".d as int;
  create function "o""dd".from_sql(internal) returns internal language internal immutable as 'gtsvector_compress';
  create function "o""dd".to_sql(internal) returns "o""dd"."mo""od" language internal immutable as 'enum_in';
  create transform for "o""dd"."mo""od" language plpgsql (from sql with function "o""dd".from_sql(internal), to sql with function "o""dd".to_sql(internal));
  create transform for int4 language sql (from sql with function "o""dd".from_sql(internal));
  create function "o""dd".moody("o""dd"."mo""od") returns int transform for type "o""dd"."mo""od" language plpgsql as 'begin return 1; end';
  comment on transform for int4 language sql is 'of int';
  create access method "he""ap" type table handler heap_tableam_handler;
  create table m (id int primary key, v text, w text, x jsonb) using "he""ap";
  alter table m alter v set storage external, alter w set storage plain, alter x set storage main;
  insert into t values (1, null, 'yx'); insert into m values (1, 'v', 'w', '{}')`;

const facts = `select (select json_agg(concat_ws(' ', p.proname, p.prosrc, p.probin, p.protrftypes::regtype[]) order by p.proname) from pg_proc p
      join pg_namespace n on n.oid = p.pronamespace where n.nspname like 'o%dd') as functions,
    (select json_agg(concat_ws(' ', t.trftype::regtype, l.lanname, t.trffromsql::regprocedure, t.trftosql::regprocedure,
        obj_description(t.oid, 'pg_transform')) order by t.trftype::regtype::text)
      from pg_transform t join pg_language l on l.oid = t.trflang) as transforms,
    (select json_agg(concat_ws(' ', c.relname, a.amname) order by c.relname) from pg_class c join pg_am a on a.oid = c.relam
      where c.relname in ('t', 'm', 't_distance')) as methods,
    (select json_agg(concat_ws(' ', attname, attstorage::text, attcompression::text) order by attnum) from pg_attribute
      where attrelid = 'm'::regclass and attnum > 0) as storage`;

test.each([
  [14, 18],
  [18, 18],
] as const)(
  'functions in C, transforms and access methods of tables arrive from PostgreSQL %i to %i',
  async (...majors) => {
    await using it = await sides(native, 'select 1', majors);
    const told = await moveDatabase(it);
    expect(exceptions(told)).toEqual([]);
    expect(made(told, 'transform')).toHaveLength(2);
    expect(await it.to.exec(facts)).toEqual(await it.from.exec(facts));
    expect(await it.to.exec('update t set v = v returning at is not null as stamped')).toEqual([{ stamped: true }]);
    const again = await moveDatabase(it, { initial_copy_only: true, resync: true });
    expect(exceptions(again)).toEqual([]);
  },
);

test('an ordinary role is told what of that an administrator must make, each with its statement', async () => {
  await using it = await sides(native);
  // A table needs its access method before anything is copied.
  await it.to.exec('create access method "he""ap" type table handler heap_tableam_handler');
  await using to = await ordinaryRole(it.to);
  const told = await copyAll(await databaseWork({ ...it, to }));
  const failed = [...told.objects.values()].filter(({ state, kind }) => state === 'failed' && kind !== 'owner');
  expect(failed.map(({ kind, name, reason }) => `${kind} ${name}: ${reason}`).toSorted()).toEqual([
    'comment transform for integer language sql: transform for integer language "sql" is not there',
    'function distance(text, text): permission denied for language c',
    'function from_sql(internal): permission denied for language internal',
    'function moddatetime(): permission denied for language c',
    `function moody("o""dd"."mo""od"): transform for "o""dd"."mo""od" language "plpgsql" is not there`,
    'function to_sql(internal): permission denied for language internal',
    'index t_distance: function o"dd.distance(text, text) does not exist',
    'transform for "o""dd"."mo""od" language "plpgsql": function from_sql(internal) is not there',
    'transform for integer language "sql": must be owner of type integer',
    'trigger stamp: function moddatetime() is not there',
  ]);
  const order = ({ stage, place = 0 }: ObjectLine) => objectStages.indexOf(stage) * 10_000_000 + place;
  for (const { statement = '' } of failed.toSorted((a, b) => order(a) - order(b))) await it.to.exec(statement);
  expect(await it.to.exec(facts)).toEqual(await it.from.exec(facts));
});
