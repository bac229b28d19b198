// A bank under load: transfers over several kinds of tables, whose total never changes from one commit to the next.
import { pause } from '../../src/base/retry.ts';
import { Scope } from '../../src/base/scope.ts';
import type { Connection } from '../../src/pg/client.ts';
import { ident, join, literal, type Sql, sql, trusted } from '../../src/pg/sql.ts';
import type { TableName } from '../../src/pg/table.ts';
import { randomFrom } from './random.ts';

/** Where balances stand: by primary key, partitioned, without a key (REPLICA IDENTITY FULL), by another unique index. */
const accountTables = ['checking', 'savings', 'loose', 'fees'] as const;
type AccountTable = (typeof accountTables)[number];

/** Every table of the bank; the ledger holds no balances, it is appended to and truncated. */
export const bankTables: readonly TableName[] = [...accountTables, 'ledger'].map((name) => ({ schema: 'bank', name }));

/** Creates the bank with `accounts` accounts in all. */
export async function openBank(db: Connection, accounts: number): Promise<void> {
  const each = Math.ceil(accounts / 5);
  await db.run(
    trusted(`
    create schema bank;
    create table bank.checking (id bigint primary key, owner text not null, balance numeric(14,2) not null, letter text,
      constraint has_id check (id is not null));
    comment on table bank.checking is 'two fifths of it';
    alter table bank.checking alter column letter set storage external;
    create table bank.savings (branch integer not null, id bigint not null, owner text, balance numeric(14,2) not null,
      primary key (branch, id)) partition by list (branch);
    create table bank.savings_1 partition of bank.savings for values in (1);
    create table bank.savings_2 partition of bank.savings for values in (2, 3);
    create table bank.savings_rest partition of bank.savings default;
    create index on bank.savings (id);
    create table bank.loose (id bigint, owner text, balance numeric(14,2));
    alter table bank.loose replica identity full;
    create index on bank.loose (id);
    create table bank.fees (id bigint not null, code text not null, balance numeric(14,2) not null, owner text);
    create unique index fees_code on bank.fees (code);
    alter table bank.fees replica identity using index fees_code;
    create index on bank.fees (id);
    create table bank.ledger (id bigint generated always as identity primary key, at timestamptz not null default now(),
      what text not null, amounts jsonb)`),
  );
  await db.run(sql`insert into bank.checking
    select i, 'owner ' || i, 100, case when i % 20 = 0 then pg_catalog.repeat(pg_catalog.md5(i::text), 120) end
    from pg_catalog.generate_series(1, ${each * 2}::int) i`);
  await db.run(
    sql`insert into bank.savings select i % 5, i, null, 250.5 from pg_catalog.generate_series(1, ${each}::int) i`,
  );
  await db.run(sql`insert into bank.loose
    select i, case when i % 3 > 0 then 'owner' end, 10 from pg_catalog.generate_series(1, ${Math.min(each, 2000)}::int) i`);
  await db.run(
    sql`insert into bank.fees select i, 'code ' || i, 1.25, '' from pg_catalog.generate_series(1, ${each}::int) i`,
  );
  await db.run(sql`insert into bank.ledger (what) select 'opened' from pg_catalog.generate_series(1, 500)`);
  await db.run(trusted('vacuum analyze'));
}

/** The sum of all balances at one moment, as exact text. */
export async function bankTotal(db: Connection): Promise<string> {
  const sums = accountTables.map((name) => sql`(select pg_catalog.sum(balance) from ${ident('bank', name)})`);
  const row = await db.one<{ total: string }>(sql`select (${join(sums, ' + ')})::text as total`);
  return row.total;
}

export interface BankCounters {
  committed: number;
  rolledBack: number;
  failed: number;
}

/** A bank at work; `stop` waits until the last transaction ended. */
export interface Bank extends AsyncDisposable {
  readonly counters: Readonly<BankCounters>;
  /** Stops the writers and leaves a last row in the ledger; a target that has it has everything before it. */
  stop(marker: string): Promise<BankCounters>;
}

/**
 * Starts `writers` writers, each with accounts of its own (so no deadlocks), each waiting `pauseMs` between transactions.
 * The same seed makes the same transactions.
 */
