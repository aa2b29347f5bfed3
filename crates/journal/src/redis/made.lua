-- Writes down how the journal is made, unless that was done. KEYS 1 how it is made, 2 the list of shards.
-- ARGV 1 layout, 2 partitions. Answers both as they are; layout 1 was never written down.
local found = redis.call('HMGET', KEYS[1], 'layout', 'partitions')
if found[1] then return found end
if redis.call('EXISTS', KEYS[2]) == 1 then return { '1', ARGV[2] } end
redis.call('HSET', KEYS[1], 'layout', ARGV[1], 'partitions', ARGV[2])
return { ARGV[1], ARGV[2] }
