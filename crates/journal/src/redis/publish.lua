-- Accepts groups of messages; each group is stored whole or not at all.
-- KEYS 1 log, 2 counters, 3 types, 4 delayed, 5 delayed bodies, 6 outbox,
--      then the hashes of ids, latest day first, as many as one of these may be in, then those of idempotency keys.
-- ARGV 1 now, 2 keys used at or before this time are forgotten, 3 most unsettled of one handler, 4 most bytes of this
--      shard (both -1 without bound), 5 hashes of idempotency keys, 6 groups, 7 what handlers have unsettled elsewhere: handler, tab, count
--      (-1 if no node has it in its wiring: it fills no backlog), newline, 8 hashes of ids, 9 who tells
--      other nodes and where (see `tell`); then for each group how many messages and how many for the
--      outbox;
--      then for each message: id, t, k, m, d, and one after the other scope and payload digest if it has an idempotency
--      key (16 bytes each), and when it is due if that is later;
--      then for each one for the outbox: t, k, m, d, scope, payload digest.
-- Answers 1 if something is in the log or delayed now, 2 if besides nobody else was there to be told, the bytes of this shard, then for each message: `A`, `D` + id, `C` + id,
--      or `F` + handler or nothing + newline + the figure that is too large.
local LOG, COUNTERS, TYPES, DELAYED, BODIES, OUTBOX = unpack(KEYS, 1, 6)
local now, expired = ARGV[1], tonumber(ARGV[2])
local most, most_bytes, scope_days, groups = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local id_days = tonumber(ARGV[8])
local first_item = 10 + 2 * groups
local items = 0
for g = 1, groups do items = items + tonumber(ARGV[8 + 2 * g]) end
local first_out = first_item + 6 * items

-- Looks all of `wanted` up in so many hashes from KEYS[first] on.
local function look(first, days, wanted, found)
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

local ids, scopes, count_scopes = {}, {}, 0
for i = 1, items do
  local at = first_item + 6 * (i - 1)
  ids[i] = ARGV[at]
  local extra = ARGV[at + 5]
  if #extra >= 32 then
    count_scopes = count_scopes + 1
    scopes[count_scopes] = string.sub(extra, 1, 16)
  end
end
local known = look(7, id_days, ids, {})
local taken = {}
if count_scopes > 0 then
  for scope, value in pairs(look(7 + id_days, scope_days, scopes, {})) do
    if tonumber(string.sub(value, 1, 13)) > expired then taken[scope] = value end
  end
end

local unsettled = {}
local bytes = tonumber(call('HGET', COUNTERS, 'bytes') or '0')
local answers, told = { 0, '' }, 2
local new_ids, count_ids, new_scopes, changed, bytes_before = {}, 0, {}, 0, bytes
-- Of the group that is looked at: where its new messages stand, and what they add to handlers. Kept between groups,
-- since most of them have one message.
local accepted, more = {}, {}

