// Tables that are written to at random while they are copied: rows that move, change their keys, leave and come back.
import { Scope } from '../../src/base/scope.ts';
import type { MirroredTable } from '../../src/mirror/work.ts';
import type { Connection } from '../../src/pg/client.ts';
import { trusted } from '../../src/pg/sql.ts';
import { table } from './copied.ts';

interface RestlessTable {
  readonly name: string;
  /** Columns and constraints. */
  readonly definition: string;
  /** What follows. */
  readonly more?: string;
  /** Values of the key's columns for number n, in their order. */
  readonly key: readonly (readonly [column: string, value: (n: number) => string])[];
  readonly mapping?: Partial<Omit<MirroredTable, 'from'>>;
}

const id = ['id', String] as const;
const pad = `n int, pad text not null default '', big text, secret text`;

/** What tells tables apart here: the key, how the source names old rows, how they are cut, what is left out. */
const kinds: readonly RestlessTable[] = [
  { name: 'plain', definition: `id int primary key, ${pad}`, key: [id] },
  // Values wander between rows: two rows must never meet under a unique index that is there before the load.
  { name: 'unique_too', definition: `id int primary key, ${pad}, email text unique`, key: [id] },
  { name: 'secretive', definition: `id int primary key, ${pad}`, key: [id], mapping: { exclude: ['secret'] } },
  {
    name: 'composite',
    definition: `${pad}, "the Name" text, at numeric(12,4), primary key ("the Name", at)`,
    key: [
      ['"the Name"', (n) => `'näme "${n % 7}'`],
      ['at', (n) => `${n}.5`],
    ],
  },
  {
    name: 'by_index',
    definition: `code char(12) not null, ${pad}`,
    more: 'create unique index by_index_code on by_index (code); alter table by_index replica identity using index by_index_code',
    key: [['code', (n) => `'c ${n}'`]],
  },
  {
    name: 'by_all',
    definition: `id bigint primary key, ${pad}`,
    more: 'alter table by_all replica identity full',
    key: [id],
  },
  {
    name: 'by_mood',
    definition: `mood mood not null, b bytea not null, ${pad}, primary key (b, mood)`,
    key: [
      ['mood', (n) => `'${['so "so"', 'gut', 'bad, bad'][n % 3]}'`],
      ['b', (n) => `'\\x00${(n % 200).toString(16).padStart(4, '0')}'`],
    ],
  },
  { name: 'cut_by_n', definition: `id int primary key, ${pad}`, key: [id], mapping: { key: 'n' } },
  {
    name: 'spread',
    definition: `branch int not null, id int not null, ${pad}, primary key (branch, id)) partition by list (branch`,
    more: `create table spread_1 partition of spread for values in (1); create table spread_2 partition of spread for values in (2);
      create table spread_rest partition of spread default`,
    key: [
      ['branch', (n) => String(n % 4)],
      ['id', (n) => String(n % 300)],
    ],
  },
  // For writers that truncate.
  { name: 'emptied', definition: `id int primary key, ${pad}`, key: [id] },
  // Its rows cannot be told apart.
  { name: 'keyless', definition: `id int, ${pad}`, more: 'alter table keyless replica identity full', key: [id] },
];

/** Names of the tables whose finished parts can stay, whatever happens. */
export const keepsParts: readonly string[] = kinds
  .map(({ name }) => name)
  .filter((name) => name !== 'keyless' && name !== 'emptied');

export const restlessTables: readonly MirroredTable[] = kinds.map(({ name, mapping }) => table(name, mapping));

const mostKeys = 400;

/** Makes the tables and fills them; on the target `unique_too` stands before the copy, with its indexes. */
export async function makeRestless(source: Connection, target: Connection): Promise<void> {
  const run = (text: string) => source.run(trusted(text));
  await run(`create type mood as enum ('so "so"', 'gut', 'bad, bad')`);
  for (const { name, definition, more, key } of kinds) {
    const create = `create table ${name} (${definition})`;
    await run(create);
    if (name === 'unique_too') await target.run(trusted(create));
    if (more !== undefined) await run(more);
    await run(`alter table ${name} alter column big set storage external`);
    for (let n = 0; n < mostKeys; n += 40) {
      const rows = Array.from({ length: 40 }, (_, i) => insertValues(key, n + i));
      await run(`insert into ${name} (${insertColumns(key)}) values ${rows.join(', ')} on conflict do nothing`);
    }
  }
  await run(`update unique_too set email = 'm' || id`);
  await run('analyze');
}

