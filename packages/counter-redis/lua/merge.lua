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
--   amounts  n of them, from 0 to 2^53-1, in decimal digits, with a space between. The writer's own may have more behind them: for
--            each dimension what was granted to it, what it returned and what was forgiven (3 n); and behind these for each what
--            it asks for (3 n): the limit, what shall be granted to it altogether, and how much of that it needs now; 0 of it for
--            nothing
--   mark     the epoch in which the rows were read that are the last of what the store has; empty where they are not
-- Returns   id, version before, version after; then for each backend either a text that begins with USAGE_REFUSED, which says
--           why its hash cannot be used and that nothing of it was changed; or whether there is a hash, whether it bears the epoch,
--           and for each dimension the sum over all writers and the part of the writer who came first; large ones as text.
--           Whether there is a hash: 0 or 1; 2 or, where the bucket's epoch is ripe, 3 where anybody ever held anything there,
--           and then for each dimension also what all hold, what was forgiven of all, what was granted to the writer, what it
--           returned, what was forgiven of it, and how often somebody got less than it needed
-- Errors    USAGE_ARGUMENT, USAGE_SPOILT; nothing is written then

local epoch, changes, v = KEYS[1], KEYS[2], KEYS[3]
local ttl, nonce, run, n = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if (number(ttl) or 0) < 1 or not n or n < 1 then return redis.error_reply('USAGE_ARGUMENT ttl or n') end
local dimensions = table.concat(ARGV, ' ', 5, 4 + n)

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

-- What each writer of an item was granted, what it returned and what was forgiven.
local function read_slices(item, held, size)
  local fields = { ':n', ':f' }
  for i, one in ipairs(item.writers) do fields[2 + i] = '!' .. one end
  local found = redis.call('HMGET', item.key, unpack(fields))
  item.held, item.hungry, item.forgiven, item.pairs = parse(held, size), parse(found[1], size), parse(found[2], size), {}
  if not item.held or not item.hungry or not item.forgiven then item.refused = 'no amounts in the field :h, :n or :f' end
  for i, one in ipairs(item.writers) do
    item.pairs[i] = parse(found[2 + i], granted_at(size) + 2)
    if not item.pairs[i] then item.refused = 'no amounts in the field !' .. one end
  end
end

-- Raises what was granted to a writer, what it returned and what was forgiven; returns whether anything changed. What is held
-- follows.
local function raise(item, i, place, ...)
  local pair, tally, at, grew = item.pairs[i], item.tallies[i], granted_at(place), false
  local before, forgiven = slack(pair, tally, place), pair[at + 2]
  for k, amount in ipairs({ ... }) do
    if amount > pair[at + k - 1] then
      pair[at + k - 1] = amount
      grew = true
    end
  end
  item.held[place] = item.held[place] + slack(pair, tally, place) - before
  item.forgiven[place] = item.forgiven[place] + pair[at + 2] - forgiven
  return grew
end

local function has_slack(item)
  for d = 1, #item.dims do
    if slack(item.pairs[1], item.tallies[1], d) > 0 then return true end
  end
  return false
end

-- What is asked for, as far as there is room. Little of it at a time, so that the last of it goes round.
local function grant(item, at, d)
  local place, ask = item.places[d], 4 * n + 3 * (d - 1)
  local limit, target, need = item.sent[1][ask + 1], item.sent[1][ask + 2], item.sent[1][ask + 3]
  local granted = item.pairs[1][granted_at(place)]
  -- fault: what is asked for is added instead of raised to
  local wanted = target - granted
  if wanted <= 0 then return false end
  -- fault: slices are granted in an epoch that is not ripe
  -- fault: slices are granted where the store's rows may be missing
  if not at.is_ripe or item.known_mark ~= at.id then return false end
  -- fault: slices are granted of what others hold
  local room = limit - item.sums[place] - item.held[place]
  local got = math.max(0, math.min(wanted, room, math.max(need, math.floor(room / 16))))
  local changed = got > 0 and raise(item, 1, place, granted + got)
  if got < need and limit > item.sums[place] then
    item.hungry[place] = item.hungry[place] + 1
    changed = true
  end
  return changed
end

