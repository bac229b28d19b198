// Types, operators, casts, text search, languages and all else that functions are made for arrive as they are.
import { describe, expect, test } from 'vitest';
import { exceptions, made, moveDatabase, sides } from '../support/database.ts';

const everyKind = `
  create schema "s""1"; create schema empty;
  create collation "s""1".german (provider = icu, locale = 'de', deterministic = false);
  create conversion "s""1".conv for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
  create type mood as enum ('a', 'b''c', 'd\\e', ''); alter type mood add value 'first' before 'a';
  create type "s""1"."com,p" as ("A 1" int, m mood[], t text collate "s""1".german);
  create function is_odd(int) returns bool language sql immutable as 'select $1 % 2 = 1';
  create domain odd as int default 3 not null constraint "od""d" check (is_odd(value)) constraint small check (value < 1000);
  create domain label as text collate "C" check (value = any (array['x'::varchar, 'y']));
  create type floats as range (subtype = float8, subtype_diff = float8mi, multirange_type_name = "many floats");
  create type shell_only;
  create type pair; create function pair_in(cstring) returns pair language internal immutable strict as 'textin';
  create function pair_out(pair) returns cstring language internal immutable strict as 'textout';
  create type pair (input = pair_in, output = pair_out, like = text, category = 'X', preferred = true, default = 'd''f', delimiter = ';', collatable = true);
  create type canon; create function canonical(canon) returns canon language internal immutable strict as 'int4range_canonical';
  create type canon as range (subtype = int4, canonical = canonical);
  create function pair_eq(pair, pair) returns bool language internal immutable strict as 'texteq';
  create function pair_ne(pair, pair) returns bool language internal immutable strict as 'textne';
  create function pair_lt(pair, pair) returns bool language internal immutable strict as 'text_lt';
  create function pair_gt(pair, pair) returns bool language internal immutable strict as 'text_gt';
  create function pair_cmp(pair, pair) returns int language internal immutable strict as 'bttextcmp';
  create function pair_of(int) returns pair language sql immutable as $$ select $1::text::public.pair $$;
  create cast (text as pair) without function as implicit; create cast (pair as text) without function as assignment;
  create cast (int as pair) with function pair_of(int); create cast (pair as date) with inout;
  create operator <%> (function = pair_lt, leftarg = pair, rightarg = pair, commutator = >%<, restrict = scalarltsel, join = scalarltjoinsel);
  create operator >%< (function = pair_gt, leftarg = pair, rightarg = pair, commutator = <%>);
  create operator "s""1".=== (function = pair_eq, leftarg = pair, rightarg = pair, commutator = operator("s""1".===), negator = operator("s""1".!==), hashes, merges, restrict = eqsel, join = eqjoinsel);
  create operator "s""1".!== (function = pair_ne, leftarg = pair, rightarg = pair, negator = operator("s""1".===));
  create operator !! (function = is_odd, rightarg = int);
  create operator family "s""1"."fam'ily" using btree;
  create operator class "s""1"."cl""ass" default for type pair using btree family "s""1"."fam'ily" as operator 1 <%>, operator 3 "s""1".===, operator 5 >%<, function 1 pair_cmp(pair, pair);
  create function pair_cmp_int(pair, int) returns int language sql immutable as 'select 0';
  create function pair_lt_int(pair, int) returns bool language sql immutable as 'select false';
  create operator <%> (function = pair_lt_int, leftarg = pair, rightarg = int);
  alter operator family "s""1"."fam'ily" using btree add operator 1 <%> (pair, int), function 1 (pair, int) pair_cmp_int(pair, int);
  create operator class alone for type pair using hash as storage pair;
  create trusted language "my""lang" handler plpgsql_call_handler validator plpgsql_validator;
  create function in_mine() returns int language "my""lang" as 'begin return 1; end';
  create function to_pair(internal) returns internal language internal immutable as 'textin';
  create access method heap2 type table handler heap_tableam_handler;
  create text search template "s""1"."te""mplate" (init = dsimple_init, lexize = dsimple_lexize);
  create text search dictionary "s""1"."di'ct" (template = "s""1"."te""mplate", accept = false, stopwords = 'english');
  create text search parser pars (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, headline = prsd_headline, lextypes = prsd_lextype);
  create text search configuration "s""1".conf (parser = pars);
  alter text search configuration "s""1".conf add mapping for asciiword, word with "s""1"."di'ct", simple;
  create foreign data wrapper "w""1" options (a 'b''c', password 'tell nobody');
  create server "se""rver" type 't' version '1' foreign data wrapper "w""1" options (host 'h', "api ""id" 'tell nobody');
  create user mapping for public server "se""rver" options (password 'tell nobody');
  create foreign table "s""1"."for""eign" (id int options (k 'v') not null, m mood default 'a', t text collate "C", check (id > 0)) server "se""rver" options (x 'y');
  create sequence "s""1"."se""q" as smallint increment -3 minvalue -300 maxvalue 7 start 5 cache 3 cycle; select nextval('"s""1"."se""q"');
  create table t (id int primary key, p pair, o odd, r floats, c "s""1"."com,p", d int default nextval('"s""1"."se""q"'), k canon, v tsvector
    generated always as (to_tsvector('"s""1".conf'::regconfig, 'a')) stored);
  create index on t (p); insert into t values (1, 'x', 5, '[1,2]', row(1, array['a'::mood], 'x'));`;

