import { beforeAll, expect, test } from 'vitest';
import { SluiceError } from '../../../src/base/errors.ts';
import { checkLooksOnly, checkReadable } from '../../../src/gateway/look-only.ts';
import { loadParser } from '../../../src/gateway/parser.ts';

beforeAll(loadParser);

function verdict(check: () => void): string {
  try {
    check();
    return 'may';
  } catch (error) {
    if (error instanceof SluiceError) return error.sqlstate;
    throw error;
  }
}

test.each([
  'select 1',
  'set standard_conforming_strings = on',
  'set standard_conforming_strings to true; set standard_conforming_strings = 1',
  "select set_config('standard_conforming_strings', 'on', false)",
  "set names 'utf-8'",
  'set client_encoding to latin1',
  'reset client_encoding',
  'table t',
  'values (1)',
  'with x as (select 1) select * from x',
  'select * from src.public.orders for update', // the server's to refuse
  'insert into t values (1)', // the server's to refuse
  'show all',
  'show transaction_read_only',
  'explain select 1',
  'explain (analyze, buffers) select 1',
  'explain delete from t',
  'begin',
  'begin isolation level repeatable read, read only',
  'start transaction read only deferrable',
  'commit and chain',
  'savepoint s',
  'rollback to s',
  'set search_path = x',
  'set local statement_timeout = 0',
  "select set_config('search_path', '', false)",
  "select pg_catalog.set_config('TimeZone', 'UTC', false)",
  'set session characteristics as transaction isolation level serializable',
  'reset all',
  'discard all',
  'prepare p (int) as select $1',
  'execute p(1)',
  'deallocate all',
  'declare c cursor for select 1',
  'fetch 3 from c',
  'close c',
  'copy t to stdout',
  'copy (select 1) to stdout with (format csv, header)',
  'lock table a in access share mode',
  'listen x',
  'unlisten *',
  "select set_config(name, 'view, foreign-table', false) from pg_settings where name = 'restrict_nonsystem_relation_kind'",
  'select pg_backend_pid(), pg_current_wal_lsn(), pg_stat_get_activity(null), pg_export_snapshot()',
  "select pg_replication_origin_progress('x', false), lo_get(1), table_to_xml('t', true, true, '')",
])('a READ ONLY user may say: %s', (text) => {
  expect(verdict(() => checkLooksOnly(text))).toBe('may');
});

