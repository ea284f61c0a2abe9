-- Begins every script of a bucket. A bucket is a 64th of the backends of a period, and all its keys are in one slot:
--   epoch    hash: id, run and version of the bucket's epoch; ripe, the id once nobody can have a slice that is not known here;
--            and w:<run> = "<since> <last>", what a run owes the store
--   changes  sorted set: each backend that has counts, by the version of its last change; "" by 0, so that it is never empty
--   v        string: "<id> <version>", for polls
--   a hash for each backend: ":" the mark, ":d" the dimensions, ":s" the sums over all writers, "/<writer>" a tally; sums and
--   tallies have an amount for each of the dimensions, in their order. Where anybody ever held anything: "!<writer>" when it last
--   said that it does, in milliseconds, and for each dimension what was granted to it, what it returned and what was forgiven,
--   ":h" the sums over all writers of what they may still use without asking, max(0, granted - returned - forgiven - tally),
--   ":f" those of what was forgiven, and ":n" how often somebody got less than it needed
-- Errors begin with a code: USAGE_ARGUMENT, what was sent cannot be right; USAGE_SPOILT and epoch or changes, that key of the
-- bucket holds something else.

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

-- Amounts with a space between; nil where they are no amounts, or more than `most`. What is missing is zero.
local function parse(text, size, most)
  local list = {}
  for part in string.gmatch(text or '', '%S+') do
    local amount = number(part)
    if not amount then return nil end
    list[#list + 1] = amount
  end
  if #list > (most or size) then return nil end
  for i = #list + 1, size do list[i] = 0 end
  return list
end

local function pack(list)
  local parts = {}
  for i = 1, #list do parts[i] = digits(list[i]) end
  return table.concat(parts, ' ')
end

-- In milliseconds, by the server's clock.
local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Where a writer's field has what was granted to it of a dimension; then follow what it returned, and what was forgiven.
local function granted_at(d) return 3 * d - 1 end

-- What a writer may still use without asking.
local function slack(pair, tally, d)
  local at = granted_at(d)
  return math.max(0, pair[at] - pair[at + 1] - pair[at + 2] - tally[d])
end

-- unpack fails above some thousand values.
local function in_chunks(list, call)
  for first = 1, #list, 1000 do call(unpack(list, first, math.min(first + 999, #list))) end
end

-- The run of the server, and of its data: a server that was another's replica in between has other data under its own name.
local function run_of_server()
  local server, replication = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
  if type(server) ~= 'string' or type(replication) ~= 'string' then return '' end
  local id = string.match(server, 'run_id:(%w+)')
  local data = string.match(replication, 'master_replid:(%w+)')
  -- fault: a run is the process alone, whatever data it has
  return id and data and id .. '/' .. data or ''
end

-- The epoch as it is found: is_lost where something of the bucket is missing, or of another run; spoilt, an error to return,
-- where one of its keys cannot be used.
local function epoch_of(epoch, changes)
  local found = redis.pcall('HMGET', epoch, 'id', 'run', 'version', 'ripe')
  if found.err then return { spoilt = redis.error_reply('USAGE_SPOILT epoch ' .. found.err) } end
  local names = redis.pcall('ZCARD', changes)
  if type(names) == 'table' then return { spoilt = redis.error_reply('USAGE_SPOILT changes ' .. names.err) } end
  local run = run_of_server()
  local has_changes = names > 0
  return {
    id = found[1] or '',
    version = number(found[3]) or 0,
    run = run,
    -- fault: a renewed epoch is as ripe as the one before
    is_ripe = found[1] and found[4] == found[1] or false,
    has_epoch = found[1] and true or false,
    has_changes = has_changes,
    -- fault: an epoch does not name the server's run
    -- fault: a bucket that lost its names goes on in its epoch
    is_lost = not found[1] or not has_changes or found[2] ~= run,
  }
end

-- The bucket begins anew. What is owed stays owed, unless the books of that are lost: then everybody may owe everything.
local function renew(at, epoch, changes, v, nonce, ttl)
  local top = redis.call('ZRANGE', changes, -1, -1, 'WITHSCORES')
  local time = redis.call('TIME')
  -- fault: a new epoch counts versions from zero
  at.version = math.max(at.version, number(top[2]) or 0)
  at.is_ripe = false
  at.id = nonce .. '-' .. time[1] .. '-' .. time[2]
  -- fault: where the epoch was lost, what is owed is taken for stored
  if not at.has_epoch and top[1] and top[1] ~= '' then redis.call('HSET', epoch, 'w:*', '0 ' .. digits(at.version)) end
  -- fault: a new epoch forgets who owes what
  redis.call('HSET', epoch, 'id', at.id, 'run', at.run, 'version', digits(at.version))
  redis.call('ZADD', changes, 0, '')
  redis.call('PEXPIRE', epoch, ttl)
  redis.call('PEXPIRE', changes, ttl)
  redis.call('SET', v, at.id .. ' ' .. digits(at.version), 'PX', ttl)
end
