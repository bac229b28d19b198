# SQLAlchemy over psycopg2: what an application of it does, its reflection of tables, and its pool's reset.
import decimal
import os
import sys
import uuid

sys.path.pop(0)  # this file has the module's name
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

sys.path.append(__file__.rpartition('/')[0])
from transcript import *


def engine_of(password=PASSWORD, **more):
    url = sa.engine.URL.create('postgresql+psycopg2', USER, password, HOST, PORT, DATABASE)
    return sa.create_engine(url, future=True, **more)


engine = engine_of()
metadata = sa.MetaData(schema=SCHEMA)
things = sa.Table('things', metadata, autoload_with=engine)


def code(error):
    return error.orig.pgcode


def fails(db, statement, values=None):
    try:
        with db.begin_nested() if db.in_transaction() else db.begin():
            db.execute(sa.text(statement) if isinstance(statement, str) else statement, values or {})
        return 'no error'
    except sa.exc.DBAPIError as error:
        return '/'.join(str(each) for each in [type(error).__name__, code(error), error.orig.diag.column_name])


with engine.connect() as db:
    one = lambda *columns: db.execute(sa.select(*columns)).one()
    say('login', engine.dialect.server_version_info, *one(sa.func.current_setting('server_version')))
    try:
        engine_of(PASSWORD + '?').connect()
        say('wrong password', 'let in')
    except sa.exc.OperationalError as error:
        say('wrong password', refusal(error.orig, code(error)))
    db.execute(sa.text("set timezone to 'UTC'"))
    say('settings', *db.execute(sa.text('show timezone')).one())
    extra = sa.Table('extra', metadata, sa.Column('id', sa.Integer, primary_key=True), sa.Column('note', sa.String(20)))
    extra.create(db)
    say('ddl', sa.inspect(db).has_table('extra', schema=SCHEMA))
    extra.drop(db)
    say('ddl', 'ok', sa.inspect(db).has_table('extra', schema=SCHEMA))
    say('parameters', *one(sa.literal(41) + 1, sa.literal(ODD), sa.literal(1.5), sa.literal(True)))
    say('nulls', *one(sa.cast(None, sa.Text).is_(None), sa.null()))
    say('numeric', *one(*[sa.cast(decimal.Decimal(each), sa.Numeric) for each in (DIGITS, '-0.00001', 'NaN')]))
    when = datetime.datetime.fromisoformat('2024-02-29 12:34:56.789012+02:00')
    say('timestamptz', *one(sa.cast(when, sa.DateTime(timezone=True))))
    say('json', *one(sa.cast({'a': [1, 2.5, None], 'b': 'ü'}, pg.JSONB), sa.cast({'b': 1}, sa.JSON)))
    say('bytea', *one(sa.cast(BYTES, sa.LargeBinary)))
    say('arrays', *one(sa.cast([1, None, 3], sa.ARRAY(sa.Integer)), sa.cast(WORDS, sa.ARRAY(sa.Text))))
    say('uuid', str(one(sa.cast(uuid.UUID(UUID), pg.UUID(as_uuid=True)))[0]))
    insert = things.insert().values(id=1, name='one', mood='happy').returning(things.c.mood)
    say('enum', *db.execute(insert).one())
    say('types', *[f'{each.name}:{each.type!r}:{each.nullable}:{each.primary_key}' for each in things.columns])
    inspector = sa.inspect(db)
    say('types', *inspector.get_pk_constraint('things', schema=SCHEMA)['constrained_columns'], *[each['labels'] for each in inspector.get_enums(SCHEMA)])
    say('types', SCHEMA in inspector.get_schema_names(), inspector.get_table_names(SCHEMA), inspector.get_view_names(SCHEMA), inspector.get_indexes('things', SCHEMA), inspector.get_foreign_keys('things', SCHEMA))
    twice = sa.select(sa.bindparam('n', type_=sa.Integer) * sa.bindparam('n', type_=sa.Integer))
    say('prepared', *[db.execute(twice, {'n': n}).scalar() for n in (1, 2, 3)])
    db.execute(things.insert(), [{'id': n, 'name': str(n)} for n in (2, 3, 4)])
    say('counts', '3', db.execute(things.update().where(things.c.id.in_([2, 3])).values(amount=things.c.id * 1.5)).rowcount)
    say('counts', db.execute(things.delete().where(things.c.id == 4)).rowcount)
    db.commit()

    db.execute(things.insert().values(id=100, name='x'))
    db.rollback()
    say('transaction', db.execute(sa.select(sa.func.count()).where(things.c.id == 100)).scalar())
    db.execute(things.insert().values(id=101, name='x'))
    say('transaction', fails(db, things.insert().values(id=101, name='x')))
    nested = db.begin_nested()
    for statement in 'select 1/0', 'select 1':
        try:
            db.execute(sa.text(statement))
        except sa.exc.DBAPIError as error:
            say('transaction', code(error))
    nested.rollback()
    db.commit()
    say('transaction', db.execute(sa.select(sa.func.count()).where(things.c.id == 101)).scalar())
    db.rollback()

    say('error', fails(db, 'select 1/0'))
    say('error', fails(db, things.insert().values(id=5)))
    say('error', fails(db, 'selec 1'))
    say('error', *one(sa.literal(1)))
    say('multi', db.execute(sa.text(f"select 1; insert into {THINGS} (id, name) values (200, 'x'); select 'last'")).scalar())
    db.commit()
    say('multi', db.execute(sa.select(sa.func.count()).where(things.c.id == 200)).scalar())
    db.rollback()

    raw = db.connection.driver_connection if hasattr(db.connection, 'driver_connection') else db.connection.dbapi_connection
    say('cancel', *cancelled(lambda: db.execute(sa.text('select pg_sleep(30)')), raw.cancel, code))
    db.rollback()
    say('cancel', *one(sa.literal(1)))
    sums = Sums()
    for row in db.execution_options(stream_results=True, yield_per=1000).execute(sa.text(BIG)):
        sums.add(*row)
    sums.say()
    db.rollback()
    import io

    with raw.cursor() as c:
        c.copy_expert(f'copy {THINGS} (id, name, words) from stdin (format csv)', io.StringIO('301,"a,b","{x}"\n302,"q""q",\n'))
        db.commit()
        say('copy in', db.execute(sa.select(sa.func.array_agg(things.c.name)).where(things.c.id > 300)).scalar())

# The pool hands one connection on to the next user; nothing of the first may be left.
pool = engine_of(pool_size=1, max_overflow=0)
with pool.connect() as db:
    db.execute(sa.text("set local work_mem = '7MB'"))
    first = db.execute(sa.text('show work_mem')).scalar()
with pool.connect() as db:
    say('pool', first, db.execute(sa.text('show work_mem')).scalar())

if PEER:
    with engine.connect().execution_options(isolation_level='AUTOCOMMIT') as db:
        say('verbs', db.exec_driver_sql(f'create peer {PEER} from postgres with ({PEER_OPTIONS})').rowcount)
        say('verbs', PEER in [row[0] for row in db.exec_driver_sql('show peers')])
        say('verbs', '********' in repr(db.exec_driver_sql(f'show peer {PEER}').all()))
        say('verbs', db.exec_driver_sql(f'execute {PEER} $$ select 6 * 7 as n $$').scalar())
        db.exec_driver_sql(f'drop peer {PEER}')
        try:
            db.exec_driver_sql(f'drop peer {PEER}')
        except sa.exc.DBAPIError as error:
            say('verbs', code(error))
