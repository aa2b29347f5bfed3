-- Takes or keeps a role. KEYS 1 role. ARGV 1 holder, 2 now, 3 until. Answers the fence; 0 while another has it.
local have = redis.call('HMGET', KEYS[1], 'holder', 'until', 'fence')
local fence = tonumber(have[3] or '0')
if have[1] ~= ARGV[1] then
  if have[2] and tonumber(have[2]) > tonumber(ARGV[2]) then return 0 end
  fence = fence + 1
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', ARGV[3], 'fence', fence)
return fence
