// A load whose every transaction is numbered and touches four tables: what a target has lost, doubled or torn can be read off it.
import { pause } from '../../src/base/retry.ts';
import { Scope } from '../../src/base/scope.ts';
import type { Connection } from '../../src/pg/client.ts';
import { sql, trusted } from '../../src/pg/sql.ts';
import { until } from './wait.ts';

const accounts = 40;

/** Tables of schema public: by key, without one (what comes twice stays twice), and one that is rewritten again and again. */
export const countedTables = ['account', 'movement', 'log', 'latest'] as const;

export const countedSchema = `
  create table account (id int primary key, balance int not null);
  insert into account select g, 100 from generate_series(1, ${accounts}) g;
  create table movement (n bigint primary key, payer int not null, payee int not null, amount int not null);
  create table log (n bigint not null, note text); alter table log replica identity full;
  create table latest (one int primary key, n bigint not null); insert into latest values (1, 0)`;

export interface Counted {
  /** The last transaction. */
  readonly last: number;
  readonly lost: number;
  readonly doubled: number;
  /** What no commit of the source ever showed, in words. */
  readonly torn: readonly string[];
}

/** Looks at one moment of a database. */
export async function countAll(db: Connection): Promise<Counted> {
  const row = await db.one<Record<'last' | 'rows' | 'different' | 'moves' | 'total' | 'latest', string>>(sql`select
    coalesce(max(n), 0)::text as last, count(*)::text as rows, count(distinct n)::text as different,
    (select count(*) from public.movement)::text as moves, (select sum(balance) from public.account)::text as total,
    (select n from public.latest)::text as latest from public.log`);
  const [last, rows, different] = [Number(row.last), Number(row.rows), Number(row.different)];
  const torn = [
    ...(Number(row.total) === accounts * 100 ? [] : [`the balances sum up to ${row.total}`]),
    ...(Number(row.moves) === last ? [] : [`${row.moves} movements at transaction ${last}`]),
    ...(Number(row.latest) === last ? [] : [`the latest is ${row.latest} at transaction ${last}`]),
  ];
  return { last, lost: last - different, doubled: rows - different, torn };
}

/** A writer that goes on whatever becomes of its server. */
export interface CountedWriter extends AsyncDisposable {
  /** Ends after the present transaction; gives the number of the last one. */
  stop(): Promise<number>;
}

/** Writes one transaction after another; finds its server again where `address` leads. */
export function writeCounted(options: {
  readonly connect: () => Promise<Connection>;
  readonly pauseMs: number;
  readonly random: () => number;
}): CountedWriter {
  const scope = new Scope();
  const { connect, pauseMs, random } = options;
  let last = 0;
  const session = async (signal: AbortSignal) => {
    await using db = await connect();
    // What became of a commit whose answer never came, only the server knows.
    const known = await db.one<{ n: string }>(sql`select n::text from public.latest`);
    last = Number(known.n);
    while (!signal.aborted) {
      await db.run(trusted(transaction(last + 1, random)));
      last += 1;
      await pause(pauseMs);
    }
  };
  scope.run(async (signal) => {
    while (!signal.aborted) {
      await session(signal).catch(() => undefined);
      await pause(20);
    }
  });
  return {
    async stop() {
      scope.stop();
      await scope.join();
      return last;
    },
    [Symbol.asyncDispose]: () => scope[Symbol.asyncDispose](),
  };
}

function transaction(n: number, random: () => number): string {
  const pick = (of: number) => 1 + Math.floor(random() * of);
  const [payer, payee, amount] = [pick(accounts), pick(accounts), pick(9)];
  return `begin; update public.account set balance = balance - ${amount} where id = ${payer};
    update public.account set balance = balance + ${amount} where id = ${payee};
    insert into public.movement values (${n}, ${payer}, ${payee}, ${amount});
    insert into public.log values (${n}, repeat('x', ${pick(300)})); update public.latest set n = ${n}; commit`;
}

/** Waits until the target shows a transaction that the source committed after now; gives how long that took. */
export async function untilNext(source: Connection, target: () => Promise<Connection>): Promise<number> {
  const began = performance.now();
  const { n } = await source.one<{ n: string }>(sql`select n::text from public.latest`);
  let db: Connection | undefined;
  try {
    await until(
      'a row that came after the kill',
      async () => {
        if (db?.lost.aborted !== false) db = await target();
        const now = await db.one<{ n: string }>(sql`select n::text from public.latest`);
        return Number(now.n) > Number(n);
      },
      90_000,
    );
    return performance.now() - began;
  } finally {
    await db?.close();
  }
}