export async function startBank(options: {
  readonly connect: () => Promise<Connection>;
  readonly writers?: number;
  readonly pauseMs?: number;
  readonly seed?: number;
}): Promise<Bank> {
  const { connect, writers = 2, pauseMs = 2, seed = 1 } = options;
  const counters: BankCounters = { committed: 0, rolledBack: 0, failed: 0 };
  const scope = new Scope();
  for (let number = 0; number < writers; number++) {
    const writer = new Writer({ db: await connect(), number, writers, random: randomFrom(seed * 1000 + number) });
    await writer.learn();
    scope.run(async (signal) => {
      while (!signal.aborted) {
        await writer.transact(counters);
        await pause(pauseMs);
      }
    });
  }
  return {
    counters,
    stop: async (marker) => {
      scope.stop();
      await scope.join();
      const db = await connect();
      await db.run(sql`insert into bank.ledger (what) values (${marker})`);
      await db.close();
      return counters;
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

interface Account {
  readonly table: AccountTable;
  readonly id: number;
}

class Writer {
  readonly #db: Connection;
  readonly #number: number;
  readonly #writers: number;
  readonly #random: () => number;
  #accounts: Account[] = [];
  #lastId = 10_000_000;

  constructor(deps: { db: Connection; number: number; writers: number; random: () => number }) {
    this.#db = deps.db;
    this.#number = deps.number;
    this.#writers = deps.writers;
    this.#random = deps.random;
    this.#lastId += deps.number;
  }

  /** Reads which accounts are this writer's. */
  async learn(): Promise<void> {
    const lists = accountTables.map(
      (name) => sql`select ${name}::text as "table", id::int as id from ${ident('bank', name)}
        where id % ${this.#writers}::int = ${this.#number}::int`,
    );
    this.#accounts = [...(await this.#db.query<Account>(join(lists, ' union all ')))];
  }

  /** One transaction of a random kind, in one round trip. */
  async transact(counters: BankCounters): Promise<void> {
    const next = [...this.#accounts];
    const end = this.#random() < 0.03 ? 'rollback' : 'commit';
    const statements = this.#statements(next);
    try {
      await this.#db.run(join([trusted('begin'), ...statements, trusted(end)], '; '));
      if (end === 'commit') this.#accounts = next;
      counters[end === 'commit' ? 'committed' : 'rolledBack']++;
    } catch (error) {
      counters.failed++;
      if (counters.failed > 20) throw error;
      await this.#db.run(trusted('rollback'));
      await this.learn();
    }
  }

  #statements(accounts: Account[]): Sql[] {
    const kind = this.#random() * 100;
    if (kind < 45) return this.#transfer(accounts);
    if (kind < 57) return this.#openAccount(accounts);
    if (kind < 66) return this.#closeAccount(accounts);
    if (kind < 76) return this.#changeKey(accounts);
    if (kind < 84) return this.#changeItsMind(accounts);
    if (kind < 89) return this.#swapKeys(accounts);
    if (kind < 93) return this.#replaceRow(accounts);
    if (kind < 98) return [this.#note(3), ...this.#transfer(accounts)];
    if (kind < 99.5) return this.#interest(accounts);
    return [sql`truncate bank.ledger`, this.#note(20), ...this.#transfer(accounts)];
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #newId(): number {
    this.#lastId += this.#writers;
    return this.#lastId;
  }

  #pick(accounts: readonly Account[], count: number, table?: AccountTable): Account[] {
    const picked = new Set<Account>();
    for (let tries = 0; picked.size < count && tries < 1000; tries++) {
      const account = accounts[this.#below(accounts.length)]!;
      if (table === undefined || account.table === table) picked.add(account);
    }
    return [...picked];
  }

  #transfer(accounts: readonly Account[]): Sql[] {
    const [payer, ...payees] = this.#pick(accounts, 2 + this.#below(4));
    const amount = 1 + this.#below(500);
    return [...payees.map((payee) => add(payee, amount)), add(payer!, -amount * payees.length)];
  }

  #openAccount(accounts: Account[]): Sql[] {
    const [payer] = this.#pick(accounts, 1);
    const account = { table: accountTables[this.#below(4)]!, id: this.#newId() };
    accounts.push(account);
    const amount = this.#below(300);
    return [this.#insert(account, amount), add(payer!, -amount)];
  }

  #insert(account: Account, balance: number): Sql {
    const [id, money] = [literal(account.id), literal(balance)];
    switch (account.table) {
      case 'checking':
        return sql`insert into bank.checking values (${id}, ${literal('it’s new')}, ${money},
          pg_catalog.repeat(${literal(account.id)}::text, ${literal(this.#below(800))}))`;
      case 'savings':
        return sql`insert into bank.savings (branch, id, balance) values (${literal(this.#below(5))}, ${id}, ${money})`;
      case 'loose':
        return sql`insert into bank.loose values (${id}, ${literal(this.#random() < 0.5 ? null : '\\')}, ${money})`;
      case 'fees':
        return sql`insert into bank.fees (id, code, balance) values (${id}, ${literal(`code ${account.id}`)}, ${money})`;
    }
  }

  #closeAccount(accounts: Account[]): Sql[] {
    if (accounts.length < 200) return this.#openAccount(accounts);
    const [gone, heir] = this.#pick(accounts, 2);
    accounts.splice(accounts.indexOf(gone!), 1);
    return [
      sql`with gone as (delete from ${ident('bank', gone!.table)} where id = ${literal(gone!.id)} returning balance)
        update ${ident('bank', heir!.table)} set balance = balance + (select balance from gone) where id = ${literal(heir!.id)}`,
    ];
  }

  #changeKey(accounts: Account[]): Sql[] {
    const [account] = this.#pick(accounts, 1);
    const id = literal(account!.id);
    if (account!.table === 'savings') {
      return [sql`update bank.savings set branch = ${literal(this.#below(5))} where id = ${id}`];
    }
    if (account!.table === 'fees') {
      return [sql`update bank.fees set code = ${literal(`changed ${this.#newId()}`)} where id = ${id}`];
    }
    const changed = { table: account!.table, id: this.#newId() };
    accounts.splice(accounts.indexOf(account!), 1, changed);
    return [sql`update ${ident('bank', changed.table)} set id = ${literal(changed.id)} where id = ${id}`];
  }

  #changeItsMind(accounts: readonly Account[]): Sql[] {
    const lost = this.#pick(accounts, 2);
    return [
      ...this.#transfer(accounts),
      sql`savepoint mind`,
      add(lost[0]!, 1_000_000),
      sql`delete from ${ident('bank', lost[1]!.table)} where id = ${literal(lost[1]!.id)}`,
      this.#note(5),
      sql`rollback to savepoint mind`,
      ...this.#transfer(accounts),
    ];
  }

  #swapKeys(accounts: readonly Account[]): Sql[] {
    const [a, b] = this.#pick(accounts, 2, 'checking');
    if (a === undefined || b === undefined) return this.#transfer(accounts);
    const move = (from: number, to: number) =>
      sql`update bank.checking set id = ${literal(to)} where id = ${literal(from)}`;
    const aside = -1 - this.#number;
    return [move(a.id, aside), move(b.id, a.id), move(aside, b.id), ...this.#transfer(accounts)];
  }

  #replaceRow(accounts: readonly Account[]): Sql[] {
    const [account] = this.#pick(accounts, 1, 'checking');
    if (account === undefined) return this.#transfer(accounts);
    const [id, kept] = [literal(account.id), ident(`kept ${this.#number}`)];
    return [
      sql`create temporary table ${kept} on commit drop as select * from bank.checking where id = ${id}`,
      sql`delete from bank.checking where id = ${id}`,
      sql`insert into bank.checking select * from ${kept}`,
    ];
  }

  #note(rows: number): Sql {
    return sql`insert into bank.ledger (what, amounts)
      select 'note ' || i, pg_catalog.jsonb_build_array(i, null, 'é') from pg_catalog.generate_series(1, ${literal(rows)}) i`;
  }

  // Many rows in one transaction: one table gives what the other gets.
  #interest(accounts: readonly Account[]): Sql[] {
    const givers = accounts.filter((account) => account.table === 'savings').slice(0, 200);
    const takers = accounts.filter((account) => account.table === 'checking').slice(0, givers.length);
    const paired = givers.slice(0, takers.length);
    if (paired.length === 0) return this.#transfer(accounts);
    const list = (of: readonly Account[]) => join(of.map((account) => literal(account.id)));
    return [
      sql`update bank.savings set balance = balance - 1 where id in (${list(paired)})`,
      sql`update bank.checking set balance = balance + 1 where id in (${list(takers)})`,
    ];
  }
}

function add(account: Account, amount: number): Sql {
  return sql`update ${ident('bank', account.table)} set balance = balance + ${literal(amount)} where id = ${literal(account.id)}`;
}
