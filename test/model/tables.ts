// The model's tables: every kind that a mirror follows, and how rows of each are made, found and given another key.
import type { MirroredTable } from '../../src/mirror/work.ts';

/** An SQL expression over the number of a row, which is one, too. */
type Of = (n: string) => string;

type Extra = readonly (readonly [column: string, value: (n: string, nth: string) => string])[];

export interface ModelTable {
  readonly name: string;
  /** Columns and constraints beside those that every table has. */
  readonly definition: string;
  /** Follows the list of columns. */
  readonly clause?: string;
  /** More statements. */
  readonly more?: string;
  /** What finds a row; a key of several columns is a row of them. */
  readonly key: readonly (readonly [column: string, value: Of])[];
  /** A sequence gives the keys: rows are found by what is left when they are divided. */
  readonly counted?: boolean;
  /** Some rows look the same: those of one number are taken one at a time. */
  readonly alike?: boolean;
  /** Values of more columns, for a row of that number that is written the nth time. */
  readonly extra?: Extra;
  /** Its amounts are not part of the total: not all of its rows are on the target. */
  readonly apart?: boolean;
  readonly only?: boolean;
  readonly mapping?: Partial<Pick<MirroredTable, 'exclude' | 'where'>>;
}

/** Columns that every table of the model has; `big` is stored out of line, so that an update that leaves it alone does not send it. */
const common = 'amount bigint not null default 0, n int, pad text, big text';
export const words = `(array['', 'plain', 'it''s', E'tab\\t, new\\nline', E'back\\\\slash \\\\N', 'a "quoted" \${x}', 'ünïcödé 😀', null, 'NULL', ' '])`;

const id = ['id', (n: string) => n] as const;
const wide = Array.from({ length: 100 }, (_, i) => `w${i}`);

/** Tables whose rows are written, found, changed and deleted alike. */
export const plainTables: readonly ModelTable[] = [
  {
    name: 'serials',
    definition: `id bigserial primary key, ${common}`,
    key: [],
    counted: true,
  },
  {
    name: 'always',
    definition: `id bigint generated always as identity primary key, ${common}`,
    key: [],
    counted: true,
  },
  {
    name: 'pairs',
    definition: `${common}, "the Name" text, at numeric(12,4), primary key ("the Name", at)`,
    key: [
      ['"the Name"', (n) => `'näme "' || (${n}) % 7`],
      ['at', (n) => `(${n}) + 0.5`],
    ],
  },
  {
    name: 'texts',
    definition: `code text primary key, ${common}`,
    key: [['code', (n) => `coalesce(${words}[1 + (${n}) % 10], '\\N') || (${n})`]],
  },
  { name: 'ids', definition: `id uuid primary key, ${common}`, key: [['id', (n) => `md5((${n})::text)::uuid`]] },
  {
    name: 'by_index',
    definition: `code char(12) not null, serial int, ${common}`,
    more: 'create unique index by_index_code on by_index (code); alter table by_index replica identity using index by_index_code',
    key: [['code', (n) => `'c ' || (${n})`]],
  },
  {
    name: 'by_all',
    definition: `id bigint primary key, ${common}`,
    more: 'alter table by_all replica identity full',
    key: [id],
  },
  {
    name: 'bag',
    definition: `id int, ${common}`,
    more: 'alter table bag replica identity full; create index on bag (id)',
    key: [['id', (n) => `(${n}) % 40`]],
    alike: true,
  },
  {
    name: 'ranges',
    definition: `id int not null, branch int not null, ${common}, primary key (id, branch)`,
    clause: 'partition by range (id)',
    more: `create table ranges_low partition of ranges for values from (minvalue) to (60);
      create table ranges_high (branch int not null, big text, pad text, n int, amount bigint not null default 0, id int not null);
      alter table ranges attach partition ranges_high for values from (60) to (110);
      create table ranges_rest partition of ranges for values from (110) to (maxvalue) partition by list (branch);
      create table ranges_rest_0 partition of ranges_rest for values in (0);
      create table ranges_rest_more partition of ranges_rest default`,
    key: [id, ['branch', (n) => `(${n}) % 4`]],
  },
  { name: 'parent', definition: `id int primary key, ${common}`, key: [id], only: true },
  {
    name: 'heir',
    definition: 'primary key (id), own text',
    clause: 'inherits (parent)',
    key: [id],
    extra: [['own', (n, nth) => `'own ' || (${n}) || ${nth}`]],
  },
  {
    name: 'computed',
    definition: `id int primary key, a int, ${common}, doubled int generated always as (a * 2) stored`,
    key: [id],
    extra: [['a', (n, nth) => `(${n}) + ${nth}`]],
  },
  { name: 'large', definition: `id int primary key, ${common}, huge bytea`, key: [id], extra: [['huge', huge]] },
  {
    name: 'unique_too',
    definition: `id int primary key, ${common}, email text unique`,
    key: [id],
  },
  {
    name: 'bookings',
    definition: `id int primary key, ${common}, during int4range, exclude using gist (during with &&)`,
    key: [id],
    extra: [['during', (n) => `int4range((${n}) * 10, (${n}) * 10 + 10)`]],
  },
  {
    name: 'secretive',
    definition: `id int primary key, secret text, ${common}`,
    key: [id],
    extra: [['secret', (n, nth) => `'secret ' || (${n}) || ${nth}`]],
    mapping: { exclude: ['secret'] },
  },
  {
    name: 'filtered',
    definition: `id int primary key, ${common}, visible boolean not null`,
    more: 'alter table filtered replica identity full',
    key: [id],
    extra: [['visible', (n, nth) => `((${n}) + ${nth}) % 3 > 0`]],
    apart: true,
    mapping: { where: 'visible' },
  },
  {
    name: 'wide',
    definition: `id int primary key, ${common}, ${wide.map((column) => `${column} int`).join(', ')}`,
    key: [id],
    extra: [
      ['w0', (n) => n],
      ['w99', (_, nth) => nth],
    ],
  },
  {
    name: 'typed',
    definition: `id int primary key, ${common}, feels mood, owns posint, within int4range, many numeric[], spans tstzrange, doc jsonb`,
    key: [id],
    extra: typedValues(),
  },
];

