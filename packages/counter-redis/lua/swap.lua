-- Takes what was counted of one dimension and not taken before. What it answers is the caller's alone; a reply that is lost
-- is taken all the same.
--
-- KEYS[1]   the hash of a backend
-- ARGV[1]   the dimension
-- Returns   what was taken now, and all that was ever taken; as text where it is large
-- Errors    USAGE <key> ...; nothing is written then

local function number(text)
  if not text then return 0 end
  if #text > 16 or not string.find(text, '^%d+$') then return nil end
  local value = tonumber(text)
  if value > 9007199254740991 then return nil end
  return value
end

-- ioredis 6 rounds integers in a reply that come near 2^53.
local function answer(value) return value > 2^52 and string.format('%.0f', value) or value end

local key, sum_field = KEYS[1], ARGV[1]
local taken_field = sum_field .. ':taken'
local found = redis.call('HMGET', key, sum_field, taken_field)
local sum, taken = number(found[1]), number(found[2])
if not sum then return redis.error_reply('USAGE ' .. key .. ' holds no count in the field ' .. sum_field) end
if not taken then return redis.error_reply('USAGE ' .. key .. ' holds no count in the field ' .. taken_field) end
if sum <= taken then return { 0, answer(taken) } end
redis.call('HSET', key, taken_field, found[1])
return { answer(sum - taken), answer(sum) }
