// A writer of the model: transactions of a random kind over all tables, each of which keeps what the model promises of every commit.
import type { Connection } from '../../src/pg/client.ts';
import { trusted } from '../../src/pg/sql.ts';
import { type Column, changeColumns, columnsText, literalFor } from '../support/changing.ts';
import type { Random } from '../support/random.ts';
import { type ChangingTable, changingTables, insertRows, type ModelTable, moveRow, own, whereRows } from './tables.ts';

/** Row numbers that writers use; a key beyond is one writer's own. */
export const mostRows = 160;

/** What all writers know. */
export interface Shared {
  readonly tables: readonly ModelTable[];
  /** Labels of the enum and partitions of `regions` that are there by now. */
  readonly labels: string[];
  readonly regions: number[];
  /** Partitions are published each by itself: a TRUNCATE that does not name one that was added meanwhile stops the mirror. */
  publishesLeaves: boolean;
  /** Rows of the largest transactions. */
  readonly most: number;
}

export interface Counters {
  committed: number;
  rolledBack: number;
  prepared: number;
  refused: number;
}

// What another writer, a constraint of the source or a change of columns may answer: the transaction is not there then.
const isExpected = (sqlstate: string) => /^(22|23|40|42|55|0A|2B)/.test(sqlstate) && sqlstate !== '42601';

/** Writes on a connection that nothing else uses. The same seed makes the same statements, as far as it does not look at rows. */
export class Writer {
  readonly #db: Connection;
  readonly #number: number;
  readonly #chance: Random;
  readonly #shared: Shared;
  readonly #counters: Counters;
  /** The last statements. */
  readonly said: string[] = [];
  #nth = 0;
  #ids = 0;
  #names = 10;
  #purse: number;
  #prepared: string | null = null;

  constructor(deps: { db: Connection; number: number; chance: Random; shared: Shared; counters: Counters }) {
    this.#db = deps.db;
    this.#number = deps.number;
    this.#purse = deps.number;
    this.#chance = deps.chance;
    this.#shared = deps.shared;
    this.#counters = deps.counters;
  }

