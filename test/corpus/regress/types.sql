create schema r; set search_path = r, public; create type r.colour as enum ('red', 'green', 'blue')

select true, false, 't'::bool, 'no'::bool, not null::bool, true and null, 1::bool

select 'maybe'::bool

select bool_and(x), bool_or(x), every(x) from (values (true), (null), (false)) v(x)

select 2147483647::int4, -32768::int2, 9223372036854775807::int8

select 2147483647 + 1

select 32767::int2 + 1::int2

select 9223372036854775807 + 1

select '99999999999'::int

select ' 12 '::int, '-0'::int, 7 / 2, -7 / 2, 7 % -3, 2 ^ 10, |/ 16, @ -5, 5 & 3, 5 | 3, 5 # 3, ~5, 1 << 4

select 1 / 0

select 1 % 0, 1.0 / 0

select 'NaN'::numeric, 'Infinity'::float8, '-inf'::float4, 'nan'::float8 = 'nan'::float8

select 1e400::float8

select '1e-400'::float8

select 0.1::float4, 0.1::float8, 1e15::float8, 1e16::float8, 123456789.123456789::float4

set extra_float_digits = 0; select 0.1::float4 + 0.2::float4, 1.0::float8 / 3; reset extra_float_digits

select 12345678901234567890.123456789::numeric * 2, 1::numeric / 3, round(2.5), round(-2.55, 1), trunc(2.567, 2), ceil(-1.1), floor(-1.1), power(2, 0.5)

select 123.456::numeric(5, 2), 1234.5::numeric(4, 1)

select 12345.6::numeric(4, 1)

select numeric '1e1000' > 0, sqrt(2::numeric), exp(1::numeric), ln(10::numeric), log(2, 64), mod(10, 3.3), factorial(20), gcd(12, 18), lcm(4, 6)

select sqrt(-1::numeric)

select to_char(1234567.891, 'FM9,999,999.00'), to_char(-5, '999PR'), to_char(42, 'RN'), to_number('1,234.5', '9,999.9'), width_bucket(5.35, 0.024, 10.06, 5)

select 'a' || 'b', 'a'::char(3) || 'b', length('añb'), octet_length('añb'), upper('ß'), initcap('hello WORLD'), lpad('x', 5, 'ab'), rpad('x', 4), repeat('ab', 3), reverse('añb')

select 'abc'::char(2), 'abc'::varchar(2)

create table narrow (c char(2), v varchar(3)); insert into narrow values ('abc', 'x')

insert into narrow values ('ab ', 'xyz   ') returning c, v, length(c), length(v)

select substring('abcdef' from 2 for 3), substring('foobar' from 'o(.)b'), overlay('Txxxxas' placing 'hom' from 2 for 4), position('b' in 'abc'), trim(both 'x' from 'xxaxx'), btrim('  a '), split_part('a,b,c', ',', 2), translate('12345', '143', 'ax'), strpos('high', 'ig')

select E'tab\t\x41\u00e9\\', U&'d\0061t\+000061', 'it''s', $$dollar 'quoted'$$, $x$a $$ b$x$, B'101', X'1F', N'n'

select 'abc' like 'a%', 'a_c' like 'a\_c', 'ABC' ilike 'a%', 'abc' similar to '(a|b)%', 'abc' ~ '^a.c$', 'ABC' ~* 'abc', 'abc' !~ 'x', 'a%c' like 'a#%c' escape '#'

select 'a' like 'a\'

select 'x' ~ '('

select regexp_replace('foobarbaz', 'b(..)', 'X\1Y', 'g'), regexp_matches('foobarbequebaz', '(bar)(beque)'), regexp_split_to_array('a1b2c', '\d')

select md5('a'), sha256('a'), encode('\x00ff', 'hex'), encode('abc', 'base64'), decode('YWJj', 'base64'), '\xdeadbeef'::bytea, 'a\000b'::bytea, get_byte('\x0102', 1), set_bit('\x00', 3, 1)

set bytea_output = escape; select '\x00615c'::bytea; reset bytea_output

select '\xzz'::bytea

select quote_literal(E'a\\b''c'), quote_ident('Select'), quote_nullable(null), format('%s %I %L %%', 'a', 'B c', 'd''e'), format('%2$s %1$s', 1, 2), concat_ws('-', 1, null, 2), ascii('é'), chr(233), to_hex(255)

