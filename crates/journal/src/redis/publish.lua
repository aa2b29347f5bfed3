-- Accepts groups of messages; each group is stored whole or not at all. With log.lua.
-- KEYS 1 log, 2 counters, 3 types, 4 delayed, 5 delayed bodies, 6 outbox,
--      then the hashes of ids, latest day first, as many as one of these may be in, then those of idempotency keys.
-- ARGV 1 now, 2 keys used at or before this time are forgotten, 3 most unsettled of one handler, 4 most bytes of this
--      shard (both -1 without bound), 5 hashes of idempotency keys, 6 groups, 7 what handlers have unsettled elsewhere:
--      handler, tab, count (-1 if no node has it in its wiring: it fills no backlog), newline, 8 hashes of ids, 9 who
--      tells other nodes and where (see `tell`), 10 messages, 11 those for the outbox, 12 the types of the messages:
--      type, tab, how many one after the other, newline, 13 their ids, 16 bytes each, 14 their sizes (see `size` in
--      log.lua), 4 bytes each;
--      then for each group how many messages and how many for the outbox;
--      then for each message: m, d; nothing if they were appended ahead;
--      then for each one for the outbox: m, d, scope, payload digest;
--      then for each message that has more to it: its number, and one after the other scope and payload digest if it has
--      an idempotency key (16 bytes each), and when it is due if that is later.
-- Answers 1 if something is in the log or delayed now, 2 if besides nobody else was there to be told, -1 if nothing could
--      be appended ahead and nothing was done; the bytes of this shard; 1 while no bound is half reached; then a number and an answer for what was not accepted: `D` + id, `C` + id, or `F` + handler or
--      nothing + newline + the figure that is too large. Numbers count messages, and groups without any.
local LOG, COUNTERS, TYPES, DELAYED, BODIES, OUTBOX = unpack(KEYS, 1, 6)
local now, expired = ARGV[1], tonumber(ARGV[2])
local most, most_bytes, scope_days, groups = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local id_days = tonumber(ARGV[8])
local items, outs = tonumber(ARGV[10]), tonumber(ARGV[11])
local first_item = 15 + 2 * groups
local first_out = first_item + (AHEAD and 0 or 2 * items)

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

-- AHEAD: the messages were appended before this, in the same transaction, since their payloads are much to carry through a
-- script. Their places are the last ones; those that are not accepted are taken out again, which nobody sees.
local ahead
if AHEAD then
  local last_ms, last_seq = last_id(LOG)
  if last_ms ~= now then return { -1, '', 0 } end
  ahead = tonumber(last_seq) - items
  if ahead + items > MOST_SEQ then
    for i = 1, items do call('XDEL', LOG, string.format('%s-%.0f', now, ahead + i)) end
    return { -1, '', 0 }
  end
end

-- What more there is to a message, by its number.
local extras = {}
for at = first_out + 4 * outs, #ARGV, 2 do extras[tonumber(ARGV[at])] = ARGV[at + 1] end

-- Scope of its idempotency key and payload digest; nothing if it has none.
local function scope_of(i)
  local extra = extras[i]
  if extra and #extra >= 32 then return string.sub(extra, 1, 16), string.sub(extra, 17, 32) end
end

-- When it is due, if not now.
local function due_of(i)
  local extra = extras[i]
  if extra and #extra ~= 32 then return string.sub(extra, #extra > 32 and 33 or 1) end
end

local ids, types, scopes = {}, {}, {}
for ty, run in string.gmatch(ARGV[12], '([^\t]+)\t(%d+)\n') do
  for i = #types + 1, #types + run do types[i] = ty end
