-- Appending to the log: explicit ids, made of the journal's clock, so that an injected clock rules.
-- Before it stands whether payloads are stored apart, in `T:data`, from where they can be dropped: APART. An empty
-- payload always is, so that it is told from a dropped one. AHEAD says that another command appended; see publish.lua.
local call = redis.call
local ms, seq, padded
-- 20 bits of a position are below its milliseconds.
local MOST_SEQ = 1048575
-- Per handler and per type: how many more.
local more_unsettled, more_of_type, handlers_of = {}, {}, {}

local function add(log, id, m, d)
  return redis.pcall('XADD', log, id, 'm', m, 'd', APART and '' or d)
end

-- Both numbers of the last id of a log, whether its entry is still there or not.
local function last_id(log)
  local info = call('XINFO', 'STREAM', log)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return string.match(info[i + 1], '^(%d+)-(%d+)$') end
  end
end

-- The first of a run, or when a millisecond is full.
local function append_first(log, now, m, d)
  local from = ms and string.format('%.0f', tonumber(ms) + 1) or now
  local id = add(log, from .. '-*', m, d)
  if type(id) == 'table' then
    -- The clock is behind the log.
    local last_ms, last_seq = last_id(log)
    if tonumber(last_seq) >= MOST_SEQ then last_ms = string.format('%.0f', tonumber(last_ms) + 1) end
    id = add(log, last_ms .. '-*', m, d)
    if type(id) == 'table' then error(id.err) end
  end
  local first_ms, first_seq = string.match(id, '^(%d+)-(%d+)$')
  ms, seq = first_ms, tonumber(first_seq)
  if seq > MOST_SEQ then
    call('XDEL', log, id)
    return append_first(log, now, m, d)
  end
  padded = string.rep('0', 13 - #ms) .. ms .. '-'
end

-- Appends one message; answers its pid.
local function append(log, now, m, d)
  local pid
  if ms and seq < MOST_SEQ then
    seq = seq + 1
    pid = padded .. string.format('%07d', seq)
    -- A pid is an id with zeros before its numbers.
    local added = add(log, pid, m, d)
    if type(added) == 'table' then error(added.err) end
  else
    append_first(log, now, m, d)
    pid = padded .. string.format('%07d', seq)
  end
  -- The same tag as the log: `T:data` beside `T:s`.
  if APART or d == '' then call('HSET', string.sub(log, 1, -2) .. 'data', pid, d) end
  return pid
end

-- The handlers that are bound to a type.
local function handlers(types, ty)
  local found = handlers_of[ty]
  if not found then
    found = {}
    for handler in string.gmatch(call('HGET', types, ty) or '', '([^\n]+)\n') do
      found[#found + 1] = handler
    end
    handlers_of[ty] = found
  end
  return found
end

-- Counts so many more messages of a type in the log.
local function count(types, ty, more)
  if more == 0 then return end
  more_of_type[ty] = (more_of_type[ty] or 0) + more
  for _, handler in ipairs(handlers(types, ty)) do
    more_unsettled[handler] = (more_unsettled[handler] or 0) + more
  end
end

local function write_counts(counters)
  for handler, more in pairs(more_unsettled) do call('HINCRBY', counters, 'u:' .. handler, more) end
  for ty, more in pairs(more_of_type) do call('HINCRBY', counters, 'n:' .. ty, more) end
end

-- Tells other nodes that something is in a log. `who` is this node, 32 digits, and the channel; or '' to tell nobody.
-- Answers whether nobody but this node heard. Not being allowed to tell undoes nothing.
local function tell(log, who)
  if who == '' then return false end
  local heard = redis.pcall('PUBLISH', string.sub(who, 33), string.sub(who, 1, 32) .. log)
  return type(heard) ~= 'number' or heard < 2
end

-- What a message takes of `max_size`.
local function size(m, d)
  return #m + #d + 64
end
