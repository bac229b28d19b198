// postgres.js: pipelines, prepared statements without names of the user's, cursors, COPY streams, transactions by callback.

import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import {
  big,
  bytes,
  cancelled,
  digits,
  doc,
  installed,
  odd,
  peer,
  peerOptions,
  Sums,
  say,
  schema,
  things,
  uuid,
  words,
} from './transcript.mjs';

const postgres = installed('postgres');
const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE } = process.env;
const connect = (more = {}) =>
  postgres({
    host: PGHOST,
    port: Number(PGPORT),
    user: PGUSER,
    password: PGPASSWORD,
    database: PGDATABASE,
    ssl: PGSSLMODE === 'require' && { rejectUnauthorized: false },
    max: 1,
    onnotice: ({ severity, message }) => say('notice', severity, message),
    onparameter: (name, value) => name === 'TimeZone' && say('settings', value),
    connection: { TimeZone: 'Europe/Paris' },
    ...more,
  });

const sql = connect();
const one = async (query) => (await query.values())[0];
const fails = (query) =>
  query.then(
    () => 'no error',
    (error) => [error.code, error.message, error.table_name, error.column_name, error.position].join('/'),
  );

say('login', await one(sql`show server_version`));
const wrong = connect({ password: `${PGPASSWORD}?`, onparameter: () => {} });
say(
  'wrong password',
  await wrong`select 1`.then(
    () => 'let in',
    (error) => error.code,
  ),
);
await wrong.end();
await sql`set timezone to 'UTC'`;
say('settings', await one(sql`show timezone`));
say(
  'ddl',
  (await sql`create table ${sql(schema)}.extra (id int)`).command,
  (await sql`drop table ${sql(schema)}.extra`).command,
);
say('parameters', ...(await one(sql`select ${41}::int + 1, ${odd}::text, ${1.5}::float8, ${true}::bool`)));
say('nulls', ...(await one(sql`select ${null}::text is null, ${null}::text, null::int`)));
say('numeric', ...(await one(sql`select ${digits}::numeric, ${'-0.00001'}::numeric, ${'NaN'}::numeric`)));
say('timestamptz', ...(await one(sql`select ${new Date('2024-02-29T10:34:56.789Z')}::timestamptz`)));
say('json', ...(await one(sql`select ${sql.json(JSON.parse(doc))}::json, ${sql.json(JSON.parse(doc))}::jsonb`)));
say('bytea', ...(await one(sql`select ${bytes}::bytea`)));
say('arrays', ...(await one(sql`select ${[1, null, 3]}::int[], ${words}::text[], '{{1,2},{3,4}}'::int[]`)));
say('uuid', ...(await one(sql`select ${uuid}::uuid`)));
say(
  'enum',
  ...(await one(sql`insert into ${sql(things)} (id, name, mood) values (1, 'one', ${'happy'}) returning mood`)),
);
const described =
  await sql`select id, name, amount, at, doc, raw, list, words, uid from ${sql(things)} where id = ${1}`.describe();
say('types', ...described.columns.map(({ name, type, number }) => `${name}:${type}:${number}`), ...described.types);
say('prepared', ...(await Promise.all([1, 2, 3].map((n) => one(sql`select ${n}::int * ${n}::int`)))).flat());
const count = async (query) => {
  const { count, command } = await query;
  say('counts', count, command);
};
await count(
  sql`insert into ${sql(things)} ${sql([
    { id: 2, name: 'two' },
    { id: 3, name: 'three' },
    { id: 4, name: 'four' },
  ])}`,
);
await count(sql`update ${sql(things)} set amount = id * ${'1.5'}::numeric where id in ${sql([2, 3])}`);
await count(sql`delete from ${sql(things)} where id = ${4}`);

await sql
  .begin(async (tx) => {
    await tx`insert into ${tx(things)} (id, name) values (100, 'x')`;
    throw new Error('undo');
  })
  .catch(({ message }) => say('transaction', message));
