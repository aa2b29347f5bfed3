-- Hands out what waits and is due. With lib.lua.
-- ARGV 1 handler, 2 node, 3 now, 4 how many, 5 failure of what the handler is not bound to any more.
-- Answers 0 if this node is not alive; else 1, when the next is due or '', and for each: pid, attempts made, crashes,
--      replay, m, d.
-- What panicked twice, or ran when two nodes died, may take the next one down. Of such deliveries one is handed out at a
-- time, and has so long to show what it does; the others wait, these milliseconds apart.
local ALONE, TURN, GAP = 2, 10000, 100
if call('EXISTS', BEAT) == 0 then return { 0, '', {} } end
local handler, node, now = ARGV[1], ARGV[2], ARGV[3]
local due = call('ZRANGEBYSCORE', Z, '-inf', now, 'LIMIT', 0, ARGV[4])
local waiting = look_up(X, due)
local given, taken, rows, owners, later = {}, {}, {}, {}, {}

local tries_one
-- Is such a delivery handed out, by any node?
local function somebody_tries_one()
  if tries_one == nil then
    tries_one = false
    for _, found in pairs(look_up(X, call('HKEYS', W))) do
      local _, crashes, _, since = read_row(found)
      if tonumber(crashes) >= ALONE and tonumber(now) < tonumber(since) + TURN then tries_one = true end
    end
  end
  return tries_one
end

local function hand_out(pid)
  local attempts, crashes, replay, time = read_row(waiting[pid] or 'w,0,0,0,0')
  local alone = tonumber(crashes) >= ALONE
  if alone and somebody_tries_one() then
    return add_pair(later, string.format('%.0f', tonumber(now) + GAP * (#later / 2 + 1)), pid)
  end
  local m, d = message(handler, pid)
  if not m or not takes(handler, m, pid) then
    bury(handler, pid, now, attempts, replay, ARGV[5])
    if m then free(key_and_type(m), pid, now) end
    return
  end
  if alone then
    tries_one, time = true, now
  end
  taken[#taken + 1] = pid
  add_pair(rows, pid, row(attempts, crashes, replay, time, 'o'))
  add_pair(owners, pid, node)
  given[#given + 1] = { pid, attempts, crashes, replay, m, d }
end

for _, pid in ipairs(due) do hand_out(pid) end
in_pieces('ZREM', Z, taken)
in_pieces('ZADD', Z, later)
in_pieces('HSET', X, rows)
in_pieces('HSET', W, owners)
finish(handler)
local following = call('ZRANGE', Z, 0, 0, 'WITHSCORES')
return { 1, following[2] or '', given }
