#!/bin/sh
# psql's backslash commands, each plain, with S or +, and with patterns. Every one may fail: an error is an answer as well.
{
  for command in d d+ dS dt dt+ dtS di di+ dv dv+ dm dm+ ds ds+ dE dE+ dT dT+ dTS df df+ dfS dfa dfn dfp dft dfw da da+ \
    dn dn+ dnS du du+ dg dg+ dp z ddp des des+ deu deu+ dew dew+ det det+ dx dx+ l l+ db db+ dc dc+ dcS dC dC+ dD dD+ dDS \
    dF dF+ dFd dFd+ dFp dFp+ dFt dFt+ drds dRp dRp+ dRs dRs+ dy dy+ dO dO+ dOS dL dL+ dLS dP dP+ dPt dPi dPn dX dA dA+ \
    dAc dAc+ dAf dAf+ dAo dAo+ dAp dAp+ do do+ doS dl dl+ dd ddS dconfig dconfig+; do
    echo "\\$command"
  done
  for command in d d+ dt dt+ di+ dv+ dm ds+ dT dT+ df df+ da dn+ dp ddp des des+ dx dx+ dc dC dD+ dF dFd+ dO dL dP+ dX do+ dd; do
    echo "\\$command shop.*"
    echo "\\$command *o*"
  done
  for name in shop.customers shop.orders shop.products shop.order_lines shop.scratch shop.events shop.events_2024 \
    shop.events_2024_some shop.hashed shop.animal shop.dog shop.typed shop.bookings shop.happy shop.totals shop.summary \
    shop.ticket shop.far shop.address shop.customers_pkey shop.customers_name_lower public.numbers shop.customers_id_seq \
    '"Odd Schema"."Table with ""quotes"""' public.no_columns '"UPPER"' shop.nowhere pg_class pg_stat_activity; do
    echo "\\d $name"
    echo "\\d+ $name"
  done
  echo '\dt shop.ord*|shop.ev?nts'
  echo '\df shop.add int int'
  echo '\df+ shop.(add|many)'
  echo '\do shop.*'
  echo '\dT+ shop.mood'
  echo '\dC+ shop.*'
  echo '\drds sample_writer sample'
  echo '\du+ sample_*'
  echo '\dRp+ some_tables'
  echo '\dconfig work_*'
  echo '\dconfig+ search_path'
  echo '\dp shop.customers'
  for name in shop.happy shop.totals public.numbers shop.summary; do
    echo "\\sv $name"
    echo "\\sv+ $name"
  done
  for name in shop.add 'shop.many(numeric[])' shop.touch shop.pay shop.nothing shop.concat_all shop.missing; do
    echo "\\sf $name"
    echo "\\sf+ $name"
  done
  echo '\setenv EDITOR true'
  echo '\ef shop.add'
  echo '\r'
  echo '\ev shop.happy'
  echo '\r'
  echo '\conninfo'
  echo '\encoding LATIN1'
  echo '\encoding UTF8'
  echo 'select 1 as one, null as nothing \gdesc'
  echo "select format('select %L', x) from generate_series(1, 2) x \\gexec"
  echo 'select 7 as seven \gset'
  echo 'select :seven + 1;'
  echo 'select feels, id % 2 as odd, count(*) from shop.customers group by 1, 2 order by 1, 2 \crosstabview'
  echo 'select id, name from shop.customers order by id limit 3 \gx'
  echo '\set FETCH_COUNT 10'
  echo 'select id, what from public.plain order by id;'
  echo '\set FETCH_COUNT 0'
  echo '\set ON_ERROR_ROLLBACK on'
  echo 'begin;'
  echo 'select 1;'
  echo 'select nothing;'
  echo 'commit;'
  echo '\set ON_ERROR_ROLLBACK off'
  echo '\set AUTOCOMMIT off'
  echo 'select count(*) from shop.orders;'
  echo 'rollback;'
  echo '\set AUTOCOMMIT on'
  echo '\copy (select * from public.plain order by id limit 3) to /dev/null csv header'
  echo '\lo_list'
  echo '\watch 0'
} | grep -v watch | psql -X -q >/dev/null 2>&1
psql -X -q -l >/dev/null
