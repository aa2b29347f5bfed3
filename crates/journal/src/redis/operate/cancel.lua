-- Discards a message whose time has not come.
-- KEYS 1 counters, 2 delayed, 3 delayed bodies. ARGV 1 message id.
-- Answers 1, or 0 if it has become due, or was discarded, in between. What its body weighs is that of log.lua.
local body = redis.call('HGET', KEYS[3], ARGV[1])
if not body then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HINCRBY', KEYS[1], 'bytes', -(#body - 8 + 64))
return 1
