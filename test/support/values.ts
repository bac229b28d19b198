// Values that tell an exact copy from one that is nearly so: of every type of PostgreSQL itself, and of types that users and extensions make.

type Values = Readonly<Record<string, readonly string[]>>;

const long = `'1${'7'.repeat(999)}.${'3'.repeat(999)}'`;
const texts = ["''", "' '", `E'tab\\t, nl\\n, \\\\. \\\\N'`, `'ünïcödé 😀'`, `'it''s "so"'`, `'NULL'`];

/** Made of built-in types only: their binary form is read alike by every server. An enum travels as its label. */
export const builtinValues: Values = {
  smallint: ['-32768', '32767'],
  integer: ['-2147483648', '2147483647'],
  bigint: ['-9223372036854775808', '9223372036854775807'],
  numeric: [long, "'NaN'", "'Infinity'", "'-Infinity'", '0.000', `'-0.${'0'.repeat(900)}1'`, '1e400', '100'],
  'numeric(30,10)': ['123456789.0123456789', '-1', "'NaN'"],
  real: ["'NaN'", "'-Infinity'", "'-0'", '1.1', '1.17549e-38', '3.4028235e38'],
  'double precision': ["'NaN'", "'Infinity'", "'-0'", '5e-324', '1.7976931348623157e308', '0.1'],
  money: ['12.34', '-92233720368547758.08'],
  boolean: ['true', 'false'],
  '"char"': ["'x'", "''", `E'\\x01'`],
  'char(6)': ["'ab'", "''", "'ü'", "' a'"],
  'varchar(8)': ["'abcdefgh'", "''", "'ü  '"],
  text: texts,
  name: ["'some name'", `'"quoted"'`],
  bytea: [`'\\x00ff00'`, `''`, `decode(repeat('00ff5c27', 3000), 'hex')`],
  date: ["'4712-01-01 BC'", "'infinity'", "'-infinity'", "'5874897-12-31'", "'2024-02-29'"],
  time: ["'23:59:60'", "'24:00'", "'00:00:00.000001'"],
  'time(2)': ["'12:34:56.78'"],
  timetz: ["'12:00:00.5+15:59'", "'00:00-15:59'", "'24:00+05:30'"],
  timestamp: ["'0044-03-15 12:00:00 BC'", "'-infinity'", "'294276-12-31 23:59:59.999999'"],
  'timestamptz(3)': ["'2024-02-29 23:59:59.999+05:30'", "'infinity'"],
  timestamptz: ["'4713-01-01 00:00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'"],
  interval: [`'1 year 2 mons -3 days 04:05:06.789'`, `'-178000000 years'`, `'0'`, `'-1 mon +1 day -00:00:00.000001'`],
  uuid: ["'00000000-0000-0000-0000-00000000000f'"],
  json: [`'{"a" : 1,  "a":2}'`, `'null'`, `'"\\u00e9"'`],
  jsonb: [`'{"a": [1, null, 1.000], "é": {}}'`, `'null'`, `'1e400'`],
  jsonpath: [`'$.a[*] ? (@ > 1)'`],
  xml: [`'<a b="c">text</a>'`, `''`, `'just text &amp; more'`],
  'bit(5)': ["'10101'"],
  varbit: ["'101'", "''", "'1111000011110000111100001'"],
  inet: ["'10.0.0.1/8'", "'::1'", "'fe80::1/64'"],
  cidr: ["'10.0.0.0/8'", "'::/0'"],
  macaddr: ["'08:00:2b:01:02:03'"],
  macaddr8: ["'08:00:2b:01:02:03:04:05'"],
  point: ["'(1.5,-2)'", "'(NaN,Infinity)'"],
  line: ["'{1,-2,3.5}'"],
  lseg: ["'[(0,0),(1,1e-300)]'"],
  box: ["'(3,4),(1,2)'"],
  path: ["'[(0,0),(1,1),(2,0)]'", "'((0,0),(1,1))'"],
  polygon: ["'((0,0),(1,1),(2,0))'"],
  circle: ["'<(1,2),3.5>'"],
  tsvector: ["'fat:3A cat:2,4B'", "''", `$$'it''s':1$$`],
  tsquery: ["'fat & (rat | !cat:AB)'", "'a <2> b:*'"],
  pg_lsn: ["'16/B374D848'"],
  pg_snapshot: ["'10:20:10,14,15'"],
  xid8: ["'18446744073709551615'"],
  tid: ["'(4294967295,65535)'"],
  oid: ['4294967295'],
  int4range: ["'[1,5)'", "'empty'", "'(,)'"],
  int8range: ["'[-9223372036854775808,)'"],
  numrange: ["'(1.10,NaN]'"],
  tsrange: ["'[-infinity,2024-01-01 00:00:00.5]'"],
  tstzrange: ["'(2024-01-01 00:00+00,infinity)'"],
  daterange: ["'[0044-03-15 BC,)'"],
  nummultirange: ["'{}'", "'{[1.0,2),[5,)}'"],
  datemultirange: ["'{[2024-01-01,2024-02-01)}'"],
  'integer[]': ["'[0:2]={1,NULL,3}'", "'{{1,2},{3,NULL}}'", "'{}'", "'[-2:-1][5:5]={{1},{2}}'"],
  'text[]': [`'{"a,b",NULL,"NULL","x\\"y","back\\\\\\\\slash",""}'`],
  'varchar(4)[]': [`'{abcd,NULL}'`],
  'char(3)[]': [`'{a,"b ",NULL}'`],
  '"char"[]': [`'{a,"",NULL}'`],
  'numeric[]': [`array['NaN', null, 1.10, 1e300]::numeric[]`],
  'timestamptz[]': [`'{infinity,"4713-01-01 00:00:00+00 BC"}'`],
  'bytea[]': [`array['\\x00'::bytea, null, '']`],
  'json[]': [`array['{"a" : 1}', null]::json[]`],
  'xml[]': [`array['<a/>', 'b']::xml[]`],
  'bit(3)[]': ["'{101,NULL}'"],
  'int4range[]': [`array['[1,5)', 'empty', null]::int4range[]`],
  'point[]': [`array['(1,2)', null]::point[]`],
  'interval[]': [`array['1 mon', '-1 day']::interval[]`],
  mood: ["'sad'", `'happy ''quoted'''`],
  posint: ['5'],
  price: ['1.50', "'NaN'"],
  word: [`'a "b" c'`],
};

