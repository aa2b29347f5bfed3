-- Where entries of one shard stand with handlers, at one moment. Writes nothing.
-- KEYS: log, bindings, times of dead letters; then for each handler: rows, parked, discarded before they were read.
-- ARGV: count of handlers, their ids; then for each entry: pid, type, digest of its ordering key or nothing.
-- Answers a list for each entry, with a text for each handler:
--   '' none of its business, 'd' dead, 'x' and a row, 'k' parked behind its key, 'n' not read, 'r' runs, 'a' acked.
local log, bindings, dead = KEYS[1], KEYS[2], KEYS[3]
local count = tonumber(ARGV[1])

local function pad(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 13 - #ms) .. ms .. '-' .. string.rep('0', 7 - #seq) .. seq
end

local read = {}
if redis.call('EXISTS', log) == 1 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', log)) do
    local name, last
    for i = 1, #group, 2 do
      if group[i] == 'name' then name = group[i + 1] end
      if group[i] == 'last-delivered-id' then last = group[i + 1] end
    end
    read[name] = pad(last)
  end
end

local function place(index, pid, type, digest)
  local handler = ARGV[1 + index]
  local rows, parked, gone = KEYS[1 + 3 * index], KEYS[2 + 3 * index], KEYS[3 + 3 * index]
  if redis.call('ZSCORE', dead, handler .. '|' .. pid) then return 'd' end
  local row = redis.call('HGET', rows, pid)
  if row then return 'x' .. row end
  if digest ~= '' and redis.call('ZSCORE', parked, digest .. ':' .. pid) then return 'k' end
  local since = redis.call('HGET', bindings, handler .. '\0' .. type)
  if not since or since >= pid then return '' end
  if not read[handler] or read[handler] < pid then
    return redis.call('HEXISTS', gone, pid) == 1 and 'a' or 'n'
  end
  if #redis.call('XPENDING', log, handler, pid, pid, 1) > 0 then return 'r' end
  return 'a'
end

local answer = {}
for at = count + 2, #ARGV, 3 do
  local places = {}
  for index = 1, count do
    places[index] = place(index, ARGV[at], ARGV[at + 1], ARGV[at + 2])
  end
  answer[#answer + 1] = places
end
return answer
