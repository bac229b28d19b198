// node-postgres: simple and extended queries, named statements; with pg-cursor, pg-query-stream and pg-copy-streams.

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

const pg = installed('pg');
const Cursor = installed('pg-cursor');
const QueryStream = installed('pg-query-stream');
const copy = installed('pg-copy-streams');

async function connect(more = {}) {
  const client = new pg.Client({ ssl: process.env.PGSSLMODE === 'require' && { rejectUnauthorized: false }, ...more });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const db = await connect();
const rows = async (text, values, more) => (await db.query({ text, values, rowMode: 'array', ...more })).rows[0];
const fails = (text, values) =>
  db.query(text, values).then(
    () => 'no error',
    (error) => [error.code, error.message, error.table, error.column, error.constraint, error.position].join('/'),
  );

say('login', await rows('show server_version'));
await connect({ password: `${process.env.PGPASSWORD}?` }).then(
  () => say('wrong password', 'let in'),
  (error) => say('wrong password', error.code),
);
say('settings', (await db.query("set timezone to 'UTC'")).command, ...(await rows('show timezone')));
say(
  'ddl',
  (await db.query(`create table ${schema}.extra (id int)`)).command,
  'ok',
  (await db.query(`drop table ${schema}.extra`)).command,
);
say('parameters', ...(await rows('select $1::int + 1, $2::text, $3::float8, $4::bool', [41, odd, 1.5, true])));
say('nulls', ...(await rows('select $1::text is null, $2::text, null::int', [null, undefined])));
say('numeric', ...(await rows('select $1::numeric, $2::numeric, $3::numeric', [digits, '-0.00001', 'NaN'])));
say('timestamptz', ...(await rows('select $1::timestamptz', [new Date('2024-02-29T10:34:56.789Z')])));
say('json', ...(await rows('select $1::json, $2::jsonb', [doc, JSON.parse(doc)])));
say('bytea', ...(await rows('select $1::bytea', [bytes])));
say('arrays', ...(await rows("select $1::int[], $2::text[], '{{1,2},{3,4}}'::int[]", [[1, null, 3], words])));
say('uuid', ...(await rows('select $1::uuid', [uuid])));
say('enum', ...(await rows(`insert into ${things} (id, name, mood) values (1, 'one', $1) returning mood`, ['happy'])));
const all = await db.query(`select id, name, amount, at, doc, raw, list, words, uid from ${things}`);
say(
  'types',
  ...all.fields.map((field) =>
    [field.name, field.dataTypeID, field.dataTypeSize, field.dataTypeModifier, field.columnID, field.format].join(':'),
  ),
);
const prepared = [];
for (const n of [1, 2, 3]) prepared.push(...(await rows('select $1::int * $1', [n], { name: 'twice' })));
say('prepared', ...prepared);
const count = async (text, values) => {
  const { command, rowCount } = await db.query(text, values);
  say('counts', rowCount, command);
};
await count(`insert into ${things} (id, name) values (2, 'two'), (3, 'three'), (4, 'four')`);
await count(`update ${things} set amount = id * $1::numeric where id in (2, 3)`, ['1.5']);
await count(`delete from ${things} where id = $1`, [4]);

await db.query('begin');
await db.query(`insert into ${things} (id, name) values (100, 'x')`);
await db.query('rollback');
say('transaction', ...(await rows(`select count(*) from ${things} where id = 100`)));
await db.query('begin isolation level repeatable read');
await db.query(`insert into ${things} (id, name) values ($1, 'x')`, [101]);
await db.query('savepoint s');
say('transaction', await fails(`insert into ${things} (id, name) values ($1, 'x')`, [101]));
say('transaction', await fails('select 1'));
await db.query('rollback to savepoint s');
await db.query('commit');
say('transaction', ...(await rows(`select count(*) from ${things} where id = 101`)));

say('error', await fails('select 1/0'));
say('error', await fails(`insert into ${things} (id) values ($1)`, [5]));
say('error', await fails('selec 1'));
say('error', await fails(`select nope from ${things} where id = $1`, [1]));
say('error', ...(await rows('select 1')));
const several = await db.query(
  `select 1 as a; insert into ${things} (id, name) values (200, 'x'); select 'last' as b; ;`,
);
say('multi', ...several.map(({ command, rowCount, rows }) => ({ command, rowCount, rows })));
say(
  'multi',
  await fails(`insert into ${things} (id, name) values (201, 'x'); select 1 / (id - id) from ${things}; select 2`),
);
say('multi', ...(await rows(`select count(*) from ${things} where id in (200, 201)`)));

// pg cancels with a connection of its own, to which it gives the key of the busy one.
const cancel = async () => {
  const other = new pg.Client();
  other.on('error', () => {});
  const { connection } = other;
  const closed = new Promise((resolve) => connection.once('end', resolve));
  connection.on('error', () => {});
  connection.on('connect', () => connection.cancel(db.processID, db.secretKey));
  connection.connect(other.port, other.host);
  await closed;
};
say(
  'cancel',
  ...(await cancelled(
    () => db.query('select pg_sleep(30)'),
    cancel,
    (error) => error.code,
  )),
);
say('cancel', ...(await rows('select 1')));

const sums = new Sums();
const cursor = db.query(new Cursor(big, [], { rowMode: 'array' }));
for (let some = await cursor.read(1000); some.length > 0; some = await cursor.read(1000)) {
  for (const row of some) sums.add(...row);
}
await cursor.close();
sums.say();
const early = db.query(new Cursor(big));
say('chunks closed early', (await early.read(10)).length, await early.close(), ...(await rows('select 1')));
const streamed = new Sums();
for await (const { i, j, t } of db.query(new QueryStream(big, [], { batchSize: 1000 }))) streamed.add(i, j, t);
streamed.say('chunks as a stream');

const into = db.query(copy.from(`copy ${things} (id, name, words) from stdin (format csv)`));
await pipeline(Readable.from(['301,"a,b","{x}"\n302,', '"q""q",\n']), into);
say(
  'copy in',
  into.rowCount,
  ...(await rows(`select array_agg(name order by id), count(words) from ${things} where id > 300`)),
);
const out = db.query(copy.to(`copy (select id, name, words from ${things} where id > 300 order by id) to stdout`));
const parts = [];
for await (const part of out) parts.push(part);
say('copy out', Buffer.concat(parts).toString(), out.rowCount);
const refused = (source) =>
  pipeline(source, db.query(copy.from(`copy ${things} (id, name) from stdin`))).catch((error) =>
    say('copy error', error.code, error.message, error.where ?? ''),
  );
await refused(Readable.from(['303\tx\nmany\ty\n']));
say('copy error', ...(await rows(`select count(*) from ${things} where id = 303`)));

db.on('notice', ({ severity, message }) => say('notice', severity, message));
await db.query("do $$ begin raise notice 'hello %', 1; end $$");
const notified = new Promise((resolve) => db.once('notification', resolve));
await db.query('listen clients');
await db.query("notify clients, 'payload'");
const { channel, payload } = await notified;
say('notify', channel, payload);

if (peer) {
  say('verbs', (await db.query(`create peer ${peer} from postgres with (${peerOptions})`)).command);
  const shown = await db.query('show peers');
  say(
    'verbs',
    shown.command,
    shown.rows.some(({ name }) => name === peer),
    shown.fields.map(({ name }) => name),
  );
  say('verbs', JSON.stringify((await db.query(`show peer ${peer}`)).rows).includes('********'));
  say('verbs', ...(await rows(`execute ${peer} $$ select 6 * 7 $$`, [], { name: 'raw' })));
  say('verbs', ...(await db.query(`execute ${peer} ('select 43'); show peers`)).map(({ command }) => command));
  say('verbs', (await db.query(`drop peer ${peer}`)).command, await fails(`drop peer ${peer}`));
}
await db.end();
