-- Schedules deliveries of one handler again. With lib.lua and operate/lib.lua.
-- ARGV 1 handler, 2 now; then for each: pid, due (ms), type, digest of the ordering key or '', packed
--      copy if it is not in the log, else ''.
-- Answers for each: 1 scheduled, 0 still to come, -1 there is no payload any more.
local handler = ARGV[1]
local upto = read_upto(handler)

local function replay(pid, due, ty, key, copy)
  local name = handler .. '|' .. pid
  local known = call('HGET', X, pid)
  local letter = call('HGET', D, name)
  if known then
    local attempts, _, number, _, state = read_row(known)
    if state == 'o' or (state == 'w' and attempts == '0' and number == '0') then return 0 end
  elseif not letter then
    if key ~= '' and call('ZSCORE', P, key .. ':' .. pid) then return 0 end
    -- What was discarded before it was read is settled; its mark stays, so that reading the log passes over it.
    if call('HEXISTS', GONE, pid) == 0 then
      if bound(handler, ty, pid) and (not upto or upto < pid) then return 0 end
      if upto and #call('XPENDING', S, handler, pid, pid, 1) > 0 then return 0 end
    end
  end
  local m = message(handler, pid)
  if not m then
    if letter then
      local f = unpacked(letter)
      copy = packed({ f[5], f[6] })
    end
    if copy == '' then return -1 end
    call('HSET', E, name, copy)
  end
  if letter then exhume(handler, pid) end
  if not known then settled = settled - 1 end
  wait(pid, 0, 0, call('HINCRBY', R, name, 1), due)
  return 1
end

local answer = {}
for at = 3, #ARGV, 5 do
  answer[#answer + 1] = replay(ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4])
end
finish(handler)
return answer
