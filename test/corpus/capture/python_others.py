# What pgcli asks for its completions, what asyncpg and psycopg ask of types, peewee of a schema.
# (pip install pgcli asyncpg "psycopg[binary]" psycopg2-binary peewee alembic)
import asyncio
import os
import sys
import warnings

warnings.simplefilter('ignore')
env = os.environ
at = dict(host='127.0.0.1', port=int(env['PGPORT']), user=env['PGUSER'], password=env['PGPASSWORD'])


def quietly(ask, *args):
    try:
        found = ask(*args)
        return list(found) if hasattr(found, '__iter__') else found
    except Exception:
        return None


def pgcli():
    from pgcli.pgexecute import PGExecute
    from pgspecial.main import PGSpecial
    e = PGExecute(env['PGDATABASE'], at['user'], at['password'], at['host'], at['port'])
    for ask in (e.schemata, e.tables, e.views, e.databases, e.foreignkeys, e.functions, e.datatypes, e.search_path,
                e.table_columns, e.view_columns, e.casing, e.full_databases, e.get_timezone):
        quietly(ask)
    quietly(e.get_socket_directory)
    quietly(e.view_definition, 'shop.totals')
    quietly(e.function_definition, 'shop.add')
    special = PGSpecial()
    for command in ('\\d shop.customers', '\\d+ shop.orders', '\\d shop.totals', '\\d', '\\dt+ shop.*', '\\dn+', '\\du+', '\\df shop.*',
                    '\\l+', '\\dT+', '\\dx', '\\di', '\\ds', '\\dv', '\\dm', '\\dD', '\\ddp', '\\db', '\\dE', '\\sf shop.add',
                    '\\dp', '\\dF', 'select 1; select 2', 'select nothing', '\\dRp', '\\dy'):
        try:
            for _, rows, _, _, _, _, _ in e.run(command, special):
                if rows is not None:
                    list(rows)
        except Exception:
            pass


def asyncpg():
    import asyncpg as a

    async def run():
        c = await a.connect(database=env['PGDATABASE'], **at)
        await c.fetch('select * from shop.customers where id < $1 order by id', 4)
        await c.fetch('select $1::shop.mood, $2::shop.address[], $3::shop.price_range, $4::jsonb', 'ok', [], None, '{}')
        await c.fetchval('select $1::int + $2', 1, 2)
        await c.set_type_codec('mood', schema='shop', encoder=str, decoder=str)
        await c.set_builtin_type_codec('hstore', schema='shop', codec_name='pg_contrib.hstore')
        await c.fetch('select pairs from shop.customers order by id limit 2')
        try:
            async with c.transaction(isolation='serializable', readonly=True, deferrable=True):
                async for _ in c.cursor('select id from public.plain order by id', prefetch=7):
                    pass
                async with c.transaction():
                    await c.execute('select nothing')
        except a.PostgresError:
            pass
        await c.reset()
        await c.close()

    asyncio.run(run())


def psycopg():
    import psycopg
    from psycopg.types import TypeInfo
    from psycopg.types.composite import CompositeInfo
    from psycopg.types.enum import EnumInfo
    from psycopg.types.range import RangeInfo
    with psycopg.connect(dbname=env['PGDATABASE'], **at) as c:
        TypeInfo.fetch(c, 'shop.hstore')
        CompositeInfo.fetch(c, 'shop.address')
        EnumInfo.fetch(c, 'shop.mood')
        RangeInfo.fetch(c, 'shop.price_range')
        with c.cursor(binary=True) as r:
            r.execute('select id, name, born, data, tags from shop.customers where id = any(%s) order by id', ([1, 2, 3],))
            r.fetchall()
        for _ in range(7):
            c.execute('select what from public.plain where id = %s', (5,))
        with psycopg.ServerCursor(c, 'server side') as r:
            r.execute('select * from public.plain order by id')
            r.fetchmany(5)
            r.scroll(3)
            r.fetchall()
        c.rollback()
    import psycopg2
    import psycopg2.extras
    c = psycopg2.connect(dbname=env['PGDATABASE'], **at)
    psycopg2.extras.register_hstore(c)
    psycopg2.extras.register_composite('shop.address', c)
    c.set_session(isolation_level='repeatable read', readonly=True)
    with c.cursor('named') as r:
        r.execute('select * from public.plain order by id')
        r.fetchmany(3)
    c.rollback()


def peewee():
    import peewee
    from playhouse.reflection import Introspector
    d = peewee.PostgresqlDatabase(env['PGDATABASE'], **at)
    for schema in ('shop', 'public'):
        d.get_tables(schema)
        d.get_views(schema)
        for t in ('customers', 'orders', 'order_lines'):
            quietly(d.get_indexes, t, schema)
            quietly(d.get_columns, t, schema)
            quietly(d.get_primary_keys, t, schema)
            quietly(d.get_foreign_keys, t, schema)
            quietly(d.sequence_exists, 'ticket')
    quietly(lambda: Introspector.from_database(d, schema='shop').generate_models())


{'pgcli': pgcli, 'asyncpg': asyncpg, 'psycopg': psycopg, 'peewee': peewee}[sys.argv[1]]()
