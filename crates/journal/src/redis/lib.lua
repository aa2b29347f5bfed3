-- What the scripts about the deliveries of one handler share.
-- KEYS 1..18: log, counters, heartbeat, rows, due, owners, parked, heads, dead, dead times, attempts, attempt times,
-- replays, copies, children, outbox, bindings, data. See keys.rs.
local S, C, BEAT, X, Z, W = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local P, Y, D, DZ, A, AZ = KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local R, E, CH, O, B, DATA = KEYS[13], KEYS[14], KEYS[15], KEYS[16], KEYS[17], KEYS[18]
local call = redis.call
-- How many deliveries of the handler were settled, or came to be; written once, by finish().
local settled = 0

-- Calls a command with a list of arguments, in pieces that the stack holds.
local function in_pieces(command, key, arguments)
  for at = 1, #arguments, 128 do
    call(command, key, unpack(arguments, at, math.min(at + 127, #arguments)))
  end
end

-- The values of these fields that a hash has.
local function look_up(key, fields)
  local found = {}
  for at = 1, #fields, 128 do
    local upto = math.min(at + 127, #fields)
    local values = call('HMGET', key, unpack(fields, at, upto))
    for i = at, upto do found[fields[i]] = values[i - at + 1] or nil end
  end
  return found
end

-- Adds a pair to a list.
local function add_pair(list, first, second)
  local count = #list
  list[count + 1], list[count + 2] = first, second
end

-- An entry id with zeros before both numbers.
local function pid_of(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return string.rep('0', 13 - #ms) .. ms .. '-' .. string.rep('0', 7 - #seq) .. seq
end

local function packed(fields)
  local out = {}
  for i, field in ipairs(fields) do
    out[i] = struct.pack('>I4', #field) .. field
  end
  return table.concat(out)
end

local function unpacked(text)
  local out, at = {}, 1
  while at <= #text do
    local length = struct.unpack('>I4', text, at)
    out[#out + 1] = string.sub(text, at + 4, at + 3 + length)
    at = at + 4 + length
  end
  return out
end

-- Metadata and payload of a message: from the log, or from the copy that its delivery has. Nothing if its payload was
-- dropped, and it has no copy.
local function message(handler, pid)
  local found = call('XRANGE', S, pid, pid)
  if found[1] then
    local f = found[1][2]
    local data = f[4]
    if data == '' then data = call('HGET', DATA, pid) end
    if data then return f[2], data end
  end
  local copy = call('HGET', E, handler .. '|' .. pid)
  if copy then return unpack(unpacked(copy)) end
end

local starts = {}
-- Is the handler bound to this type, for a message at this place?
local function bound(handler, ty, pid)
  local start = starts[ty]
  if start == nil then
    start = call('HGET', B, handler .. '\0' .. ty)
    starts[ty] = start
  end
  return start and pid > start
end

-- Is it bound to the type of this message?
local function takes(handler, m, pid)
  local _, ty = key_and_type(m)
  return bound(handler, ty, pid)
end

local function row(attempts, crashes, replay, due, state)
  return table.concat({ state, attempts, crashes, replay, due }, ',')
end

-- attempts, crashes, replay, due, state; as text.
local function read_row(text)
  local state, attempts, crashes, replay, due = string.match(text, '^(%a),(%d+),(%d+),(%d+),(%-?%d+)$')
  return attempts, crashes, replay, due, state
end

-- It is to be handed out, not before `due`.
local function wait(pid, attempts, crashes, replay, due)
  call('HSET', X, pid, row(attempts, crashes, replay, due, 'w'))
  call('ZADD', Z, due, pid)
end

-- Adds records of failed attempts: names of deliveries, and a record for each.
local function remember(names, records, now)
  local before, all, times = look_up(A, names), {}, {}
  for i, name in ipairs(names) do
    add_pair(all, name, (before[name] or '') .. packed({ records[i] }))
    add_pair(times, now, name)
  end
  in_pieces('HSET', A, all)
  in_pieces('ZADD', AZ, times)
end

-- Takes every trace of a delivery away but its attempts and replay number.
local function forget(handler, pid)
  call('HDEL', X, pid)
  call('ZREM', Z, pid)
  call('HDEL', W, pid)
  call('HDEL', E, handler .. '|' .. pid)
end

-- To the dead letters with an own copy. False if it is there already, or if there is nothing to copy.
local function bury(handler, pid, died, attempts, replay, failure)
  local name = handler .. '|' .. pid
  local m, d = message(handler, pid)
  forget(handler, pid)
  if not m then
    settled = settled + 1
    return false
  end
  if call('HEXISTS', D, name) == 1 then return false end
  call('HSET', D, name, packed({ died, attempts, replay, failure, m, d }))
  -- Found by its id for as long as it is kept, however old its entry is.
  call('HSET', D, '#' .. id_in(m), pid)
  call('ZADD', DZ, died, name)
  call('HINCRBY', C, 'd:' .. handler, 1)
  settled = settled + 1
  return true
end

-- The first message that is parked behind a key.
local function first_parked(key)
  local members = call('ZRANGEBYLEX', P, '[' .. key .. ':', '(' .. key .. ';', 'LIMIT', 0, 1)
  return members[1], members[1] and string.sub(members[1], #key + 2)
end

-- Takes the first one that is parked behind a key: its pid, and the row that it had before, if any.
local function unpark(key)
  local member, pid = first_parked(key)
  if not member then return nil end
  call('ZREM', P, member)
  local saved = call('HGET', Y, 'q' .. pid)
  if saved then call('HDEL', Y, 'q' .. pid) end
  return pid, saved
end

-- Puts a delivery that was begun behind the one that holds its key; its row is kept.
local function park(key, pid, saved)
  call('HDEL', X, pid)
  call('ZREM', Z, pid)
  call('ZADD', P, 0, key .. ':' .. pid)
  call('HSET', Y, 'q' .. pid, saved)
end

-- As wait(), unless another message holds the key: then behind that. A replay neither waits for its key nor holds it.
local function wait_in_order(key, pid, attempts, crashes, replay, due)
  if key ~= '' and tonumber(replay) == 0 then
    local head = call('HGET', Y, key)
    if not head or string.sub(head, 1, 1) == '!' then
      call('HSET', Y, key, pid)
    elseif head ~= pid then
      return park(key, pid, row(attempts, crashes, replay, due, 'w'))
    end
  end
  wait(pid, attempts, crashes, replay, due)
end

local freed = 0
-- Lets go of a key that this message held: the next one of it is to be handed out now.
local function free(key, pid, now)
  if key == '' or call('HGET', Y, key) ~= pid then return end
  local following, saved = unpark(key)
  if not following then
    call('HDEL', Y, key)
    return
  end
  call('HSET', Y, key, following)
  if saved then
    local attempts, crashes, replay, due = read_row(saved)
    wait(following, attempts, crashes, replay, due)
  else
    wait(following, 0, 0, 0, now)
  end
  freed = freed + 1
end

-- A message id as text, from the metadata of its message.
local function id_of(m)
  local text = string.gsub(id_in(m), '.', function(byte) return string.format('%02x', string.byte(byte)) end)
  return table.concat({ string.sub(text, 1, 8), string.sub(text, 9, 12), string.sub(text, 13, 16),
    string.sub(text, 17, 20), string.sub(text, 21) }, '-')
end

-- The failure of what dies with its key: `@` stands for the message that was given up.
local function blocked_by(blocked, id)
  return (string.gsub(blocked, '@', id))
end

-- How far a group has read: an entry id.
local function delivered(handler)
  for _, group in ipairs(call('XINFO', 'GROUPS', S)) do
    local name, last
    for i = 1, #group, 2 do
      if group[i] == 'name' then name = group[i + 1] end
      if group[i] == 'last-delivered-id' then last = group[i + 1] end
    end
    if name == handler then return last end
  end
end

-- Gives up what is parked behind this message, and what of its key is in the log and was not read yet: up to 10,000
-- entries at once, the rest when it is read. `gone` is the hash of what was settled before it was read.
local function free_dead(handler, key, pid, id, now, blocked, gone)
  if key == '' or call('HGET', Y, key) ~= pid then return end
  local why = blocked_by(blocked, id)
  local following, saved = unpark(key)
  while following do
    local attempts = saved and read_row(saved) or '0'
    bury(handler, following, now, attempts, '0', why)
    following, saved = unpark(key)
  end
  local from, looked = '(' .. delivered(handler), 0
  while looked < 10000 do
    local entries = call('XRANGE', S, from, '+', 'COUNT', 128)
    for _, entry in ipairs(entries) do
      local unread = pid_of(entry[1])
      local its_key, ty = key_and_type(entry[2][2])
      if its_key == key and bound(handler, ty, unread) and call('HSETNX', gone, unread, now) == 1 then
        bury(handler, unread, now, '0', '0', why)
      end
    end
    if #entries < 128 then
      call('HDEL', Y, key)
      return
    end
    from, looked = '(' .. entries[128][1], looked + 128
  end
  local last = call('XREVRANGE', S, '+', '-', 'COUNT', 1)
  call('HSET', Y, key, '!' .. pid_of(last[1][1]) .. id)
end

local function finish(handler)
  if settled ~= 0 then call('HINCRBY', C, 'u:' .. handler, -settled) end
end
