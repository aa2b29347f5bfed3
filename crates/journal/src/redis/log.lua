-- Appending to the log: explicit ids, made of the journal's clock, so that an injected clock rules.
local call = redis.call
local ms, seq
-- Per handler and per type: how many more.
local more_unsettled, more_of_type, handlers_of = {}, {}, {}

local function pid_of(m, s)
  return string.rep('0', 13 - #m) .. m .. '-' .. string.rep('0', 7 - #s) .. s
end

local function add(log, id, f)
  return redis.pcall('XADD', log, id, 't', f[1], 'k', f[2], 'm', f[3], 'd', f[4])
end

-- Appends one message; answers its pid. Positions have 20 bits below the millisecond.
local function append(log, now, f)
  if ms and seq < 1048575 then
    seq = seq + 1
    local id = ms .. '-' .. string.format('%d', seq)
    local added = add(log, id, f)
    if type(added) == 'table' then error(added.err) end
  else
    local from = ms and string.format('%.0f', tonumber(ms) + 1) or now
    local id = add(log, from .. '-*', f)
    if type(id) == 'table' then
      -- The clock is behind the log.
      local info, last = call('XINFO', 'STREAM', log), nil
      for i = 1, #info, 2 do
        if info[i] == 'last-generated-id' then last = info[i + 1] end
      end
      local last_ms, last_seq = string.match(last, '^(%d+)-(%d+)$')
      if tonumber(last_seq) >= 1048575 then last_ms = string.format('%.0f', tonumber(last_ms) + 1) end
      id = add(log, last_ms .. '-*', f)
      if type(id) == 'table' then error(id.err) end
    end
    local m, s = string.match(id, '^(%d+)-(%d+)$')
    ms, seq = m, tonumber(s)
  end
  return pid_of(ms, string.format('%d', seq))
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

-- What a message takes of `max_size`.
local function size(f)
  return #f[1] + #f[2] + #f[3] + #f[4] + 64
end
