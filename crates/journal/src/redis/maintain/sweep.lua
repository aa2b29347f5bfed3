-- Deletes settled entries, oldest first. With maintain/standing.lua; what an entry weighs is that of log.lua.
-- Own ARGV: after which id ('-' from the first), up to which id, most entries, bytes that are enough.
-- Answers: where to go on, or nothing at the end; bytes that were freed.
local from, to, most, enough = ARGV[own], ARGV[own + 1], ARGV[own + 2], tonumber(ARGV[own + 3])
local freed, next = 0, ''
local found = redis.call('XRANGE', log, from, to, 'COUNT', most)
local stopped = #found < tonumber(most)
for _, entry in ipairs(found) do
  local id, fields = entry[1], entry[2]
  local pid = pid_of(id)
  if freed >= enough or unread(pid) then
    stopped = true
    break
  end
  local key, ty = key_and_type(fields[2])
  if not held(pid, key) then
    local apart = fields[4] == '' and redis.call('HSTRLEN', payloads, pid) or 0
    freed = freed + #fields[2] + #fields[4] + 64 + apart
    redis.call('XDEL', log, id)
    redis.call('HINCRBY', counters, 'n:' .. ty, -1)
    redis.call('HDEL', payloads, pid)
    redis.call('HDEL', children, pid)
    for _, reader in ipairs(readers) do
      local name = reader.name .. '|' .. pid
      if not redis.call('ZSCORE', died, name) then redis.call('HDEL', replays, name) end
    end
  end
  next = '(' .. id
end
if freed > 0 then redis.call('HINCRBY', counters, 'bytes', -freed) end
if stopped then next = '' end
return { next, freed }
