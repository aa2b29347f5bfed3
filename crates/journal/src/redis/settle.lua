-- Settles deliveries of one handler. With lib.lua. KEYS 19 what was settled before it was read.
-- ARGV 1 handler, 2 node, 3 now, 4 failure of what dies with its key, with `@` for the message that was given up, 5 how many; then for each: pid, 1 if it is a
--      first attempt that is pending in the group, key digest or '', verdict (a ack, r retry, l release, d dead,
--      k dead with its key, p parked), due, attempts made, crashes, replay, failure, record of the attempt or '',
--      ids of the emits, how many emits; then for each emit: m, d, scope, payload digest.
-- Answers 0 if this node is not alive: then it holds nothing and nothing was changed. Else 1, and how many keys were
--      freed. What is not held any more was settled by an earlier call whose answer was lost.
if call('EXISTS', BEAT) == 0 then return { 0, 0 } end
local handler, node, now, blocked = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
-- What is written at the end, all at once: nothing in between looks at it.
local names, records, gone, copies, rows, times = {}, {}, {}, {}, {}, {}

-- Those that are no first attempts, and which node each of them was given to.
local begun, at = {}, 6
for _ = 1, tonumber(ARGV[5]) do
  if ARGV[at + 1] ~= '1' then begun[#begun + 1] = ARGV[at] end
  at = at + 12 + 4 * tonumber(ARGV[at + 11])
end
local owners = look_up(W, begun)
local ended = {}
for _, pid in ipairs(begun) do
  if owners[pid] == node then ended[#ended + 1] = pid end
end
in_pieces('HDEL', W, ended)

at = 6
for _ = 1, tonumber(ARGV[5]) do
  local pid, first, key, verdict, due = ARGV[at], ARGV[at + 1] == '1', ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local attempts, crashes, replay = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7]
  local failure, record, children, emits = ARGV[at + 8], ARGV[at + 9], ARGV[at + 10], tonumber(ARGV[at + 11])
  at = at + 12
  local held
  if first then
    held = call('XACK', S, handler, pid) == 1
  else
    held = owners[pid] == node
    owners[pid] = nil
  end
  if held then
    if record ~= '' then
      names[#names + 1] = handler .. '|' .. pid
      records[#names] = record
    end
    if verdict == 'p' and call('HGET', Y, key) ~= pid then verdict = 'd' end
    if verdict == 'a' then
      if not first then
        gone[#gone + 1] = pid
        copies[#gone] = handler .. '|' .. pid
      end
      settled = settled + 1
      free(key, pid, now)
      for i = 0, emits - 1 do
        local e = at + 4 * i
        call('XADD', O, '*', 'm', ARGV[e], 'd', ARGV[e + 1], 'i', ARGV[e + 2], 'h', ARGV[e + 3])
      end
      if children ~= '' then call('HSET', CH, pid, (call('HGET', CH, pid) or '') .. children) end
    elseif (verdict == 'r' or verdict == 'l') and key == '' then
      add_pair(rows, pid, row(attempts, crashes, replay, due, 'w'))
      add_pair(times, due, pid)
    elseif verdict == 'r' or verdict == 'l' then
      wait_in_order(key, pid, attempts, crashes, replay, due)
    elseif verdict == 'p' then
      call('HSET', X, pid, row(attempts, crashes, replay, now, 'p'))
    elseif verdict == 'k' then
      local m = message(handler, pid)
      bury(handler, pid, now, attempts, replay, failure)
      free_dead(handler, key, pid, m and id_of(m) or '', now, blocked, KEYS[19])
    else
      bury(handler, pid, now, attempts, replay, failure)
      free(key, pid, now)
    end
  end
  at = at + 4 * emits
end
remember(names, records, now)
in_pieces('HDEL', X, gone)
in_pieces('ZREM', Z, gone)
in_pieces('HDEL', E, copies)
in_pieces('HSET', X, rows)
in_pieces('ZADD', Z, times)
finish(handler)
return { 1, freed }
