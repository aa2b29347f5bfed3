-- Hands out what waits and is due. With lib.lua.
-- ARGV 1 handler, 2 node, 3 now, 4 how many, 5 failure of what the handler is not bound to any more.
-- Answers 0 if this node is not alive; else 1, when the next is due or '', and for each: pid, attempts made, crashes,
--      replay, m, d.
if call('EXISTS', BEAT) == 0 then return { 0, '', {} } end
local handler, node, now = ARGV[1], ARGV[2], ARGV[3]
local due = call('ZRANGEBYSCORE', Z, '-inf', now, 'LIMIT', 0, ARGV[4])
local waiting = look_up(X, due)
local given, taken, rows, owners = {}, {}, {}, {}
for _, pid in ipairs(due) do
  local attempts, crashes, replay, time = read_row(waiting[pid] or 'w,0,0,0,0')
  local m, d = message(handler, pid)
  if m and takes(handler, m, pid) then
    taken[#taken + 1] = pid
    add_pair(rows, pid, row(attempts, crashes, replay, time, 'o'))
    add_pair(owners, pid, node)
    given[#given + 1] = { pid, attempts, crashes, replay, m, d }
  else
    bury(handler, pid, now, attempts, replay, ARGV[5])
    if m then free(key_and_type(m), pid, now) end
  end
end
in_pieces('ZREM', Z, taken)
in_pieces('HSET', X, rows)
in_pieces('HSET', W, owners)
finish(handler)
local following = call('ZRANGE', Z, 0, 0, 'WITHSCORES')
return { 1, following[2] or '', given }