/** Types that have no common binary form: a mirror of it carries all values as text. */
export const textTable: ModelTable = {
  name: 'texty',
  definition: `id int primary key, ${common}, place place, feelings mood[], places place[]`,
  key: [id],
  extra: [
    ['place', (n, nth) => `row((${n}) + ${nth}, ${words}[1 + (${n}) % 10])::place`],
    ['feelings', (n) => `array['happy', null, (array['sad', 'it''s'])[1 + (${n}) % 2]]::mood[]`],
    ['places', (_, nth) => `array[row(${nth}, '"')::place, null, row(null, null)::place]`],
  ],
};

function huge(n: string, nth: string): string {
  return `case when (${n} + ${nth}) % 4 = 0 then decode(repeat(md5(((${n}) + ${nth})::text), 3000), 'hex') end`;
}

function typedValues(): Extra {
  return [
    ['feels', (n) => `(array['sad', 'it''s', 'happy', null])[1 + (${n}) % 4]::mood`],
    ['owns', (n) => `(${n}) + 1`],
    ['within', (n, nth) => `int4range((${n}), (${n}) + ${nth})`],
    ['many', (n, nth) => `array['NaN', null, (${n}) / 7.0, '1e300', -${nth}]::numeric[]`],
    ['spans', (n) => `tstzrange('-infinity', to_timestamp((${n}) * 1e5 - 1e10), '[]')`],
    ['doc', (n, nth) => `jsonb_build_object('n', (${n}), 'é', array[null, ${nth}])`],
  ];
}

/** Kept by statements of their own: a counter and what it counts, two that hold the same, two that refer to each other, the writers' purses. */
const others = `
  create table purse (writer int primary key, amount bigint not null);
  create table tally (writer int primary key, events bigint not null default 0, logged bigint not null default 0);
  create table events (id int generated by default as identity primary key, writer int, at timestamptz default now(), what text);
  create table log (writer int, what text); alter table log replica identity full;
  create table left_twin (id int primary key, v text);
  create table right_twin (v text, id bigint not null, extra int default 7);
  create unique index right_twin_id on right_twin (id); alter table right_twin replica identity using index right_twin_id;
  create table regions (region int not null, id int not null, ${common}, primary key (region, id)) partition by list (region);
  create table regions_0 partition of regions for values in (0);
  create table regions_1 partition of regions for values in (1) partition by range (id);
  create table regions_1_low partition of regions_1 for values from (minvalue) to (200);
  create table regions_1_high partition of regions_1 for values from (200) to (maxvalue);
  create table orders (id int primary key, first_line int, amount bigint not null default 0);
  create table lines (id int primary key, order_id int not null references orders deferrable initially deferred, amount bigint not null default 0);
  alter table orders add foreign key (first_line) references lines deferrable initially deferred;
  create table marker (n bigint primary key);`;

