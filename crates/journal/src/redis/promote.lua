-- Moves delayed messages whose time has come into the log, at most 128.
-- KEYS 1 log, 2 counters, 3 types, 4 delayed, 5 delayed bodies, 6 ids of today.
-- ARGV 1 now, 2 who tells other nodes and where (see `tell`).
-- Answers how many, and when the next is due, or ''.
local due = call('ZRANGEBYSCORE', KEYS[4], '-inf', ARGV[1], 'LIMIT', 0, 128)
for _, id in ipairs(due) do
  local body, f, at = call('HGET', KEYS[5], id), {}, 1
  if body then
    for i = 1, 2 do
      local length = struct.unpack('>I4', body, at)
      f[i] = string.sub(body, at + 4, at + 3 + length)
      at = at + 4 + length
    end
    call('HSET', KEYS[6], id, append(KEYS[1], ARGV[1], f[1], f[2]))
    local _, ty = key_and_type(f[1])
    count(KEYS[3], ty, 1)
    call('HDEL', KEYS[5], id)
  end
  call('ZREM', KEYS[4], id)
end
write_counts(KEYS[2])
if ms then tell(KEYS[1], ARGV[2]) end
local following = call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
return { #due, following[2] or '' }
