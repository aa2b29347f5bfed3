-- Counts of one shard. Writes nothing.
-- KEYS: log, counters, times of dead letters, delayed; then for each handler: rows, due, owners, parked.
-- ARGV: ids of the handlers.
-- Answers: messages, dead, delayed, all counters; then for each handler a list:
--   running, waiting, of these never tried (0 if very many wait), parked, given up, first pending id or nothing, last id read or nothing.
local log, counters, died, delayed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local read = {}
if redis.call('EXISTS', log) == 1 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', log)) do
    local name, last
    for i = 1, #group, 2 do
      if group[i] == 'name' then name = group[i + 1] end
      if group[i] == 'last-delivered-id' then last = group[i + 1] end
    end
    read[name] = last
  end
end
local answer = {
  redis.call('XLEN', log), redis.call('ZCARD', died), redis.call('ZCARD', delayed), redis.call('HGETALL', counters),
}
for index, name in ipairs(ARGV) do
  local key = 4 * index
  local pending = { 0 }
  if read[name] then pending = redis.call('XPENDING', log, name) end
  local out = redis.call('HLEN', KEYS[key + 3])
  local waiting = redis.call('ZCARD', KEYS[key + 2])
  -- Of those that wait, some were never tried: given back, or freed by what they were parked behind.
  local untried = 0
  if waiting <= 2000 then
    for _, row in ipairs(redis.call('HVALS', KEYS[key + 1])) do
      if string.sub(row, 1, 4) == 'w,0,' then untried = untried + 1 end
    end
  end
  answer[#answer + 1] = {
    pending[1] + out, waiting, untried, redis.call('ZCARD', KEYS[key + 4]), redis.call('HLEN', KEYS[key + 1]) - waiting - out,
    pending[2] or '', read[name] or '',
  }
end
return answer
