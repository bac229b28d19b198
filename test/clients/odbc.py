# ODBC: psqlodbc under unixODBC, driven through pyodbc; server-side prepares, cursors by fetch size, catalog functions.
import decimal
import os
import uuid

import pyodbc

from transcript import *

MODE = os.environ['PGSSLMODE']


def connect(password=PASSWORD, more=''):
    settings = {'Driver': 'PostgreSQL Unicode', 'Server': HOST, 'Port': PORT, 'Database': DATABASE, 'Uid': USER}
    text = ';'.join(f'{name}={{{value}}}' if name == 'Driver' else f'{name}={value}' for name, value in settings.items())
    return pyodbc.connect(f'{text};Pwd={{{password}}};SSLmode={MODE};{more}', autocommit=True)


# One with a fetch size, for results in portions.
db, portioned = connect(), connect(more='UseDeclareFetch=1;Fetch=1000')
c = db.cursor()


def ask(text, *values):
    return list(c.execute(text, *values).fetchone())


def code(error):
    return f'{error.args[0]}/{refusal(error)}' if '28' == error.args[0][:2] else error.args[0]


def fails(text, *values):
    try:
        c.execute(text, *values)
        return 'no error'
    except pyodbc.Error as error:
        words = error.args[1].split('ERROR: ')[-1].split(';')[0].split('\n')[0]
        return f'{error.args[0]}/{words}'


say('login', db.getinfo(pyodbc.SQL_DBMS_NAME), *ask("select current_setting('server_version_num')"))
try:
    connect(PASSWORD + '?')
    say('wrong password', 'let in')
except pyodbc.Error as error:
    say('wrong password', refusal(error).split('\n')[0].replace(' (101) (SQLDriverConnect)', ''))
c.execute("set timezone to 'UTC'")
say('settings', *ask('show timezone'))
say('ddl', c.execute(f'create table {SCHEMA}.extra (id int)').rowcount, c.execute(f'drop table {SCHEMA}.extra').rowcount)
say('parameters', *ask('select ?::int + 1, ?::text, ?::float8, ?::bool', 41, ODD, 1.5, True))
say('nulls', *ask('select ?::text is null, ?::text, null::int', None, None))
say('numeric', *ask('select ?::numeric, ?::numeric, ?::numeric::text', decimal.Decimal(DIGITS), decimal.Decimal('-0.00001'), 'NaN'))
say('timestamptz', *ask('select ?::timestamptz', '2024-02-29 12:34:56.789012+02'))
say('json', *ask('select ?::json, ?::jsonb', DOC, DOC))
say('bytea', *ask('select ?::bytea', BYTES))
say('arrays', *ask('select ?::int[], ?::text[]', '{1,NULL,3}', '{a,"b,c",NULL,"d\\"e",""}'))
say('uuid', str(ask('select ?::uuid', uuid.UUID(UUID))[0]).lower())
say('enum', *ask(f"insert into {THINGS} (id, name, mood) values (1, 'one', ?::{MOOD}) returning mood", 'happy'))
c.execute(f'select id, name, amount, at, doc, raw, list, words, uid from {THINGS}')
say('types', *[f'{each[0]}:{each[1].__name__}:{each[3]}:{each[4]}:{each[5]}:{each[6]}' for each in c.description])
say('types', *[f'{each.column_name}:{each.type_name}:{each.nullable}' for each in c.columns(table='things', schema=SCHEMA)])
say('types', *[each.column_name for each in c.primaryKeys(table='things', schema=SCHEMA)], *[each.table_name for each in c.tables(schema=SCHEMA)])
say('prepared', *[ask('select ?::int * ?::int', n, n)[0] for n in (1, 2, 3)])
say('counts', c.execute(f"insert into {THINGS} (id, name) values (2, 'two'), (3, 'three'), (4, 'four')").rowcount)
say('counts', c.execute(f'update {THINGS} set amount = id * ?::numeric where id in (2, 3)', decimal.Decimal('1.5')).rowcount)
say('counts', c.execute(f'delete from {THINGS} where id = ?', 4).rowcount)

db.autocommit = False
c.execute(f"insert into {THINGS} (id, name) values (100, 'x')")
db.rollback()
say('transaction', *ask(f'select count(*) from {THINGS} where id = 100'))
db.rollback()
c.execute(f"insert into {THINGS} (id, name) values (101, 'x')")
# The driver sets a savepoint of its own before each statement, and so the transaction goes on.
say('transaction', fails(f"insert into {THINGS} (id, name) values (101, 'x')"))
db.commit()
whole = connect(more='Protocol=7.4-0')  # and here it does not
whole.autocommit = False
other = whole.cursor()
for text in 'select 1/0', 'select 1':
    try:
        other.execute(text)
        say('transaction', 'no error')
    except pyodbc.Error as error:
        say('transaction', error.args[1].split('ERROR: ')[-1].split(';')[0])
whole.rollback()
say('transaction', *ask(f'select count(*) from {THINGS} where id = 101'))
db.rollback()
db.autocommit = True

say('error', fails('select 1/0'))
say('error', fails(f'insert into {THINGS} (id) values (?)', 5))
say('error', fails('selec 1'))
say('error', *ask('select 1'))
c.execute(f"select 1; insert into {THINGS} (id, name) values (200, 'x'); select 'last', 2")
say('multi', *c.fetchone(), c.nextset(), c.rowcount, c.nextset(), *c.fetchone(), c.nextset())
say('multi', fails(f"insert into {THINGS} (id, name) values (201, 'x'); select 1 / (id - id) from {THINGS}; select 2"))
say('multi', *ask(f'select count(*) from {THINGS} where id = 200'))

say('cancel', *cancelled(lambda: c.execute('select pg_sleep(30)'), c.cancel, lambda error: 'canceling statement due to user request' if 'canceling statement due to user request' in str(error) or error.args[0] in ('57014', 'HY008') else str(error)))
say('cancel', *ask('select 1'))

sums = Sums()
for row in portioned.cursor().execute(BIG):
    sums.add(*row)
sums.say()

if PEER:
    say('verbs', c.execute(f'create peer {PEER} from postgres with ({PEER_OPTIONS})').rowcount)
    say('verbs', PEER in [row[0] for row in c.execute('show peers').fetchall()])
    say('verbs', '********' in repr(c.execute(f'show peer {PEER}').fetchall()))
    say('verbs', *ask(f'execute {PEER} $$ select 6 * 7 $$'))
    say('verbs', c.execute(f'drop peer {PEER}').rowcount, fails(f'drop peer {PEER}'))
