-- Appending to the log: explicit ids, made of the journal's clock, so that an injected clock rules.
-- Before it stands whether payloads are stored apart, in `T:data`, from where they can be dropped: APART. An empty
-- payload always is, so that it is told from a dropped one.
local call = redis.call
local ms, seq, padded
-- Per handler and per type: how many more.
local more_unsettled, more_of_type, handlers_of = {}, {}, {}

local function add(log, id, t, k, m, d)
  return redis.pcall('XADD', log, id, 't', t, 'k', k, 'm', m, 'd', APART and '' or d)
end

-- The first of a run, or when a millisecond is full: 20 bits of a position are below it.
local function append_first(log, now, t, k, m, d)
  local from = ms and string.format('%.0f', tonumber(ms) + 1) or now
  local id = add(log, from .. '-*', t, k, m, d)
  if type(id) == 'table' then
    -- The clock is behind the log.
    local info, last = call('XINFO', 'STREAM', log), nil
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then last = info[i + 1] end
    end
    local last_ms, last_seq = string.match(last, '^(%d+)-(%d+)$')
    if tonumber(last_seq) >= 1048575 then last_ms = string.format('%.0f', tonumber(last_ms) + 1) end
    id = add(log, last_ms .. '-*', t, k, m, d)
    if type(id) == 'table' then error(id.err) end
  end
  local first_ms, first_seq = string.match(id, '^(%d+)-(%d+)$')
  ms, seq = first_ms, tonumber(first_seq)
  padded = string.rep('0', 13 - #ms) .. ms .. '-'
end

-- Appends one message; answers its pid.
local function append(log, now, t, k, m, d)
  local pid
  if ms and seq < 1048575 then
    seq = seq + 1
    pid = padded .. string.format('%07d', seq)
    -- A pid is an id with zeros before its numbers.
    local added = add(log, pid, t, k, m, d)
    if type(added) == 'table' then error(added.err) end
  else
    append_first(log, now, t, k, m, d)
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

-- Counts one more message of a type in the log.
local function count(types, ty)
  more_of_type[ty] = (more_of_type[ty] or 0) + 1
  for _, handler in ipairs(handlers(types, ty)) do
    more_unsettled[handler] = (more_unsettled[handler] or 0) + 1
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
local function size(t, k, m, d)
  return #t + #k + #m + #d + 64
end
