-- Settles some of what waits for one handler. With lib.lua and operate/lib.lua.
-- ARGV 1 handler, 2 now, 3 the part (`unread`, `parked`, `rows`), 4 where that part goes on.
-- Answers how many were settled, and where to go on; '0' at the end of the part.
local handler, now, part, from = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local following = '0'

if part == 'unread' then
  -- What is not counted otherwise is not read: the group stands at the end of the log from here on.
  local last = call('XREVRANGE', S, '+', '-', 'COUNT', 1)[1]
  if last and read_upto(handler) then
    local unsettled = tonumber(call('HGET', C, 'u:' .. handler) or '0')
    local pending = call('XPENDING', S, handler)[1]
    settled = math.max(0, unsettled - pending - call('HLEN', X) - call('ZCARD', P))
    call('XGROUP', 'SETID', S, handler, last[1])
    call('DEL', GONE)
  end
elseif part == 'parked' then
  local some = call('ZRANGE', P, 0, 127)
  for _, member in ipairs(some) do
    call('ZREM', P, member)
    call('HDEL', Y, 'q' .. string.sub(member, -21))
  end
  settled = #some
  if #some == 128 then following = '1' end
else
  local page = call('HSCAN', X, from, 'COUNT', 128)
  following = page[1]
  for i = 1, #page[2], 2 do
    local pid = page[2][i]
    if string.sub(page[2][i + 1], 1, 1) ~= 'o' then
      local m = message(handler, pid)
      forget(handler, pid)
      if m then free(key_and_type(m), pid, now) end
      settled = settled + 1
    end
  end
end

finish(handler)
return { settled, following }
