-- Reads the log for a handler with order: gives what finds its key free, parks what does not. With lib.lua.
-- KEYS 19 what was discarded before it was read.
-- ARGV 1 handler, 2 node, 3 now, 4 how many, 5 failure of what dies with its key, `@` for that of which.
-- Answers 0 if this node is not alive; else 1, 1 if there may be more, and the entries.
if call('EXISTS', BEAT) == 0 then return { 0, 0, {} } end
local handler, node, now, want, blocked = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
local given, more, looked = {}, 1, 0
while #given < want and looked < 1024 do
  local got = call('XREADGROUP', 'GROUP', handler, node, 'COUNT', math.min(128, want - #given), 'STREAMS', S, '>')
  if not got or not got[1] then
    more = 0
    break
  end
  for _, entry in ipairs(got[1][2]) do
    looked = looked + 1
    local pid = pid_of(entry[1])
    local key, ty = key_and_type(entry[2][2])
    local head = key ~= '' and bound(handler, ty, pid) and call('HGET', Y, key)
    if not bound(handler, ty, pid) or call('HDEL', KEYS[19], pid) == 1 then
      call('XACK', S, handler, pid)
    elseif head and string.sub(head, 1, 1) == '!' and pid <= string.sub(head, 2, 22) then
      call('XACK', S, handler, pid)
      bury(handler, pid, now, '0', '0', blocked_by(blocked, string.sub(head, 23)))
    elseif head and string.sub(head, 1, 1) ~= '!' then
      call('XACK', S, handler, pid)
      call('ZADD', P, 0, key .. ':' .. pid)
    else
      if key ~= '' then call('HSET', Y, key, pid) end
      given[#given + 1] = entry
    end
  end
end
finish(handler)
return { 1, more, given }
