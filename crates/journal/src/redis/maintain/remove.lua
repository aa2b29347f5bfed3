-- Buries some of what a handler that is gone has not settled, and at the end forgets the handler in this shard. What it
-- had not read was buried before. With lib.lua and operate/lib.lua. KEYS 20 types.
-- ARGV 1 handler, 2 now, 3 JSON of the failure.
-- Answers 1 if there is more to do.
local handler, now, failure = ARGV[1], ARGV[2], ARGV[3]
local more = 0

for _, member in ipairs(call('ZRANGE', P, 0, 127)) do
  call('ZREM', P, member)
  local pid = string.sub(member, -21)
  local saved = call('HGET', Y, 'q' .. pid)
  local attempts = saved and read_row(saved) or '0'
  bury(handler, pid, now, attempts, '0', failure)
  more = 1
end
local page = call('HSCAN', X, '0', 'COUNT', 128)[2]
for i = 1, #page, 2 do
  local attempts, _, replay = read_row(page[i + 1])
  bury(handler, page[i], now, attempts, replay, failure)
  more = 1
end
local read = read_upto(handler)
if read then
  for _, pending in ipairs(call('XPENDING', S, handler, '-', '+', 128)) do
    call('XACK', S, handler, pending[1])
    bury(handler, pid_of(pending[1]), now, '0', '0', failure)
    more = 1
  end
end
finish(handler)
if more == 1 then return 1 end

if read then call('XGROUP', 'DESTROY', S, handler) end
call('DEL', X, Z, W, P, Y, GONE)
call('HDEL', C, 'u:' .. handler)
for _, field in ipairs(call('HKEYS', B)) do
  if string.sub(field, 1, #handler + 1) == handler .. '\0' then call('HDEL', B, field) end
end
local types = call('HGETALL', KEYS[20])
for i = 1, #types, 2 do
  local kept = {}
  for one in string.gmatch(types[i + 1], '([^\n]+)\n') do
    if one ~= handler then kept[#kept + 1] = one .. '\n' end
  end
  if #kept > 0 then call('HSET', KEYS[20], types[i], table.concat(kept)) else call('HDEL', KEYS[20], types[i]) end
end
return 0
