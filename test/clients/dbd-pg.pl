# Perl's DBD::Pg: libpq under DBI, with server-side prepares, asynchronous queries, COPY and large objects by its own methods.
use strict;
use warnings;
use utf8;
use DBI qw(:sql_types);
use DBD::Pg qw(:pg_types :async);
use Time::HiRes qw(time sleep);
binmode STDOUT, ':utf8';

my ($schema, $big) = ($ENV{SCHEMA},
  "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i");
my $things = "$schema.things";

sub show {
  my ($value) = @_;
  return 'NULL' unless defined $value;
  return '[' . join(',', map { show($_) } @$value) . ']' if ref $value eq 'ARRAY';
  $value =~ s/\t/<tab>/g;
  $value =~ s/\n/<newline>/g;
  return $value;
}
sub say_ { my ($step, @values) = @_; print "$step\t", join('|', map { show($_) } @values), "\n" }
sub connect_ {
  my ($password) = @_;
  return DBI->connect('dbi:Pg:', $ENV{PGUSER}, $password, { RaiseError => 1, PrintError => 0, AutoCommit => 1, PrintWarn => 0 });
}

my $db = connect_($ENV{PGPASSWORD});
sub ask { my ($text, @values) = @_; return $db->selectrow_array($text, undef, @values) }
sub fails {
  my ($text, @values) = @_;
  eval { $db->do($text, undef, @values); 1 } and return 'no error';
  return $db->state . '/' . $db->pg_error_field('message_primary') . '/' . ($db->pg_error_field('column') // '') . '/' . ($db->pg_error_field('statement_position') // '');
}

say_('login', $db->{pg_server_version}, $db->{pg_enable_utf8});
eval { connect_("$ENV{PGPASSWORD}?"); say_('wrong password', 'let in'); 1 } or do {
  my ($told) = DBI->errstr =~ /(password authentication failed.*)/;
  say_('wrong password', $told);
};
$db->do("set timezone to 'UTC'");
say_('settings', ask('show timezone'));
say_('ddl', $db->do("create table $schema.extra (id int)"), $db->do("drop table $schema.extra"));
say_('parameters', ask('select ?::int + 1, ?::text, ?::float8, ?::bool', 41, "O'Reilly \\ ü€", 1.5, 1));
say_('nulls', ask('select ?::text is null, ?::text, null::int', undef, undef));
say_('numeric', ask('select ?::numeric, ?::numeric, ?::numeric', '12345678901234567890.123456789', '-0.00001', 'NaN'));
say_('timestamptz', ask('select ?::timestamptz', '2024-02-29 12:34:56.789012+02'));
say_('json', ask('select ?::json, ?::jsonb', ('{"a": [1, 2.50, null], "b": "ü"}') x 2));
my $bytea = $db->prepare('select ?::bytea');
$bytea->bind_param(1, "\x00\x01\x00\xff\\'", { pg_type => PG_BYTEA });
$bytea->execute;
say_('bytea', unpack('H*', $bytea->fetchrow_array));
say_('arrays', ask('select ?::int[], ?::text[]', [1, undef, 3], ['a', 'b,c', undef, 'd"e', '']));
say_('uuid', ask('select ?::uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'));
say_('enum', ask("insert into $things (id, name, mood) values (1, 'one', ?) returning mood", 'happy'));
my $all = $db->prepare("select id, name, amount, at, doc, raw, list, words, uid from $things");
$all->execute;
say_('types', @{ $all->{NAME} }, @{ $all->{pg_type} }, @{ $all->{TYPE} }, map { $_ // 'NULL' } @{ $all->{PRECISION} });
my $columns = $db->column_info(undef, $schema, 'things', '%');
while (my $row = $columns->fetchrow_hashref) { say_('types', @{$row}{qw(COLUMN_NAME TYPE_NAME COLUMN_SIZE NULLABLE ORDINAL_POSITION)}) }
say_('types', $db->primary_key(undef, $schema, 'things'), map { s/"//gr } $db->tables(undef, $schema, '%', 'TABLE'));
my $twice = $db->prepare('select ?::int * ?::int', { pg_prepare_now => 1 });
my @squares = map { $twice->execute($_, $_); $twice->fetchrow_array } 1 .. 3;
say_('prepared', @squares, $twice->{pg_numbound}, $twice->{pg_prepare_name} =~ /^dbdpg_p\d+_\d+$/ ? 'named' : 'unnamed');
say_('counts', $db->do("insert into $things (id, name) values (2, 'two'), (3, 'three'), (4, 'four')"));
say_('counts', $db->do("update $things set amount = id * ?::numeric where id in (2, 3)", undef, 1.5));
say_('counts', $db->do("delete from $things where id = ?", undef, 4));

$db->begin_work;
$db->do("insert into $things (id, name) values (100, 'x')");
my @status = ($db->ping, $db->state);
$db->rollback;
say_('transaction', ask("select count(*) from $things where id = 100"), @status);
$db->begin_work;
$db->do("insert into $things (id, name) values (101, 'x')");
$db->pg_savepoint('s');
say_('transaction', fails("insert into $things (id, name) values (?, 'x')", 101), $db->ping);
say_('transaction', fails('select 1'));
$db->pg_rollback_to('s');
$db->commit;
say_('transaction', ask("select count(*) from $things where id = 101"), $db->ping);

say_('error', fails('select 1/0'));
say_('error', fails("insert into $things (id) values (?)", 5));
say_('error', fails('selec 1'));
say_('error', ask('select 1'));
say_('multi', $db->do("select 1; insert into $things (id, name) values (200, 'x'); update $things set name = 'y' where id in (1, 200)"));
say_('multi', fails("insert into $things (id, name) values (201, 'x'); select 1 / (id - id) from $things; select 2"));
say_('multi', ask("select count(*) from $things where id in (200, 201)"));

# An asynchronous query, cancelled when another connection sees it run.
my ($pid, $other) = (ask('select pg_backend_pid()'), connect_($ENV{PGPASSWORD}));
my $began = time;
my $sleep = $db->prepare('select pg_sleep(30)', { pg_async => PG_ASYNC });
$sleep->execute;
sleep 0.05 until $other->selectrow_array("select 1 from pg_stat_activity where pid = ? and state = 'active' and query like '%pg_sleep(30)%'", undef, $pid);
say_('cancel by the library', $db->pg_cancel ? 'cancelled' : 'not cancelled');
$sleep->execute;
until ($other->selectrow_array("select pg_cancel_backend(pid) from pg_stat_activity where pid = ? and state = 'active' and query like '%pg_sleep(30)%'", undef, $pid)) { sleep 0.05 }
eval { $db->pg_result };
say_('cancel', $db->state, time - $began < 10 ? 'in time' : 'late');
say_('cancel', ask('select 1'));

my @sums = (0, 0, 0, 0);
$db->begin_work;
$db->do("declare big cursor for $big");
while (1) {
  my $rows = $db->selectall_arrayref('fetch 1000 from big');
  last unless @$rows;
  for my $row (@$rows) {
    $sums[0]++;
    $sums[1] += $row->[0];
    $sums[2] = ($sums[2] * 31 + $row->[1]) % 1000000007;
    $sums[3] += length $row->[2];
  }
}
$db->commit;
say_('chunks', @sums);

$db->do("copy $things (id, name, words) from stdin (format csv)");
$db->pg_putcopydata("301,\"a,b\",\"{x}\"\n302,\"q\"\"q\",\n");
$db->pg_putcopyend;
say_('copy in', ask("select array_agg(name order by id), count(words) from $things where id > 300"));
$db->do("copy (select id, name, words from $things where id > 300 order by id) to stdout");
my $line;
say_('copy out', $line) while $db->pg_getcopydata(\$line) >= 0;
$db->do("copy $things (id, name) from stdin");
$db->pg_putcopydata("303\tx\nmany\ty\n");
eval { $db->pg_putcopyend };
say_('copy error', $db->state, $db->pg_error_field('context'));
say_('copy error', ask("select count(*) from $things where id = 303"));

{
  local $SIG{__WARN__} = sub { say_('notice', @_) };
  local $db->{PrintWarn} = 1;
  $db->do("do \$\$ begin raise notice 'hello %', 1; end \$\$");
}
$db->do('listen clients');
$db->do("notify clients, 'payload'");
my ($channel, undef, $payload) = @{ $db->pg_notifies };
say_('notify', $channel, $payload);
$db->begin_work;
my $object = $db->pg_lo_creat($db->{pg_INV_WRITE} // 0x20000);
my $handle = $db->pg_lo_open($object, 0x60000);
my $read = '';
say_('large object', $db->pg_lo_write($handle, "\x00large", 6), $db->pg_lo_lseek($handle, 0, 0), $db->pg_lo_read($handle, $read, 100), unpack('H*', $read));
$db->pg_lo_unlink($object);
$db->commit;

if (my $peer = $ENV{VERBS_PEER}) {
  say_('verbs', $db->do("create peer $peer from postgres with ($ENV{VERBS_OPTIONS})"));
  say_('verbs', scalar grep { $_ eq $peer } @{ $db->selectcol_arrayref('show peers') });
  say_('verbs', scalar grep { ($_ // '') eq '********' } map { @$_ } @{ $db->selectall_arrayref("show peer $peer") });
  say_('verbs', ask("execute $peer \$\$ select 6 * 7 \$\$"));
  say_('verbs', $db->do("drop peer $peer"), fails("drop peer $peer"));
}
$_->finish for $bytea, $all, $twice, $sleep;
$_->disconnect for $db, $other;
