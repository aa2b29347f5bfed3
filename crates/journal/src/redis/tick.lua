-- Makes a tick unless it was made. KEYS 1 ticks, 2 outbox. ARGV 1 schedule, 2 at, then t, k, m, d, scope, payload digest
-- of what it publishes, if anything. Answers 1 if it was made now.
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and tonumber(last) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] then
  redis.call('XADD', KEYS[2], '*', 't', ARGV[3], 'k', ARGV[4], 'm', ARGV[5], 'd', ARGV[6], 'i', ARGV[7], 'h', ARGV[8])
end
return 1
