-- Merges tallies into the shared counts, each amount by maximum, and answers what is there afterwards.
--
-- KEYS     key * keys
-- ARGV     expiry, dimensions, dimension * dimensions, (writer, hydrate, fields, (field, amount) * fields) * keys
-- Returns  (hydrated, (sum, own, taken) * dimensions) * keys
--
-- key        A hash with one backend's counts, never twice in a call; all keys are of one period.
-- expiry     When a key ends that has no expiry yet, in milliseconds since the Unix epoch.
-- dimension  What the reply tells, a letter and up to 63 letters, digits and underscores.
-- writer     Who asks: whose own amounts the reply tells. Any text that is not empty.
-- hydrate    1 to set `:hydrated`, or 0.
-- field      `<writer>/<dimension>`, of any writer and dimension, or `<dimension>:taken`; never twice for a key.
-- amount     A whole number from 0 to 2^53-1 in decimal digits, like all amounts here and in the reply.
-- hydrated   1 if `:hydrated` is set, else 0.
-- sum        What all writers counted, after this merge: the field `<dimension>`, moved by what the merge adds to its writers'.
-- own        What the asking writer's field was before this merge: less than it once shared means that counts were lost.
-- taken      What was taken by swap.lua, after this merge. It is no part of the sum.
--
-- All or nothing, since Redis does not undo what a script wrote before it failed: arguments and what is there are checked, of
-- all keys, before the first write. Errors begin with USAGE, and name the key and the field. Amounts are written as the text
-- that was sent: tostring loses digits of large numbers.

local MAX_AMOUNT = 9007199254740991
-- Lua passes on at most some 8,000 values at once. Even: pairs of a field and its amount stay together.
local CHUNK = 1000
local DIMENSION = "[A-Za-z][A-Za-z0-9_]*"
local TALLY = "^.+/(" .. DIMENSION .. ")$"
local TAKEN = "^(" .. DIMENSION .. "):taken$"
local HYDRATED = ":hydrated"

local find, match, sub, format = string.find, string.match, string.sub, string.format
local call, ARGV, KEYS = redis.pcall, ARGV, KEYS

local function refuse(where, problem)
  return redis.error_reply("USAGE " .. where .. ": " .. problem)
end

local function not_an_amount(text)
  return '"' .. sub(text, 1, 40) .. '" is not a whole number from 0 to 2^53-1'
end

local function amount_of(text)
  if text and #text <= 16 and find(text, "^%d+$") then
    local amount = tonumber(text)
    if amount <= MAX_AMOUNT then return amount end
  end
end

local function is_dimension(name)
  return name and #name <= 64 and find(name, "^" .. DIMENSION .. "$")
end

-- The values of fields, false where there is none; or nil and an error.
local function read(key, fields)
  local values
  for first = 1, #fields, CHUNK do
    local some = call("HMGET", key, unpack(fields, first, math.min(first + CHUNK - 1, #fields)))
    if some.err then
      if find(some.err, "WRONGTYPE", 1, true) then return nil, refuse(key, "this is not a hash") end
      return nil, some
    end
    if first == 1 then
      values = some
    else
      for i = 1, #some do values[first + i - 1] = some[i] end
    end
  end
  return values
end

local expiry, count = ARGV[1], amount_of(ARGV[2])
if not amount_of(expiry) then return refuse("expiry", "it is not in milliseconds since the Unix epoch") end
if not count then return refuse("dimensions", "their number is missing") end
local dimensions, index_of = {}, {}
for d = 1, count do
  local dimension = ARGV[2 + d]
  if not is_dimension(dimension) then return refuse("dimensions", "one has a name that cannot be one, or is missing") end
  if index_of[dimension] then return refuse("dimensions", dimension .. " is there twice") end
  dimensions[d], index_of[dimension] = dimension, d
end

-- What is read for every key: `:hydrated`, then three fields a dimension. Most often all keys are asked for by one writer.
local layouts = {}
local function layout_of(writer)
  local layout = layouts[writer]
  if not layout then
    layout = { fields = { HYDRATED }, place_of = {} }
    for d = 1, count do
      local own, taken = writer .. "/" .. dimensions[d], dimensions[d] .. ":taken"
      layout.fields[3 * d - 1], layout.fields[3 * d], layout.fields[3 * d + 1] = dimensions[d], own, taken
      layout.place_of[own], layout.place_of[taken] = 3 * d, 3 * d + 1
    end
    layouts[writer] = layout
  end
  return layout
end

-- Reads what fields hold that are in no layout, and merges what is sent into it. Adds what it finds to `gains`, by
-- dimension, and what is to be written to `writes`.
local function merge_others(key, others, gains, writes)
  local fields, texts = {}, {}
  local n = 0
  for field, text in pairs(others) do
    n = n + 1
    fields[n], texts[n] = field, text
  end
  local values, problem = read(key, fields)
  if problem then return problem end
  for i = 1, n do
    local field, text = fields[i], texts[i]
    local before = 0
    if values[i] then
      before = amount_of(values[i])
      if not before then return refuse(key .. " " .. field, "it holds " .. not_an_amount(values[i])) end
    end
    local more = tonumber(text) - before
    if more > 0 then
      local dimension = match(field, TALLY)
      if dimension then gains[dimension] = (gains[dimension] or 0) + more end
      writes[#writes + 1], writes[#writes + 2] = field, text
    end
  end
end

