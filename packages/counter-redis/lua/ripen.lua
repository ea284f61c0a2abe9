-- Whoever has a slice of a bucket has said so since its epoch began, or has stopped using it: from now on slices are granted.
--
-- KEYS      epoch
-- ARGV      id, the epoch that it is about
-- Returns   1, or 0 where the bucket has another epoch, and nothing is changed

if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'ripe', ARGV[1])
return 1
