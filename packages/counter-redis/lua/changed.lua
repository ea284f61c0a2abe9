-- @include prelude
-- What changed in a bucket since the caller last knew it. Never writes.
--
-- KEYS      epoch, changes
-- ARGV      id, the epoch that the caller knows; cursor, the version up to which it knows the changes
-- Returns   id, version, and the names that changed since the cursor; an empty id where something of the bucket is missing or of
--           another run of the server, which the next merge mends; no names where the epoch is another one

local at = epoch_of(KEYS[1], KEYS[2])
if at.spoilt then return at.spoilt end
if at.is_lost then return { '', 0 } end
local reply = { at.id, answer(at.version) }
if ARGV[1] ~= '' and ARGV[1] ~= at.id then return reply end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. ARGV[2], '+inf')) do reply[#reply + 1] = name end
return reply
