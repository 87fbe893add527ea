-- Admit one event if fewer than n were admitted within the last window: an exact sliding window, decided in one step.
--
-- KEYS[1]   the instants of the latest admitted events, newest first, in microseconds of the server's clock
-- ARGV[1]   n, how many a window admits
-- ARGV[2]   the window in microseconds
--
-- Returns 0 where the event was admitted, else the microseconds until the next one would be; a refused event is not kept.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local most, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local oldest = tonumber(redis.call('LINDEX', KEYS[1], most - 1) or '')
-- An instant ahead of us is a clock that was set back; it must not shut the door for longer than a window.
if oldest and oldest > now - window and oldest <= now then
  return oldest + window - now
end
redis.call('LPUSH', KEYS[1], string.format('%.0f', now))
redis.call('LTRIM', KEYS[1], 0, most - 1)
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return 0
