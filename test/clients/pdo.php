<?php
// PHP's PDO with its pgsql driver: server-side prepares, emulated ones, COPY and notifications by the driver's own methods.
$schema = getenv('SCHEMA');
$things = "$schema.things";
$big = "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i";

function show($value): string {
  if ($value === null) return 'NULL';
  if (is_resource($value)) return bin2hex(stream_get_contents($value));
  if (is_string($value)) return strtr($value, ["\t" => '<tab>', "\n" => '<newline>']);
  return json_encode($value, JSON_UNESCAPED_UNICODE);
}

function say(string $step, ...$values): void {
  echo $step, "\t", implode('|', array_map('show', $values)), "\n";
}

function connect(string $password, array $more = []): PDO {
  $dsn = 'pgsql:host=' . getenv('PGHOST') . ';port=' . getenv('PGPORT') . ';dbname=' . getenv('PGDATABASE');
  return new PDO($dsn, getenv('PGUSER'), $password, $more + [PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_NUM]);
}

$db = connect(getenv('PGPASSWORD'));
function run(string $text, array $values = []): PDOStatement {
  global $db;
  if ($values === []) return $db->query($text);
  $statement = $db->prepare($text);
  foreach ($values as $i => $value) {
    $type = match (true) { is_int($value) => PDO::PARAM_INT, is_bool($value) => PDO::PARAM_BOOL, is_null($value) => PDO::PARAM_NULL, default => PDO::PARAM_STR };
    $statement->bindValue($i + 1, $value, $type);
  }
  $statement->execute();
  return $statement;
}
function ask(string $text, array $values = []): array {
  return run($text, $values)->fetch();
}
function fails(string $text, array $values = []): string {
  try {
    run($text, $values);
    return 'no error';
  } catch (PDOException $error) {
    return $error->errorInfo[0] . '/' . explode("\n", $error->errorInfo[2])[0];
  }
}

