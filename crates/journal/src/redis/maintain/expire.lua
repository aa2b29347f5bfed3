-- Buries what a handler has not read up to a time. With lib.lua and operate/lib.lua.
-- ARGV 1 handler, 2 now, 3 JSON of the failure, 4 last id (ms, or `+` for all), 5 most entries.
-- Answers how many entries it went over.
local handler, now, failure = ARGV[1], ARGV[2], ARGV[3]
local upto, last = read_upto(handler)
if not upto then return 0 end
local entries = call('XRANGE', S, '(' .. last, ARGV[4], 'COUNT', ARGV[5])
for _, entry in ipairs(entries) do
  local pid = pid_of(entry[1])
  if takes(handler, entry[2][2], pid) and call('HDEL', GONE, pid) == 0 then
    bury(handler, pid, now, '0', '0', failure)
  end
end
if #entries > 0 then call('XGROUP', 'SETID', S, handler, entries[#entries][1]) end
finish(handler)
return #entries
