-- Takes one record of another journal in. With log.lua.
-- KEYS 1 log, 2 counters, 3 types, 4 ids of today, 5 bindings, 6 attempts, 7 their times, 8 replays, 9 dead letters,
--      10 their times, 11 delayed, 12 delayed bodies; then for each bound handler: rows, due, parked, heads.
-- ARGV 1 now, 2 when it was accepted, 3 what it is (m waits, l delayed, d dead letter), 4 id, 5 m, 6 d,
--      7 when it is to be delivered, or died, 8 how many handlers; then for each: name, what it is there ('' settled,
--      w waits, p given up and holding its key, d dead), due, attempts, crashes, replay, packed attempts, failure.
-- Answers 1; 0 if it is there already; -1 if some handler has something unread here.
local LOG, COUNTERS, TYPES, IDS, BINDINGS = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now, accepted, what, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local m, d = ARGV[5], ARGV[6]
local k, t = key_and_type(m)

local function packed(fields)
  local out = {}
  for i, field in ipairs(fields) do out[i] = struct.pack('>I4', #field) .. field end
  return table.concat(out)
end

local known = call('HGET', IDS, id)
if what ~= 'd' and known then return 0 end
if what == 'l' then
  call('ZADD', KEYS[11], ARGV[7], id)
  call('HSET', KEYS[12], id, packed({ m, d }))
  call('HSET', IDS, id, '')
  call('HINCRBY', COUNTERS, 'bytes', size(m, d))
  return 1
end
local count_handlers = tonumber(ARGV[8])
local function of(h)
  local at = 9 + 8 * (h - 1)
  return ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
end
if what == 'd' and call('HEXISTS', IDS, of(1) .. '\0' .. id) == 1 then return 0 end

-- Every bound handler stands at the end of the log, before and after: what it has to do here are rows.
local function groups()
  local last, found = nil, {}
  local info = call('XINFO', 'STREAM', LOG)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
  for _, group in ipairs(call('XINFO', 'GROUPS', LOG)) do
    local name, upto
    for i = 1, #group, 2 do
      if group[i] == 'name' then name = group[i + 1] end
      if group[i] == 'last-delivered-id' then upto = group[i + 1] end
    end
    found[name] = upto
  end
  return last, found
end
for h = 1, count_handlers do
  redis.pcall('XGROUP', 'CREATE', LOG, (of(h)), '$', 'MKSTREAM')
end
local last, found = groups()
for h = 1, count_handlers do
  if found[(of(h))] ~= last then return -1 end
end
for h = 1, count_handlers do
  local name = of(h)
  if call('HSETNX', BINDINGS, name .. '\0' .. t, string.rep('0', 13) .. '-' .. string.rep('0', 7)) == 1 then
    call('HSET', TYPES, t, (call('HGET', TYPES, t) or '') .. name .. '\n')
  end
end

local pid = known and known ~= '' and known
if not pid then
  pid = append(LOG, accepted, m, d)
  local after = groups()
  for name in pairs(found) do call('XGROUP', 'SETID', LOG, name, after) end
  call('HSET', IDS, id, pid)
  if what == 'd' then
    -- Only its place is needed.
    call('XDEL', LOG, pid)
    call('HDEL', string.sub(LOG, 1, -2) .. 'data', pid)
  else
    call('HINCRBY', COUNTERS, 'n:' .. t, 1)
    call('HINCRBY', COUNTERS, 'bytes', size(m, d))
  end
end

local function wait(h, due, attempts, crashes, replay)
  local keys = 12 + 4 * (h - 1)
  local rows, dues, parked, heads = KEYS[keys + 1], KEYS[keys + 2], KEYS[keys + 3], KEYS[keys + 4]
  local _, state = of(h)
  if k ~= '' and state == 'p' then call('HSET', heads, k, pid) end
  if k ~= '' and state == 'w' and replay == '0' and call('HSETNX', heads, k, pid) == 0 and attempts == '0' then
    call('ZADD', parked, 0, k .. ':' .. pid)
    return
  end
  call('HSET', rows, pid, table.concat({ state, attempts, crashes, replay, due }, ','))
  if state == 'w' then call('ZADD', dues, due, pid) end
end

for h = 1, count_handlers do
  local name, state, due, attempts, crashes, replay, records, failure = of(h)
  local own = name .. '|' .. pid
  if state == 'w' or state == 'p' then
    call('HINCRBY', COUNTERS, 'u:' .. name, 1)
    wait(h, due, attempts, crashes, replay)
  elseif state == 'd' then
    call('HSET', KEYS[9], own, packed({ ARGV[7], attempts, replay, failure, m, d }), '#' .. id, pid)
    call('ZADD', KEYS[10], ARGV[7], own)
    call('HINCRBY', COUNTERS, 'd:' .. name, 1)
    call('HSET', IDS, name .. '\0' .. id, pid)
  end
  if records ~= '' then
    call('HSET', KEYS[6], own, records)
    call('ZADD', KEYS[7], now, own)
  end
  if replay ~= '0' then call('HSET', KEYS[8], own, replay) end
end
return 1
