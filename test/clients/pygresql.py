# PyGreSQL: libpq under Python's older, classic interface; parameters and prepared statements of the protocol.
import sys

import pg

from transcript import *


def connect(password=PASSWORD):
    return pg.DB(dbname=DATABASE, host=HOST, port=PORT, user=USER, passwd=password)


db = connect()
pg.set_jsondecode(None)


def ask(text, *values):
    return db.query(text, values).getresult()[0] if values else db.query(text).getresult()[0]


def fails(text, *values):
    try:
        db.query(text, values) if values else db.query(text)
        return 'no error'
    except pg.DatabaseError as error:
        return f'{error.sqlstate}/{str(error).splitlines()[0]}'


say('login', db.server_version, db.get_parameter('server_version'))
try:
    connect(PASSWORD + '?')
    say('wrong password', 'let in')
except pg.Error as error:
    say('wrong password', refusal(error))
db.query("set timezone to 'UTC'")
say('settings', db.get_parameter('timezone'))
say('ddl', 'ok', str(db.query(f'create table {SCHEMA}.extra (id int)')), str(db.query(f'drop table {SCHEMA}.extra')))
say('parameters', *ask('select $1::int + 1, $2::text, $3::float8, $4::bool', 41, ODD, 1.5, True))
say('nulls', *ask('select $1::text is null, $2::text, null::int', None, None))
say('numeric', *ask('select $1::numeric, $2::numeric, $3::numeric', DIGITS, '-0.00001', 'NaN'))
say('timestamptz', *ask('select $1::timestamptz', '2024-02-29 12:34:56.789012+02'))
say('json', *ask('select $1::json, $1::jsonb', DOC))
say('bytea', *ask('select $1::bytea', db.escape_bytea(BYTES)))
say('arrays', *ask("select $1::int[], $2::text[]", '{1,NULL,3}', '{a,"b,c",NULL,"d\\"e",""}'))
say('uuid', str(ask('select $1::uuid', UUID)[0]))
say('enum', *ask(f"insert into {THINGS} (id, name, mood) values (1, 'one', $1) returning mood", 'happy'))
result = db.query(f'select id, name, amount, at, doc, raw, list, words, uid from {THINGS}')
say('types', *result.listfields())
db.prepare('twice', 'select $1::int * $1')
say('prepared', *[db.query_prepared('twice', n).getresult()[0][0] for n in (1, 2, 3)])
say('prepared', *db.describe_prepared('twice').listfields())
say('counts', db.query(f"insert into {THINGS} (id, name) values (2, 'two'), (3, 'three'), (4, 'four')"))
say('counts', db.query(f'update {THINGS} set amount = id * $1::numeric where id in (2, 3)', ['1.5']))
say('counts', db.query(f'delete from {THINGS} where id = $1', [4]))
db.query_formatted(f'update {THINGS} set name = %s where id = %s', ('uno', 1))
say('counts', *ask(f'select name from {THINGS} where id = 1'))

db.begin()
db.query(f"insert into {THINGS} (id, name) values (100, 'x')")
status = [db.transaction()]
db.rollback()
say('transaction', *ask(f'select count(*) from {THINGS} where id = 100'))
db.begin()
db.query(f"insert into {THINGS} (id, name) values (101, 'x')")
db.savepoint('s')
say('transaction', fails(f"insert into {THINGS} (id, name) values (101, 'x')"))
status.append(db.transaction())
say('transaction', fails('select 1'))
db.rollback('s')
db.commit()
say('transaction', *ask(f'select count(*) from {THINGS} where id = 101'), *status, db.transaction())

say('error', fails('select 1/0'))
say('error', fails(f'insert into {THINGS} (id) values ($1)', 5))
say('error', fails('selec 1'))
say('error', *ask('select 1'))
say('multi', *ask(f"select 1; insert into {THINGS} (id, name) values (200, 'x'); select 'last', 2"))
say('multi', fails(f"insert into {THINGS} (id, name) values (201, 'x'); select 1 / (id - id) from {THINGS}; select 2"))
say('multi', *ask(f'select count(*) from {THINGS} where id in (200, 201)'))

say('cancel', *cancelled(lambda: db.query('select pg_sleep(30)'), db.cancel, lambda error: error.sqlstate))
say('cancel', *ask('select 1'))

sums = Sums()
db.begin()
db.query(f'declare big cursor for {BIG}')
while rows := db.query('fetch 1000 from big').getresult():
    for row in rows:
        sums.add(*row)
db.commit()
sums.say()

db.query(f'copy {THINGS} (id, name) from stdin (format csv)')
db.putline('301,"a,b"\n')
db.putline('302,"q""q"\n')
db.endcopy()
say('copy in', *ask(f'select array_agg(name order by id) from {THINGS} where id > 300'))
db.query(f'copy (select id, name, words from {THINGS} where id > 300 order by id) to stdout')
lines = []
while (line := db.getline()) not in ('\\.', None):
    lines.append(line)
say('copy out', *lines)
db.query(f'copy {THINGS} (id, name) from stdin')
db.putline('303\tx\n')
db.putline('many\ty\n')
try:
    db.endcopy()
except OSError as error:
    say('copy error', str(error))
say('copy error', *ask(f'select count(*) from {THINGS} where id = 303'))

db.set_notice_receiver(lambda notice: say('notice', f'{notice.severity} {notice.primary}'))
db.query("do $$ begin raise notice 'hello %', 1; end $$")
db.query('listen clients')
db.query("notify clients, 'payload'")
said = db.getnotify()
say('notify', said[0], said[2])

if PEER:
    say('verbs', db.query(f'create peer {PEER} from postgres with ({PEER_OPTIONS})'))
    say('verbs', PEER in [row[0] for row in db.query('show peers').getresult()])
    say('verbs', '********' in repr(db.query(f'show peer {PEER}').getresult()))
    say('verbs', *ask(f'execute {PEER} $$ select 6 * 7 $$'))
    say('verbs', db.query(f'drop peer {PEER}'), fails(f'drop peer {PEER}'))
