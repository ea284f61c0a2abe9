-- Deletes the shared counts of a backend, and its name with them: without its hash it would look like a loss.
--
-- KEYS      changes, the hash
-- ARGV      name
-- Returns   1

redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
