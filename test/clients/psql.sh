#!/bin/sh
# psql as a person uses it: its own commands around the SQL, and what it prints on its two outputs, in the order it does.
# Lines that begin with "== " name the step that the lines after them belong to.
here=$(dirname "$0")
stdbuf -oL psql -X -q -v schema="$SCHEMA" -v things="$SCHEMA.things" -f "$here/psql.sql" 2>&1 |
  awk '/^== / { step = substr($0, 4); next } { gsub(/\t/, "<tab>"); print step "\t" $0 }' |
  sed -e "s#psql:.*psql.sql:[0-9]*: ##" -e 's/ with PID [0-9]*\.$//'
printf 'wrong password\t'
PGPASSWORD="$PGPASSWORD?" psql -X -w -c 'select 1' 2>&1 | sed -n 's/.*\(password authentication failed.*\)/\1/p'
# A query that is interrupted as by Ctrl+C, again until it has begun.
printf 'cancel\t'
psql -X -q -A -t -v VERBOSITY=sqlstate -c 'select pg_sleep(30)' >/dev/null 2>"${TMPDIR:-/tmp}/psql-cancel-$$" &
began=$(date +%s)
busy="pid <> pg_backend_pid() and query = 'select pg_sleep(30)' and state = 'active' and datname = current_database()"
until [ "$(psql -X -q -A -t -c "select count(*) from pg_stat_activity where $busy and application_name = 'psql'")" -ge 1 ]; do :; done
kill -INT $!
wait $!
sed -n 's/.*ERROR:  //p' "${TMPDIR:-/tmp}/psql-cancel-$$" | tr -d '\n'
rm -f "${TMPDIR:-/tmp}/psql-cancel-$$"
[ $(($(date +%s) - began)) -lt 10 ] && echo '|in time' || echo '|late'
psql -X -q -A -t -c 'select 1' | sed 's/^/cancel\t/'
if [ -n "$VERBS_PEER" ]; then
  psql -X -v peer="$VERBS_PEER" -v options="$VERBS_OPTIONS" -A -t <<'SQL' 2>&1 | sed 's/^/verbs\t/'
create peer :peer from postgres with (:options);
show peers \g | grep -c p_psql
show peer :peer \g | grep -c '\*\*\*\*\*\*\*\*'
execute :peer $$ select 6 * 7 $$;
execute :peer ('select 43 as n') \gset
\echo :n
drop peer :peer;
\set VERBOSITY verbose
drop peer :peer;
SQL
fi
exit 0
