// Publications: they carry what the mirror wants, and never keep the source from updating its own tables.
import { describe, expect, test } from 'vitest';
import { connectPeer } from '../../src/peers/connect.ts';
import { inspectTables } from '../../src/peers/inspect.ts';
import {
  createPublication,
  dropPublication,
  type PublishedTable,
  readPublication,
} from '../../src/peers/publication.ts';
import { peerOf } from '../support/peer.ts';
import { type TestDatabase, testDatabase } from '../support/servers.ts';

// A connection as peers get it: with an empty search_path.
async function publish(
  db: TestDatabase,
  tables: Readonly<Record<string, Partial<Pick<PublishedTable, 'exclude' | 'where'>>>>,
): Promise<void> {
  await using connection = await connectPeer(peerOf(db), { application: 'test' });
  const names = Object.keys(tables).map((name) => ({ schema: 'public', name }));
  const inspected = await inspectTables(connection, names);
  await createPublication(
    connection,
    'pub',
    inspected.map((table) => ({ table, exclude: [], where: null, ...tables[table.name] })),
  );
}

describe.each([14, 18] as const)('PostgreSQL %i', (major) => {
  test('the source goes on updating and deleting in every kind of table that is published', async () => {
    await using db = await testDatabase(major);
    await db.exec(`
      create table keyed (id int primary key, v text, secret text);
      create table whole (id int, v text, secret text);  alter table whole replica identity full;
      create table doubled (id int, v text, twice int generated always as (id * 2) stored);
      alter table doubled replica identity full;
      create table by_index (id int, u int not null unique, v text);
      alter table by_index replica identity using index by_index_u_key;
      create table parts (id int primary key, v text) partition by range (id);
      create table parts1 partition of parts for values from (0) to (10);
      create table full_parts (id int, v text) partition by range (id);
      create table full_parts1 partition of full_parts for values from (0) to (10);
      alter table full_parts replica identity full; alter table full_parts1 replica identity full;
      create table "x""; drop table y; --" (id int primary key, v text)`);
    const names = ['keyed', 'whole', 'doubled', 'by_index', 'parts', 'full_parts', 'x"; drop table y; --'];
    await publish(db, {
      ...Object.fromEntries(names.map((name) => [name, {}])),
      keyed: { exclude: ['secret'] },
      whole: { exclude: ['secret'] },
    });
    for (const name of names) {
      const table = `"${name.replaceAll('"', '""')}"`;
      await db.exec(
        name === 'by_index' ? `insert into ${table} values (1, 1)` : `insert into ${table} (id) values (1)`,
      );
      await db.exec(`update ${table} set v = 'changed'`);
      await db.exec(`delete from ${table}`);
    }
    const publication = await readPublication(db.connection, 'pub');
    expect(publication).toMatchObject({ viaRoot: true, insert: true, update: true, delete: true, truncate: true });
    expect(publication?.tables.map((each) => each.name)).toEqual([...names].sort());
    const keyed = publication?.tables.find((each) => each.name === 'keyed');
    // Before 15 nothing can be left out on the source; the receiver does it.
    expect(keyed?.columns ?? null).toEqual(major === 14 ? null : ['id', 'v']);
  });

  test('the source goes on updating a table that gets a generated column later', async () => {
    await using db = await testDatabase(major);
    await db.exec(
      `create table late (id int, v text); alter table late replica identity full; insert into late values (1), (2)`,
    );
    await publish(db, { late: {} });
    await db.exec('alter table late add twice int generated always as (id * 2) stored');
    await db.exec("update late set v = 'changed'; delete from late where id = 1");
  });

  test('made twice it is there once, and one that a killed step left half-made is put right', async () => {
    await using db = await testDatabase(major);
    await db.exec('create table a (id int primary key); create table b (id int primary key)');
    await publish(db, { a: {} });
    await publish(db, { a: {}, b: {} });
    await publish(db, { a: {}, b: {} });
    expect((await readPublication(db.connection, 'pub'))?.tables.map((each) => each.name)).toEqual(['a', 'b']);
    expect(await dropPublication(db.connection, 'pub')).toBe(true);
    expect(await dropPublication(db.connection, 'pub')).toBe(false);
    expect(await readPublication(db.connection, 'pub')).toBeNull();
  });

  test('children that inherit are not published along with their parent', async () => {
    await using db = await testDatabase(major);
    await db.exec('create table a (id int primary key); create table child () inherits (a)');
    await publish(db, { a: {} });
    expect((await readPublication(db.connection, 'pub'))?.tables.map((each) => each.name)).toEqual(['a']);
    await db.exec('insert into child values (1); update child set id = 2; delete from child');
  });

  test('a role that may not publish is told what it takes, and nothing is left', async () => {
    await using db = await testDatabase(major);
    const user = `plain_${db.database}`;
    await db.exec(`create role ${user} login password 'x'; create table a (id int primary key)`);
    await db.exec(`grant select on a to ${user}`);
    await expect(publish({ ...db, user, password: 'x' }, { a: {} })).rejects.toMatchObject({
      kind: 'forbidden',
      sqlstate: '42501',
      hint: expect.stringContaining('CREATE on the database'),
    });
    expect(await readPublication(db.connection, 'pub')).toBeNull();
    await db.exec(`drop owned by ${user}; drop role ${user}`);
  });
});

test('a filter travels to the publication, and one outside the identity is refused with nothing left', async () => {
  await using db = await testDatabase(18);
  await db.exec('create table a (id int primary key, v text); create table b (id int, v text)');
  await db.exec('alter table b replica identity full');
  await publish(db, { a: { where: 'id > 10 -- not the old ones' }, b: { where: "v <> 'x'" } });
  const publication = await readPublication(db.connection, 'pub');
  expect(publication?.tables.map((each) => each.filter)).toEqual(['(id > 10)', "(v <> 'x'::text)"]);
  await db.exec(`insert into a values (1), (11); update a set v = 'y'; delete from a`);
  await db.exec(`insert into b values (1, 'y'); update b set v = 'x'; delete from b`);
  await dropPublication(db.connection, 'pub');
  await expect(publish(db, { a: { where: "v = 'y'", exclude: ['v'] } })).rejects.toMatchObject({
    kind: 'not_ready',
    detail: 'The source would refuse updates and deletes of: public.a (v).',
  });
  expect(await readPublication(db.connection, 'pub')).toBeNull();
});

test('before 15 the publication has no filter, and one that we could not decide alike is refused all the same', async () => {
  await using db = await testDatabase(14);
  await db.exec('create table a (id int primary key, v text)');
  await publish(db, { a: { where: 'id > 1' } });
  expect((await readPublication(db.connection, 'pub'))?.tables).toMatchObject([{ name: 'a', filter: null }]);
  await expect(publish(db, { a: { where: "v = 'y'" } })).rejects.toMatchObject({
    kind: 'not_ready',
    detail: 'The source would refuse updates and deletes of: public.a (v).',
  });
  await expect(publish(db, { a: { where: 'id > random()' } })).rejects.toMatchObject({
    kind: 'invalid_option',
    message: expect.stringContaining('random'),
  });
});