-- What is sent for each backend, and what is there.
local items, names, arg = {}, {}, 4 + n
for k = 4, #KEYS do
  local name, writer, amounts, mark, m = ARGV[arg + 1], ARGV[arg + 2], ARGV[arg + 3], ARGV[arg + 4], tonumber(ARGV[arg + 5])
  local item = { key = KEYS[k], name = name, mark = mark, writers = { writer }, sent = { parse(amounts, n, 7 * n) } }
  local given = item.sent[1] and #item.sent[1]
  if not m or (given ~= n and given ~= 4 * n and given ~= 7 * n) then return redis.error_reply('USAGE_ARGUMENT amounts of ' .. tostring(name)) end
  item.has_pair, item.asks = given > n, given > 4 * n
  arg = arg + 5
  for _ = 1, m do
    item.writers[#item.writers + 1] = ARGV[arg + 1]
    item.sent[#item.sent + 1] = parse(ARGV[arg + 2], n)
    if #item.sent < #item.writers then return redis.error_reply('USAGE_ARGUMENT row of ' .. name) end
    arg = arg + 2
  end
  local fields = { ':', ':d', ':s', ':h' }
  for i, one in ipairs(item.writers) do fields[4 + i] = '/' .. one end
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
      local tally = parse(found[4 + i], size)
      item.tallies[i] = tally
      if not tally then item.refused = 'no amounts in the field /' .. item.writers[i] break end
      for d = 1, size do
        if item.sums and tally[d] > item.sums[d] then item.refused = 'a sum that is less than a part of it' end
      end
    end
    if not item.sums then item.refused = 'no amounts in the field :s' end
    item.has_slices = found[4] and true or item.has_pair
    if item.has_slices and not item.refused then read_slices(item, found[4], size) end
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
          if item.has_slices then
            local before = slack(item.pairs[i], tally, place)
            item.held[place] = item.held[place] - before + math.max(0, before - amount + tally[place])
          end
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
    local own_slices = false
    if item.has_pair then
      for d = 1, n do
        local granted, returned, forgiven = unpack(item.sent[1], n + 3 * d - 2, n + 3 * d)
        own_slices = raise(item, 1, item.places[d], granted, returned, forgiven) or own_slices
      end
      for d = 1, item.asks and n or 0 do own_slices = grant(item, at, d) or own_slices end
      for _, place in ipairs(item.places) do
        if item.sums[place] + item.held[place] > MAX then item.refused = 'a sum that would pass 2^53-1' end
      end
    end
    -- No change: nobody else need look at it.
    -- fault: nobody says that it still holds what it holds
    if own_slices or (item.has_pair and has_slack(item)) then
      item.pairs[1][1] = now()
      writes[#writes + 1] = '!' .. item.writers[1]
      writes[#writes + 1] = pack(item.pairs[1])
    end
    changed = changed or own_slices
  end
  if item.refused then
    reply[#reply + 1] = 'USAGE_REFUSED ' .. item.refused
  else
    if changed then
      writes[#writes + 1] = ':s'
      writes[#writes + 1] = pack(item.sums)
      if item.has_slices then
        writes[#writes + 1] = ':h'
        writes[#writes + 1] = pack(item.held)
        writes[#writes + 1] = ':n'
        writes[#writes + 1] = pack(item.hungry)
        writes[#writes + 1] = ':f'
        writes[#writes + 1] = pack(item.forgiven)
      end
      if item.grew then
        writes[#writes + 1] = ':d'
        writes[#writes + 1] = table.concat(item.dims, ' ')
      end
      in_chunks(writes, function(...) redis.call('HSET', item.key, ...) end)
      if not item.exists then redis.call('PEXPIRE', item.key, ttl) end
    elseif #writes > 0 then
      redis.call('HSET', item.key, unpack(writes))
    end
    if changed or (item.exists and not item.is_named) then
      at.version = at.version + 1
      redis.call('ZADD', changes, digits(at.version), item.name)
    end
    if own_grew then owe(run, at.version) end
    -- Nobody knew of it any more: whoever has counts in it may owe them.
    -- fault: what nobody knew of any more is owed by nobody
    if item.exists and not item.is_named then owe('*', at.version) end
    local is_there = item.exists or changed
    reply[#reply + 1] = not is_there and 0 or not item.has_slices and 1 or at.is_ripe and 3 or 2
    reply[#reply + 1] = item.known_mark == at.id and 1 or 0
    for d = 1, n do
      local place = item.places[d]
      reply[#reply + 1] = answer(item.sums[place])
      -- fault: a reply tells the own part from before the merge
      reply[#reply + 1] = answer(item.tallies[1][place])
      if is_there and item.has_slices then
        reply[#reply + 1] = answer(item.held[place])
        reply[#reply + 1] = answer(item.forgiven[place])
        for at = granted_at(place), granted_at(place) + 2 do reply[#reply + 1] = answer(item.pairs[1][at]) end
        reply[#reply + 1] = answer(item.hungry[place])
      end
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
