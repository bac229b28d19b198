# Ruby's pg: libpq with type maps, binary results, prepared statements, pipelines, single-row mode and COPY coders.
require 'pg'
require 'time'

$stdout.sync = true
SCHEMA = ENV['SCHEMA']
THINGS = "#{SCHEMA}.things"
BIG = "select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i"

def show(value)
  case value
  when nil then 'NULL'
  when String
    return value.unpack1('H*') if value.encoding == Encoding::BINARY
    value.gsub("\t", '<tab>').gsub("\n", '<newline>')
  when Array then "[#{value.map { |each| show(each) }.join(',')}]"
  when Time then value.utc.iso8601(6)
  else value.inspect
  end
end

def say(step, *values)
  puts "#{step}\t#{values.map { |value| show(value) }.join('|')}"
end

def connect(password = ENV['PGPASSWORD'])
  PG.connect(password: password)
end

DB = connect
DB.type_map_for_results = PG::BasicTypeMapForResults.new(DB)

def ask(text, *values)
  DB.exec_params(text, values).values[0]
end

def fails(text, *values)
  values.empty? ? DB.exec(text) : DB.exec_params(text, values)
  'no error'
rescue PG::Error => error
  fields = [PG::PG_DIAG_SQLSTATE, PG::PG_DIAG_MESSAGE_PRIMARY, PG::PG_DIAG_COLUMN_NAME, PG::PG_DIAG_STATEMENT_POSITION]
  fields.map { |field| error.result.error_field(field) }.join('/')
end

say 'login', DB.server_version, DB.internal_encoding.name, DB.parameter_status('DateStyle').force_encoding('UTF-8')
begin
  connect("#{ENV['PGPASSWORD']}?")
  say 'wrong password', 'let in'
rescue PG::ConnectionBad => error
  say 'wrong password', error.message.dup.force_encoding('UTF-8')[/password authentication failed.*/]
end
say 'settings', DB.exec("set timezone to 'UTC'").cmd_status, DB.parameter_status('TimeZone').force_encoding('UTF-8')
say 'ddl', DB.exec("create table #{SCHEMA}.extra (id int)").cmd_status, DB.exec("drop table #{SCHEMA}.extra").cmd_status
say 'parameters', *ask('select $1::int + 1, $2::text, $3::float8, $4::bool', 41, "O'Reilly \\ ü€", 1.5, true)
say 'nulls', *ask('select $1::text is null, $2::text, null::int', nil, nil)
numbers = ask('select $1::numeric, $2::numeric, $3::numeric', '12345678901234567890.123456789', '-0.00001', 'NaN')
say 'numeric', *numbers.map { |each| each.to_s('F') }
say 'timestamptz', *ask('select $1::timestamptz', '2024-02-29 12:34:56.789012+02')
DOC = '{"a": [1, 2.50, null], "b": "ü"}'
say 'json', *ask('select $1::json::text, $1::jsonb::text', DOC)
BYTES = [0, 1, 0, 255, 92, 39].pack('C*')
say 'bytea', *ask('select $1::bytea, $2::bytea', { value: BYTES, type: 17, format: 1 }, { value: DB.escape_bytea(BYTES) })
say 'arrays', *ask("select $1::int[], $2::text[], '{{1,2},{3,4}}'::int[]", '{1,NULL,3}', '{a,"b,c",NULL,"d\"e",""}')
say 'uuid', *ask('select $1::uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')
say 'enum', *DB.exec_params("insert into #{THINGS} (id, name, mood) values (1, 'one', $1) returning mood::text", ['happy']).values[0]
result = DB.exec("select id, name, amount, at, doc, raw, list, words, uid from #{THINGS}")
say 'types', *(0...result.nfields).map { |n| [result.fname(n), result.ftype(n), result.fmod(n), result.fsize(n), result.ftablecol(n)].join(':') }
binary = DB.exec_params('select 1::int4, $1::bytea, true, 1.5::float8, 7::int8', [{ value: BYTES, type: 17, format: 1 }], 1)
say 'binary', *binary.values[0], *(0...binary.nfields).map { |n| binary.fformat(n) }
DB.prepare('twice', 'select $1::int * $1')
say 'prepared', *[1, 2, 3].map { |n| DB.exec_prepared('twice', [n]).getvalue(0, 0) }
described = DB.describe_prepared('twice')
say 'prepared', described.nparams, described.paramtype(0), described.ftype(0)
[
  ["insert into #{THINGS} (id, name) values (2, 'two'), (3, 'three'), (4, 'four')", []],
  ["update #{THINGS} set amount = id * $1::numeric where id in (2, 3)", [1.5]],
  ["delete from #{THINGS} where id = $1", [4]]
].each do |text, values|
  result = DB.exec_params(text, values)
  say 'counts', result.cmd_tuples, result.cmd_status
end

begin
  DB.transaction do
    DB.exec("insert into #{THINGS} (id, name) values (100, 'x')")
    say 'transaction', DB.transaction_status
    raise 'undo'
  end
rescue RuntimeError => error
  say 'transaction', error.message
end
say 'transaction', *ask("select count(*) from #{THINGS} where id = 100")
DB.transaction do
  DB.exec("insert into #{THINGS} (id, name) values (101, 'x')")
  DB.exec('savepoint s')
  say 'transaction', fails("insert into #{THINGS} (id, name) values ($1, 'x')", 101)
  say 'transaction', fails('select 1'), DB.transaction_status
  DB.exec('rollback to savepoint s')
end
say 'transaction', *ask("select count(*) from #{THINGS} where id = 101"), DB.transaction_status

