-- Gives up what a handler has not settled of a type that it is not bound to any more, in steps of 128; then unbinds it.
-- With lib.lua.
-- ARGV 1 handler, 2 type, 3 now, 4 failure, 5 step (`rows`, `parked`, `log`), 6 where to go on. KEYS 19 types.
-- Answers the step and where to go on; '' when it is done.
local handler, ty, now, failure, step, from = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local TYPES = KEYS[19]
local name = handler .. '\0' .. ty

local function give_up(pid, attempts, replay)
  local m = message(handler, pid)
  if not m then return false end
  local key, its_type = key_and_type(m)
  if its_type ~= ty then return false end
  bury(handler, pid, now, attempts, replay, failure)
  free(key, pid, now)
  return true
end

if step == 'rows' then
  local page = call('HSCAN', X, from, 'COUNT', 128)
  for i = 1, #page[2], 2 do
    local attempts, _, replay, _, state = read_row(page[2][i + 1])
    if state ~= 'o' then give_up(page[2][i], attempts, replay) end
  end
  finish(handler)
  if page[1] ~= '0' then return { 'rows', page[1] } end
  return { 'parked', '0' }
end
if step == 'parked' then
  local page = call('ZSCAN', P, from, 'COUNT', 128)
  for i = 1, #page[2], 2 do
    local pid = string.sub(page[2][i], 18)
    if give_up(pid, '0', '0') then call('ZREM', P, page[2][i]) end
  end
  finish(handler)
  if page[1] ~= '0' then return { 'parked', page[1] } end
  return { 'log', '' }
end
local start, delivered = call('HGET', B, name), nil
if not start then return { '', '' } end
for _, group in ipairs(call('XINFO', 'GROUPS', S)) do
  local its_name, last
  for i = 1, #group, 2 do
    if group[i] == 'name' then its_name = group[i + 1] end
    if group[i] == 'last-delivered-id' then last = group[i + 1] end
  end
  if its_name == handler then delivered = last end
end
local entries = delivered and call('XRANGE', S, from == '' and '(' .. delivered or from, '+', 'COUNT', 128) or {}
for _, entry in ipairs(entries) do
  local pid = pid_of(entry[1])
  local _, its_type = key_and_type(entry[2][2])
  if its_type == ty and pid > start then bury(handler, pid, now, '0', '0', failure) end
end
finish(handler)
if #entries == 128 then return { 'log', '(' .. entries[128][1] } end
call('HDEL', B, name)
local kept = {}
for one in string.gmatch(call('HGET', TYPES, ty) or '', '([^\n]+)\n') do
  if one ~= handler then kept[#kept + 1] = one .. '\n' end
end
if #kept > 0 then call('HSET', TYPES, ty, table.concat(kept)) else call('HDEL', TYPES, ty) end
return { '', '' }
