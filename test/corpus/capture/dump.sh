#!/bin/sh
# pg_dump and pg_dumpall in the forms that say different things; both are of PostgreSQL 15, so they talk to 14.
export PGCONNECT_TIMEOUT=10
pg_dump -f /dev/null
pg_dump --schema-only --clean --if-exists --create -f /dev/null
pg_dump --data-only --inserts --rows-per-insert=5 -n shop -f /dev/null
pg_dump -t 'shop.o*' -T 'shop.orders' -f /dev/null
pg_dump --serializable-deferrable --enable-row-security -t public.plain -f /dev/null
pg_dumpall --globals-only -f /dev/null
pg_dumpall --schema-only -f /dev/null
pg_dumpall --roles-only --no-role-passwords -f /dev/null
vacuumdb --analyze-only -t public.plain
reindexdb -t public.plain
clusterdb -t public.plain 2>/dev/null
pg_isready -q
createuser --no-login sample_other
dropuser sample_other
createdb sample_other
dropdb sample_other
