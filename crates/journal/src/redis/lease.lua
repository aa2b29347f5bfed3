-- Hands out what waits and is due. With lib.lua.
-- ARGV 1 handler, 2 node, 3 now, 4 how many, 5 failure of what the handler is not bound to any more.
-- Answers 0 if this node is not alive; else 1, when the next is due or '', and for each: pid, attempts made, crashes,
--      replay, m, d.
if call('EXISTS', BEAT) == 0 then return { 0, '', {} } end
local handler, node, now = ARGV[1], ARGV[2], ARGV[3]
local given = {}
for _, pid in ipairs(call('ZRANGEBYSCORE', Z, '-inf', now, 'LIMIT', 0, ARGV[4])) do
  local attempts, crashes, replay, due = read_row(call('HGET', X, pid) or 'w,0,0,0,0')
  local m, d = message(handler, pid)
  if m and takes(handler, m, pid) then
    call('ZREM', Z, pid)
    call('HSET', X, pid, row(attempts, crashes, replay, due, 'o'))
    call('HSET', W, pid, node)
    given[#given + 1] = { pid, attempts, crashes, replay, m, d }
  else
    bury(handler, pid, now, attempts, replay, ARGV[5])
    if m then free(key_and_type(m), pid, now) end
  end
end
finish(handler)
local following = call('ZRANGE', Z, 0, 0, 'WITHSCORES')
return { 1, following[2] or '', given }
