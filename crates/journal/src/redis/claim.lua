-- Takes away what a node holds of one handler, at most 128 first attempts at once, so that it is handed out again. With
-- lib.lua; the heartbeat is that node's.
-- KEYS 19 what was discarded before it was read.
-- ARGV 1 handler, 2 node, 3 now, 4 crashes to count for each, 5 '1' if the node gives it back by itself.
-- Answers how many; -1 if that node is alive.
local handler, node, now, crash = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if ARGV[5] ~= '1' and call('EXISTS', BEAT) == 1 then return -1 end
local moved = 0
local pending = call('XPENDING', S, handler, '-', '+', 128, node)
for _, entry in ipairs(pending) do
  local pid = pid_of(entry[1])
  local m = message(handler, pid)
  call('XACK', S, handler, pid)
  if call('HDEL', KEYS[19], pid) == 0 and m and takes(handler, m, pid) then
    wait(pid, 0, crash, 0, now)
    moved = moved + 1
  end
end
local owners = call('HGETALL', W)
for i = 1, #owners, 2 do
  if owners[i + 1] == node then
    local pid = owners[i]
    local attempts, crashes, replay, due = read_row(call('HGET', X, pid) or 'o,0,0,0,0')
    call('HDEL', W, pid)
    wait(pid, attempts, tonumber(crashes) + crash, replay, due)
    moved = moved + 1
  end
end
if #pending < 128 then
  call('XGROUP', 'DELCONSUMER', S, handler, node)
  return moved
end
return math.max(moved, 1)
