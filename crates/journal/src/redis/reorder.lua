-- Brings what is not settled in line when a handler keeps order from now on, or no longer. With lib.lua.
-- ARGV 1 handler, 2 now, 3 '1' if it keeps order. Answers how many were moved.
local handler, now = ARGV[1], ARGV[2]
local moved = 0
if ARGV[3] ~= '1' then
  for _, member in ipairs(call('ZRANGE', P, 0, -1)) do
    local pid = string.sub(member, 18)
    local saved = call('HGET', Y, 'q' .. pid)
    call('ZREM', P, member)
    if saved then
      local attempts, crashes, replay, due = read_row(saved)
      wait(pid, attempts, crashes, replay, due)
    else
      wait(pid, 0, 0, 0, now)
    end
    moved = moved + 1
  end
  call('DEL', Y)
  return moved
end

-- The first of each key that was begun holds it; the others of it that wait are parked.
local rows, begun = {}, {}
local found = call('HGETALL', X)
for i = 1, #found, 2 do
  rows[found[i]] = found[i + 1]
  begun[#begun + 1] = found[i]
end
local pending = call('XPENDING', S, handler)
if pending[1] > 0 then
  for _, entry in ipairs(call('XPENDING', S, handler, '-', '+', pending[1])) do begun[#begun + 1] = pid_of(entry[1]) end
end
table.sort(begun)
for _, pid in ipairs(begun) do
  local m = message(handler, pid)
  local attempts, crashes, replay, due, state
  if rows[pid] then attempts, crashes, replay, due, state = read_row(rows[pid]) end
  local key = m and key_and_type(m) or ''
  if key ~= '' and (not replay or replay == '0') then
    local head = call('HGET', Y, key)
    if not head or string.sub(head, 1, 1) == '!' then
      call('HSET', Y, key, pid)
    elseif head ~= pid and state == 'w' then
      park(key, pid, rows[pid])
      moved = moved + 1
    end
  end
end
return moved
