-- Merges tallies into the shared counts of one period, each amount by maximum, and answers what is there then. The only
-- script that writes counts. May run again, late, twice, or in another order: the outcome is the same.
--
-- KEYS[i]   the hash of a backend; no key twice
-- ARGV      ttl, n, then n dimensions; then for each key: writer, mark, m, then m pairs of field and amount
--   ttl     milliseconds until a hash expires, set whenever a field comes into being
--   writer  who asks
--   mark    for a hash that bears none; empty for no mark
--   field   <writer>/<dimension>, a tally; or <dimension>:taken of one of the n, what swap took; no field twice for a key
--   amount  from 0 to 2^53-1, in decimal digits
-- Returns   flat, for each key: its mark, then for each dimension three amounts: the sum over all writers, the asking
--           writer's part before this merge, and what was taken; large ones as text
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

-- ioredis 6 rounds integers in a reply that come near 2^53.
local function answer(value) return value > 2^52 and digits(value) or value end

-- unpack fails above some thousand values.
local function in_chunks(list, call)
  for first = 1, #list, 1000 do call(unpack(list, first, math.min(first + 999, #list))) end
end

local ttl, n = ARGV[1], tonumber(ARGV[2])
if (number(ttl) or 0) < 1 then return redis.error_reply('USAGE was sent no time to live') end

-- The fields of a hash that are read, and by field its place among them: the mark, then for each dimension the sum, the
-- writer's part, and what was taken. A tally's part has its sum in `sum_of`, by place.
local function new_layout(writer)
  local fields, place, sum_of = { ':hydrated' }, {}, {}
  for d = 1, n do
    local dimension, at = ARGV[2 + d], 3 * d - 1
    fields[at], fields[at + 1], fields[at + 2] = dimension, writer .. '/' .. dimension, dimension .. ':taken'
    place[fields[at]], place[fields[at + 1]], place[fields[at + 2]] = at, at + 1, at + 2
    sum_of[at + 1] = at
  end
  return { fields = fields, place = place, sum_of = sum_of }
end

-- Answers whether there can be such a field.
local function add_field(layout, field)
  local fields, place = layout.fields, layout.place
  local dimension = string.match(field, '^.+/([A-Za-z][A-Za-z0-9_]*)$')
  if not dimension then return false end
  fields[#fields + 1] = field
  place[field] = #fields
  if not place[dimension] then
    fields[#fields + 1] = dimension
    place[dimension] = #fields
  end
  layout.sum_of[place[field]] = place[dimension]
  return true
end

local function read(key, fields)
  if #fields <= 1000 then return redis.call('HMGET', key, unpack(fields)) end
  local found = {}
  in_chunks(fields, function(...)
    for _, value in ipairs(redis.call('HMGET', key, ...)) do found[#found + 1] = value end
  end)
  return found
end

local layouts, replies, writes = {}, {}, {}
local at, r = 2 + n, 0

for k, key in ipairs(KEYS) do
  local writer, mark, m = ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local first = at + 4
  at = at + 3 + 2 * m

  layouts[writer] = layouts[writer] or new_layout(writer)
  local layout = layouts[writer]
  for f = first, at, 2 do
    if not layout.place[ARGV[f]] then
      if layout == layouts[writer] then layout = new_layout(writer) end
      if not add_field(layout, ARGV[f]) then
        return redis.error_reply('USAGE ' .. key .. ' was sent what is no field: ' .. ARGV[f])
      end
    end
  end
  local fields, place, sum_of = layout.fields, layout.place, layout.sum_of

  local found = read(key, fields)
  local values = {}
  for i = 2, #fields do
    local value = number(found[i])
    if not value then return redis.error_reply('USAGE ' .. key .. ' holds no count in the field ' .. fields[i]) end
    values[i] = value
  end
  for part, sum in pairs(sum_of) do
    if values[part] > values[sum] then
      return redis.error_reply('USAGE ' .. key .. ' holds less than a part of it in the field ' .. fields[sum])
    end
  end
  for d = 1, n do replies[r + 3 * d] = answer(values[3 * d]) end

  local changed, sums, is_new = {}, {}, false
  for f = first, at, 2 do
    local field, amount = ARGV[f], number(ARGV[f + 1])
    if not amount or not ARGV[f + 1] then
      return redis.error_reply('USAGE ' .. key .. ' was sent no count for the field ' .. field)
    end
    local i = place[field]
    -- fault: the script keeps what came last
    if amount > values[i] then
      local sum = sum_of[i]
      if sum then
        -- fault: the script moves the sum by the whole amount
        values[sum] = values[sum] + amount - values[i]
        sums[sum] = true
      elseif not string.find(field, ':', 1, true) then
        return redis.error_reply('USAGE ' .. key .. ' was sent what is no field: ' .. field)
      end
      values[i] = amount
      changed[#changed + 1] = field
      -- fault: the script adds instead of keeping the maximum
      changed[#changed + 1] = ARGV[f + 1]
      is_new = is_new or not found[i]
    end
  end
  for sum in pairs(sums) do
    if values[sum] > MAX then return redis.error_reply('USAGE ' .. key .. ' would pass 2^53-1 in ' .. fields[sum]) end
    changed[#changed + 1] = fields[sum]
    changed[#changed + 1] = digits(values[sum])
  end
  if mark ~= '' and not found[1] then
    found[1] = mark
    changed[#changed + 1] = ':hydrated'
    changed[#changed + 1] = mark
    is_new = true
  end
  writes[k] = { changed, is_new }

  replies[r + 1] = found[1] or ''
  for d = 1, n do
    replies[r + 3 * d - 1] = answer(values[3 * d - 1])
    replies[r + 3 * d + 1] = answer(values[3 * d + 1])
  end
  r = r + 1 + 3 * n
end

for k, key in ipairs(KEYS) do
  local changed, is_new = writes[k][1], writes[k][2]
  in_chunks(changed, function(...) redis.call('HSET', key, ...) end)
  if is_new then redis.call('PEXPIRE', key, ttl) end
end

return replies
