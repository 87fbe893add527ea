-- Reserve n slots of several rate limits at once: all of them or none (GCRA, burst 1, one shared slot).
--
-- KEYS[k]     limit k: the instant from which it is free again, in microseconds of the server's clock
-- ARGV[1]     n, how many slots are wanted; they are spaced by the slowest limit's interval
-- ARGV[2]     horizon in microseconds: a slot further away than this is not given
-- ARGV[4k-1]  interval of limit k in microseconds; of a limit on tokens, what this call's tokens take of it (n is 1)
-- ARGV[4k]    time to live of key k in milliseconds, 0 for none
-- ARGV[4k+1]  how long limit k waits before its first slot when it is missing, in microseconds: after a FLUSHALL slots
--             up to the horizon may already be promised, so a new count starts behind them
-- ARGV[4k+2]  how far away the next slot of limit k can truly be, in microseconds: a later one is a clock that jumped
--             back, not a queue
--
-- Returns {granted, wait until the first slot, spacing, wait until the first slot that was not given}; the times in
-- microseconds. With granted = 0 nothing was changed, except that a missing limit is known from now on.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local wanted, horizon = tonumber(ARGV[1]), tonumber(ARGV[2])

local function remember(k, free)
  local milliseconds = tonumber(ARGV[4 * k])
  if milliseconds > 0 then
    redis.call('SET', KEYS[k], string.format('%.0f', free), 'PX', milliseconds)
  else
    redis.call('SET', KEYS[k], string.format('%.0f', free))
  end
end

local first, spacing = now, 0
for k, key in ipairs(KEYS) do
  local interval, fresh, furthest = tonumber(ARGV[4 * k - 1]), tonumber(ARGV[4 * k + 1]), tonumber(ARGV[4 * k + 2])
  local free = tonumber(redis.call('GET', key))
  if not free then
    free = now + fresh
    remember(k, free)
  end
  first = math.max(first, math.min(free, now + furthest))
  spacing = math.max(spacing, interval)
end
local room = math.floor((horizon - (first - now)) / spacing) + 1
if first - now > horizon then room = 0 end
local granted = math.min(wanted, room)
if granted > 0 then
  local last = first + (granted - 1) * spacing
  for k in ipairs(KEYS) do
    remember(k, last + tonumber(ARGV[4 * k - 1]))
  end
end
return {granted, first - now, spacing, first + granted * spacing - now}