  /** Fills the tables; one writer does. */
  async fill(): Promise<void> {
    const range = { from: 0, to: mostRows - 1 };
    const lists = this.#shared.tables.map((table) => this.#insert(table, { ...range, nth: 1 }));
    await this.#say(
      [
        ...lists,
        ...["update unique_too set email = 'm' || id where id % 3 > 0", this.#orders(30)],
        this.#paid(
          'amount',
          `insert into regions (region, id, amount) select i % 2, i, i from generate_series(1, 200) i returning amount`,
          -1,
        ),
      ].join('; '),
    );
  }

  /** One transaction. */
  async transact(): Promise<void> {
    const chance = this.#chance;
    this.#nth++;
    if (this.#prepared !== null && chance.chance(0.5)) return await this.finishPrepared();
    const prepares = this.#prepared === null && chance.chance(0.03);
    // A prepared transaction keeps its purse locked.
    this.#purse = prepares ? this.#number + 100 : this.#number;
    const end = prepares ? 'prepare' : chance.chance(0.04) ? 'rollback' : 'commit';
    const statements = chance.times(1 + chance.size(7), () => this.#statement());
    await this.#transaction(statements, end);
  }

  /** Ends what is prepared, one way or the other. */
  async finishPrepared(): Promise<void> {
    if (this.#prepared === null) return;
    const how = this.#chance.chance(0.75) ? 'commit' : 'rollback';
    await this.#say(`${how} prepared '${this.#prepared}'`);
    this.#counters[how === 'commit' ? 'committed' : 'rolledBack']++;
    this.#prepared = null;
  }

  /** One transaction that changes columns between rows, with changes of other tables around it. */
  async change(): Promise<void> {
    const chance = this.#chance;
    this.#nth++;
    this.#purse = this.#number;
    const steps = chance.int(1, 6);
    try {
      await this.#say('begin');
      for (let step = 0; step < steps; step++) {
        const kind = chance.next();
        if (kind < 0.2) await this.#say(this.#statement());
        else {
          const table = chance.pick(Object.keys(changingTables)) as ChangingTable;
          await this.#say(kind < 0.5 ? await this.#column(table) : await this.#row(table));
        }
      }
      const end = chance.chance(0.1) ? 'rollback' : 'commit';
      await this.#say(end);
      const { lsn } = await this.#db.one<{ lsn: string }>(trusted('select pg_current_wal_insert_lsn()::text as lsn'));
      this.said.push(`-- ${new Date().toISOString()} ${lsn}`);
      this.#counters[end === 'commit' ? 'committed' : 'rolledBack']++;
    } catch (error) {
      await this.#refused(error);
    }
  }

  /** A row in each table whose columns change, so that what changed last follows. */
  async touch(): Promise<void> {
    for (const table of Object.keys(changingTables)) {
      const r = table === 'changing_parts' ? [', r', ', 0'] : ['', ''];
      await this.#say(`insert into ${table} (id${r[0]}) values (${++this.#ids}${r[1]})`);
    }
  }

  async #transaction(statements: readonly string[], end: 'commit' | 'rollback' | 'prepare'): Promise<void> {
    const gid = `model ${this.#number} ${this.#nth}`;
    const last = end === 'prepare' ? `prepare transaction '${gid}'` : end;
    try {
      await this.#say(['begin', ...statements, last].join(';\n'));
      if (end === 'prepare') {
        this.#prepared = gid;
        this.#counters.prepared++;
      } else this.#counters[end === 'commit' ? 'committed' : 'rolledBack']++;
    } catch (error) {
      await this.#refused(error);
    }
  }

  async #refused(error: unknown): Promise<void> {
    if (!isExpected((error as { sqlstate?: string }).sqlstate ?? '')) {
      throw new Error(`the source refused ${this.said.at(-1)}`, { cause: error });
    }
    this.#counters.refused++;
    this.said.push(`rollback -- ${(error as Error).message}`);
    await this.#db.run(trusted('rollback'));
  }

  async #say(text: string): Promise<void> {
    this.said.push(text);
    if (this.said.length > 500) this.said.shift();
    await this.#db.run(trusted(text));
  }

  #statement(): string {
    const kind = this.#chance.next() * 100;
    if (kind < 66) return this.#plain(this.#chance.pick(this.#shared.tables));
    if (kind < 72) return this.#event();
    if (kind < 79) return this.#twins();
    if (kind < 85) return this.#region();
    if (kind < 89) return this.#orders(this.#chance.int(1, 4));
    if (kind < 93) return this.#wanders();
    if (kind < 94) return this.#truncate();
    if (kind < 95.6) return this.#many();
    return this.#mind();
  }

  // Subtransactions: what is taken back must leave no trace, whatever it was.
  #mind(): string {
    const chance = this.#chance;
    const name = `s${this.#number}`;
    const lost = chance.chance(0.15) ? this.#truncate() : this.#plain(chance.pick(this.#shared.tables));
    const inner = `savepoint inner_${name}; ${this.#event()}; ${chance.chance(0.5) ? 'release' : 'rollback to'} inner_${name}`;
    const kept = chance.chance(0.5) ? this.#plain(chance.pick(this.#shared.tables)) : this.#twins();
    const end = chance.chance(0.7) ? `rollback to ${name}` : `release ${name}`;
    return `savepoint ${name}; ${lost}; ${inner}; ${end}; ${kept}`;
  }

  #plain(table: ModelTable): string {
    const chance = this.#chance;
    const from = chance.int(0, mostRows - 1);
    const some = chance.chance(0.2) ? chance.size(60) : 0;
    const range = { from, to: from + some };
    const where = whereRows(table, range);
    const kind = chance.next();
    const aside = mostRows + 100 + this.#number;
    if (kind < 0.2) return this.#add(table, where);
    if (kind < 0.3) return `update ${own(table)} set n = coalesce(n, 0) + 1 ${where}`;
    if (kind < 0.38) return this.#rewrite(table, where);
    if (kind < 0.52) return this.#insert(table, { ...range, nth: this.#nth });
    if (kind < 0.62) return this.#delete(table, where);
    // The same key again, as another row.
    if (kind < 0.72) return `${this.#delete(table, where)}; ${this.#insert(table, { ...range, nth: this.#nth })}`;
    const other = chance.int(0, mostRows - 1);
    if (kind < 0.84)
      return `${moveRow(table, from, other)}; ${this.#add(table, whereRows(table, { from: other, to: other }))}`;
    if (kind < 0.92 || table.counted)
      return `${moveRow(table, from, aside)}; ${moveRow(table, other, from)}; ${moveRow(table, aside, other)}`;
    // An insert that is gone again, a key that passes through several rows.
    return `${this.#insert(table, { from: aside, to: aside, nth: this.#nth })}; ${this.#add(table, whereRows(table, { from: aside, to: aside }))};
      ${this.#delete(table, whereRows(table, { from: aside, to: aside }))}; ${moveRow(table, from, aside)}; ${moveRow(table, aside, from)}`;
  }

  #insert(table: ModelTable, range: { from: number; to: number; nth: number }): string {
    const text = insertRows(table, range);
    return table.apart ? text : this.#paid('amount', `${text} returning amount`, -1);
  }

  #delete(table: ModelTable, where: string): string {
    const text = `delete from ${own(table)} ${where}`;
    return table.apart ? text : this.#paid('amount', `${text} returning amount`, 1);
  }

  #add(table: ModelTable, where: string): string {
    const more = this.#chance.int(-20, 20);
    const text = `update ${own(table)} set amount = amount + ${more} ${where}`;
    return table.apart ? text : this.#paid(String(more), `${text} returning 1`, -1);
  }

  // What a statement gives to its rows is taken from the writer's purse, in the same statement.
  #paid(amount: string, statement: string, sign: 1 | -1): string {
    return `with changed as (${statement}) update purse set amount = amount + ${sign} * (select coalesce(sum(${amount}), 0) from changed)
      where writer = ${this.#purse}`;
  }

  #rewrite(table: ModelTable, where: string): string {
    const extra = (table.extra ?? []).filter(([column]) => column !== 'during');
    const nth = this.#nth;
    const number = table.key[0]?.[0] === 'id' && table.name !== 'ids' ? 'id' : String(nth);
    const sets = extra.map(([column, value]) => `${column} = ${value(number, String(nth))}`);
    if (table.name === 'typed') {
      const label = this.#chance.pick(this.#shared.labels);
      sets[0] = `feels = '${label.replaceAll("'", "''")}'`;
    }
    const big = this.#chance.pick([
      `big = repeat(md5('${nth}'), 80)`,
      'big = null',
      `pad = 'again ${nth}'`,
      'pad = pad',
    ]);
    return `update ${own(table)} set ${[...sets, big].join(', ')} ${where}`;
  }

  #event(): string {
    const many = this.#chance.int(1, 5);
    const kind = this.#chance.chance(0.6) ? (['events', 'events'] as const) : (['log', 'logged'] as const);
    return `insert into ${kind[0]} (writer, what) select ${this.#number}, 'event ' || i from generate_series(1, ${many}) i;
      update tally set ${kind[1]} = ${kind[1]} + ${many} where writer = ${this.#number}`;
  }

  // Two tables that always hold the same rows, written at two places of the statement's text.
  #twins(): string {
    const chance = this.#chance;
    const n = chance.int(1, 200);
    const [a, b] = chance.chance(0.5) ? ['left_twin', 'right_twin'] : ['right_twin', 'left_twin'];
    const between = chance.chance(0.5) ? `${this.#event()};` : '';
    const kind = chance.int(1, 4);
    // A row that is there on one side only is not seen by the other: both must see the same.
    const lock = 'lock table left_twin, right_twin in share row exclusive mode';
    if (kind === 1)
      return `${lock}; delete from ${a} where id % 20 = ${n % 20}; ${between} delete from ${b} where id % 20 = ${n % 20}`;
    const both = (text: (table: string) => string) => `${lock}; ${text(a as string)}; ${between} ${text(b as string)}`;
    if (kind === 2) return both((table) => `update ${table} set v = v || '+' where id between ${n} and ${n + 20}`);
    if (kind === 3) return both((table) => `update ${table} set id = -id where id = ${n}`);
    return both(
      (table) =>
        `insert into ${table} (id, v) select i, 'v ${this.#nth}' from generate_series(${n}, ${n + 9}) i on conflict do nothing`,
    );
  }

  #region(): string {
    const chance = this.#chance;
    const [region, other] = [chance.pick(this.#shared.regions), chance.pick(this.#shared.regions)];
    const n = chance.int(0, 300);
    const kind = chance.int(1, 4);
    if (kind === 1)
      return `update regions set region = ${other} where id = ${n} and not exists (select from regions where id = ${n} and region = ${other})`;
    if (kind === 2) return this.#paid('amount', `delete from regions where id = ${n} returning amount`, 1);
    if (kind === 3)
      return this.#paid(
        '5',
        `update regions set amount = amount + 5, big = repeat('${n}', 3000) where id % 50 = ${n % 50} returning 1`,
        -1,
      );
    return this.#paid(
      'amount',
      `insert into regions (region, id, amount, big) select ${region}, i, ${n}, repeat('b', 3000) from generate_series(${n}, ${n + 3}) i on conflict do nothing returning amount`,
      -1,
    );
  }

  // Rows that refer to each other, written in an order that only the end of the transaction makes good.
  #orders(many: number): string {
    const chance = this.#chance;
    this.#ids += many * 2;
    const base = this.#number * 1_000_000 + this.#ids;
    const some = `between ${this.#number * 1_000_000} and ${base}`;
    if (many > 1 && chance.chance(0.3)) {
      const gone = `select id from orders where id ${some} and id % 5 = ${base % 5}`;
      return `${this.#paid('amount', `delete from orders where id in (${gone}) returning amount`, 1)};
        ${this.#paid('amount', `delete from lines where not exists (select from orders o where o.id = order_id) and id ${some} returning amount`, 1)};
        update orders set first_line = null where not exists (select from lines l where l.id = first_line) and id ${some}`;
    }
    const rows = `from generate_series(${base}, ${base + many - 1}) i`;
    return `${this.#paid('amount', `insert into orders select i, i, 3 ${rows} returning amount`, -1)};
      ${this.#paid('amount', `insert into lines select i, i, 4 ${rows} returning amount`, -1)}`;
  }

  // A value that only one row may have moves from row to row: of a unique column, or of one with an exclusion constraint.
  #wanders(): string {
    const [a, b] = [this.#chance.int(0, mostRows - 1), this.#chance.int(0, mostRows - 1)];
    if (this.#chance.chance(0.5)) {
      const during = `int4range(${a} * 10, ${a} * 10 + 10)`;
      return `update bookings set during = 'empty' where during && ${during}; update bookings set during = ${during} where id = ${b}`;
    }
    return `update unique_too set email = null where id = ${a}; update unique_too set email = null where email = 'm${a}';
      update unique_too set email = 'm${a}' where id = ${b}; update unique_too set email = 'm${b}' where id = ${a} and not exists (select from unique_too where email = 'm${b}')`;
  }

  #truncate(): string {
    const chance = this.#chance;
    const kept = (...tables: readonly string[]) =>
      `lock table ${tables.join(', ')} in access exclusive mode; update purse set amount = amount
        + ${tables.map((table) => `(select coalesce(sum(amount), 0) from ${table})`).join(' + ')} where writer = ${this.#purse}`;
    switch (chance.int(1, 6)) {
      case 1:
        return `lock table tally, events in access exclusive mode; update tally set events = 0; truncate events restart identity; ${this.#event()}`;
      case 2:
        return 'lock table tally, log in access exclusive mode; update tally set logged = 0; truncate log';
      case 3:
        return `truncate left_twin, right_twin; ${this.#twins()}`;
      case 4:
        return `set constraints all immediate; set constraints all deferred; ${kept('orders', 'lines')}; truncate orders cascade; ${this.#orders(1)}`;
      case 5:
        if (this.#shared.publishesLeaves) return 'select 1';
        return `${kept('regions')}; truncate regions`;
      default: {
        const table = chance.pick(this.#shared.tables.filter(({ name, apart }) => name !== 'parent' && !apart));
        const rows = { from: 0, to: chance.int(20, mostRows), nth: this.#nth };
        return `${kept(table.name)}; truncate ${table.name}; ${this.#insert(table, rows)}`;
      }
    }
  }

  // More rows than fit into one piece, and than the source's decoder keeps in memory; gone again, or most of them.
  #many(): string {
    const chance = this.#chance;
    const table = chance.pick(this.#shared.tables.filter(({ alike, counted }) => !alike && !counted));
    const from = 1000 * (1 + this.#number);
    const range = { from, to: from + chance.int(100, this.#shared.most) };
    const back = chance.chance(0.5)
      ? `savepoint back; ${this.#delete(table, whereRows(table, range))}; rollback to back;`
      : '';
    const half = { from, to: Math.floor((range.from + range.to) / 2) };
    return `${this.#insert(table, { ...range, nth: this.#nth })}; ${back} ${this.#add(table, whereRows(table, half))};
      ${this.#delete(table, whereRows(table, chance.chance(0.9) ? range : half))}`;
  }

  async #columns(table: ChangingTable): Promise<readonly Column[]> {
    return await this.#db.query<Column>(trusted(columnsText(table)));
  }

  async #column(table: ChangingTable): Promise<string> {
    return changeColumns(this.#chance, { table, columns: await this.#columns(table), name: `c${++this.#names}` });
  }

  async #row(table: ChangingTable): Promise<string> {
    const chance = this.#chance;
    const columns = await this.#columns(table);
    const where = `where id % 5 = ${chance.int(0, 4)}`;
    const kind = chance.int(1, 10);
    if (kind <= 5 || columns.length === 0) {
      const used = columns.filter(() => chance.chance(0.7));
      const key = table === 'changing_parts' ? ['id', 'r'] : ['id'];
      const values = used.map((column) => literalFor(chance, column));
      const rows = chance.times(chance.int(1, 4), () => {
        const id = ++this.#ids;
        return `(${[id, ...(key.length > 1 ? [id % 2] : []), ...values].join(', ')})`;
      });
      return `insert into ${table} (${[...key, ...used.map(({ name }) => name)].join(', ')}) values ${rows.join(', ')}`;
    }
    if (kind <= 8) {
      const column = chance.pick(columns);
      return `update ${table} set ${column.name} = ${literalFor(chance, column)} ${where}`;
    }
    if (kind === 9 && table !== 'changing_bag') return `update ${table} set id = -id ${where} and id > 0`;
    return `delete from ${table} ${where} and id % 3 = 0`;
  }
}
