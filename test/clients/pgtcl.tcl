# Tcl's Pgtcl: libpq with variables of Tcl as parameters, asynchronous queries, COPY through the connection as a channel.
package require Pgtcl
fconfigure stdout -encoding utf-8 -buffering line
set schema $env(SCHEMA)
set things "$schema.things"
set big {select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i}

proc say {step args} {
  set shown {}
  foreach value $args { lappend shown [string map [list \t <tab> \n <newline>] $value] }
  puts "$step\t[join $shown |]"
}
proc connected {password} {
  return [pg_connect -conninfo "password='$password'"]
}
set db [connected $env(PGPASSWORD)]

# Everything that a result says.
proc told {result} {
  set status [pg_result $result -status]
  set told [list $status [pg_result $result -cmdTuples]]
  if {$status eq "PGRES_FATAL_ERROR"} {
    foreach field {sqlstate primary position} { lappend told [pg_result $result -error $field] }
  } else {
    foreach row [pg_result $result -llist] { lappend told $row }
  }
  pg_result $result -clear
  return [join $told /]
}
proc ask {text args} {
  global db
  return [told [pg_exec $db $text {*}$args]]
}


say login [ask {show server_version}]
if {[catch {connected "$env(PGPASSWORD)?"} message]} {
  regexp {password authentication failed[^\n]*} $message message
  say {wrong password} $message
} else { say {wrong password} {let in} }
say settings [ask {set timezone to 'UTC'}] [ask {show timezone}]
say ddl [ask "create table $schema.extra (id int)"] ok [ask "drop table $schema.extra"]
pg_null_value_string $db NULL
say parameters [ask {select $1::int + 1, $2::text, $3::float8, $4::bool} 41 "O'Reilly \\ ü€" 1.5 t]
say nulls [ask {select null::text is null, null::text, nullif($1, '')} {}]
say numeric [ask {select $1::numeric, $2::numeric, $3::numeric} 12345678901234567890.123456789 -0.00001 NaN]
say timestamptz [ask {select $1::timestamptz} {2024-02-29 12:34:56.789012+02}]
say json [ask {select $1::json, $1::jsonb} {{"a": [1, 2.50, null], "b": "ü"}}]
set raw [pg_unescape_bytea [lindex [pg_result [pg_exec $db {select $1::bytea} "\\x000100ff5c27"] -getTuple 0] 0]]
binary scan $raw H* hex
say bytea $hex
say arrays [ask {select $1::int[], $2::text[]} {{1,NULL,3}} {{a,"b,c",NULL,"d\"e",""}}]
say uuid [ask {select $1::uuid} a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11]
say enum [ask "insert into $things (id, name, mood) values (1, 'one', \$1) returning mood" happy]
set result [pg_exec $db "select id, name, amount, at, doc, raw, list, words, uid from $things"]
say types {*}[pg_result $result -lAttributes]
pg_result $result -clear
pg_exec $db {prepare twice (int) as select $1 * $1}
foreach n {1 2 3} { say prepared [told [pg_exec_prepared $db twice $n]] }
say counts [ask "insert into $things (id, name) values (2, 'two'), (3, 'three'), (4, 'four')"]
say counts [ask "update $things set amount = id * \$1::numeric where id in (2, 3)" 1.5]
say counts [ask "delete from $things where id = 4"]

ask begin
ask "insert into $things (id, name) values (100, 'x')"
ask rollback
say transaction [ask "select count(*) from $things where id = 100"]
ask begin
ask "insert into $things (id, name) values (101, 'x')"
ask {savepoint s}
say transaction [ask "insert into $things (id, name) values (\$1, 'x')" 101]
say transaction [ask {select 1}]
ask {rollback to savepoint s}
ask commit
say transaction [ask "select count(*) from $things where id = 101"]
say error [ask {select 1/0}]
say error [ask "insert into $things (id) values (\$1)" 5]
say error [ask {selec 1}]
say error [ask "select nope from $things where id = \$1" 1]
say error [ask {select 1}]
pg_sendquery $db "select 1; insert into $things (id, name) values (200, 'x'); select 'last', 2"
while {[set result [pg_getresult $db]] ne {}} { say multi [told $result] }
say multi [ask "insert into $things (id, name) values (201, 'x'); select 1 / (id - id) from $things; select 2"]
say multi [ask "select count(*) from $things where id in (200, 201)"]

# The query runs while this goes on; it is cancelled when another connection sees it run.
set other [connected $env(PGPASSWORD)]
set pid [lindex [pg_result [pg_exec $db {select pg_backend_pid()}] -getTuple 0] 0]
set began [clock milliseconds]
pg_sendquery $db {select pg_sleep(30)}
while 1 {
  set result [pg_exec $other "select 1 from pg_stat_activity where pid = $pid and state = 'active' and query = 'select pg_sleep(30)'"]
  set seen [pg_result $result -numTuples]
  pg_result $result -clear
  if {$seen} break
  after 50
}
pg_cancelrequest $db
set result [pg_getresult $db]
say cancel [pg_result $result -error sqlstate] [expr {[clock milliseconds] - $began < 10000 ? {in time} : {late}}]
while {[pg_getresult $db] ne {}} {}
set result [pg_exec $db {select 1}]
say cancel [pg_result $result -getTuple 0]

lassign {0 0 0 0} rows sum hash length
proc add {i j t} {
  global rows sum hash length
  incr rows
  incr sum $i
  set hash [expr {($hash * 31 + $j) % 1000000007}]
  incr length [string length $t]
}
ask begin
ask "declare big cursor for $big"
while 1 {
  set result [pg_exec $db {fetch 1000 from big}]
  set some [pg_result $result -llist]
  pg_result $result -clear
  if {$some eq {}} break
  foreach row $some { add {*}$row }
}
ask commit
say chunks $rows $sum $hash $length

pg_exec $db "copy $things (id, name, words) from stdin (format csv)"
puts $db "301,\"a,b\",\"{x}\""
puts $db "302,\"q\"\"q\","
puts $db "\\."
say {copy in} [ask "select array_agg(name order by id), count(words) from $things where id > 300"]
proc hear {args} { set ::heard $args }
pg_listen $db clients hear
ask {notify clients, 'payload'}
vwait heard
say notify [lindex $heard 0] [lindex $heard end]

if {[info exists env(VERBS_PEER)]} {
  set peer $env(VERBS_PEER)
  set result [pg_exec $db "create peer $peer from postgres with ($env(VERBS_OPTIONS))"]
  say verbs [pg_result $result -status]
  set names {}
  pg_select $db {show peers} row { lappend names $row(name) }
  say verbs [expr {$peer in $names}]
  say verbs [string match {*\*\*\*\*\*\*\*\**} [ask "show peer $peer"]]
  say verbs [ask "execute $peer \$\$ select 6 * 7 \$\$"]
  say verbs [ask "drop peer $peer"] [ask "drop peer $peer"]
}
pg_disconnect $db
pg_disconnect $other
