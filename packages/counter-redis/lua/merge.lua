-- @include prelude
-- Merges tallies into the shared counts of some backends of one bucket, each amount by maximum, and returns what is there then.
-- The only script that writes counts. May run again, late, twice, or in another order: the outcome is the same.
--
-- KEYS      epoch, changes, v, then the hash of each backend; no key twice
-- ARGV      ttl, nonce, run, n, then n dimensions; then for each backend: name, writer, amounts, mark, m, then m pairs of
--           writer and amounts
--   ttl      how long the keys stay, in milliseconds, by the caller's clock: the one that says when the period ends
--   nonce    what no other call has
--   run      whose tallies come first: it owes them to the store
--   name     as `changes` has it
--   amounts  n of them, from 0 to 2^53-1, in decimal digits, with a space between
--   mark     the epoch in which the rows were read that are the last of what the store has; empty where they are not
-- Returns   id, version before, version after; then for each backend either a text that begins with USAGE_REFUSED, which says
--           why its hash cannot be used and that nothing of it was changed; or whether there is a hash, whether it bears the epoch,
--           and for each dimension the sum over all writers and the part of the writer who came first; large ones as text
-- Errors    USAGE_ARGUMENT, USAGE_SPOILT; nothing is written then

local epoch, changes, v = KEYS[1], KEYS[2], KEYS[3]
local ttl, nonce, run, n = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if (number(ttl) or 0) < 1 or not n or n < 1 then return redis.error_reply('USAGE_ARGUMENT ttl or n') end
local dimensions = table.concat(ARGV, ' ', 5, 4 + n)

