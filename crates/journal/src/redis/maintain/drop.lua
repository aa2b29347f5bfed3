-- Drops payloads of messages that every handler has settled; what no handler is bound to keeps its own. With
-- maintain/standing.lua.
-- Own ARGV: where to go on among the payloads, '0' at first. Answers where to go on, '0' at the end.
local found = redis.call('HSCAN', payloads, ARGV[own], 'COUNT', 100)
local freed = 0
for i = 1, #found[2], 2 do
  local pid = found[2][i]
  local entry = redis.call('XRANGE', log, pid, pid)[1]
  local settled = not entry
  if entry then
    local key, ty = key_and_type(entry[2][2])
    local bound = redis.call('HGET', types, ty)
    settled = bound and bound ~= '' and not unread(pid) and not held(pid, key)
  end
  if settled then
    freed = freed + #found[2][i + 1]
    redis.call('HDEL', payloads, pid)
  end
end
if freed > 0 then redis.call('HINCRBY', counters, 'bytes', -freed) end
return found[1]