say('transaction', ...(await one(sql`select count(*) from ${sql(things)} where id = 100`)));
await sql.begin('isolation level serializable', async (tx) => {
  await tx`insert into ${tx(things)} (id, name) values (101, 'x')`;
  await tx
    .savepoint(async (inner) => {
      say('transaction', await fails(inner`insert into ${inner(things)} (id, name) values (101, 'x')`));
      say('transaction', await fails(inner`select 1`));
      throw new Error('back');
    })
    .catch(({ message }) => say('transaction', message));
});
say('transaction', ...(await one(sql`select count(*) from ${sql(things)} where id = 101`)));

// Sent together without waiting: the one that fails takes no other with it.
say(
  'pipeline',
  ...(await Promise.all([
    one(sql`select 1`),
    fails(sql`select 1/${0}::int`),
    one(sql`select ${2}::int`),
    one(sql`select id from ${sql(things)} where id = ${1}`),
  ])),
);
say('error', await fails(sql`select 1/0`));
say('error', await fails(sql`insert into ${sql(things)} (id) values (${5})`));
say('error', await fails(sql`selec 1`));
say('error', ...(await one(sql`select 1`)));
const several = await sql
  .unsafe(`select 1 as a; insert into ${things} (id, name) values (200, 'x'); select 'last' as b`)
  .simple();
say('multi', ...several.map((result) => [result.command, result.count, ...result]));
say(
  'multi',
  await fails(
    sql
      .unsafe(`insert into ${things} (id, name) values (201, 'x'); select 1 / (id - id) from ${things}; select 2`)
      .simple(),
  ),
);
say('multi', ...(await one(sql`select count(*) from ${sql(things)} where id in (200, 201)`)));

let query;
const run = () => {
  query = sql`select pg_sleep(30)`;
  return query.execute();
};
say(
  'cancel',
  ...(await cancelled(
    run,
    () => query.cancel(),
    ({ code }) => code,
  )),
);
say('cancel', ...(await one(sql`select 1`)));

const sums = new Sums();
for await (const rows of sql.unsafe(big).cursor(1000)) for (const { i, j, t } of rows) sums.add(i, j, t);
sums.say();
let seen = 0;
await sql.unsafe(big).cursor(10, (rows) => {
  seen += rows.length;
  return sql.CLOSE;
});
say('chunks closed early', seen, ...(await one(sql`select 1`)));
const streamed = new Sums();
const add = ({ i, j, t }) => streamed.add(i, j, t);
await sql.unsafe(big).forEach(add);
streamed.say('chunks row by row');

await pipeline(
  Readable.from(['301,"a,b","{x}"\n302,', '"q""q",\n']),
  await sql`copy ${sql(things)} (id, name, words) from stdin (format csv)`.writable(),
);
say(
  'copy in',
  ...(await one(sql`select array_agg(name order by id), count(words) from ${sql(things)} where id > 300`)),
);
const parts = [];
for await (const part of await sql
  .unsafe(`copy (select id, name, words from ${things} where id > 300 order by id) to stdout`)
  .readable())
  parts.push(part);
say('copy out', Buffer.concat(parts).toString());

await sql.unsafe("do $$ begin raise notice 'hello %', 1; end $$");
let told;
const notified = new Promise((resolve) => {
  told = resolve;
});
const listening = connect({ onparameter: () => {} });
await listening.listen('clients', told);
await listening.notify('clients', 'payload');
say('notify', 'clients', await notified);
await listening.end();

if (peer) {
  say('verbs', (await sql.unsafe(`create peer ${peer} from postgres with (${peerOptions})`)).command);
  const shown = await sql`show peers`;
  say(
    'verbs',
    shown.command,
    shown.some(({ name }) => name === peer),
  );
  say('verbs', JSON.stringify(await sql.unsafe(`show peer ${peer}`)).includes('********'));
  say('verbs', ...(await one(sql.unsafe(`execute ${peer} $$ select 6 * 7 $$`, [], { prepare: true }))));
  say('verbs', (await sql.unsafe(`drop peer ${peer}`)).command, await fails(sql.unsafe(`drop peer ${peer}`)));
}
await sql.end();
