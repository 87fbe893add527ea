"""The hours in which nobody wants a message, by the clock of who gets it.

Where a number may be in several time zones, it is quiet while it is so in any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from django.db import connection

from batches.operations.payload import Fields, unknown_fields

NAMES = ("start", "end")
LOOKED_AHEAD = timedelta(days=2)
UNKNOWN_ZONE = "Etc/Unknown"
PUT_BACK_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``start`` until before ``end``, on the next day where that is earlier."""

    start: time
    end: time

    @classmethod
    def of(cls, stored: Mapping[str, str]) -> Self:
        """As they are kept with a batch."""
        return cls(time.fromisoformat(stored["start"]), time.fromisoformat(stored["end"]))

    def as_dict(self) -> dict[str, str]:
        """As they are kept with a batch."""
        return {"start": self.start.isoformat("minutes"), "end": self.end.isoformat("minutes")}

    def over_at(self, zones: str, now: datetime) -> datetime | None:
        """The first instant from ``now`` on that is quiet in none of the zones (names, a space between two).

        None where there is none: the zones of the number are so far apart that it is always night in one.
        """
        moment = now
        while moment - now < LOOKED_AHEAD:
            latest = max(self._over_in(zone_of(name), moment) for name in zones.split(" "))
            if latest <= moment:
                return moment
            moment = latest
        return None

    def _over_in(self, zone: ZoneInfo, moment: datetime) -> datetime:
        """When the quiet hours of this moment end; the moment itself where it is not quiet."""
        local = moment.astimezone(zone)
        clock = local.time().replace(fold=0)
        over_night = self.start > self.end
        is_quiet = clock >= self.start or clock < self.end if over_night else self.start <= clock < self.end
        if not is_quiet:
            return moment
        day = local.date() + timedelta(days=1 if over_night and clock >= self.start else 0)
        end = datetime.combine(day, self.end, tzinfo=zone).astimezone(moment.tzinfo)
        # Where clocks were changed in between, what they show next may be a moment that has been.
        return max(end, moment + timedelta(minutes=1))


@cache
def zone_of(name: str) -> ZoneInfo:
    """The time zone; UTC for one that is not known, here or at all."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def zones_of(number: str) -> str:
    """The time zones in which a number (E.164) may be, sorted, a space between two."""
    from phonenumbers import timezone  # its tables are large, and most processes never need them

    return " ".join(sorted(timezone.time_zones_for_number(phonenumbers.parse(number)))) or UNKNOWN_ZONE


def read_quiet_hours(fields: Fields) -> QuietHours | None:
    """The option ``quietHours``: ``{"start": "21:00", "end": "08:00"}``."""
    path, value = fields.find("quietHours")
    if value is None:
        return None
    problems = fields.problems
    if not isinstance(value, Mapping):
        problems.add(path, "Must be an object with start and end.", "invalid_type")
        return None
    problems.extend(unknown_fields(value, NAMES, f"{path}."))
    clocks = [_clock(value.get(name)) for name in NAMES]
    for name, clock in zip(NAMES, clocks, strict=True):
        if clock is None:
            problems.add(f"{path}.{name}", 'Must be a time of day like "21:00".', "invalid_time")
    start, end = clocks
    if start is None or end is None:
        return None
    if start == end:
        problems.add(f"{path}.end", "Must not be the start: no hour would be left.", "empty")
        return None
    return QuietHours(start, end)


def _clock(value: Any) -> time | None:
    if not isinstance(value, str) or len(value) != len("21:00") or value[2] != ":":
        return None
    try:
        return time.fromisoformat(value)
    except ValueError:
        return None


_PUT_BACK = """
    WITH chosen AS (
        SELECT id FROM batches_item
         WHERE batch_id = (SELECT batch_id FROM batches_item WHERE id = %s)
           AND status = 'pending' AND due_at < %s AND input ->> 'zones' = %s
         ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
    )
    UPDATE batches_item AS item SET due_at = %s FROM chosen WHERE item.id = chosen.id
"""


def put_back(item_id: int, zones: str, until: datetime) -> None:
    """Let the waiting items of the same batch and zones wait as well, some thousands at once.

    One by one they would all have to come here to learn it, at the pace of their lane, and keep others from it.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(_PUT_BACK, [item_id, until, zones, PUT_BACK_AT_ONCE, until])
    finally:
        if not connection.in_atomic_block:
            connection.close()
