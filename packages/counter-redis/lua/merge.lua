-- Merges tallies into the shared counts of one period, each amount by maximum, and answers what is there then. The only
-- script that writes counts. May run again, late, twice, or in another order: the outcome is the same.
--
-- KEYS[i]   the hash of a backend; no key twice
-- ARGV      ttl, n, then n dimensions; then for each key: writer, mark, m, then m pairs of field and amount
--   ttl     milliseconds until a hash expires, set whenever a field comes into being
--   writer  who asks
--   mark    for a hash that bears none; empty for no mark
--   field   <writer>/<dimension>, a tally; or <dimension>:taken, what swap took; no field twice for a key
--   amount  from 0 to 2^53-1, in decimal digits
-- Returns   flat, for each key: its mark, then for each dimension three numbers: the sum over all writers, the asking
--           writer's part before this merge, and what was taken
-- Errors    USAGE <key> ...; nothing is written then, to any key: a script that fails does not undo what it wrote

local MAX = 9007199254740991

local function number(text)
  if not text then return 0 end
  if #text > 16 or not string.find(text, '^%d+$') then return nil end
  local value = tonumber(text)
  if value > MAX then return nil end
  return value
end

-- Doubles are exact to 2^53, but tostring is not.
local function digits(value) return string.format('%.0f', value) end

-- unpack fails above some thousand values.
local function in_chunks(list, size, call)
  for first = 1, #list, size do call(unpack(list, first, math.min(first + size - 1, #list))) end
end

local ttl, n = ARGV[1], tonumber(ARGV[2])
local at = 2 + n
local replies, plans = {}, {}

for k, key in ipairs(KEYS) do
  local writer, mark, m = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local first = at + 4
  at = at + 3 + 2 * m

  local names, index = {}, {}
  local function want(name)
    if not index[name] then
      names[#names + 1] = name
      index[name] = #names
    end
  end
  want(':hydrated')
  for d = 3, 2 + n do
    want(ARGV[d])
    want(writer .. '/' .. ARGV[d])
    want(ARGV[d] .. ':taken')
  end
  for f = first, at, 2 do
    want(ARGV[f])
    local dimension = string.match(ARGV[f], '/([^/]*)$')
    if dimension then want(dimension) end
  end

  local found = {}
  in_chunks(names, 1000, function(...)
    for _, value in ipairs(redis.call('HMGET', key, ...)) do found[#found + 1] = value end
  end)
  local values = {}
  for i = 2, #names do
    values[i] = number(found[i])
    if not values[i] then return redis.error_reply('USAGE ' .. key .. ' holds no count in the field ' .. names[i]) end
  end

  local before = {}
  for d = 3, 2 + n do
    before[d] = values[index[writer .. '/' .. ARGV[d]]]
    if before[d] > values[index[ARGV[d]]] then
      return redis.error_reply('USAGE ' .. key .. ' holds less than one of its parts in the field ' .. ARGV[d])
    end
  end
  local changed, is_new = {}, false
  for f = first, at, 2 do
    local field, amount = ARGV[f], number(ARGV[f + 1])
    if not amount then return redis.error_reply('USAGE ' .. key .. ' was sent no count for the field ' .. field) end
    local i = index[field]
    if amount > values[i] then
      local dimension = string.match(field, '/([^/]*)$')
      if dimension then
        local s = index[dimension]
        values[s] = values[s] + amount - values[i]
        if values[s] > MAX then return redis.error_reply('USAGE ' .. key .. ' would pass 2^53-1 in ' .. dimension) end
        changed[dimension] = digits(values[s])
      end
      values[i] = amount
      changed[field] = ARGV[f + 1]
      is_new = is_new or not found[i]
    end
  end
  if mark ~= '' and not found[1] then
    found[1] = mark
    changed[':hydrated'] = mark
    is_new = true
  end
  plans[k] = { changed, is_new }

  replies[#replies + 1] = found[1] or ''
  for d = 3, 2 + n do
    replies[#replies + 1] = values[index[ARGV[d]]]
    replies[#replies + 1] = before[d]
    replies[#replies + 1] = values[index[ARGV[d] .. ':taken']]
  end
end

for k, key in ipairs(KEYS) do
  local changed, is_new = plans[k][1], plans[k][2]
  local writes = {}
  for field, value in pairs(changed) do
    writes[#writes + 1] = field
    writes[#writes + 1] = value
  end
  in_chunks(writes, 1000, function(...) redis.call('HSET', key, ...) end)
  if is_new then redis.call('PEXPIRE', key, ttl) end
end

return replies
