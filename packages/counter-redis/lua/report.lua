-- What runs owed and the store has. By maximum within one epoch: late, doubled and lost reports do no harm.
--
-- KEYS      epoch
-- ARGV      id, the epoch that it is about; then pairs of run and version: all that it pushed up to that is stored
-- Returns   1, or 0 where the bucket has another epoch, and nothing is changed

-- fault: a report of what is stored does not name its epoch
if redis.call('HGET', KEYS[1], 'id') ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do
  local field, up_to = 'w:' .. ARGV[i], tonumber(ARGV[i + 1])
  local since, last = string.match(redis.call('HGET', KEYS[1], field) or '', '^(%d+) (%d+)$')
  if since and tonumber(last) <= up_to then
    redis.call('HDEL', KEYS[1], field)
  elseif since and tonumber(since) <= up_to then
    redis.call('HSET', KEYS[1], field, string.format('%.0f', up_to + 1) .. ' ' .. last)
  end
end
return 1