select date '2024-02-29' + 1, date '2024-03-01' - date '2024-02-01', timestamp '2024-01-31' + interval '1 month', timestamptz '2024-07-01 12:00+02', time '23:59:59.999999', timetz '10:00-05', interval '1 year 2 mons 3 days 04:05:06.789'

select date '2023-02-29'

select timestamp '2024-13-01'

select 'infinity'::timestamp, '-infinity'::date, 'epoch'::timestamptz, '4714-11-24 BC'::date, '294276-12-31'::timestamp

select '294277-01-01'::timestamp

set datestyle = 'german, dmy'; select date '2024-02-03', timestamp '2024-02-03 04:05:06', timestamptz '2024-02-03 04:05:06+00'; set datestyle = 'sql, mdy'; select date '2024-02-03'; set datestyle to default

set timezone = 'America/New_York'; select timestamptz '2024-03-10 06:59+00', timestamptz '2024-03-10 07:00+00', timestamp '2024-11-03 01:30'::timestamptz; reset timezone

set timezone = 'Nowhere/At_All'

set intervalstyle = iso_8601; select interval '1 year -2 days 3:4:5.6'; set intervalstyle = sql_standard; select interval '1 year 2 days 3:4:5'; set intervalstyle = postgres_verbose; select interval '-1 day'; reset intervalstyle

select extract(epoch from timestamptz '2024-01-01 00:00+00'), extract(dow from date '2024-02-03'), date_part('week', date '2024-12-30'), date_trunc('quarter', timestamp '2024-05-06'), age(timestamp '2024-03-01', timestamp '2023-12-31'), make_date(2024, 2, 3), make_interval(days => 3), justify_interval(interval '35 days 25 hours'), to_timestamp(0) at time zone 'UTC', (date '2024-01-01', date '2024-01-05') overlaps (date '2024-01-04', date '2024-01-06')

select extract(fortnight from date '2024-01-01')

select to_char(timestamp '2024-02-03 14:05:06.789', 'YYYY-MM-DD HH12:MI:SS.MS AM Day DDD IW'), to_date('03 Feb 2024', 'DD Mon YYYY'), to_timestamp('2024-02-03 25', 'YYYY-MM-DD HH24')

select interval '1 day' * 1.5, interval '1 day' / 2, -interval '1 month', interval '1' year, interval '1-2' year to month, interval '3 4:05:06' day to second(1)

select '{1,2,NULL}'::int[], array[[1, 2], [3, 4]], array['a', 'b,c', 'd"e', null, 'NULL', ''], '[0:2]={1,2,3}'::int[], array[]::text[]

select '{1,{2}}'::int[]

select array[1, 2] || 3, array[1, 2, 3][2], (array[1, 2, 3])[2:], array_dims(array[[1, 2]]), cardinality(array[1, 2]), array_append(null, 1), array_remove(array[1, 2, 1], 1), array_position(array['a', 'b'], 'b'), unnest(array[1, 2]), 2 = any(array[1, 2]), 1 = all(array[1, 1]), array[1, 2] @> array[2], array[1] && array[3], array_to_string(array[1, null, 3], ',', '*'), string_to_array('a,b', ',')

select array[1, 'x']

select '{"a": [1, 2, {"b": null}], "c": "\u00e9"}'::json, '{"b": 1, "a": 2, "b": 3}'::jsonb, '[1, "two", null, true, 1.50]'::jsonb

select '{bad json}'::json

select '{"a": 1'::jsonb

select j -> 'a', j ->> 'a', j #> '{a,1}', j #>> '{a,2,b}', j -> 'a' -> 0, j ? 'a', j @> '{"c": "x"}', j - 'c', j || '{"d": 4}', jsonb_set(j, '{a,0}', '99'), jsonb_pretty(j), jsonb_typeof(j -> 'a'), jsonb_array_length(j -> 'a') from (values ('{"a": [1, 2, {"b": "deep"}], "c": "x"}'::jsonb)) v(j)

select jsonb_path_query('{"a": [1, 2, 3]}', '$.a[*] ? (@ > $x)', '{"x": 1}'), jsonb_path_exists('{"a": 1}', '$.b')

select json_build_object('a', 1, 'b', array[1, 2], 'c', row(1, 'x')), json_agg(x order by x desc), jsonb_object_agg(x, x * 2), to_json(timestamp '2024-01-01'), row_to_json(row(1, null)) from generate_series(1, 3) x

select * from jsonb_to_recordset('[{"a": 1, "b": "x"}, {"a": "2"}]') as t (a int, b text)

