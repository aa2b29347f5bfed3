-- Forgets dead letters and failed attempts of one shard that are too old.
-- KEYS: log, counters, dead letters, their times, attempts, their times, replays, copies; then rows of each handler.
-- ARGV: horizon (ms), most of each, count of handlers, their ids.
-- Answers 1 if there is more to do.
local log, counters, dead, died, attempts, attempted, replays = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local horizon, most = ARGV[1], ARGV[2]
local rows = {}
for index = 1, tonumber(ARGV[3]) do rows[ARGV[3 + index]] = KEYS[8 + index] end

local function parts(name)
  return string.sub(name, 1, -23), string.sub(name, -21)
end

local old = redis.call('ZRANGEBYSCORE', died, '-inf', horizon, 'LIMIT', 0, most)
for _, name in ipairs(old) do
  local handler, pid = parts(name)
  redis.call('ZREM', died, name)
  redis.call('HDEL', dead, name)
  redis.call('HINCRBY', counters, 'd:' .. handler, -1)
  if #redis.call('XRANGE', log, pid, pid) == 0 then redis.call('HDEL', replays, name) end
end

local more = #old == tonumber(most)
local from = 0
local tried = redis.call('ZRANGEBYSCORE', attempted, '-inf', horizon, 'LIMIT', 0, most)
for _, name in ipairs(tried) do
  local handler, pid = parts(name)
  -- Attempts at what is still to be tried are kept as long as it is: they are looked at again when they are older.
  if rows[handler] and redis.call('HEXISTS', rows[handler], pid) == 1 then
    redis.call('ZADD', attempted, horizon + 1, name)
  else
    redis.call('ZREM', attempted, name)
    redis.call('HDEL', attempts, name)
  end
end
if more or #tried == tonumber(most) then return 1 end
return 0
