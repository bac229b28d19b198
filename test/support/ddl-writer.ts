// Chance as a person who changes the schema in every way between rows.
import type { Random } from './random.ts';
import type { TestDatabase } from './servers.ts';

/** Names that are easily taken for something else. */
const odd = (n: number) => [`t${n}`, `"T ${n}"`, `"t'${n}"`, `"😀\n${n}"`, `"x""; drop table y; --${n}"`][n % 5] ?? 't';

/** What every writer's database begins with, and the tables of it that are mirrored. */
export const writtenTables = `create table one (id int primary key, a int, b text); create table two (id int primary key, a int);
  create type place as (a int, b text); create domain share as int check (value < 1000);
  create table typed (id int primary key, p place, s share); create sequence free_seq;
  create table parted (id int, r int, a int, primary key (id, r)) partition by range (r);
  create table parted_20 partition of parted for values from (20) to (30);
  create table parted_30 partition of parted for values from (30) to (40)`;
export const mirroredTables = ['one', 'two', 'typed', 'parted'];

/** Says what chance gives: rows and changes of the schema, in transactions that end or are taken back. */
export class DdlWriter {
  readonly #chance: Random;
  readonly #db: TestDatabase;
  readonly said: string[] = [];
  #names = 0;
  #ids = 0;

  constructor(chance: Random, db: TestDatabase) {
    this.#chance = chance;
    this.#db = db;
  }

  async transaction(): Promise<void> {
    const chance = this.#chance;
    await this.#say('begin');
    let open = true;
    for (let n = chance.int(1, 6); n > 0 && open; n--) {
      const saved = chance.chance(0.4);
      if (saved) await this.#say('savepoint s');
      open = await this.#try(chance.chance(0.5) ? await this.#change() : await this.#row());
      if (saved && (!open || chance.chance(0.3))) open = await this.#try('rollback to savepoint s');
      else if (saved && chance.chance(0.5)) open = await this.#try('release savepoint s');
    }
    await this.#say(!open || chance.chance(0.1) ? 'rollback' : 'commit');
  }

  async #names_(query: string): Promise<readonly string[]> {
    return (await this.#db.exec<{ name: string }>(query)).map(({ name }) => name);
  }