select * from jsonb_each_text('{"a": 1, "b": null}'), jsonb_object_keys('{"z": 1}')

select jsonb_array_length('{"a": 1}')

select row(1, 'a', null), row(1, 2) < row(1, 3), row(1, null) is null, row(null, null) is null, (row(1, 2)).f1

create type pair as (a int, b text); create table pairs (id int, p pair, ps pair[]); insert into pairs values (1, (1, 'x'), array[(2, 'y,z')::pair, null]), (2, row(null, '"q"'), '{}') returning *

select (p).a, (p).b, (p).*, ps[1].b from pairs

update pairs set p.a = 7, ps[2].a = 3 where id = 1 returning p, ps

select (p).nothing from pairs

select 'red'::colour, 'red'::colour < 'blue'::colour, enum_range(null::colour), enum_first(null::colour), array['red', 'blue']::colour[]

select 'pink'::colour

alter type colour add value 'yellow' before 'blue'

select unnest(enum_range('green', null::colour))

alter type colour add value 'yellow'

alter type colour add value if not exists 'yellow'

create domain even as int check (value % 2 = 0); create domain named as text not null default 'nobody' constraint short check (length(value) < 10)

select 4::even

select 3::even

create table d (e even, n named); insert into d (e) values (2) returning *

insert into d values (2, null)

insert into d values (2, 'far too long a name')

alter domain even add constraint small check (value < 100); alter domain even drop constraint nothing

alter domain even drop constraint if exists nothing

select '[1,5)'::int4range, '(1,5]'::int4range, 'empty'::numrange, '[2024-01-01,)'::daterange, int4range(1, 5) * int4range(3, 8), int4range(1, 3) + int4range(3, 5), int4range(1, 5) @> 3, int4range(1, 3) && int4range(3, 5), lower(int4range(1, 5)), upper_inf(numrange(1, null)), '{[1,3),[5,7)}'::int4multirange

select int4range(5, 1)

select int4range(1, 3) + int4range(5, 7)

select '10.0.0.1'::inet, '10.0.0.0/8'::cidr, '::1'::inet, inet '10.1.2.3' << '10.0.0.0/8', host('10.0.0.1/8'), masklen('10.0.0.0/8'), '08:00:2b:01:02:03'::macaddr, inet '10.0.0.1' + 5

select '10.0.0.1/8'::cidr

select '(1,2)'::point, '[(0,0),(1,1)]'::lseg, '((0,0),(2,2))'::box, '<(0,0),2>'::circle, point '(0,0)' <-> point '(3,4)', box '((0,0),(2,2))' @> point '(1,1)', area(circle '((0,0),1)')::numeric(6, 4)

select 'the quick brown foxes'::tsvector, to_tsvector('english', 'The quick brown foxes jumped'), to_tsquery('english', 'fox & !dog'), to_tsvector('english', 'foxes') @@ to_tsquery('english', 'fox'), ts_headline('english', 'a fox here', to_tsquery('fox')), ts_rank(to_tsvector('a b'), to_tsquery('a'))

select to_tsquery('a &')

select '00000000-0000-0000-0000-00000000000A'::uuid, 'not a uuid'::uuid

select 12.34::money, '$1,234.56'::money * 2, 100::money / 3

select '0/16B3748'::pg_lsn - '0/0'::pg_lsn, 'pg_class'::regclass, 'int4'::regtype, 'nothing_here'::regclass

select xmlparse(content '<a>1</a>')

select '<a><b>1</b></a>'::xml, xmlelement(name foo, xmlattributes(1 as x), 'text'), xpath('/a/b/text()', '<a><b>1</b></a>')

select '<a'::xml

select coalesce(null, 2), nullif(1, 1), greatest(1, 3, 2), least('b', 'a'), case when 1 = 1 then 'a' else 'b' end, case 2 when 1 then 'one' when 2 then 'two' end, 1 is distinct from null, 3 between symmetric 5 and 1, 1 in (1, 2), (1, 2) in ((1, 2), (3, 4))

select case when true then 1 else 'x' end

select pg_typeof(1), pg_typeof('x'), pg_typeof(1.0), pg_typeof(null), pg_typeof(array[1]), pg_typeof(row(1)), cast('1' as int), int '5', '5'::int::text

select 1 as "Ünï cödé", 2 as "a.b", 3 as "quo""te", 4, null, 'x' as "select"

select $1

select 1::nothing

drop schema r cascade
