-- @include prelude
-- Forgives writers what they may use of a backend without asking, where they have not said for so long that they hold it: they are
-- taken for dead. May run again, late, twice: what is forgiven is not there a second time.
--
-- KEYS      epoch, changes, v, the hash
-- ARGV      ttl, name, silent, writer; then n dimensions
--   silent  for how long a writer said nothing, in milliseconds by the server's clock: since the epoch began, or later
--   writer  the only one that is meant; empty for everybody
-- Returns   for each writer that was forgiven anything: the writer, and for each dimension how much

local epoch, changes, v, hash = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local ttl, name, silent, only = ARGV[1], ARGV[2], number(ARGV[3]), ARGV[4]
if not silent then return redis.error_reply('USAGE_ARGUMENT silent') end
local at = epoch_of(epoch, changes)
if at.spoilt then return at.spoilt end
local reply, fields = {}, {}
if at.is_lost then return reply end
local all = redis.call('HGETALL', hash)
for i = 1, #all, 2 do fields[all[i]] = all[i + 1] end
local names = {}
for one in string.gmatch(fields[':d'] or '', '%S+') do names[#names + 1] = one end
local size = #names
local held, sums = parse(fields[':h'], size), parse(fields[':f'], size)
if not held or not sums then return reply end
-- Who was heard in another epoch may have said since what is lost.
-- fault: who spoke before a loss is taken for silent since
local since = (number(string.match(at.id, '-(%d+)-%d+$')) or 0) * 1000
local writes, time = {}, now()
for field, text in pairs(fields) do
  local writer = string.match(field, '^!(.*)$')
  if writer and (only == '' or only == writer) then
    local pair, tally, amounts, any = parse(text, granted_at(size) + 2), parse(fields['/' .. writer], size), {}, false
    -- fault: what a living instance holds is forgiven
    if pair and tally and (silent == 0 or time - math.max(pair[1], since) >= silent) then
      for d = 1, size do
        local amount = slack(pair, tally, d)
        amounts[names[d]] = amount
        any = any or amount > 0
        pair[granted_at(d) + 2] = pair[granted_at(d) + 2] + amount
        held[d] = held[d] - amount
        sums[d] = sums[d] + amount
      end
    end
    if any then
      writes[#writes + 1] = field
      writes[#writes + 1] = pack(pair)
      reply[#reply + 1] = writer
      for d = 5, #ARGV do reply[#reply + 1] = answer(amounts[ARGV[d]] or 0) end
    end
  end
end
if #reply == 0 then return reply end
in_chunks(writes, function(...) redis.call('HSET', hash, ...) end)
redis.call('HSET', hash, ':h', pack(held), ':f', pack(sums))
-- fault: nobody hears of what is forgiven
at.version = at.version + 1
redis.call('ZADD', changes, digits(at.version), name)
redis.call('HSET', epoch, 'version', digits(at.version))
redis.call('SET', v, at.id .. ' ' .. digits(at.version), 'PX', ttl)
return reply