// What the server says of all that is a user's, but for OIDs.
const printed = `
  select 'type' as what, t.oid::regtype::text as name, concat_ws(' ', t.typtype, t.typcategory, t.typlen, t.typdelim, t.typdefault, t.typispreferred, t.typisdefined,
    (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
    (select string_agg(a.attname || format_type(a.atttypid, a.atttypmod) || a.attcollation::regcollation, ',' order by a.attnum) from pg_attribute a where a.attrelid = t.typrelid and a.attnum > 0),
    (select string_agg(k.conname || pg_get_constraintdef(k.oid), ',' order by k.conname) from pg_constraint k where k.contypid = t.oid and k.contype = 'c'),
    (select concat_ws(' ', rngsubtype::regtype, rngcanonical, rngsubdiff, rngmultitypid::regtype) from pg_range where rngtypid = t.oid)) as facts
  from pg_type t where t.oid >= 16384 and t.typnamespace::regnamespace::text !~ '^(pg_|information|_sluice)'
  union all select 'operator', o.oid::regoperator::text, concat_ws(' ', o.oprcode, o.oprcom::regoperator, o.oprnegate::regoperator, o.oprrest, o.oprjoin, o.oprcanhash, o.oprcanmerge) from pg_operator o where o.oid >= 16384
  union all select 'cast', c.castsource::regtype || ' ' || c.casttarget::regtype, concat_ws(' ', c.castfunc::regprocedure, c.castcontext, c.castmethod) from pg_cast c where c.oid >= 16384
  union all select 'amop', f.opfname::text, concat_ws(' ', a.amopstrategy, a.amopopr::regoperator) from pg_amop a join pg_opfamily f on f.oid = a.amopfamily where a.oid >= 16384
  union all select 'amproc', f.opfname::text, concat_ws(' ', a.amprocnum, a.amproc::regprocedure, a.amproclefttype::regtype, a.amprocrighttype::regtype) from pg_amproc a join pg_opfamily f on f.oid = a.amprocfamily where a.oid >= 16384
  union all select 'class', c.opcname::text, concat_ws(' ', c.opcintype::regtype, c.opcdefault, c.opckeytype::regtype, f.opfname) from pg_opclass c join pg_opfamily f on f.oid = c.opcfamily where c.oid >= 16384
  union all select 'ts', c.oid::regconfig::text, string_agg(m.maptokentype || ' ' || m.mapseqno || ' ' || m.mapdict::regdictionary, ',' order by m.maptokentype, m.mapseqno) from pg_ts_config c join pg_ts_config_map m on m.mapcfg = c.oid where c.oid >= 16384 group by 1, 2
  union all select 'dict', d.oid::regdictionary::text, d.dictinitoption from pg_ts_dict d where d.oid >= 16384
  union all select 'parser', p.prsname::text, concat_ws(' ', p.prsstart, p.prstoken, p.prsend, p.prsheadline, p.prslextype) from pg_ts_parser p where p.oid >= 16384
  union all select 'collation', c.oid::regcollation::text, concat_ws(' ', c.collprovider, c.collisdeterministic) from pg_collation c where c.oid >= 16384
  union all select 'conversion', c.conname::text, concat_ws(' ', c.conproc, c.condefault) from pg_conversion c where c.oid >= 16384
  union all select 'language', l.lanname::text, concat_ws(' ', l.lanplcallfoid::regproc, l.lanvalidator::regproc, l.lanpltrusted) from pg_language l where l.oid >= 16384
  union all select 'am', a.amname::text, a.amhandler::text from pg_am a where a.oid >= 16384
  union all select 'server', s.srvname::text, concat_ws(' ', s.srvtype, s.srvversion, s.srvoptions::text) from pg_foreign_server s
  union all select 'wrapper', w.fdwname::text, w.fdwoptions::text from pg_foreign_data_wrapper w
  union all select 'foreign', f.ftrelid::regclass::text, concat_ws(' ', f.ftoptions::text, (select string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attfdwoptions::text, pg_get_expr(d.adbin, d.adrelid)), ',' order by a.attnum)
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum where a.attrelid = f.ftrelid and a.attnum > 0)) from pg_foreign_table f
  union all select 'schema', n.nspname::text, '' from pg_namespace n where n.oid >= 16384 and n.nspname !~ '^(pg_|_sluice)'
  union all select 'sequence', s.seqrelid::regclass::text, concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle) from pg_sequence s
  order by 1, 2, 3`;

describe.each([
  [18, 18],
  [14, 18],
  [18, 14],
] as const)('from PostgreSQL %i to %i', (source, target) => {
  test('what functions stand behind arrives with all its properties', async () => {
    await using it = await sides(everyKind, 'select 1', [source, target]);
    const told = await moveDatabase(it);
    expect(exceptions(told)).toEqual([
      'left_out user mapping public on se"rver: it holds a password, which is not for us to read',
    ]);
    // The server reads its own text of an array that was cast back as an array of casts.
    const texts = (rows: readonly { name: string }[]) => rows.filter(({ name }) => name !== 'label');
    expect(texts(await it.to.exec(printed))).toEqual(texts(await it.from.exec(printed)));
    expect(made(told, 'operator family member')).toHaveLength(2);
    // Secrets go along, and no line shows them.
    expect(JSON.stringify([...told.objects.values(), ...told.notes])).not.toContain('tell nobody');
    expect(
      await it.to.exec(`select p::text as p, o, lower(r) as l from t where p operator("s""1".===) 'x'::text::pair`),
    ).toEqual([{ p: 'x', o: 5, l: '1' }]);
  });
});