function insertColumns(key: RestlessTable['key']): string {
  return [...key.map(([column]) => column), 'n', 'pad', 'big', 'secret'].join(', ');
}

function insertValues(key: RestlessTable['key'], n: number): string {
  const big = n % 5 === 0 ? `repeat(md5('${n}'), 90)` : 'null';
  const values = [...key.map(([, value]) => value(n)), n % 11 === 0 ? 'null' : n * 3, `repeat('p', 200)`, big, `'s'`];
  return `(${values.join(', ')})`;
}

/** Writes to the tables until it is disposed. */
export interface Restless extends AsyncDisposable {
  readonly transactions: number;
  /** Rests after the present transaction; `goOn` ends that. */
  stop(): Promise<void>;
}

/** Starts a writer on a connection that nothing else uses. The same seed makes the same statements. */
export function writeRestlessly(
  db: Connection,
  // `truncates`: names of tables that are emptied now and then.
  options: { readonly random: () => number; readonly pauseMs: number; readonly truncates?: readonly string[] },
): Restless {
  const { random } = options;
  const scope = new Scope();
  let transactions = 0;
  scope.run(async (signal) => {
    while (!signal.aborted) {
      await transact(db, random, options.truncates ?? []);
      transactions++;
      await new Promise((resolve) => setTimeout(resolve, options.pauseMs));
    }
  });
  return {
    get transactions() {
      return transactions;
    },
    stop: async () => {
      scope.stop();
      await scope.join();
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

/** So many transactions at once. */
export async function writeBurst(db: Connection, random: () => number, transactions: number): Promise<void> {
  for (let i = 0; i < transactions; i++) await transact(db, random, []);
}

async function transact(db: Connection, random: () => number, truncates: readonly string[]): Promise<void> {
  const statements = Array.from({ length: 1 + Math.floor(random() * 5) }, () => statement(random, truncates));
  const end = random() < 0.05 ? 'rollback' : 'commit';
  try {
    await db.run(trusted(['begin', ...statements, end].join('; ')));
  } catch (error) {
    await db.run(trusted('rollback'));
    // A key or an address that is taken already, or a TRUNCATE that crosses another.
    if (!['23505', '40P01'].includes((error as { sqlstate?: string }).sqlstate ?? '')) throw error;
  }
}

function statement(random: () => number, truncates: readonly string[]): string {
  const pick = <T>(list: readonly T[]) => list[Math.floor(random() * list.length)] as T;
  const { name, key } = pick(kinds);
  const n = () => Math.floor(random() * mostKeys * 1.2);
  const where = (number: number) => key.map(([column, value]) => `${column} = ${value(number)}`).join(' and ');
  const [a, b] = [n(), n()];
  const insert = (number: number) =>
    `insert into ${name} (${insertColumns(key)}) values ${insertValues(key, number)} on conflict do nothing`;
  const setKey = key.map(([column, value]) => `${column} = ${value(b)}`).join(', ');
  const moves = `update ${name} set n = ${n()}, pad = repeat('${a % 10}', ${150 + Math.floor(random() * 300)}) where ${where(a)}`;
  const move = random();
  if (move > 0.99 && truncates.includes(name)) return `truncate ${name}; ${insert(a)}`;
  if (move < 0.35) return moves;
  if (move < 0.5) return `update ${name} set n = n + 1 where ${where(a)}`;
  if (move < 0.6) return `delete from ${name} where ${where(a)}`;
  if (move < 0.7) return insert(a);
  // The same key again, as another row.
  if (move < 0.78) return `delete from ${name} where ${where(a)}; ${insert(a)}`;
  // The big column goes along unseen.
  if (move < 0.9)
    return `update ${name} set ${setKey} where ${where(a)} and not exists (select from ${name} where ${where(b)})`;
  if (move < 0.94) return `savepoint s; ${moves}; rollback to s; ${insert(b)}`;
  if (move < 0.97) return `update ${name} set big = repeat(md5('${b}'), 80) where ${where(a)}`;
  return `update unique_too set email = null where id = ${a}; update unique_too set email = 'm${a}' where id = ${b}`;
}
