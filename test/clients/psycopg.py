# psycopg 3: extended queries with text and binary results, prepared statements, pipelines, server-side cursors, COPY.
import sys
import uuid

sys.path.pop(0)  # this file has the module's name
import psycopg
from psycopg.rows import tuple_row
from psycopg.types.json import Jsonb

sys.path.append(__file__.rpartition('/')[0])
from transcript import *


def connect(password=PASSWORD):
    return psycopg.connect(host=HOST, port=PORT, user=USER, password=password, dbname=DATABASE, autocommit=True)


db = connect()
notices = []
db.add_notice_handler(lambda d: notices.append(f'{d.severity} {d.message_primary}'))


def ask(text, values=None, **more):
    return db.execute(text, values, **more).fetchone()


def fails(text, values=None):
    try:
        db.execute(text, values)
        return 'no error'
    except psycopg.Error as error:
        d = error.diag
        return '/'.join(str(each) for each in [error.sqlstate, d.message_primary, d.table_name, d.column_name, d.statement_position])


say('login', db.info.server_version, db.info.encoding, db.info.parameter_status('standard_conforming_strings'))
try:
    connect(PASSWORD + '?')
    say('wrong password', 'let in')
except psycopg.OperationalError as error:
    say('wrong password', refusal(error, error.sqlstate))
say('settings', db.execute("set timezone to 'UTC'").statusmessage, db.info.parameter_status('TimeZone'))
tags = [db.execute(f'create table {SCHEMA}.extra (id int)').statusmessage]
say('ddl', *tags, db.execute(f'drop table {SCHEMA}.extra').statusmessage)

for binary in False, True:
    with db.cursor(binary=binary) as c:
        one = lambda text, values=None: c.execute(text, values).fetchone()
        say('parameters', *one('select %b + 1, %t, %b::float8, %b', (41, ODD, 1.5, True)))
        say('nulls', *one('select %s::text is null, %s::text, null::int', (None, None)))
        import decimal

        numbers = [decimal.Decimal(each) for each in (DIGITS, '-0.00001', 'NaN')]
        say('numeric', *one('select %b::numeric, %b::numeric, %t::numeric, 1e100::numeric', numbers))
        when = datetime.datetime.fromisoformat('2024-02-29 12:34:56.789012+02:00')
        say('timestamptz', *one('select %b::timestamptz, %t::timestamptz', (when, when)))
        say('json', *one('select %t::json, %b::jsonb', (DOC, Jsonb({'a': [1, 2.5, None], 'b': 'ü'}))))
        say('bytea', *one('select %b::bytea, %t::bytea', (BYTES, BYTES)))
        say('arrays', *one("select %b::int[], %b::text[], '{{1,2},{3,4}}'::int[]", ([1, None, 3], WORDS)))
        say('uuid', *one('select %b::uuid, %t', (uuid.UUID(UUID), uuid.UUID(UUID))))
        say('binary', binary, *[column.type_code for column in c.description], c.pgresult.fformat(0))
say('enum', *ask(f"insert into {THINGS} (id, name, mood) values (1, 'one', %s) returning mood", ('happy',)))
c = db.execute(f'select * from {THINGS}')
say('types', *[f'{each.name}:{each.type_code if each.name != "mood" else "mood"}:{each.internal_size}:{each.precision}' for each in c.description])
say('prepared', *[ask(f'select %s::int * %s::int from {THINGS} where id = 1', (n, n), prepare=True)[0] for n in (1, 2, 3)])

c = db.execute(f"insert into {THINGS} (id, name) values (2, 'two'), (3, 'three'), (4, 'four')")
counts = [c.rowcount, c.statusmessage]
c = db.execute(f'update {THINGS} set amount = id * %s where id in (2, 3)', (decimal.Decimal('1.5'),))
counts += [c.rowcount, c.statusmessage]
c = db.execute(f'delete from {THINGS} where id = %s', (4,))
say('counts', *counts, c.rowcount, c.statusmessage)
with db.cursor() as c:
    c.executemany(f'insert into {THINGS} (id, name) values (%s, %s)', [(n, str(n)) for n in range(10, 30)])
    say('counts', c.rowcount)

try:
    with db.transaction():
        db.execute(f"insert into {THINGS} (id, name) values (100, 'x')")
        status = [db.info.transaction_status.name]
        raise psycopg.Rollback()
except psycopg.Rollback:
    pass
say('transaction', *ask(f'select count(*) from {THINGS} where id = 100'))
with db.transaction():
    db.execute(f"insert into {THINGS} (id, name) values (101, 'x')")
    try:
        with db.transaction():
            say('transaction', fails(f"insert into {THINGS} (id, name) values (101, 'x')"))
            status.append(db.info.transaction_status.name)
            say('transaction', fails('select 1'))
            raise psycopg.Rollback()
    except psycopg.Rollback:
        pass
