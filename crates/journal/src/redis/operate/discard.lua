-- Settles deliveries of one handler without running them. With lib.lua and operate/lib.lua.
-- ARGV 1 handler, 2 now, 3 JSON of the failure to remember; then for each: pid, type, digest of the ordering key or ''.
-- Answers for each: 1 discarded, 0 nothing to discard.
local handler, now, failure = ARGV[1], ARGV[2], ARGV[3]
local upto = read_upto(handler)

local function told(pid, replay, attempts)
  local record = '{"replay":' .. replay .. ',"attempt":' .. attempts .. ',' .. string.sub(failure, 2)
  remember({ handler .. '|' .. pid }, { record }, now)
  return 1
end

local function discard(pid, ty, key)
  local known = call('HGET', X, pid)
  if known then
    local attempts, _, number, _, state = read_row(known)
    if state == 'o' then return 0 end
    forget(handler, pid)
    free(key, pid, now)
    settled = settled + 1
    return told(pid, number, attempts)
  end
  local letter = call('HGET', D, handler .. '|' .. pid)
  if letter then
    local f = unpacked(letter)
    exhume(handler, pid)
    return told(pid, f[3], f[2])
  end
  local parked = key ~= '' and call('ZREM', P, key .. ':' .. pid) == 1
  if parked then call('HDEL', Y, 'q' .. pid) end
  local unread = not parked and bound(handler, ty, pid) and (not upto or upto < pid)
  if parked or (unread and call('HSETNX', GONE, pid, now) == 1) then
    settled = settled + 1
    return told(pid, 0, 0)
  end
  return 0
end

local answer = {}
for at = 4, #ARGV, 3 do
  answer[#answer + 1] = discard(ARGV[at], ARGV[at + 1], ARGV[at + 2])
end
finish(handler)
return answer