local function parse(text, size)
  local list = {}
  for part in string.gmatch(text or '', '%S+') do
    local amount = number(part)
    if not amount then return nil end
    list[#list + 1] = amount
  end
  if #list > size then return nil end
  for i = #list + 1, size do list[i] = 0 end
  return list
end

local function pack(list)
  local parts = {}
  for i = 1, #list do parts[i] = digits(list[i]) end
  return table.concat(parts, ' ')
end

-- Where each of the caller's dimensions stands in a hash: the hash's own come first, in its own order.
local function places_in(stored)
  local places, names = {}, {}
  if not stored or stored == dimensions then
    for d = 1, n do places[d], names[d] = d, ARGV[4 + d] end
    return places, names
  end
  local at = {}
  for name in string.gmatch(stored, '%S+') do
    names[#names + 1] = name
    at[name] = #names
  end
  for d = 1, n do
    local name = ARGV[4 + d]
    if not at[name] then
      names[#names + 1] = name
      at[name] = #names
    end
    places[d] = at[name]
  end
  return places, names
end

-- What is sent for each backend, and what is there.
local items, names, arg = {}, {}, 4 + n
for k = 4, #KEYS do
  local name, writer, amounts, mark, m = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4], tonumber(ARGV[arg + 5])
  local item = { key = KEYS[k], name = name, mark = mark, writers = { writer }, sent = { parse(amounts, n) } }
  if not item.sent[1] or not m then return redis.error_reply('USAGE_ARGUMENT amounts of ' .. tostring(name)) end
  arg = arg + 5
  for _ = 1, m do
    item.writers[#item.writers + 1] = ARGV[arg + 1]
    item.sent[#item.sent + 1] = parse(ARGV[arg + 2], n)
    if #item.sent < #item.writers then return redis.error_reply('USAGE_ARGUMENT row of ' .. name) end
    arg = arg + 2
  end
  local fields = { ':', ':d', ':s' }
  for i, one in ipairs(item.writers) do fields[3 + i] = '/' .. one end
  local found = redis.pcall('HMGET', item.key, unpack(fields))
  if found.err then
    if not string.find(found.err, 'WRONGTYPE', 1, true) then return found end
    item.refused = found.err
  else
    item.exists = found[2] and true or false
    item.known_mark = found[1] or ''
    item.places, item.dims = places_in(found[2])
    item.grew = not item.exists or #item.dims > select(2, string.gsub(found[2], '%S+', ''))
    local size = #item.dims
    item.sums = parse(found[3], size)
    item.tallies = {}
    for i = 1, #item.writers do
      local tally = parse(found[3 + i], size)
      item.tallies[i] = tally
      if not tally then item.refused = 'no amounts in the field /' .. item.writers[i] break end
      for d = 1, size do
        if item.sums and tally[d] > item.sums[d] then item.refused = 'a sum that is less than a part of it' end
      end
    end
    if not item.sums then item.refused = 'no amounts in the field :s' end
  end
  items[#items + 1] = item
  names[#names + 1] = name
end

local at = epoch_of(epoch, changes)
if at.spoilt then return at.spoilt end
local scores = #names > 0 and redis.call('ZMSCORE', changes, unpack(names)) or {}
local gone = {}
for i, item in ipairs(items) do
  item.is_named = scores[i] and true or false
  -- fault: a hash that is missing does not begin the bucket anew
  if item.is_named and not item.exists and not item.refused then gone[#gone + 1] = item.name end
end
if at.is_lost or #gone > 0 then renew(at, epoch, changes, v, nonce, ttl) end
-- Else each merge would find them lost again.
-- fault: the name of what is gone stays
if #gone > 0 then
  redis.call('ZREM', changes, unpack(gone))
  for _, item in ipairs(items) do if not item.exists then item.is_named = false end end
end

-- Who owes the store what is pushed here: the versions of the first and the last of it.
local owed = {}
local function owe(who, version)
  owed[who] = { owed[who] and owed[who][1] or version, version }
end

local reply, before = { at.id, answer(at.version), 0 }, at.version
for _, item in ipairs(items) do
  local writes, changed, own_grew = {}, false, false
  if not item.refused then
    for i, writer in ipairs(item.writers) do
      local tally, grew = item.tallies[i], false
      for d = 1, n do
        local place, amount = item.places[d], item.sent[i][d]
        -- fault: the script keeps what came last
        if amount > tally[place] then
          -- fault: the script moves the sum by the whole amount
          item.sums[place] = item.sums[place] + amount - tally[place]
          -- fault: the script adds instead of keeping the maximum
          tally[place] = amount
          grew = true
          if item.sums[place] > MAX then item.refused = 'a sum that would pass 2^53-1' end
        end
      end
      if grew then
        writes[#writes + 1] = '/' .. writer
        writes[#writes + 1] = pack(tally)
        changed = true
        own_grew = own_grew or i == 1
      end
    end
    -- fault: a mark is set whatever epoch the rows were read in
    if item.mark ~= '' and item.mark == at.id and item.known_mark ~= at.id then
      item.known_mark = at.id
      writes[#writes + 1] = ':'
      writes[#writes + 1] = at.id
      changed = true
    end
  end
  if item.refused then
    reply[#reply + 1] = 'USAGE_REFUSED ' .. item.refused
  else
    if changed then
      writes[#writes + 1] = ':s'
      writes[#writes + 1] = pack(item.sums)
      if item.grew then
        writes[#writes + 1] = ':d'
        writes[#writes + 1] = table.concat(item.dims, ' ')
      end
      in_chunks(writes, function(...) redis.call('HSET', item.key, ...) end)
      if not item.exists then redis.call('PEXPIRE', item.key, ttl) end
    end
    if changed or (item.exists and not item.is_named) then
      at.version = at.version + 1
      redis.call('ZADD', changes, digits(at.version), item.name)
    end
    if own_grew then owe(run, at.version) end
    -- Nobody knew of it any more: whoever has counts in it may owe them.
    -- fault: what nobody knew of any more is owed by nobody
    if item.exists and not item.is_named then owe('*', at.version) end
    reply[#reply + 1] = (item.exists or changed) and 1 or 0
    reply[#reply + 1] = item.known_mark == at.id and 1 or 0
    for d = 1, n do
      local place = item.places[d]
      reply[#reply + 1] = answer(item.sums[place])
      -- fault: a reply tells the own part from before the merge
      reply[#reply + 1] = answer(item.tallies[1][place])
    end
  end
end
for who, span in pairs(owed) do
  local known = redis.call('HGET', epoch, 'w:' .. who)
  local since = known and string.match(known, '^(%d+) ') or digits(span[1])
  redis.call('HSET', epoch, 'w:' .. who, since .. ' ' .. digits(span[2]))
end
if at.version > before then
  redis.call('HSET', epoch, 'version', digits(at.version))
  redis.call('SET', v, at.id .. ' ' .. digits(at.version), 'PX', ttl)
end
reply[3] = answer(at.version)
return reply
