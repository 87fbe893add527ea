-- Correct a limit on tokens after a call: its tokens were reserved from an estimate.
--
-- KEYS[1]  the limit: the instant from which it is free again, in microseconds of the server's clock
-- ARGV[1]  what the call used beyond its estimate, in microseconds of the limit; negative where it used less
--
-- Nothing is saved up: the limit is never free earlier than now. A missing limit counts anew, and stays missing.

local free = tonumber(redis.call('GET', KEYS[1]))
if free then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  redis.call('SET', KEYS[1], string.format('%.0f', math.max(math.min(free, now), free + tonumber(ARGV[1]))))
end
