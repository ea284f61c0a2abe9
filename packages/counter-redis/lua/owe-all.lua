-- Everybody may owe the store everything that is shared in a bucket: the store has lost something.
--
-- KEYS      epoch
-- Returns   1, or 0 where there is no bucket

local version = redis.call('HGET', KEYS[1], 'version')
if not version then return 0 end
redis.call('HSET', KEYS[1], 'w:*', '0 ' .. version)
return 1
