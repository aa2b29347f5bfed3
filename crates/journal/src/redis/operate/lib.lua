-- What the scripts of operators and of the retention share, after lib.lua.
-- KEYS[19]: what was discarded before it was read.
local GONE = KEYS[19]

-- How far the handler has read here; nothing if it never did.
local function read_upto(handler)
  if call('EXISTS', S) == 0 then return nil end
  for _, group in ipairs(call('XINFO', 'GROUPS', S)) do
    local name, last
    for i = 1, #group, 2 do
      if group[i] == 'name' then name = group[i + 1] end
      if group[i] == 'last-delivered-id' then last = group[i + 1] end
    end
    if name == handler then return pid_of(last), last end
  end
  return nil
end

-- Takes a letter off the list.
local function exhume(handler, pid)
  local name = handler .. '|' .. pid
  call('HDEL', D, name)
  call('ZREM', DZ, name)
  call('HINCRBY', C, 'd:' .. handler, -1)
end
