-- Begins every script. A message is its metadata and its payload. Metadata begin with a version, the id (16 bytes), the
-- digest of the ordering key and the type, these two each behind a byte with their length. See codec.rs.

local function id_in(m)
  return string.sub(m, 2, 17)
end

-- Digest of the ordering key, or '', and the type.
local function key_and_type(m)
  return struct.unpack('Bc0Bc0', m, 18)
end
