-- Accepts groups of messages; each group is stored whole or not at all.
-- KEYS 1 log, 2 counters, 3 types, 4 delayed, 5 delayed bodies, 6 outbox,
--      then the hashes of ids, latest day first, then those of idempotency keys.
-- ARGV 1 now, 2 keys used at or before this time are forgotten, 3 most unsettled of one handler, 4 most bytes of this
--      shard (both -1 without bound), 5 days, 6 groups, 7 what handlers have unsettled elsewhere: handler, tab, count,
--      newline; then for each group how many messages and how many for the outbox;
--      then for each message: id, t, k, m, d, scope, payload digest, due or '';
--      then for each one for the outbox: t, k, m, d, scope, payload digest.
-- Answers 1 if something is in the log or delayed now, the bytes of this shard, then for each message: `A`, `D` + id, `C` + id,
--      or `F` + handler or nothing + newline + the figure that is too large.
local LOG, COUNTERS, TYPES, DELAYED, BODIES, OUTBOX = unpack(KEYS, 1, 6)
local now, expired = ARGV[1], tonumber(ARGV[2])
local most, most_bytes, days, groups = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local first_item = 8 + 2 * groups
local items = 0
for g = 1, groups do items = items + tonumber(ARGV[6 + 2 * g]) end
local first_out = first_item + 8 * items

-- Looks all of `wanted` up in the hashes from KEYS[first] on.
local function look(first, wanted, found)
  for day = 0, days - 1 do
    for at = 1, #wanted, 128 do
      local upto = math.min(at + 127, #wanted)
      local answers = call('HMGET', KEYS[first + day], unpack(wanted, at, upto))
      for i = at, upto do
        local answer = answers[i - at + 1]
        if answer and not found[wanted[i]] then found[wanted[i]] = answer end
      end
    end
  end
  return found
end

local ids, scopes = {}, {}
for i = 0, items - 1 do
  local at = first_item + 8 * i
  ids[#ids + 1] = ARGV[at]
  if ARGV[at + 5] ~= '' then scopes[#scopes + 1] = ARGV[at + 5] end
end
local known = look(7, ids, {})
local taken = {}
if #scopes > 0 then
  for scope, value in pairs(look(7 + days, scopes, {})) do
    if tonumber(string.sub(value, 1, 13)) > expired then taken[scope] = value end
  end
end

local unsettled = {}
local bytes = tonumber(call('HGET', COUNTERS, 'bytes') or '0')
local answers, new_ids, new_scopes, changed, bytes_before = { 0, '' }, {}, {}, 0, bytes

local elsewhere
-- What a handler has unsettled in other shards.
local function others(handler)
  if not elsewhere then
    elsewhere = {}
    for name, count in string.gmatch(ARGV[7], '([^\t]+)\t(%d+)\n') do elsewhere[name] = tonumber(count) end
  end
  return elsewhere[handler] or 0
end

-- The bound that is reached, or would be passed by a group with these messages; or nil.
local function full(accepted)
  if most_bytes >= 0 and #accepted > 0 and bytes >= most_bytes then
    return 'F\n' .. string.format('%.0f', bytes)
  end
  if most < 0 then return nil end
  local more = {}
  for _, at in ipairs(accepted) do
    if ARGV[at + 7] == '' then
      for _, handler in ipairs(handlers(TYPES, ARGV[at + 1])) do more[handler] = (more[handler] or 0) + 1 end
    end
  end
  for handler, count in pairs(more) do
    if not unsettled[handler] then
      unsettled[handler] = tonumber(call('HGET', COUNTERS, 'u:' .. handler) or '0') + others(handler)
    end
    local all = unsettled[handler] + (more_unsettled[handler] or 0)
    if all + count > most then return 'F' .. handler .. '\n' .. string.format('%.0f', all) end
  end
  return nil
end

local function store(at)
  local id, t, k, m, d, due = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], ARGV[at + 7]
  new_ids[#new_ids + 1] = id
  if due == '' then
    new_ids[#new_ids + 1] = append(LOG, now, t, k, m, d)
    count(TYPES, t)
  else
    local out = {}
    for i, field in ipairs({ t, k, m, d }) do out[i] = struct.pack('>I4', #field) .. field end
    call('ZADD', DELAYED, due, id)
    call('HSET', BODIES, id, table.concat(out))
    new_ids[#new_ids + 1] = ''
  end
  changed = 1
end

local item, out = 0, 0
for g = 1, groups do
  local count_items, count_outs = tonumber(ARGV[6 + 2 * g]), tonumber(ARGV[7 + 2 * g])
  local accepted, added, own_ids, own_scopes, said = {}, 0, {}, {}, {}
  for i = 0, count_items - 1 do
    local at = first_item + 8 * (item + i)
    local id, scope, digest = ARGV[at], ARGV[at + 5], ARGV[at + 6]
    local before = scope ~= '' and (own_scopes[scope] or taken[scope])
    if before then
      local same = string.sub(before, 30) == digest
      said[i + 1] = (same and 'D' or 'C') .. string.sub(before, 14, 29)
    elseif known[id] or own_ids[id] then
      said[i + 1] = 'D' .. id
    else
      said[i + 1] = 'A'
      own_ids[id] = true
      if scope ~= '' then own_scopes[scope] = string.rep('0', 13 - #now) .. now .. id .. digest end
      accepted[#accepted + 1] = at
      added = added + size(ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
    end
  end
  local refused = full(accepted)
  if refused then
    for i = 1, math.max(count_items, 1) do answers[#answers + 1] = refused end
  else
    for _, at in ipairs(accepted) do store(at) end
    bytes = bytes + added
    for id in pairs(own_ids) do known[id] = '' end
    for scope, value in pairs(own_scopes) do
      taken[scope] = value
      new_scopes[#new_scopes + 1] = scope
      new_scopes[#new_scopes + 1] = value
    end
    for i = 0, count_outs - 1 do
      local at = first_out + 6 * (out + i)
      call('XADD', OUTBOX, '*', 't', ARGV[at], 'k', ARGV[at + 1], 'm', ARGV[at + 2], 'd', ARGV[at + 3],
        'i', ARGV[at + 4], 'h', ARGV[at + 5])
    end
    for i = 1, count_items do answers[#answers + 1] = said[i] end
    if count_items == 0 then answers[#answers + 1] = 'A' end
  end
  item, out = item + count_items, out + count_outs
end

local function write(key, pairs_of)
  for at = 1, #pairs_of, 128 do call('HSET', key, unpack(pairs_of, at, math.min(at + 127, #pairs_of))) end
end
write(KEYS[7], new_ids)
write(KEYS[7 + days], new_scopes)
write_counts(COUNTERS)
if bytes ~= bytes_before then call('HINCRBY', COUNTERS, 'bytes', bytes - bytes_before) end
answers[1] = changed
answers[2] = string.format('%.0f', bytes)
return answers