end
for i = 1, items do
  ids[i] = string.sub(ARGV[13], 16 * i - 15, 16 * i)
  local scope = scope_of(i)
  if scope then scopes[#scopes + 1] = scope end
end
local known = look(7, id_days, ids, {})
local taken = {}
for scope, value in pairs(look(7 + id_days, scope_days, scopes, {})) do
  if tonumber(string.sub(value, 1, 13)) > expired then taken[scope] = value end
end

local unsettled = {}
local bytes = tonumber(call('HGET', COUNTERS, 'bytes') or '0')
-- How many messages, and how many messages and groups without any, were looked at.
local number, answer, answers = 0, 0, { 0, '', 1 }
local new_ids, count_ids, new_scopes, changed, bytes_before = {}, 0, {}, 0, bytes
-- Of the group that is looked at: its new messages, how many of each type go into the log, and what they add to handlers.
-- Kept between groups, since most of them have one message.
local accepted, of_type, more = {}, {}, {}
local padded_now = string.rep('0', 13 - #now) .. now

local function tell_about(which, what)
  answers[#answers + 1] = which
  answers[#answers + 1] = what
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
  for ty in pairs(of_type) do of_type[ty] = 0 end
  for i = 1, new do
    local ty = types[accepted[i]]
    if not due_of(accepted[i]) then of_type[ty] = (of_type[ty] or 0) + 1 end
  end
  if most < 0 then return nil end
  for handler in pairs(more) do more[handler] = 0 end
  for ty, count in pairs(of_type) do
    for _, handler in ipairs(handlers(TYPES, ty)) do more[handler] = (more[handler] or 0) + count end
  end
  for handler, count in pairs(more) do
    local theirs = others(handler)
    if not unsettled[handler] then
      unsettled[handler] = tonumber(call('HGET', COUNTERS, 'u:' .. handler) or '0') + theirs
    end
    local all = unsettled[handler] + (more_unsettled[handler] or 0)
    if all + count > most / 2 then answers[3] = 0 end
    if count > 0 and theirs >= 0 and all + count > most then return 'F' .. handler .. '\n' .. string.format('%.0f', all) end
  end
  return nil
end

-- What was appended ahead, and stays.
local kept = {}
local function store(i)
  local id, pid, due = ids[i], '', due_of(i)
  local m, d = ARGV[first_item + 2 * i - 2], ARGV[first_item + 2 * i - 1]
  if AHEAD then
    pid = string.format('%s-%07d', padded_now, ahead + i)
    kept[i], ms = true, now
  elseif not due then
    pid = append(LOG, now, m, d)
  else
    call('ZADD', DELAYED, due, id)
    call('HSET', BODIES, id, struct.pack('>I4', #m) .. m .. struct.pack('>I4', #d) .. d)
  end
  new_ids[count_ids + 1], new_ids[count_ids + 2] = id, pid
  count_ids = count_ids + 2
  changed = 1
  bytes = bytes + struct.unpack('>I4', ARGV[14], 4 * i - 3)
  local scope = scope_of(i)
  if scope then
    new_scopes[#new_scopes + 1] = scope
    new_scopes[#new_scopes + 1] = taken[scope]
  end
end

-- Whether a message is new; what is not is answered.
local function is_new(i, which)
  local id, scope, payload = ids[i], scope_of(i)
  local before = scope and taken[scope]
  if before then
    local same = string.sub(before, 30) == payload
    tell_about(which, (same and 'D' or 'C') .. string.sub(before, 14, 29))
  elseif known[id] then
    tell_about(which, 'D' .. id)
  else
    known[id] = ''
    if scope then taken[scope] = padded_now .. id .. payload end
    return true
  end
end

local out = first_out
for g = 1, groups do
  local count_items, count_outs = tonumber(ARGV[13 + 2 * g]), tonumber(ARGV[14 + 2 * g])
  local count_answers, told = math.max(count_items, 1), #answers
  local new = 0
  for i = 1, count_items do
    if is_new(number + i, answer + i) then
      new = new + 1
      accepted[new] = number + i
    end
  end
  local refused = full(new)
  if refused then
    for i = 1, new do
      local scope = scope_of(accepted[i])
      known[ids[accepted[i]]] = nil
      if scope then taken[scope] = nil end
    end
    for i = #answers, told + 1, -1 do answers[i] = nil end
    for i = 1, count_answers do tell_about(answer + i, refused) end
  else
    for i = 1, new do store(accepted[i]) end
    for ty, new_of_type in pairs(of_type) do count(TYPES, ty, new_of_type) end
    for i = 0, count_outs - 1 do
      local at = out + 4 * i
      call('XADD', OUTBOX, '*', 'm', ARGV[at], 'd', ARGV[at + 1], 'i', ARGV[at + 2], 'h', ARGV[at + 3])
    end
  end
  out = out + 4 * count_outs
  number, answer = number + count_items, answer + count_answers
end

if AHEAD then
  for i = 1, items do
    if not kept[i] then call('XDEL', LOG, string.format('%s-%.0f', now, ahead + i)) end
  end
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
if most_bytes >= 0 and bytes > most_bytes / 2 then answers[3] = 0 end
return answers
