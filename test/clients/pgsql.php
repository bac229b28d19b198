<?php
// PHP's pgsql functions: libpq as it is, with asynchronous queries and its own array and insert helpers.
error_reporting(E_ALL & ~E_WARNING);
$schema = getenv('SCHEMA');
$things = "$schema.things";
$big = "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i";

function say(string $step, ...$values): void {
  $show = fn($value) => match (true) { $value === null => 'NULL', is_string($value) => strtr($value, ["\t" => '<tab>', "\n" => '<newline>']), default => json_encode($value, JSON_UNESCAPED_UNICODE) };
  echo $step, "\t", implode('|', array_map($show, $values)), "\n";
}
function connect(string $password) {
  return pg_connect("password='$password'", PGSQL_CONNECT_FORCE_NEW);
}

$db = connect(getenv('PGPASSWORD'));
function ask(string $text, array $values = []): array {
  global $db;
  return pg_fetch_row(pg_query_params($db, $text, $values));
}
function fails(string $text, ?array $values = null): string {
  global $db;
  $values === null ? pg_send_query($db, $text) : pg_send_query_params($db, $text, $values);
  $told = 'no error';
  while ($result = pg_get_result($db)) {
    $code = pg_result_error_field($result, PGSQL_DIAG_SQLSTATE);
    if ($code) $told = implode('/', [$code, pg_result_error_field($result, PGSQL_DIAG_MESSAGE_PRIMARY), pg_result_error_field($result, PGSQL_DIAG_COLUMN_NAME), pg_result_error_field($result, PGSQL_DIAG_STATEMENT_POSITION)]);
  }
  return $told;
}

say('login', pg_version($db)['server'], pg_parameter_status($db, 'server_encoding'));
say('wrong password', connect(getenv('PGPASSWORD') . '?') ? 'let in' : strstr(error_get_last()['message'], 'password authentication failed'));
pg_query($db, "set timezone to 'UTC'");
say('settings', pg_parameter_status($db, 'TimeZone'));
say('ddl', 'ok', pg_affected_rows(pg_query($db, "create table $schema.extra (id int)")), pg_affected_rows(pg_query($db, "drop table $schema.extra")));
say('parameters', ...ask('select $1::int + 1, $2::text, $3::float8, $4::bool', [41, "O'Reilly \\ ü€", 1.5, 't']));
say('nulls', ...ask('select $1::text is null, $2::text, null::int', [null, null]));
say('numeric', ...ask('select $1::numeric, $2::numeric, $3::numeric', ['12345678901234567890.123456789', '-0.00001', 'NaN']));
say('timestamptz', ...ask('select $1::timestamptz', ['2024-02-29 12:34:56.789012+02']));
say('json', ...ask('select $1::json, $1::jsonb', ['{"a": [1, 2.50, null], "b": "ü"}']));
say('bytea', bin2hex(pg_unescape_bytea(ask('select $1::bytea', [pg_escape_bytea($db, "\x00\x01\x00\xff\\'")])[0])));
say('arrays', ...ask('select $1::int[], $2::text[]', ['{1,NULL,3}', '{a,"b,c",NULL,"d\"e",""}']));
say('uuid', ...ask('select $1::uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']));
say('enum', ...ask("insert into $things (id, name, mood) values (1, 'one', \$1) returning mood", ['happy']));
$result = pg_query($db, "select id, name, amount, at, doc, raw, list, words, uid from $things");
for ($i = 0; $i < pg_num_fields($result); $i++) say('types', pg_field_name($result, $i), pg_field_type_oid($result, $i), pg_field_type($result, $i), pg_field_size($result, $i), pg_field_table($result, $i));
say('types', array_map(fn($column) => $column['type'], pg_meta_data($db, $things)));
pg_prepare($db, 'twice', 'select $1::int * $1');
foreach ([1, 2, 3] as $n) say('prepared', ...pg_fetch_row(pg_execute($db, 'twice', [$n])));
say('counts', pg_affected_rows(pg_query($db, "insert into $things (id, name) values (2, 'two'), (3, 'three'), (4, 'four')")));
say('counts', pg_affected_rows(pg_query_params($db, "update $things set amount = id * \$1::numeric where id in (2, 3)", ['1.5'])));
$result = pg_query($db, "delete from $things where id = 4");
say('counts', pg_affected_rows($result), pg_result_status($result, PGSQL_STATUS_STRING));