say 'error', fails('select 1/0')
say 'error', fails("insert into #{THINGS} (id) values ($1)", 5)
say 'error', fails('selec 1')
say 'error', fails("select nope from #{THINGS} where id = $1", 1)
say 'error', *ask('select 1')
DB.send_query("select 1; insert into #{THINGS} (id, name) values (200, 'x'); select 'last', 2")
while (result = DB.get_result)
  say 'multi', result.cmd_status, result.values
end
say 'multi', fails("insert into #{THINGS} (id, name) values (201, 'x'); select 1 / (id - id) from #{THINGS}; select 2")
say 'multi', *ask("select count(*) from #{THINGS} where id in (200, 201)")

DB.enter_pipeline_mode
3.times { |n| DB.send_query_params('select $1::int', [n]) }
DB.pipeline_sync
DB.send_query_params("select id from #{THINGS} where id = $1", [1])
DB.send_query_params('select 1/0', [])
DB.send_query_params('select 9', [])
DB.pipeline_sync
ended = 0
while ended < 2
  result = DB.get_result
  next if result.nil?

  ended += 1 if result.result_status == PG::PGRES_PIPELINE_SYNC
  say 'pipeline', result.res_status(result.result_status), *(result.ntuples.positive? ? result.values : []), result.error_field(PG::PG_DIAG_SQLSTATE)
end
DB.exit_pipeline_mode
say 'pipeline', *ask('select 10')

over = false
canceller = Thread.new do
  until over
    sleep 0.2
    DB.cancel unless over
  end
end
began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
outcome = fails('select pg_sleep(30)')
over = true
canceller.join
say 'cancel', outcome[0, 5], Process.clock_gettime(Process::CLOCK_MONOTONIC) - began < 10 ? 'in time' : 'late'
say 'cancel', *ask('select 1')

# Sees every row of the big result, in order.
class Sums
  def initialize
    @rows = @first = @hash = @length = 0
  end

  def add(row)
    @rows += 1
    @first += row[0]
    @hash = (@hash * 31 + row[1]) % 1_000_000_007
    @length += row[2].length
  end

  def to_s
    [@rows, @first, @hash, @length].join('|')
  end
end

sums = Sums.new
DB.transaction do
  DB.exec("declare big cursor for #{BIG}")
  loop do
    some = DB.exec('fetch 1000 from big')
    break if some.ntuples.zero?

    some.each_row { |row| sums.add(row) }
  end
end
say 'chunks', sums.to_s
sums = Sums.new
DB.send_query(BIG)
DB.set_single_row_mode
DB.get_result.stream_each_row { |row| sums.add(row) }
DB.get_result
say 'chunks row by row', sums.to_s

coder = PG::TextEncoder::CopyRow.new
DB.copy_data("copy #{THINGS} (id, name, words) from stdin", coder) do
  DB.put_copy_data(['301', 'a,b', '{x}'])
  DB.put_copy_data(['302', 'q"q', nil])
end
say 'copy in', *ask("select array_agg(name order by id), count(words) from #{THINGS} where id > 300")
result = DB.copy_data("copy (select id, name, words from #{THINGS} where id > 300 order by id) to stdout") do
  while (line = DB.get_copy_data)
    say 'copy out', line.force_encoding('UTF-8')
  end
end
say 'copy out', result.cmd_status
begin
  DB.copy_data("copy #{THINGS} (id, name) from stdin") { DB.put_copy_data("303\tx\nmany\ty\n") }
rescue PG::Error => error
  say 'copy error', error.result.error_field(PG::PG_DIAG_SQLSTATE), error.result.error_field(PG::PG_DIAG_CONTEXT)
end
begin
  DB.copy_data("copy #{THINGS} (id, name) from stdin") do
    DB.put_copy_data("303\tx\n")
    raise 'enough'
  end
rescue RuntimeError => error
  say 'copy error', error.message, DB.transaction_status
end
say 'copy error', *ask("select count(*) from #{THINGS} where id = 303")

DB.set_notice_receiver { |notice| say 'notice', notice.error_field(PG::PG_DIAG_SEVERITY), notice.error_field(PG::PG_DIAG_MESSAGE_PRIMARY) }
DB.exec("do $$ begin raise notice 'hello %', 1; end $$")
DB.exec('listen clients')
DB.exec("notify clients, 'payload'")
DB.wait_for_notify(5) { |channel, _, payload| say 'notify', channel, payload }
# A large object is spoken to by function calls.
begin
  DB.exec('begin')
  object = DB.lo_creat
  handle = DB.lo_open(object, PG::INV_WRITE | PG::INV_READ)
  written = DB.lo_write(handle, BYTES)
  DB.lo_lseek(handle, 0, PG::SEEK_SET)
  say 'large object', written, DB.lo_read(handle, 100)
  DB.lo_close(handle)
  DB.lo_unlink(object)
rescue PG::Error => error
  say 'large object', error.message
ensure
  DB.exec('rollback')
end

if (peer = ENV['VERBS_PEER'])
  say 'verbs', DB.exec("create peer #{peer} from postgres with (#{ENV['VERBS_OPTIONS']})").cmd_status
  result = DB.exec('show peers')
  say 'verbs', result.cmd_status, result.column_values(0).include?(peer), result.ftype(0)
  say 'verbs', DB.exec_params("show peer #{peer}", []).values.flatten.include?('********')
  say 'verbs', *DB.exec("execute #{peer} $$ select 6 * 7 $$").values[0]
  say 'verbs', *DB.exec_params("execute #{peer} ('select 43::int4')", [], 1).values[0]
  say 'verbs', DB.exec("drop peer #{peer}").cmd_status, fails("drop peer #{peer}")
end
DB.close