test.each([
  ['begin read write', '25006'],
  ['start transaction isolation level serializable, read write', '25006'],
  ['set transaction read write', '25006'],
  ['set session characteristics as transaction read write', '25006'],
  ['set transaction_read_only = off', '25006'],
  ['set DEFAULT_transaction_read_only to false', '25006'],
  ['reset default_transaction_read_only', '25006'],
  ["select set_config('default_transaction_read_only', 'off', false)", '25006'],
  ["select set_config('Transaction_Read_Only', 'off', true)", '25006'],
  ["select set_config('default_' || 'transaction_read_only', 'off', false)", '42501'],
  ["select set_config(setting => 'x', value => 'y', is_local => false)", '42501'],
  ["select set_config(name, 'off', false) from pg_settings where name = 'default_transaction_read_only'", '25006'],
  ["select set_config(name, 'off', false) from pg_settings where name like '%read_only'", '42501'],
  ["select set_config(name, 'off', false), pg_switch_wal() from pg_settings where name = 'work_mem'", '42501'],
  ["select set_config(name, 'off', false) from pg_settings, x where name = 'work_mem'", '42501'],
  [
    "select set_config(name, 'off', false) from pg_settings where name = 'work_mem' union select pg_reload_conf()",
    '42501',
  ],
  ['set role admin', '42501'],
  ['reset role', '42501'],
  ['set session authorization default', '42501'],
  ["set session_replication_role = 'replica'", '42501'],
  ["prepare transaction 'x'", '42501'],
  ["commit prepared 'x'", '42501'],
  ["rollback prepared 'x'", '42501'],
  ['create table t (id int)', '42501'],
  ['create temp table t (id int)', '42501'],
  ['drop table t', '42501'],
  ['truncate t', '42501'],
  ["create role x login password 'y'", '42501'],
  ['alter system set wal_level = minimal', '42501'],
  ['vacuum', '42501'],
  ['analyze t', '42501'],
  ['checkpoint', '42501'],
  ["load 'x'", '42501'],
  ['notify x', '42501'],
  ['do $$ begin end $$', '42501'],
  ['call p()', '42501'],
  ['refresh materialized view v', '42501'],
  ['explain analyze create table x as select 1', '42501'],
  ['explain create materialized view x as select 1', '42501'],
  ['copy t from stdin', '42501'],
  ["copy t to '/tmp/x'", '42501'],
  ["copy t to program 'rm -rf /'", '42501'],
  ['lock table a', '42501'],
  ['lock table a in share mode', '42501'],
  ["select pg_drop_replication_slot('s')", '42501'],
  ["select * from pg_catalog.pg_create_logical_replication_slot('s', 'pgoutput')", '42501'],
  ['select U&"pg\\005fterminate_backend"(1)', '42501'],
  ['select "pg_reload_conf"()', '42501'],
  ['with x as (select pg_switch_wal()) select * from x', '42501'],
  ['select 1 where (select pg_promote())', '42501'],
  ['declare c cursor for select pg_terminate_backend(1)', '42501'],
  ['prepare p as select lo_unlink(1)', '42501'],
  ["copy (select lo_import('/etc/passwd')) to stdout", '42501'],
  ["select query_to_xml('select pg_switch_wal()', true, true, '')", '42501'],
  ["select * from dblink('dbname=x', 'delete from y') as t(x int)", '42501'],
  ['select pg_stat_reset(), pg_stat_statements_reset()', '42501'],
  ["select * from pg_logical_slot_get_changes('s', null, null)", '42501'],
  ["select pg_logical_emit_message(false, 'a', 'b')", '42501'],
  ['select 1; commit; select 2', '42501'],
  ['select 1; drop table t', '42501'],
  ['set standard_conforming_strings = off', '42501'],
  ["set local standard_conforming_strings to 'f'", '42501'],
  ["select set_config('Standard_Conforming_Strings', 'off', false)", '42501'],
  ["select set_config('client_encoding', convert_from($1, 'utf8'), false)", '42501'],
  ["set names 'Shift_JIS_2004'", '42501'],
  ["set client_encoding to 'windows-950'", '42501'],
  ['select pg_advisory_lock(1)', '42501'],
  ['select pg_try_advisory_lock_shared(1)', '42501'],
  ['selec 1', '42601'],
] as const)('a READ ONLY user may not say: %s', (text, sqlstate) => {
  expect(verdict(() => checkLooksOnly(text))).toBe(sqlstate);
});

test('a mistake of a READ ONLY user is pointed at in the whole text', () => {
  expect(() => checkLooksOnly('select 1 frm x', 7)).toThrow(expect.objectContaining({ position: 21 }));
});

test('text that a server would read in another way is not checked but refused', () => {
  const settings = (name: string, value: string) => new Map([[name, value]]);
  expect(verdict(() => checkReadable(new Map()))).toBe('may');
  expect(verdict(() => checkReadable(settings('client_encoding', 'LATIN1')))).toBe('may');
  expect(verdict(() => checkReadable(settings('client_encoding', 'SJIS')))).toBe('42501');
  expect(verdict(() => checkReadable(settings('client_encoding', 'GBK')))).toBe('42501');
  expect(verdict(() => checkReadable(settings('standard_conforming_strings', 'off')))).toBe('42501');
});

test('a text that is too long to be read is not for a READ ONLY user', () => {
  expect(verdict(() => checkLooksOnly(`select '${'x'.repeat(1_000_001)}'`))).toBe('54000');
});
