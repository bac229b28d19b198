# asyncpg: its own protocol implementation; extended queries only, always prepared, everything binary.
import asyncio
import decimal
import sys
import uuid

sys.path.pop(0)  # this file has the module's name
import asyncpg

sys.path.append(__file__.rpartition('/')[0])
from transcript import *


def connect(password=PASSWORD):
    return asyncpg.connect(host=HOST, port=PORT, user=USER, password=password, database=DATABASE, ssl=False)


async def main():
    db = await connect()
    ask = lambda text, *values: db.fetchrow(text, *values)

    async def fails(text, *values):
        try:
            await db.fetch(text, *values)
            return 'no error'
        except asyncpg.PostgresError as error:
            return '/'.join(str(each) for each in [error.sqlstate, error.message, error.table_name, error.column_name, error.position])

    say('login', *db.get_server_version(), db.get_settings().client_encoding)
    try:
        await connect(PASSWORD + '?')
        say('wrong password', 'let in')
    except asyncpg.InvalidPasswordError as error:
        say('wrong password', error.sqlstate)
    say('settings', await db.execute("set timezone to 'UTC'"), db.get_settings().TimeZone)
    say('ddl', await db.execute(f'create table {SCHEMA}.extra (id int)'), await db.execute(f'drop table {SCHEMA}.extra'))
    say('parameters', *await ask('select $1::int + 1, $2::text, $3::float8, $4::bool', 41, ODD, 1.5, True))
    say('nulls', *await ask('select $1::text is null, $2::text, null::int', None, None))
    numbers = [decimal.Decimal(each) for each in (DIGITS, '-0.00001', 'NaN')]
    say('numeric', *await ask('select $1::numeric, $2::numeric, $3::numeric, 1e100::numeric', *numbers))
    when = datetime.datetime.fromisoformat('2024-02-29 12:34:56.789012+02:00')
    say('timestamptz', *await ask('select $1::timestamptz, $1::timestamptz at time zone \'UTC\'', when))
    say('json', *await ask('select $1::json, $1::jsonb', DOC))
    say('bytea', *await ask('select $1::bytea, length($1)', BYTES))
    say('arrays', *await ask("select $1::int[], $2::text[], '{{1,2},{3,4}}'::int[]", [1, None, 3], WORDS))
    say('uuid', str((await ask('select $1::uuid', uuid.UUID(UUID)))[0]))
    say('enum', *await ask(f"insert into {THINGS} (id, name, mood) values (1, 'one', $1) returning mood, mood::text", 'happy'))
    twice = await db.prepare('select $1::int * $1')
    say('prepared', *[await twice.fetchval(n) for n in (1, 2, 3)])
    things = await db.prepare(f'select * from {THINGS} where id = $1')
    oid = lambda type: type.oid if type.schema == 'pg_catalog' else type.name
    say('types', *[f'{each.name}:{oid(each.type)}:{each.type.kind}' for each in things.get_attributes()], *[each.name for each in things.get_parameters()])
    say('types', *[str(each) for each in await things.fetchrow(1)], things.get_statusmsg())
    nested = await db.fetchrow(f"select row(1, 'x', null::{MOOD}), '[1,5)'::int4range, '1.2.3.4/24'::inet, interval '1 month 2 days'")
    say('binary', *[repr(each) for each in nested])

    say('counts', await db.execute(f"insert into {THINGS} (id, name) values (2, 'two'), (3, 'three'), (4, 'four')"))
    say('counts', await db.execute(f'update {THINGS} set amount = id * $1::numeric where id in (2, 3)', decimal.Decimal('1.5')))
    say('counts', await db.execute(f'delete from {THINGS} where id = $1', 4))
    await db.executemany(f'insert into {THINGS} (id, name) values ($1, $2)', [(n, str(n)) for n in range(10, 30)])
    say('counts', await db.fetchval(f'select count(*) from {THINGS} where id between 10 and 30'))

    transaction = db.transaction()
    await transaction.start()
    await db.execute(f"insert into {THINGS} (id, name) values (100, 'x')")
    status = [db.is_in_transaction()]
    await transaction.rollback()
    say('transaction', await db.fetchval(f'select count(*) from {THINGS} where id = 100'))
    async with db.transaction(isolation='serializable'):
        await db.execute(f"insert into {THINGS} (id, name) values (101, 'x')")
        inner = db.transaction()
        await inner.start()
        say('transaction', await fails(f"insert into {THINGS} (id, name) values (101, 'x')"))
        say('transaction', await fails('select 1'))
        await inner.rollback()
    status.append(db.is_in_transaction())
    say('transaction', await db.fetchval(f'select count(*) from {THINGS} where id = 101'), *status)

    say('error', await fails('select 1/0'))
    say('error', await fails(f'insert into {THINGS} (id) values ($1)', 5))
    say('error', await fails('selec 1'))
    say('error', await fails(f'select nope from {THINGS} where id = $1', 1))
    say('error', *await ask('select 1'))

    say('multi', await db.execute(f"select 1; insert into {THINGS} (id, name) values (200, 'x'); select 'last', 2"))
    try:
        await db.execute(f"insert into {THINGS} (id, name) values (201, 'x'); select 1 / (id - id) from {THINGS}; select 2")
    except asyncpg.PostgresError as error:
        say('multi', error.sqlstate)
    say('multi', await db.fetchval(f'select count(*) from {THINGS} where id in (200, 201)'))

    # Another connection cancels by the backend's id, until it has an effect: between Parse and Bind it has none.
    other, pid = await connect(), await db.fetchval('select pg_backend_pid()')
    busy = "pid = $1 and state = 'active' and query = 'select pg_sleep(30)'"

    over = False

    async def insist():
        while not over:
            await other.fetchval(f'select count(pg_cancel_backend(pid)) from pg_stat_activity where {busy}', pid)
            await asyncio.sleep(0.05)

    began = time.monotonic()
    insisting = asyncio.create_task(insist())
    outcome = await fails('select pg_sleep(30)')
    over = True
    await insisting
    await other.close()
    say('cancel', outcome[:5], 'in time' if time.monotonic() - began < 10 else 'late')
    say('cancel', *await ask('select 1'))
    # A time limit of asyncpg's own is a cancel request, and the connection goes on after it.
    try:
        await db.execute('select pg_sleep(30)', timeout=0.3)
        say('time limit', 'not cancelled')
    except asyncio.TimeoutError:
        say('time limit', time.monotonic() - began < 20, *await ask('select 1'))

    sums = Sums()
    async with db.transaction():
        async for row in db.cursor(BIG, prefetch=1000):
            sums.add(*row)
    sums.say()

    rows = [(301, 'a,b', ['x']), (302, 'q"q', None)]
    tag = await db.copy_records_to_table('things', schema_name=SCHEMA, columns=['id', 'name', 'words'], records=rows)
    say('copy in', tag, *await ask(f'select array_agg(name order by id), count(words) from {THINGS} where id > 300'))
    import io

    out = io.BytesIO()
    tag = await db.copy_from_query(f'select id, name, words from {THINGS} where id > $1 order by id', 300, output=out)
    say('copy out', tag, out.getvalue().decode())
    try:
        source = io.BytesIO(b'303\tx\nmany\ty\n')
        await db.copy_to_table('things', schema_name=SCHEMA, columns=['id', 'name'], source=source)
    except asyncpg.PostgresError as error:
        say('copy error', error.sqlstate, error.context)
    say('copy error', await db.fetchval(f'select count(*) from {THINGS} where id = 303'))

    notices, notified = [], asyncio.get_running_loop().create_future()
    db.add_log_listener(lambda _, message: notices.append(f'{message.severity} {message.message}'))
    await db.execute("do $$ begin raise notice 'hello %', 1; end $$")
    await asyncio.sleep(0)
    say('notice', *notices)
    await db.add_listener('clients', lambda _, pid, channel, payload: notified.set_result(f'{channel}:{payload}'))
    await db.execute("notify clients, 'payload'")
    say('notify', await asyncio.wait_for(notified, 10))

    if PEER:
        say('verbs', await db.execute(f'create peer {PEER} from postgres with ({PEER_OPTIONS})'))
        say('verbs', PEER in [row[0] for row in await db.fetch('show peers')])
        say('verbs', '********' in repr(await db.fetch(f'show peer {PEER}')))
        raw = await db.prepare(f'execute {PEER} $$ select 6 * 7 $$')
        say('verbs', await raw.fetchval(), raw.get_statusmsg())
        say('verbs', await db.execute(f'drop peer {PEER}'), await fails(f'drop peer {PEER}'))
    await db.close()


asyncio.run(main())
