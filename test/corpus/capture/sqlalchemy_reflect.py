# SQLAlchemy's inspector and reflection, by two drivers, and Core's rows.  (pip install sqlalchemy psycopg2-binary psycopg pg8000)
import os
import warnings

from sqlalchemy import MetaData, create_engine, inspect, select, text

warnings.simplefilter('ignore')
at = '%(PGUSER)s:%(PGPASSWORD)s@127.0.0.1:%(PGPORT)s/%(PGDATABASE)s' % os.environ
for driver in ('psycopg2', 'psycopg', 'pg8000'):
    engine = create_engine(f'postgresql+{driver}://{at}')
    look = inspect(engine)
    look.get_schema_names()
    look.get_sequence_names('shop')
    look.get_temp_table_names()
    look.get_enums('*')
    look.get_domains('shop')
    for schema in ('shop', 'Odd Schema', None):
        look.get_table_names(schema)
        look.get_view_names(schema)
        look.get_materialized_view_names(schema)
        look.get_foreign_table_names(schema)
        for many in ('columns', 'pk_constraint', 'foreign_keys', 'indexes', 'unique_constraints', 'check_constraints',
                     'table_comment', 'table_options'):
            getattr(look, f'get_multi_{many}')(schema=schema)
    for table in ('customers', 'orders', 'order_lines', 'events'):
        look.has_table(table, schema='shop')
        look.get_table_oid(table, schema='shop')
        look.get_columns(table, schema='shop')
        look.get_indexes(table, schema='shop')
    look.has_sequence('ticket', schema='shop')
    look.has_schema('shop')
    look.get_view_definition('totals', schema='shop')
    meta = MetaData()
    try:
        meta.reflect(engine, schema='shop', views=True)
    except Exception:
        meta = MetaData()
        meta.reflect(engine, schema='shop', only=['customers', 'orders'])
    customers = meta.tables['shop.customers']
    with engine.connect() as c:
        c.execute(select(customers.c.id, customers.c.name).where(customers.c.id < 5).order_by(customers.c.id)).all()
        c.execute(select(customers).order_by(customers.c.id).limit(3).offset(2)).all()
        with c.begin_nested():
            c.execute(text('select :a || :b'), {'a': 'x', 'b': 'y'}).scalar()
        c.execute(customers.update().where(customers.c.id == 1).values(note='n').returning(customers.c.id)).all()
        c.rollback()
    with engine.connect().execution_options(isolation_level='SERIALIZABLE', postgresql_readonly=True) as c:
        c.execution_options(stream_results=True, yield_per=10)
        c.execute(text('select * from public.plain order by id')).all()
    engine.dispose()