status.append(db.info.transaction_status.name)
say('transaction', *ask(f'select count(*) from {THINGS} where id = 101'), *status)

say('error', fails('select 1/0'))
say('error', fails(f'insert into {THINGS} (id) values (%s)', (5,)))
say('error', fails('selec 1'))
say('error', fails(f'select nope from {THINGS} where id = %s', (1,)))
say('error', *ask('select 1'))

c = db.execute(f"select 1; insert into {THINGS} (id, name) values (200, 'x'); select 'last', 2")
say('multi', c.statusmessage, *c.fetchone(), c.nextset(), c.statusmessage, c.nextset(), *c.fetchone(), c.nextset())
say('multi', fails(f"insert into {THINGS} (id, name) values (201, 'x'); select 1 / (id - id) from {THINGS}; select 2"))
say('multi', *ask(f'select count(*) from {THINGS} where id in (200, 201)'))

with db.pipeline() as pipeline:
    cursors = [db.execute('select %s::int', (n,)) for n in range(3)]
    cursors.append(db.execute(f'select id from {THINGS} where id = %s', (1,)))
    say('pipeline', *[each.fetchone()[0] for each in cursors])
try:
    with db.pipeline() as pipeline:
        db.execute('select 1')
        db.execute('select 1/0')
        third = db.execute('select 3')
        pipeline.sync()
        say('pipeline', 'no error')
except psycopg.Error as error:
    say('pipeline', error.sqlstate)
say('pipeline', *ask('select 4'), db.info.transaction_status.name)

say('cancel', *cancelled(lambda: db.execute('select pg_sleep(30)'), db.cancel, lambda error: error.sqlstate))
say('cancel', *ask('select 1'))

sums = Sums()
with db.transaction(), db.cursor('big', binary=True) as big:
    big.itersize = 1000
    for row in big.execute(BIG):
        sums.add(*row)
sums.say()
sums = Sums()
with db.cursor() as big:
    for row in big.stream(BIG.replace('100000', '10000')):  # single-row mode
        sums.add(*row)
sums.say('chunks row by row')

with db.cursor() as c:
    with c.copy(f'copy {THINGS} (id, name, words) from stdin (format binary)') as copy:
        copy.set_types(['int4', 'text', 'text[]'])
        copy.write_row((301, 'a,b', ['x']))
        copy.write_row((302, 'q"q', None))
    say('copy in', c.statusmessage, *ask(f'select array_agg(name order by id), count(words) from {THINGS} where id > 300'))
    with c.copy(f'copy (select id, name, words from {THINGS} where id > 300 order by id) to stdout') as copy:
        say('copy out', *[bytes(each).decode() for each in copy])
    say('copy out', c.statusmessage)
    with c.copy(f'copy (select id, raw from {THINGS} where id > 300 order by id) to stdout (format binary)') as copy:
        say('copy out', b''.join(bytes(each) for each in copy))
    try:
        with c.copy(f'copy {THINGS} (id, name) from stdin') as copy:
            copy.write('303\tx\nmany\ty\n')
    except psycopg.Error as error:
        say('copy error', error.sqlstate, error.diag.context)
    try:
        with c.copy(f'copy {THINGS} (id, name) from stdin') as copy:
            copy.write('303\tx\n')
            raise ValueError('enough')
    except (psycopg.Error, ValueError) as error:
        say('copy error', type(error).__name__, db.info.transaction_status.name)
    say('copy error', *ask(f'select count(*) from {THINGS} where id = 303'))

db.execute("do $$ begin raise notice 'hello %', 1; end $$")
say('notice', *notices)
db.add_notify_handler(lambda each: say('notify', f'{each.channel}:{each.payload}'))
db.execute('listen clients')
db.execute("notify clients, 'payload'")

if PEER:
    say('verbs', db.execute(f'create peer {PEER} from postgres with ({PEER_OPTIONS})').statusmessage)
    c = db.execute('show peers')
    say('verbs', PEER in [row[0] for row in c.fetchall()], c.statusmessage)
    c = db.execute(f'show peer {PEER}')
    say('verbs', '********' in repr(c.fetchall()), c.statusmessage)
    c = db.execute(f'execute {PEER} $$ select 6 * 7 $$', prepare=True)
    say('verbs', *c.fetchone(), c.statusmessage)
    c = db.execute(f"execute {PEER} ('select 43')", binary=True)
    say('verbs', *c.fetchone())
    say('verbs', db.execute(f'drop peer {PEER}').statusmessage, fails(f'drop peer {PEER}'))