  async #tables(): Promise<readonly string[]> {
    return await this.#names_(`select c.oid::regclass::text as name from pg_class c where c.relnamespace = 'public'::regnamespace
      and c.relkind in ('r', 'p') and c.relname not in ('mark') and not c.relispartition order by c.oid`);
  }

  async #columns(table: string): Promise<readonly { name: string; type: string }[]> {
    return await this.#db.exec(`select quote_ident(attname) as name, format_type(atttypid, atttypmod) as type from pg_attribute
      where attrelid = $t$${table}$t$::regclass and attnum > 0 and not attisdropped and attname not in ('id', 'r') order by attnum`);
  }

  #value(type: string, attributes: number): string {
    const n = this.#chance.int(1, 99);
    if (this.#chance.chance(0.2)) return 'null';
    if (type === 'integer') return String(n);
    if (type === 'text') return `'${'v'.repeat(n % 9 === 0 ? 3000 : 1)}${n}'`;
    if (type === 'share') return String(n);
    if (type === 'place') return `'(${Array.from({ length: attributes }, () => n).join(',')})'`;
    return 'null';
  }

  async #attributes(): Promise<readonly string[]> {
    return await this.#names_(`select quote_ident(attname) as name from pg_attribute where attrelid = 'place'::regclass
      and attnum > 0 and not attisdropped order by attnum`);
  }

  async #row(): Promise<string> {
    const chance = this.#chance;
    const tables = await this.#tables();
    if (tables.length === 0) return 'select 1';
    const table = chance.pick(tables);
    const columns = await this.#columns(table);
    const parted = table === 'parted';
    const { length } = await this.#attributes();
    const kind = chance.int(1, 10);
    if (kind <= 6 || columns.length === 0) {
      const used = columns.filter(() => chance.chance(0.7));
      const rows = Array.from({ length: chance.int(1, 5) }, () => {
        const values = [
          ++this.#ids,
          ...(parted ? [this.#ids % 40] : []),
          ...used.map(({ type }) => this.#value(type, length)),
        ];
        return `(${values.join(', ')})`;
      });
      return `insert into ${table} (${['id', ...(parted ? ['r'] : []), ...used.map(({ name }) => name)].join(', ')}) values ${rows.join(', ')}`;
    }
    const where = `where id % 3 = ${chance.int(0, 2)}`;
    if (kind <= 8) {
      const { name, type } = chance.pick(columns);
      return `update ${table} set ${name} = ${this.#value(type, length)} ${where}`;
    }
    return kind === 9 ? `delete from ${table} ${where}` : `truncate ${table}`;
  }

  async #change(): Promise<string> {
    const chance = this.#chance;
    const n = ++this.#names;
    const tables = (await this.#tables()).filter((table) => table !== 'parted' && table !== 'typed');
    const kind = chance.int(1, 28);
    if (kind <= 3 || tables.length < 2) {
      return chance.pick([
        `create table ${odd(n)} (id int primary key, a int, b text default 'b')`,
        `create table ${odd(n)} (id int primary key, a int); insert into ${odd(n)} select g, g from generate_series(-5, -1) g`,
        `create table ${odd(n)} as select g as id, g * 2 as a, 'x' || g as b from generate_series(-9, -1) g; alter table ${odd(n)} add primary key (id)`,
      ]);
    }
    const table = chance.pick(tables);
    const columns = await this.#columns(table);
    const some = columns.length === 0 ? undefined : chance.pick(columns);
    switch (kind) {
      case 4:
        return `drop table ${table}${chance.chance(0.5) ? ' cascade' : ''}`;
      case 5:
        return `alter table ${table} rename to ${odd(n)}`;
      case 6: {
        const other = chance.pick(tables);
        if (other === table) return `alter table ${table} rename to ${odd(n)}`;
        return `alter table ${table} rename to aside; alter table ${other} rename to ${table}; alter table aside rename to ${other}`;
      }
      case 7:
      case 8:
        return `alter table ${table} add c${n} ${chance.pick(['int', 'text', 'int default 5', "text default 'd' not null", 'float8 default random()'])}`;
      case 9:
        return some === undefined ? 'select 1' : `alter table ${table} rename ${some.name} to c${n}`;
      case 10:
        return some === undefined ? 'select 1' : `alter table ${table} drop ${some.name}`;
      case 11:
        return some === undefined ? 'select 1' : `create index "i ${n}" on ${table} (${some.name})`;
      case 12:
        return some === undefined ? 'select 1' : `create unique index u${n} on ${table} (${some.name})`;
      case 13:
        return some === undefined ? 'select 1' : `alter table ${table} add constraint k${n} unique (${some.name})`;
      case 14:
        return `alter table ${table} add constraint ch${n} check (id < ${chance.int(50, 500)})`;
      case 15: {
        const found =
          await this.#names_(`select format('alter table %s drop constraint %I', conrelid::regclass, conname) as name
          from pg_constraint where contype in ('u', 'c') and conrelid = $t$${table}$t$::regclass order by oid`);
        return found.length === 0 ? 'select 1' : chance.pick(found);
      }
      case 16: {
        const found = await this.#names_(`select i.indexrelid::regclass::text as name from pg_index i
          where i.indrelid = $t$${table}$t$::regclass and not exists (select from pg_constraint k where k.conindid = i.indexrelid) order by 1`);
        if (found.length === 0) return 'select 1';
        return chance.chance(0.5)
          ? `drop index ${chance.pick(found)}`
          : `alter index ${chance.pick(found)} rename to ix${n}`;
      }
      case 17:
        return `create view v${n} as select id from ${table}`;
      case 18: {
        const found = await this.#names_(`select c.oid::regclass::text as name from pg_class c where c.relkind = 'v'
          and c.relnamespace = 'public'::regnamespace order by c.oid`);
        if (found.length === 0) return 'select 1';
        return chance.chance(0.5)
          ? `drop view ${chance.pick(found)}`
          : `alter view ${chance.pick(found)} rename to v${n}`;
      }
      case 19:
        return chance.pick([
          `comment on table ${table} is 'c''${n}'`,
          `comment on table ${table} is null`,
          ...(some === undefined ? [] : [`comment on column ${table}.${some.name} is '${n}'`]),
        ]);
      case 20:
        return some === undefined || some.type !== 'integer'
          ? 'select 1'
          : `alter table ${table} alter ${some.name} ${chance.pick(['set default 7', 'drop default', 'drop not null'])}`;
      case 21:
        return `create or replace function f${n % 4}(i int) returns int language sql as 'select i + ${n}'`;
      case 22:
        return `drop function if exists f${n % 4}(int)`;
      case 23: {
        const low = (n % 4) * 10;
        const parts = await this.#names_(
          `select c.oid::regclass::text as name from pg_class c where c.relispartition and c.relkind = 'r' order by c.oid`,
        );
        const known = parts.includes(`parted_${low}`);
        if (!known) return `create table parted_${low} partition of parted for values from (${low}) to (${low + 10})`;
        return chance.pick([
          `alter table parted detach partition parted_${low}; alter table parted_${low} rename to ${odd(n)}`,
          `drop table parted_${low}`,
        ]);
      }
      case 24:
      case 25: {
        const attribute = chance.pick(await this.#attributes());
        return chance.pick([
          `alter type place add attribute a${n} ${chance.pick(['int', 'text'])}`,
          `alter type place rename attribute ${attribute} to a${n}`,
          `alter type place add attribute a${n} int, drop attribute ${attribute}`,
        ]);
      }
      case 26:
        return chance.pick([
          `alter domain share add constraint s${n} check (value < ${n + 200})`,
          'alter domain share drop constraint if exists share_check',
          'alter domain share set default 4',
          'alter domain share drop default',
        ]);
      case 27:
        return `alter sequence free_seq increment ${n} ${chance.pick(['cycle', 'no cycle', 'cache 5'])}`;
      default:
        return `create table x${n} (id int, r int not null, primary key (id, r)); insert into x${n} values (${-n}, 5);
          drop table if exists parted_0; alter table parted attach partition x${n} for values from (0) to (10); alter table x${n} rename to parted_0`;
    }
  }

  async #try(text: string): Promise<boolean> {
    try {
      await this.#say(text);
      return true;
    } catch {
      this.said.push('-- failed');
      return false;
    }
  }

  async #say(text: string): Promise<void> {
    this.said.push(text.replaceAll(/v{99,}/g, 'v…'));
    await this.#db.exec(text);
  }
}
