-- Takes back what a node was given and never heard of: the answer was lost on its way. With lib.lua.
-- KEYS 19 what was discarded before it was read.
-- ARGV 1 handler, 2 node, 3 now, then entry ids. Answers how many are to be handed out again.
local handler, node, now = ARGV[1], ARGV[2], ARGV[3]
local moved = 0
for at = 4, #ARGV do
  local pid = pid_of(ARGV[at])
  if call('HGET', W, pid) == node then
    local attempts, crashes, replay, due = read_row(call('HGET', X, pid) or 'o,0,0,0,0')
    call('HDEL', W, pid)
    wait(pid, attempts, crashes, replay, due)
    moved = moved + 1
  elseif call('XACK', S, handler, pid) == 1 then
    local m = message(handler, pid)
    if call('HDEL', KEYS[19], pid) == 0 and m and takes(handler, m, pid) then
      wait(pid, 0, 0, 0, now)
      moved = moved + 1
    end
  end
end
return moved
