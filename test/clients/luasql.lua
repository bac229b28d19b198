-- LuaSQL: libpq in its simplest use: texts in, texts out, transactions by autocommit.
local schema, env = os.getenv('SCHEMA'), require('luasql.postgres').postgres()
local things = schema .. '.things'

local function show(value)
  if value == nil then return 'NULL' end
  return (tostring(value):gsub('\t', '<tab>'):gsub('\n', '<newline>'))
end
local function say(step, ...)
  local parts = {}
  for i = 1, select('#', ...) do parts[i] = show((select(i, ...))) end
  print(step .. '\t' .. table.concat(parts, '|'))
end
local function connect(password)
  return env:connect(string.format("password='%s'", password))
end
local db = connect(os.getenv('PGPASSWORD'))

-- A cursor's first row, the count of changed rows, or the error.
local function ask(step, text)
  local cursor, message = db:execute(text)
  if cursor == nil then return say(step, (message:gsub('\nDETAIL.*', ''))) end
  if type(cursor) == 'number' then return say(step, cursor) end
  local row = cursor:fetch({}) or {}
  say(step, unpack(row, 1, #cursor:getcolnames()))
  cursor:close()
end

ask('login', 'show server_version')
local _, refused = connect(os.getenv('PGPASSWORD') .. '?')
say('wrong password', refused:match('password authentication failed[^\n]*'))
ask('settings', "set timezone to 'UTC'")
ask('settings', 'show timezone')
ask('ddl', 'create table ' .. schema .. '.extra (id int)')
ask('ddl', 'drop table ' .. schema .. '.extra')
ask('parameters', "select 41 + 1, '" .. db:escape("O'Reilly \\ ü€") .. "', 1.5::float8, true")
ask('nulls', 'select true, null::text, null::int')
ask('numeric', "select 12345678901234567890.123456789, -0.00001, 'NaN'::numeric")
ask('timestamptz', "select '2024-02-29 12:34:56.789012+02'::timestamptz")
ask('json', [[select '{"a": [1, 2.50, null], "b": "ü"}'::json, '{"a": [1, 2.50, null], "b": "ü"}'::jsonb]])
ask('bytea', [[select '\x000100ff5c27'::bytea]])
ask('arrays', [[select '{1,NULL,3}'::int[], '{a,"b,c",NULL,"d\"e",""}'::text[] ]])
ask('uuid', "select 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid")
ask('enum', 'insert into ' .. things .. " (id, name, mood) values (1, 'one', 'happy')")
ask('enum', 'select mood from ' .. things)
local cursor = db:execute('select id, name, amount, at, doc, raw, list, words, uid from ' .. things)
say('types', unpack(cursor:getcolnames()))
say('types', unpack(cursor:getcoltypes()))
cursor:close()
ask('prepared', 'prepare twice (int) as select $1 * $1')
for n = 1, 3 do ask('prepared', 'execute twice (' .. n .. ')') end
ask('counts', 'insert into ' .. things .. " (id, name) values (2, 'two'), (3, 'three'), (4, 'four')")
ask('counts', 'update ' .. things .. ' set amount = id * 1.5 where id in (2, 3)')
ask('counts', 'delete from ' .. things .. ' where id = 4')

db:setautocommit(false)
ask('transaction', 'insert into ' .. things .. " (id, name) values (100, 'x')")
db:rollback()
ask('transaction', 'select count(*) from ' .. things .. ' where id = 100')
ask('transaction', 'insert into ' .. things .. " (id, name) values (101, 'x')")
ask('transaction', 'savepoint s')
ask('transaction', 'insert into ' .. things .. " (id, name) values (101, 'x')")
ask('transaction', 'select 1')
ask('transaction', 'rollback to savepoint s')
db:commit()
ask('transaction', 'select count(*) from ' .. things .. ' where id = 101')
db:rollback()
db:setautocommit(true)
ask('error', 'select 1/0')
ask('error', 'insert into ' .. things .. ' (id) values (5)')
ask('error', 'selec 1')
ask('error', 'select 1')
ask('multi', "select 1; insert into " .. things .. " (id, name) values (200, 'x'); select 'last'")
ask('multi', 'select count(*) from ' .. things .. ' where id = 200')

local rows, sum, hash, length = 0, 0, 0, 0
db:setautocommit(false)
db:execute("declare big cursor for select i, i * 7919 % 1000003 as j, repeat('x', (i % 50)::int) as t from generate_series(1::bigint, 100000) i")
local more = true
while more do
  local some = db:execute('fetch 1000 from big')
  more = false
  for row in function() return some:fetch({}) end do
    more = true
    rows, sum, length = rows + 1, sum + row[1], length + #row[3]
    hash = (hash * 31 + row[2]) % 1000000007
  end
  some:close()
end
db:commit()
db:setautocommit(true)
say('chunks', string.format('%.0f|%.0f|%.0f|%.0f', rows, sum, hash, length))

local peer = os.getenv('VERBS_PEER')
if peer then
  ask('verbs', 'create peer ' .. peer .. ' from postgres with (' .. os.getenv('VERBS_OPTIONS') .. ')')
  local names = db:execute('show peers')
  local seen = false
  for name in function() return names:fetch() end do seen = seen or name == peer end
  say('verbs', seen)
  ask('verbs', 'execute ' .. peer .. ' $$ select 6 * 7 $$')
  ask('verbs', 'drop peer ' .. peer)
  ask('verbs', 'drop peer ' .. peer)
end
db:close()
