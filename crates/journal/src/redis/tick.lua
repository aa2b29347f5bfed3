-- Makes a tick unless it was made. KEYS 1 ticks, 2 outbox. ARGV 1 schedule, 2 at, then m, d, scope, payload digest of
-- what it publishes, if anything. Answers 1 if it was made now.
local last = redis.call('HGET', KEYS[1], ARGV[1])
if last and tonumber(last) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if ARGV[3] then
  redis.call('XADD', KEYS[2], '*', 'm', ARGV[3], 'd', ARGV[4], 'i', ARGV[5], 'h', ARGV[6])
end
return 1
