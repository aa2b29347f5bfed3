-- Which entries of one shard no handler needs any more. Shared by what deletes entries and what drops payloads.
-- KEYS: log, counters, payloads, children, replays, times of dead letters, types; then for each handler: rows, parked.
-- ARGV[1] count of handlers, then their ids; the rest is the script's own and begins at `own`.
local log, counters, payloads, children = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local replays, died, types = KEYS[5], KEYS[6], KEYS[7]
local handlers = tonumber(ARGV[1])
local own = handlers + 2

local function pid_of(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 13 - #ms) .. ms .. '-' .. string.rep('0', 7 - #seq) .. seq
end

-- For each handler that reads here: how far, what is pending, and whether it has rows or parked ones at all.
local readers = {}
if redis.call('EXISTS', log) == 1 then
  local read = {}
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', log)) do
    local name, last
    for i = 1, #group, 2 do
      if group[i] == 'name' then name = group[i + 1] end
      if group[i] == 'last-delivered-id' then last = group[i + 1] end
    end
    read[name] = pid_of(last)
  end
  for index = 1, handlers do
    local name = ARGV[1 + index]
    local rows, parked = KEYS[6 + 2 * index], KEYS[7 + 2 * index]
    local pending = { 0 }
    if read[name] then pending = redis.call('XPENDING', log, name) end
    readers[index] = {
      name = name, upto = read[name], rows = rows, parked = parked,
      first = pending[1] > 0 and pid_of(pending[2]), last = pending[1] > 0 and pid_of(pending[3]),
      has_rows = redis.call('HLEN', rows) > 0, has_parked = redis.call('ZCARD', parked) > 0,
    }
  end
end

-- Has some handler still to read it?
local function unread(pid)
  for _, reader in ipairs(readers) do
    if reader.upto and reader.upto < pid then return true end
  end
  return false
end

-- Does some handler run it, or will it run it again?
local function held(pid, digest)
  for _, reader in ipairs(readers) do
    if reader.has_rows and redis.call('HEXISTS', reader.rows, pid) == 1 then return true end
    if reader.has_parked and digest ~= '' and redis.call('ZSCORE', reader.parked, digest .. ':' .. pid) then
      return true
    end
    if reader.first and reader.first <= pid and pid <= reader.last
        and #redis.call('XPENDING', log, reader.name, pid, pid, 1) > 0 then
      return true
    end
  end
  return false
end
