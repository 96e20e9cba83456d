"""Rates: how many jobs an API key may ask for in a minute.

Conventions: the generic cell rate algorithm (ITU-T I.371, a leaky bucket as a meter). Of each key one moment
is kept: when all that it has asked for would have been asked for at its rate. A key that was quiet may ask
for a minute's worth at once. Who asks for more than that in one request needs a whole quiet minute before,
and waits accordingly longer after. Redis's own clock counts, so that several API processes agree.
"""

import math
from dataclasses import dataclass
from typing import cast

from redis import Redis

from worker import keys

MINUTE_US = 60_000_000

# Times in microseconds; as text they are written out, because Lua's own form keeps 14 digits only.
_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local interval, burst, cost = ARGV[1] / ARGV[2], tonumber(ARGV[2]), tonumber(ARGV[3])
local paid = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
local room = ARGV[1] - (paid - now)
local needed = math.max(math.min(cost, burst), 1) * interval
if room < needed then return {0, 0, math.ceil(needed - room)} end
if cost > 0 then
  paid = paid + cost * interval
  redis.call('SET', KEYS[1], string.format('%.0f', paid), 'PX', math.ceil((paid - now) / 1000))
end
return {1, math.max(math.floor((ARGV[1] - (paid - now)) / interval), 0), math.ceil(paid - now)}
"""


@dataclass(frozen=True)
class Allowance:
    """What a key may ask for: now, and how that will be.

    `left` jobs more may be asked for at once. `wait_s` is after how long a refused request would be granted,
    or a granted one no longer counts.
    """

    granted: bool
    per_minute: int
    left: int
    wait_s: int


class Rates:
    """What every key has asked for lately."""

    def __init__(self, redis: Redis) -> None:
        self._take = redis.register_script(_TAKE)

    def take(self, name: str, per_minute: int, cost: int = 1) -> Allowance:
        """Asks for `cost` jobs in the name of a key; 0 takes nothing and says whether one would be granted.

        A refused request takes nothing.
        """
        arguments = [MINUTE_US, per_minute, cost]
        granted, left, wait_us = cast(list[int], self._take(keys=[keys.rate(name)], args=arguments))
        return Allowance(bool(granted), per_minute, left, math.ceil(wait_us / 1_000_000))
