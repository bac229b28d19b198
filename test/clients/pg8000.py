# pg8000: the protocol in pure Python; values go in as text, each with its type. Debian's is too old for SCRAM.
import decimal
import io
import os
import sys
import uuid

sys.path[0] = os.environ['SLUICE_CLIENTS_CACHE'] + '/python'
import pg8000

sys.path.append(__file__.rpartition('/')[0])
from transcript import *


def connect(password=PASSWORD):
    return pg8000.connect(host=HOST, port=PORT, user=USER, password=password, database=DATABASE)


db = connect()
db.autocommit = True
c = db.cursor()


def ask(text, values=()):
    c.execute(text, values)
    return c.fetchone()


def code(error):
    parts = error.args[0]
    return parts['C'] if isinstance(parts, dict) else str(parts)


def fails(text, values=()):
    try:
        c.execute(text, values)
        return 'no error'
    except pg8000.Error as error:
        parts = error.args[0]
        return '/'.join(str(parts.get(each)) for each in 'CMtcP') if isinstance(parts, dict) else str(error)


say('login', *ask("select current_setting('server_version_num')"))
try:
    connect(PASSWORD + '?')
    say('wrong password', 'let in')
except pg8000.Error as error:
    say('wrong password', code(error))
c.execute("set timezone to 'UTC'")
say('settings', *ask('show timezone'))
c.execute(f'create table {SCHEMA}.extra (id int)')
tags = [c.rowcount]
c.execute(f'drop table {SCHEMA}.extra')
say('ddl', *tags, c.rowcount)
say('parameters', *ask('select %s + 1, cast(%s as text), cast(%s as float8), %s', (41, ODD, 1.5, True)))
say('nulls', *ask('select cast(%s as text) is null, cast(%s as text), cast(null as int)', (None, None)))
numbers = [decimal.Decimal(each) for each in (DIGITS, '-0.00001', 'NaN')]
say('numeric', *ask('select cast(%s as numeric), cast(%s as numeric), cast(%s as numeric)', numbers))
when = datetime.datetime.fromisoformat('2024-02-29 12:34:56.789012+02:00')
say('timestamptz', *ask('select cast(%s as timestamptz)', (when,)))
say('json', *ask('select cast(%s as json), cast(%s as jsonb)', (DOC, DOC)))
say('bytea', *ask('select cast(%s as bytea)', (BYTES,)))
say('arrays', *ask("select %s, %s, cast('{{1,2},{3,4}}' as int[])", ([1, None, 3], WORDS)))
say('uuid', str(ask('select cast(%s as uuid)', (uuid.UUID(UUID),))[0]))
say('enum', *ask(f"insert into {THINGS} (id, name, mood) values (1, 'one', cast(%s as {MOOD})) returning mood", ('happy',)))
c.execute(f'select id, name, amount, at, doc, raw, list, words, uid from {THINGS}')
say('types', *[each[1] for each in c.description], *[each[0] for each in c.description])
say('prepared', *[ask('select cast(%s as int) * cast(%s as int)', (n, n))[0] for n in (1, 2, 3)])
c.execute(f"insert into {THINGS} (id, name) values (2, 'two'), (3, 'three'), (4, 'four')")
counts = [c.rowcount]
c.execute(f'update {THINGS} set amount = id * cast(%s as numeric) where id in (2, 3)', (decimal.Decimal('1.5'),))
counts.append(c.rowcount)
c.execute(f'delete from {THINGS} where id = %s', (4,))
say('counts', *counts, c.rowcount)

db.autocommit = False
c.execute(f"insert into {THINGS} (id, name) values (100, 'x')")
db.rollback()
say('transaction', *ask(f'select count(*) from {THINGS} where id = 100'))
db.rollback()
c.execute(f"insert into {THINGS} (id, name) values (101, 'x')")
c.execute('savepoint s')
say('transaction', fails(f"insert into {THINGS} (id, name) values (101, 'x')"))
say('transaction', fails('select 1'))
c.execute('rollback to savepoint s')
db.commit()
say('transaction', *ask(f'select count(*) from {THINGS} where id = 101'))
db.rollback()
db.autocommit = True

say('error', fails('select 1/0'))
say('error', fails(f'insert into {THINGS} (id) values (%s)', (5,)))
say('error', fails('selec 1'))
say('error', fails(f'select nope from {THINGS} where id = %s', (1,)))
say('error', *ask('select 1'))

other = connect()
other.autocommit = True
pid = ask('select pg_backend_pid()')[0]
killer = other.cursor()
cancel = lambda: killer.execute('select pg_cancel_backend(%s)', (pid,))
say('cancel', *cancelled(lambda: c.execute('select pg_sleep(30)'), cancel, code))
other.close()
say('cancel', *ask('select 1'))

sums = Sums()
db.autocommit = False
c.execute(f'declare big cursor for {BIG}')
while True:
    c.execute('fetch forward 1000 from big')
    rows = c.fetchall()
    for row in rows:
        sums.add(*row)
    if not rows:
        break
db.commit()
db.autocommit = True
sums.say()

c.execute(f'copy {THINGS} (id, name, words) from stdin (format csv)', stream=io.BytesIO(b'301,"a,b","{x}"\n302,"q""q",\n'))
say('copy in', c.rowcount, *ask(f'select array_agg(name order by id), count(words) from {THINGS} where id > 300'))
out = io.BytesIO()
c.execute(f'copy (select id, name, words from {THINGS} where id > 300 order by id) to stdout', stream=out)
say('copy out', c.rowcount, out.getvalue().decode())
try:
    c.execute(f'copy {THINGS} (id, name) from stdin', stream=io.BytesIO(b'303\tx\nmany\ty\n'))
except pg8000.Error as error:
    say('copy error', code(error))
say('copy error', *ask(f'select count(*) from {THINGS} where id = 303'))

c.execute("do $$ begin raise notice 'hello %', 1; end $$")
plain = lambda fields: {bytes(k, 'ascii') if isinstance(k, str) else k: v for k, v in fields.items()}
say('notice', *[repr(plain(each)[b'M']) for each in db.notices])
c.execute('listen clients')
c.execute("notify clients, 'payload'")
c.execute('select 1')
say('notify', *[f'{each[1]}:{each[2]}' for each in db.notifications])

if PEER:
    c.execute(f'create peer {PEER} from postgres with ({PEER_OPTIONS})')
    say('verbs', c.rowcount)
    c.execute('show peers')
    say('verbs', PEER in [row[0] for row in c.fetchall()])
    c.execute(f'show peer {PEER}')
    say('verbs', '********' in repr(c.fetchall()))
    say('verbs', *ask(f'execute {PEER} $$ select 6 * 7 $$'))
    c.execute(f'drop peer {PEER}')
    say('verbs', c.rowcount, fails(f'drop peer {PEER}'))
