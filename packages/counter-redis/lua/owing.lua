-- @include prelude
-- What runs owe the store in a bucket: whose pushes are not known to be stored, and since when. Renews a bucket that has lost
-- something, since nobody merges into a period that is over.
--
-- KEYS      epoch, changes, v
-- ARGV      ttl, nonce
-- Returns   id, then for each run that owes: run, since, last; "*" for everybody. An empty id where there is no bucket

local epoch, changes, v = KEYS[1], KEYS[2], KEYS[3]
if redis.call('EXISTS', epoch, changes) == 0 then return { '' } end
local at = epoch_of(epoch, changes)
if at.spoilt then return at.spoilt end
-- fault: whoever asks who owes passes over a bucket that lost its epoch
if at.is_lost then renew(at, epoch, changes, v, ARGV[2], ARGV[1]) end
local reply = { at.id }
local fields = redis.call('HGETALL', epoch)
for i = 1, #fields, 2 do
  local run = string.match(fields[i], '^w:(.+)$')
  local since, last = string.match(fields[i + 1], '^(%d+) (%d+)$')
  if run and since then
    reply[#reply + 1] = run
    reply[#reply + 1] = since
    reply[#reply + 1] = last
  end
end
return reply