say('login', $db->getAttribute(PDO::ATTR_SERVER_VERSION));
try {
  connect(getenv('PGPASSWORD') . '?');
  say('wrong password', 'let in');
} catch (PDOException $error) {
  say('wrong password', trim(strstr($error->getMessage(), 'password authentication failed')));
}
run("set timezone to 'UTC'");
say('settings', ...ask('show timezone'));
say('ddl', $db->exec("create table $schema.extra (id int)"), $db->exec("drop table $schema.extra"));
say('parameters', ...ask('select ?::int + 1, ?::text, ?::float8, ?::bool', [41, "O'Reilly \\ ü€", 1.5, true]));
say('nulls', ...ask('select ?::text is null, ?::text, null::int', [null, null]));
say('numeric', ...ask('select ?::numeric, ?::numeric, ?::numeric', ['12345678901234567890.123456789', '-0.00001', 'NaN']));
say('timestamptz', ...ask('select ?::timestamptz', ['2024-02-29 12:34:56.789012+02']));
$doc = '{"a": [1, 2.50, null], "b": "ü"}';
say('json', ...ask('select ?::json, ?::jsonb', [$doc, $doc]));
$statement = $db->prepare('select ?::bytea');
$statement->bindValue(1, "\x00\x01\x00\xff\\'", PDO::PARAM_LOB);
$statement->execute();
say('bytea', ...$statement->fetch());
say('arrays', ...ask('select ?::int[], ?::text[]', ['{1,NULL,3}', '{a,"b,c",NULL,"d\"e",""}']));
say('uuid', ...ask('select ?::uuid', ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']));
say('enum', ...ask("insert into $things (id, name, mood) values (1, 'one', ?) returning mood", ['happy']));
$statement = run("select id, name, amount, at, doc, raw, list, words, uid from $things");
for ($i = 0; $i < $statement->columnCount(); $i++) {
  $meta = $statement->getColumnMeta($i);
  say('types', $meta['name'], $meta['native_type'], $meta['pgsql:oid'], $meta['len'], $meta['precision'], $meta['table']);
}
$statement = $db->prepare('select :n::int * :n::int');
foreach ([1, 2, 3] as $n) {
  $statement->execute(['n' => $n]);
  say('prepared', $statement->fetchColumn());
}
say('counts', run("insert into $things (id, name) values (2, 'two'), (3, 'three'), (4, 'four')")->rowCount());
say('counts', run("update $things set amount = id * ?::numeric where id in (2, 3)", ['1.5'])->rowCount());
say('counts', run("delete from $things where id = ?", [4])->rowCount());

$db->beginTransaction();
run("insert into $things (id, name) values (100, 'x')");
$db->rollBack();
say('transaction', ...ask("select count(*) from $things where id = 100"));
$db->beginTransaction();
run("insert into $things (id, name) values (101, 'x')");
$db->exec('savepoint s');
say('transaction', fails("insert into $things (id, name) values (?, 'x')", [101]));
say('transaction', fails('select 1'), $db->inTransaction());
$db->exec('rollback to savepoint s');
$db->commit();
say('transaction', ...ask("select count(*) from $things where id = 101"));

say('error', fails('select 1/0'));
say('error', fails("insert into $things (id) values (?)", [5]));
say('error', fails('selec 1'));
say('error', ...ask('select 1'));
say('multi', $db->exec("select 1; insert into $things (id, name) values (200, 'x'); update $things set name = 'y' where id in (1, 200)"));
try {
  $db->exec("insert into $things (id, name) values (201, 'x'); select 1 / (id - id) from $things; select 2");
} catch (PDOException $error) {
  say('multi', $error->errorInfo[0]);
}
say('multi', ...ask("select count(*) from $things where id in (200, 201)"));
$emulated = connect(getenv('PGPASSWORD'), [PDO::ATTR_EMULATE_PREPARES => true]);
$statement = $emulated->prepare('select ?, ?');
$statement->execute(["O'Reilly \\ ü", null]);
say('emulated', ...$statement->fetch());

// PHP has one thread: a process of its own cancels by the backend's id.
$pid = ask('select pg_backend_pid()')[0];
$script = '$db = new PDO("pgsql:host=" . getenv("PGHOST") . ";port=" . getenv("PGPORT") . ";dbname=" . getenv("PGDATABASE"), getenv("PGUSER"), getenv("PGPASSWORD"));
  $tries = 0;
  do { usleep(100000); $busy = $db->query("select pg_cancel_backend(pid) from pg_stat_activity where pid = ' . $pid . ' and query like \'%pg_sleep(30)%\' and state = \'active\'")->fetchColumn(); } while (!$busy && ++$tries < 300);';
$helper = proc_open([PHP_BINARY, '-r', $script], [], $pipes);
$began = microtime(true);
say('cancel', substr(fails('select pg_sleep(30)'), 0, 5), microtime(true) - $began < 10 ? 'in time' : 'late');
proc_close($helper);
say('cancel', ...ask('select 1'));

$sums = [0, 0, 0, 0];
$db->beginTransaction();
$cursor = $db->prepare($big, [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
$cursor->execute();
$add = function (array $row) use (&$sums): void {
  $sums[0]++;
  $sums[1] += (int) $row[0];
  $sums[2] = ($sums[2] * 31 + (int) $row[1]) % 1000000007;
  $sums[3] += strlen($row[2]);
};
run("declare big cursor for $big");
while ($rows = run('fetch 1000 from big')->fetchAll()) array_map($add, $rows);
say('chunks', ...$sums);
// A row at a time, from a cursor that the driver declares; and back again.
$sums = [0, 0, 0, 0];
for ($n = 0; $n < 50; $n++) $add($cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_NEXT));
say('scroll', ...$sums, ...$cursor->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_PRIOR));
$cursor = null;
$db->commit();

$db->pgsqlCopyFromArray($things, ["301\ta,b\t{x}\n", "302\tq\"q\t\\N\n"], "\t", '\\\\N', 'id, name, words');
say('copy in', ...ask("select array_agg(name order by id), count(words) from $things where id > 300"));
say('copy out', ...$db->pgsqlCopyToArray("(select id, name, words from $things where id > 300 order by id)"));
try {
  $db->pgsqlCopyFromArray($things, ["303\tx\n", "many\ty\n"], "\t", '\\\\N', 'id, name');
} catch (PDOException $error) {
  say('copy error', $error->errorInfo[0], explode("\n", $error->errorInfo[2])[0]);
}
say('copy error', ...ask("select count(*) from $things where id = 303"));
run('listen clients');
run("notify clients, 'payload'");
$notification = $db->pgsqlGetNotify(PDO::FETCH_NUM, 5000);
say('notify', $notification[0], $notification[2]);
$db->beginTransaction();
$object = $db->pgsqlLOBCreate();
$stream = $db->pgsqlLOBOpen($object, 'w+');
fwrite($stream, "\x00large");
rewind($stream);
say('large object', $stream);
$stream = null;
$db->pgsqlLOBUnlink($object);
$db->commit();

if ($peer = getenv('VERBS_PEER')) {
  say('verbs', $db->exec("create peer $peer from postgres with (" . getenv('VERBS_OPTIONS') . ')'));
  say('verbs', in_array($peer, run('show peers')->fetchAll(PDO::FETCH_COLUMN)));
  say('verbs', in_array('********', array_merge(...run("show peer $peer")->fetchAll())));
  say('verbs', ...ask("execute $peer \$\$ select 6 * 7 \$\$"));
  say('verbs', $db->exec("drop peer $peer"), fails("drop peer $peer"));
}
