-- Forgets by which ids things are found that are not there any more.
-- KEYS: log, dead letters, copies. ARGV: where to go on, '0' at first; ids of the handlers.
-- Answers where to go on, '0' at the end.
local log, dead, copies = KEYS[1], KEYS[2], KEYS[3]

local function kept(pid)
  for at = 2, #ARGV do
    local name = ARGV[at] .. '|' .. pid
    if redis.call('HEXISTS', dead, name) == 1 or redis.call('HEXISTS', copies, name) == 1 then return true end
  end
  return #redis.call('XRANGE', log, pid, pid) > 0
end

local page = redis.call('HSCAN', dead, ARGV[1], 'MATCH', '#*', 'COUNT', 500)
for i = 1, #page[2], 2 do
  if not kept(page[2][i + 1]) then redis.call('HDEL', dead, page[2][i]) end
end
return page[1]
