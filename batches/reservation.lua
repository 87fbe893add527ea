-- Reserve n slots of several rate limits at once: all of them or none (GCRA, burst 1, one shared slot).
--
-- KEYS[k]      limit k: the instant from which it is free again, in microseconds of the server's clock
-- ARGV[1]      n, how many slots are wanted; they are spaced by the slowest limit's interval
-- ARGV[2]      horizon in microseconds: a slot further away than this is not given
-- ARGV[3]      how long a missing limit waits before its first slot, in microseconds: after a FLUSHALL slots up to
--              the horizon may already be promised, so a new count starts behind them
-- ARGV[2+2k]   interval of limit k in microseconds
-- ARGV[3+2k]   time to live of key k in milliseconds, 0 for none
--
-- Returns {granted, wait until the first slot, spacing, wait until the first slot that was not given}; the times in
-- microseconds. With granted = 0 nothing was changed.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local wanted, horizon, fresh = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local first, spacing = now, 0
for k, key in ipairs(KEYS) do
  local free = tonumber(redis.call('GET', key) or now + fresh)
  -- No promise lies beyond horizon plus interval: a later instant is a clock that jumped back, not a queue.
  local interval = tonumber(ARGV[2 + 2 * k])
  first = math.max(first, math.min(free, now + math.max(horizon, fresh) + interval))
  spacing = math.max(spacing, interval)
end
local room = math.floor((horizon - (first - now)) / spacing) + 1
if first - now > horizon then room = 0 end
local granted = math.min(wanted, room)
if granted > 0 then
  local last = first + (granted - 1) * spacing
  for k, key in ipairs(KEYS) do
    local free = string.format('%.0f', last + tonumber(ARGV[2 + 2 * k]))
    local milliseconds = tonumber(ARGV[3 + 2 * k])
    if milliseconds > 0 then
      redis.call('SET', key, free, 'PX', milliseconds)
    else
      redis.call('SET', key, free)
    end
  end
end
return {granted, first - now, spacing, first + granted * spacing - now}