pg_query($db, 'begin');
pg_query($db, "insert into $things (id, name) values (100, 'x')");
say('transaction', pg_transaction_status($db), pg_query($db, 'rollback') !== false, pg_transaction_status($db));
say('transaction', ...ask("select count(*) from $things where id = 100"));
pg_query($db, 'begin');
pg_query($db, "insert into $things (id, name) values (101, 'x')");
pg_query($db, 'savepoint s');
say('transaction', fails("insert into $things (id, name) values (\$1, 'x')", [101]), pg_transaction_status($db));
say('transaction', fails('select 1'));
pg_query($db, 'rollback to savepoint s');
pg_query($db, 'commit');
say('transaction', ...ask("select count(*) from $things where id = 101"));

say('error', fails('select 1/0'));
say('error', fails("insert into $things (id) values (\$1)", [5]));
say('error', fails('selec 1'));
say('error', fails("select nope from $things where id = \$1", [1]));
say('error', ...ask('select 1'));
pg_send_query($db, "select 1; insert into $things (id, name) values (200, 'x'); select 'last', 2");
while ($result = pg_get_result($db)) say('multi', pg_result_status($result, PGSQL_STATUS_STRING), pg_fetch_all($result, PGSQL_NUM));
say('multi', fails("insert into $things (id, name) values (201, 'x'); select 1 / (id - id) from $things; select 2"));
say('multi', ...ask("select count(*) from $things where id in (200, 201)"));

// The first is cancelled by the server's function, which leaves the error to be seen, the second by the library, which does not.
$other = connect(getenv('PGPASSWORD'));
[$pid] = ask('select pg_backend_pid()');
$busy = "pg_stat_activity where pid = $1 and state = 'active' and query like '%pg_sleep(30)%'";
foreach (['cancel', 'cancel by the library'] as $step) {
  pg_send_query($db, 'select pg_sleep(30)');
  $began = microtime(true);
  $act = $step === 'cancel' ? 'pg_cancel_backend(pid)' : 'pid';
  while (pg_num_rows(pg_query_params($other, "select $act from $busy", [$pid])) === 0) usleep(50000);
  if ($step === 'cancel') $told = pg_result_error_field(pg_get_result($db), PGSQL_DIAG_SQLSTATE);
  else $told = pg_cancel_query($db);
  while (pg_get_result($db));
  say($step, $told, microtime(true) - $began < 10 ? 'in time' : 'late');
}
say('cancel', ...ask('select 1'));

$sums = [0, 0, 0, 0];
$add = function (array $row) use (&$sums): void {
  $sums[0]++;
  $sums[1] += (int) $row[0];
  $sums[2] = ($sums[2] * 31 + (int) $row[1]) % 1000000007;
  $sums[3] += strlen($row[2]);
};
pg_query($db, 'begin');
pg_query($db, "declare big cursor for $big");
while ($rows = pg_fetch_all(pg_query($db, 'fetch 1000 from big'), PGSQL_NUM)) array_map($add, $rows);
pg_query($db, 'commit');
say('chunks', ...$sums);

pg_query($db, "copy $things (id, name, words) from stdin (format csv)");
pg_put_line($db, "301,\"a,b\",\"{x}\"\n302,\"q\"\"q\",\n");
pg_end_copy($db);
say('copy in', ...ask("select array_agg(name order by id), count(words) from $things where id > 300"));
say('copy out', ...pg_copy_to($db, "(select id, name, words from $things where id > 300 order by id)"));
say('copy error', pg_copy_from($db, "$things (id, name)", ["303\tx\n", "many\ty\n"]), explode("\n", pg_last_error($db))[0]);
say('copy error', ...ask("select count(*) from $things where id = 303"));
pg_query($db, "do \$\$ begin raise notice 'hello %', 1; end \$\$");
say('notice', pg_last_notice($db));
pg_query($db, 'listen clients');
pg_query($db, "notify clients, 'payload'");
$notification = pg_get_notify($db, PGSQL_NUM);
say('notify', $notification[0], $notification[2]);

if ($peer = getenv('VERBS_PEER')) {
  say('verbs', pg_result_status(pg_query($db, "create peer $peer from postgres with (" . getenv('VERBS_OPTIONS') . ')'), PGSQL_STATUS_STRING));
  say('verbs', in_array($peer, pg_fetch_all_columns(pg_query($db, 'show peers'))));
  say('verbs', in_array('********', array_merge(...pg_fetch_all(pg_query($db, "show peer $peer"), PGSQL_NUM))));
  say('verbs', ...ask("execute $peer \$\$ select 6 * 7 \$\$"));
  say('verbs', pg_result_status(pg_query($db, "drop peer $peer"), PGSQL_STATUS_STRING), fails("drop peer $peer"));
}
