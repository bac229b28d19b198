# psycopg2: libpq under Python's DB-API, simple queries only, values put into the text by the client.
import io
import json
import sys

sys.path.pop(0)  # this file has the module's name
import psycopg2
import psycopg2.extensions
import psycopg2.extras

sys.path.append(__file__.rpartition('/')[0])
from transcript import *

psycopg2.extras.register_uuid()


def connect(password=PASSWORD):
    return psycopg2.connect(host=HOST, port=PORT, user=USER, password=password, dbname=DATABASE)


db = connect()
db.autocommit = True
c = db.cursor()


def ask(text, values=None):
    c.execute(text, values)
    return c.fetchone()


def fails(text, values=None):
    try:
        c.execute(text, values)
        return 'no error'
    except psycopg2.Error as error:
        d = error.diag
        return '/'.join(str(each) for each in [error.pgcode, d.message_primary, d.table_name, d.column_name, d.constraint_name, d.statement_position])


say('login', db.server_version, db.encoding, db.get_parameter_status('integer_datetimes'), db.info.ssl_in_use)
try:
    connect(PASSWORD + '?')
    say('wrong password', 'let in')
except psycopg2.OperationalError as error:
    say('wrong password', refusal(error, error.pgcode))
c.execute("set timezone to 'UTC'")
say('settings', c.statusmessage, db.get_parameter_status('TimeZone'))

c.execute(f'create table {SCHEMA}.extra (id int)')
tags = [c.statusmessage]
c.execute(f'drop table {SCHEMA}.extra')
say('ddl', *tags, c.statusmessage)

say('parameters', *ask('select %s + 1, %s, %s::float8, %s', (41, ODD, 1.5, True)))
say('nulls', *ask('select %s::text is null, %s::text, null::int', (None, None)))
say('numeric', *ask('select %s::numeric, %s::numeric, %s::numeric', (DIGITS, '-0.00001', 'NaN')))
say('timestamptz', *ask('select %s::timestamptz', ('2024-02-29 12:34:56.789012+02',)))
say('json', *ask('select %s::json, %s::jsonb', (DOC, psycopg2.extras.Json(json.loads(DOC)))))
say('bytea', *ask('select %s::bytea, length(%s::bytea)', (psycopg2.Binary(BYTES), psycopg2.Binary(BYTES))))
say('arrays', *ask("select %s::int[], %s::text[], '[2:3]={7,8}'::int[]", ([1, None, 3], WORDS)))
import uuid

say('uuid', *ask('select %s::uuid', (uuid.UUID(UUID),)))
c.execute(f'insert into {THINGS} (id, name, mood) values (1, %s, %s)', ('one', 'happy'))
say('enum', *ask(f'select mood from {THINGS} where mood = %s', ('happy',)), c.description[0].type_code > 16384)
c.execute(f'select id, name, amount, at, doc, raw, list, words, uid from {THINGS}')
say('types', *[column.type_code for column in c.description], *[column.name for column in c.description])
c.execute('prepare twice as select $1::int * $1::int')
say('prepared', *[ask('execute twice (%s)', (n,))[0] for n in (1, 2, 3)])

c.execute(f"insert into {THINGS} (id, name) values (2, 'two'), (3, 'three'), (4, 'four')")
counts = [c.rowcount, c.statusmessage]
c.execute(f"update {THINGS} set amount = id * 1.5 where id in (2, 3)")
counts += [c.rowcount, c.statusmessage]
c.execute(f'delete from {THINGS} where id = 4')
say('counts', *counts, c.rowcount, c.statusmessage)

db.autocommit = False
c.execute(f"insert into {THINGS} (id, name) values (100, 'x')")
status = [db.get_transaction_status()]
db.rollback()
say('transaction', *ask(f'select count(*) from {THINGS} where id = 100'))
db.rollback()
c.execute(f"insert into {THINGS} (id, name) values (101, 'x')")
c.execute('savepoint s')
say('transaction', fails(f"insert into {THINGS} (id, name) values (101, 'x')"))
status.append(db.get_transaction_status())
say('transaction', fails('select 1'))
c.execute('rollback to savepoint s')
db.commit()
status.append(db.get_transaction_status())
say('transaction', *ask(f'select count(*) from {THINGS} where id = 101'), *status)
db.rollback()
db.autocommit = True

say('error', fails('select 1/0'))
say('error', fails(f'insert into {THINGS} (id) values (%s)', (5,)))
say('error', fails('selec 1'))
say('error', fails(f'select nope from {THINGS}'))
say('error', *ask('select 1'))

c.execute(f"select 1; insert into {THINGS} (id, name) values (200, 'x'); select 'last', 2")
say('multi', *c.fetchone(), c.statusmessage)
say('multi', fails(f"insert into {THINGS} (id, name) values (201, 'x'); select 1 / (id - id) from {THINGS}; select 2"))
say('multi', *ask(f'select count(*) from {THINGS} where id in (200, 201)'))

say('cancel', *cancelled(lambda: c.execute('select pg_sleep(30)'), db.cancel, lambda error: error.pgcode))
say('cancel', *ask('select 1'))

sums = Sums()
db.autocommit = False
with db.cursor('big') as big:
    big.itersize = 1000
    big.execute(BIG)
    for row in big:
        sums.add(*row)
db.commit()
db.autocommit = True
sums.say()

c.copy_expert(f'copy {THINGS} (id, name, words) from stdin (format csv)', io.StringIO('301,"a,b","{x}"\n302,"q""q",\n'))
say('copy in', c.statusmessage, *ask(f'select array_agg(name order by id), count(words) from {THINGS} where id > 300'))
out = io.BytesIO()
c.copy_expert(f'copy (select id, name, words from {THINGS} where id > 300 order by id) to stdout', out)
say('copy out', c.statusmessage, out.getvalue().decode())
try:
    c.copy_expert(f'copy {THINGS} (id, name) from stdin', io.StringIO('303\tx\nmany\ty\n'))
except psycopg2.Error as error:
    say('copy error', error.pgcode, error.diag.context)
say('copy error', *ask(f'select count(*) from {THINGS} where id = 303'))

c.execute("do $$ begin raise notice 'hello %', 1; end $$")
say('notice', *db.notices)
c.execute('listen clients')
c.execute("notify clients, 'payload'")
db.poll()
say('notify', *[f'{each.channel}:{each.payload}' for each in db.notifies])

if PEER:
    c.execute(f'create peer {PEER} from postgres with ({PEER_OPTIONS})')
    say('verbs', c.statusmessage)
    c.execute('show peers')
    say('verbs', PEER in [row[0] for row in c.fetchall()], c.statusmessage)
    c.execute(f'show peer {PEER}')
    say('verbs', '********' in repr(c.fetchall()), c.statusmessage)
    c.execute(f'execute {PEER} $$ select 6 * 7 $$')
    say('verbs', *c.fetchone(), c.statusmessage)
    c.execute(f"execute {PEER} ('select 1; select 43')")
    say('verbs', *c.fetchone())
    c.execute(f'drop peer {PEER}')
    say('verbs', c.statusmessage, fails(f'drop peer {PEER}'))
