-- Acks first attempts that emitted nothing, of a handler without order.
-- KEYS 1 log, 2 counters, 3 own heartbeat. ARGV 1 handler, then pids.
-- Answers 0 if this node is not alive: then it holds nothing.
if redis.call('EXISTS', KEYS[3]) == 0 then return 0 end
local acked = 0
for at = 2, #ARGV, 128 do
  acked = acked + redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, at, math.min(at + 127, #ARGV)))
end
if acked > 0 then redis.call('HINCRBY', KEYS[2], 'u:' .. ARGV[1], -acked) end
return 1