export const changingTables = {
  changing: 'create table changing (id int primary key, c1 int, c2 text)',
  changing_parts: `create table changing_parts (id int, r int, c1 text, primary key (id, r)) partition by list (r);
    create table changing_parts_0 (c1 text, r int not null, id int not null);
    alter table changing_parts attach partition changing_parts_0 for values in (0);
    create table changing_parts_1 partition of changing_parts for values in (1)`,
  changing_bag: 'create table changing_bag (id int, c1 int); alter table changing_bag replica identity full',
} as const;
export type ChangingTable = keyof typeof changingTables;

const otherNames = [
  ...['purse', 'tally', 'events', 'log', 'left_twin', 'right_twin', 'regions', 'orders', 'lines', 'marker'],
  ...Object.keys(changingTables),
];

/** All that a mirror of the model takes. */
export function modelTables(plain: readonly ModelTable[]): readonly MirroredTable[] {
  const mapped = [...plain, ...otherNames.map((name): Pick<ModelTable, 'name' | 'mapping'> => ({ name }))];
  return mapped.map(({ name, mapping }) => {
    const from = { schema: 'model', name };
    return { from, to: from, key: null, exclude: [], where: null, ...mapping };
  });
}

/** Makes all tables, in a schema that the session's search_path names. */
export function modelDefinition(plain: readonly ModelTable[]): string {
  const made = plain.map(({ name, definition, clause = '', more = 'select 1' }) => {
    const external = clause.startsWith('inherits') ? '' : `alter table ${name} alter big set storage external;`;
    return `create table ${name} (${definition}) ${clause}; ${external} ${more};`;
  });
  return `create schema model; set search_path = model;
    create type mood as enum ('sad', 'it''s', 'happy'); create domain posint as int check (value > 0); create type place as (a int, b text);
    ${made.join('\n')} ${others} ${Object.values(changingTables).join(';\n')}`;
}

/** The values of rows of these numbers, to be inserted; `nth` makes them differ from those that were there before. */
export function insertRows(table: ModelTable, { from, to, nth }: { from: number; to: number; nth: number }): string {
  const columns = [...table.key, ...(table.extra ?? [])].map(([column]) => column);
  const values = [
    ...table.key.map(([, value]) => value('i')),
    ...(table.extra ?? []).map(([, value]) => value('i', String(nth))),
  ];
  const big = `case when (i + ${nth}) % 6 = 0 then repeat(md5((i + ${nth})::text), 90) end`;
  const same = table.alike ? ['1', 'null', 'null', 'null'] : [`(i + ${nth}) % 50`, `nullif(i % 5, 0)`];
  const rest = table.alike ? same : [...same, `${words}[1 + (i + ${nth}) % 10]`, big];
  return `insert into ${table.name} (${[...columns, 'amount', 'n', 'pad', 'big'].join(', ')})
    select ${[...values, ...rest].join(', ')} from generate_series(${from}, ${to}) i on conflict do nothing`;
}

/** The table's rows themselves, without those of its heirs. */
export function own(table: ModelTable): string {
  return table.only ? `only ${table.name}` : table.name;
}

/** Finds the rows of these numbers. */
export function whereRows(table: ModelTable, { from, to }: { from: number; to: number }): string {
  if (table.counted) return `where id % 60 between ${from % 60} and ${Math.min(59, (from % 60) + to - from)}`;
  const columns = table.key.map(([column]) => column).join(', ');
  const values = table.key.map(([, value]) => value('i')).join(', ');
  const numbers = `select ${values} from generate_series(${from}, ${to}) i`;
  if (!table.alike) return `where (${columns}) in (${numbers})`;
  return `where ctid in (select ctid from ${table.name} where (${columns}) in (${numbers}) order by ctid limit ${1 + to - from} for update)`;
}

/** Gives the row of one number the key of another, if nobody has it. */
export function moveRow(table: ModelTable, from: number, to: number): string {
  if (table.counted) {
    // Only its sequence gives an identity a value.
    const next = table.name === 'always' ? 'default' : "nextval('serials_id_seq')";
    return `update ${own(table)} set id = ${next} ${whereRows(table, { from, to: from })}`;
  }
  const sets = table.key.map(([column, value]) => `${column} = ${value(String(to))}`).join(', ');
  const there = table.alike ? '' : ` and not exists (select from ${own(table)} ${whereRows(table, { from: to, to })})`;
  return `update ${own(table)} set ${sets} ${whereRows(table, { from, to: from })}${there}`;
}
