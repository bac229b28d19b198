// One connection that several parts of a step share.
import { randomBytes, webcrypto } from 'node:crypto';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Connection } from '../../src/pg/client.ts';
import { sql } from '../../src/pg/sql.ts';
import { testDatabase } from '../support/servers.ts';

test('statements that are given at once run one after the other, and nobody is warned of it', async () => {
  await using db = await testDatabase();
  await using connection = await db.connect();
  const warnings: Error[] = [];
  const hear = (warning: Error) => void warnings.push(warning);
  process.on('warning', hear);
  onTestFinished(() => void process.off('warning', hear));
  await connection.run(sql`create temporary table came (n int, at bigserial)`);
  const answers = await Promise.allSettled([
    connection.query(sql`insert into came select 1 from pg_sleep(0.05) returning n`),
    connection.query(sql`select 1 / 0`),
    connection.transaction(() => connection.run(sql`insert into came values (2)`)),
    connection.query(sql`insert into came values (3) returning n`),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  expect(answers[1]).toMatchObject({ reason: { kind: 'upstream', sqlstate: '22012' } });
  const rows = await connection.query(sql`select n from came order by at`);
  // The transaction's second statement is given when its first has been answered.
  expect(rows.map((row) => row.n)).toEqual([1, 3, 2]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(warnings).toEqual([]);
});

test('statements that wait for another fail with it when the connection is lost', async () => {
  await using db = await testDatabase();
  const connection = await db.connect();
  const waiting = [1, 2, 3].map((seconds) => connection.run(sql`select pg_sleep(${seconds * 10})`));
  connection.destroy();
  const answers = await Promise.allSettled(waiting);
  for (const answer of answers) expect(answer).toMatchObject({ reason: { kind: 'connection_lost' } });
});

test('a password is made into a key once for many sessions, and again when it was changed', async () => {
  await using db = await testDatabase();
  const role = `"r ${randomBytes(4).toString('hex')}"`;
  await db.exec(`create role ${role} login password 'first'`);
  const { host, port, database } = db;
  const login = async (password: string) => {
    await using session = await Connection.open({ host, port, database, user: role.slice(1, -1), password });
    await session.run(sql`select 1`);
  };
  const derived = vi.spyOn(webcrypto.subtle, 'deriveBits');
  onTestFinished(() => derived.mockRestore());
  try {
    for (let session = 0; session < 3; session++) await login('first');
    expect(derived).toHaveBeenCalledTimes(1);
    await db.exec(`alter role ${role} password 'second'`);
    await expect(login('first')).rejects.toMatchObject({ kind: 'login_refused' });
    await login('second');
    await login('second');
    expect(derived).toHaveBeenCalledTimes(3);
  } finally {
    await db.exec(`drop role ${role}`);
  }
});
