-- Binds a handler to one type in one shard, creating its group; in steps of 128 entries. With lib.lua.
-- ARGV 1 handler, 2 type, 3 `now` or `earliest`, 4 now, 5 where to go on or '', 6 how many were seen, 7 '1' for order,
--      8 '1' if some type of the handler begins at the earliest. KEYS 19 types.
-- Answers '' when it is done, else where to go on, and how many were seen.
local handler, ty, from, now, seen = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[6])
local TYPES = KEYS[19]
local function has(key)
  return call('EXISTS', key) == 1
end
local delivered
local function find()
  if not has(S) then return end
  for _, group in ipairs(call('XINFO', 'GROUPS', S)) do
    local name, last
    for i = 1, #group, 2 do
      if group[i] == 'name' then name = group[i + 1] end
      if group[i] == 'last-delivered-id' then last = group[i + 1] end
    end
    if name == handler then delivered = last end
  end
end
find()
if not delivered then
  call('XGROUP', 'CREATE', S, handler, ARGV[8] == '1' and '0' or '$', 'MKSTREAM')
  find()
end
local name = handler .. '\0' .. ty
if call('HEXISTS', B, name) == 1 then return { '', 0 } end

local function done(start, more)
  call('HSET', B, name, start)
  call('HSET', TYPES, ty, (call('HGET', TYPES, ty) or '') .. handler .. '\n')
  if more ~= 0 then call('HINCRBY', C, 'u:' .. handler, more) end
  finish(handler)
  return { '', 0 }
end

if from == 'now' then
  local info, last = call('XINFO', 'STREAM', S), nil
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
  end
  return done(pid_of(last), 0)
end
-- What the group has passed comes as deliveries that wait; what it has not, it will read.
local entries = call('XRANGE', S, ARGV[5] == '' and '-' or ARGV[5], delivered, 'COUNT', 128)
for _, entry in ipairs(entries) do
  local pid = pid_of(entry[1])
  local key, its_type = key_and_type(entry[2][2])
  if its_type == ty then
    seen = seen + 1
    if call('HEXISTS', X, pid) == 0 and not (key ~= '' and call('ZSCORE', P, key .. ':' .. pid)) then
      settled = settled - 1
      if ARGV[7] == '1' and key ~= '' and call('HSETNX', Y, key, pid) == 0 then
        call('ZADD', P, 0, key .. ':' .. pid)
      else
        wait(pid, 0, 0, 0, now)
      end
    end
  end
end
if #entries == 128 then
  finish(handler)
  return { '(' .. entries[128][1], seen }
end
local all = tonumber(call('HGET', C, 'n:' .. ty) or '0')
return done(string.rep('0', 13) .. '-' .. string.rep('0', 7), all - seen)