/** Types that have an OID of their own in their binary form, or none: they travel as text. */
export const ownValues: Values = {
  'mood[]': [`'[3:5]={sad,NULL,"happy ''quoted''"}'`, "'{}'"],
  pair: [`row(1, 'x,"y"(', 'sad')::pair`, 'row(null, null, null)::pair', `row(2, '', null)::pair`],
  'pair[]': [`array[row(1, '\\', 'sad')::pair, null]`, "'{}'"],
  nested: [`row(row(1, '(","', 'sad')::pair, array[1, null])::nested`],
  moods: [`'{sad,sad}'::mood[]`],
  span: ["'[1.5,2.5]'", "'empty'", "'(,NaN)'"],
  spans: ["'{[1,2),(5,)}'"],
  hstore: [`'a=>1, "b c"=>NULL, "=>"=>"\\"x\\""'`, "''"],
  'hstore[]': [`array['a=>1'::hstore, null]`],
  citext: ["'MiXed Ü'", "''"],
  'citext[]': [`'{A,a,NULL}'`],
  regclass: ["'pg_class'", "'values_own'"],
  'regtype[]': [`'{integer,mood}'`],
};

/** What `ownValues` and `builtinValues` are made of; then the two tables, each by key and, without one, by all of a row. */
export const valuesDefinition = `
  create extension hstore; create extension citext;
  create type mood as enum ('sad', 'ok', 'happy ''quoted'''); create domain posint as int check (value > 0);
  create domain price as numeric(10,2); create domain word as varchar(20) collate "C";
  create type pair as (a int, b text, m mood); create type nested as (p pair, l int[]); create domain moods as mood[];
  create type span as range (subtype = float8, multirange_type_name = spans);
  create table values_own (${columns(ownValues)}); create table values_builtin (${columns(builtinValues)});
  ${['own', 'builtin'].map((what) => `create table all_${what} as table values_${what}; alter table all_${what} replica identity full`).join(';')}`;

function columns(values: Values): string {
  return ['id int primary key', ...Object.keys(values).map((type, i) => `c${i} ${type}`)].join(', ');
}

/** One row for each of the most values that a type has, with ids from `id` on; types with fewer begin again, with a NULL between. */
export function insertValues(table: string, values: Values, id: number): string {
  const most = Math.max(...Object.values(values).map((list) => list.length));
  const rows = Array.from({ length: most + 1 }, (_, n) => {
    const cells = Object.entries(values).map(([type, list]) => {
      const value = [...list, 'null'][n % (list.length + 1)];
      return `${/^-?\d/.test(value ?? '') ? `'${value}'` : value}::${type}`;
    });
    return `(${[id + n, ...cells].join(', ')})`;
  });
  return `insert into ${table} values ${rows.join(', ')}`;
}