-- When a message is due, from its last argument, if not now.
local function due_at(extra)
  if extra == '' or #extra == 32 then return nil end
  return string.sub(extra, #extra > 32 and 33 or 1)
end

local elsewhere
-- What a handler has unsettled in other shards.
local function others(handler)
  if not elsewhere then
    elsewhere = {}
    for name, count in string.gmatch(ARGV[7], '([^\t]+)\t(-?%d+)\n') do elsewhere[name] = tonumber(count) end
  end
  return elsewhere[handler] or 0
end

-- The bound that is reached, or would be passed by the group with its first `new` messages; or nil.
local function full(new)
  if most_bytes >= 0 and new > 0 and bytes >= most_bytes then
    return 'F\n' .. string.format('%.0f', bytes)
  end
  if most < 0 then return nil end
  for handler in pairs(more) do more[handler] = 0 end
  for i = 1, new do
    local at = accepted[i]
    if not due_at(ARGV[at + 5]) then
      for _, handler in ipairs(handlers(TYPES, ARGV[at + 1])) do more[handler] = (more[handler] or 0) + 1 end
    end
  end
  for handler, count in pairs(more) do
    local theirs = others(handler)
    if not unsettled[handler] then
      unsettled[handler] = tonumber(call('HGET', COUNTERS, 'u:' .. handler) or '0') + theirs
    end
    local all = unsettled[handler] + (more_unsettled[handler] or 0)
    if count > 0 and theirs >= 0 and all + count > most then return 'F' .. handler .. '\n' .. string.format('%.0f', all) end
  end
  return nil
end

local function store(at)
  local id, t, k, m, d = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local due, pid = due_at(ARGV[at + 5]), ''
  if not due then
    pid = append(LOG, now, t, k, m, d)
    count(TYPES, t)
  else
    local out = {}
    for i, field in ipairs({ t, k, m, d }) do out[i] = struct.pack('>I4', #field) .. field end
    call('ZADD', DELAYED, due, id)
    call('HSET', BODIES, id, table.concat(out))
  end
  new_ids[count_ids + 1], new_ids[count_ids + 2] = id, pid
  count_ids = count_ids + 2
  changed = 1
end

local padded_now = string.rep('0', 13 - #now) .. now
local item, out = 0, 0
for g = 1, groups do
  local count_items, count_outs = tonumber(ARGV[8 + 2 * g]), tonumber(ARGV[9 + 2 * g])
  local new, added, before_group = 0, 0, told
  for i = 0, count_items - 1 do
    local at = first_item + 6 * (item + i)
    local id, extra = ARGV[at], ARGV[at + 5]
    local scope = #extra >= 32 and string.sub(extra, 1, 16)
    local before = scope and taken[scope]
    told = told + 1
    if before then
      local same = string.sub(before, 30) == string.sub(extra, 17, 32)
      answers[told] = (same and 'D' or 'C') .. string.sub(before, 14, 29)
    elseif known[id] then
      answers[told] = 'D' .. id
    else
      answers[told] = 'A'
      known[id] = ''
      if scope then taken[scope] = padded_now .. id .. string.sub(extra, 17, 32) end
      new = new + 1
      accepted[new] = at
      added = added + size(ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
    end
  end
  if count_items == 0 then
    told = told + 1
    answers[told] = 'A'
  end
  local refused = full(new)
  if refused then
    for i = 1, new do
      local at = accepted[i]
      known[ARGV[at]] = nil
      if #ARGV[at + 5] >= 32 then taken[string.sub(ARGV[at + 5], 1, 16)] = nil end
    end
    for i = before_group + 1, told do answers[i] = refused end
  else
    for i = 1, new do
      local at = accepted[i]
      store(at)
      if #ARGV[at + 5] >= 32 then
        local scope = string.sub(ARGV[at + 5], 1, 16)
        new_scopes[#new_scopes + 1] = scope
        new_scopes[#new_scopes + 1] = taken[scope]
      end
    end
    bytes = bytes + added
    for i = 0, count_outs - 1 do
      local at = first_out + 6 * (out + i)
      call('XADD', OUTBOX, '*', 't', ARGV[at], 'k', ARGV[at + 1], 'm', ARGV[at + 2], 'd', ARGV[at + 3],
        'i', ARGV[at + 4], 'h', ARGV[at + 5])
    end
  end
  item, out = item + count_items, out + count_outs
end

local function write(key, pairs_of)
  for at = 1, #pairs_of, 128 do call('HSET', key, unpack(pairs_of, at, math.min(at + 127, #pairs_of))) end
end
write(KEYS[7], new_ids)
write(KEYS[7 + id_days], new_scopes)
write_counts(COUNTERS)
if bytes ~= bytes_before then call('HINCRBY', COUNTERS, 'bytes', bytes - bytes_before) end
if ms and tell(LOG, ARGV[9]) then changed = 2 end
answers[1] = changed
answers[2] = string.format('%.0f', bytes)
return answers
