"""When a daily run is due: local time of the creditor, exactly once a day, also when the clocks change (R-LS-04, A-02).

A run belongs to a *business date*, the creditor's local calendar day. Its instant is the local time of the schedule on
that day: a time that the clocks skip is taken as the first instant after the gap, a time that comes twice is its first
occurrence. So every date has exactly one instant, and the instants follow each other in the order of the dates.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.errors import ConfigurationError, DataError

_DAY = timedelta(days=1)


class DueRun(NamedTuple):
    """The one run to make now.

    *cutoff* is its instant: what was committed before it belongs to it. *missed* are the business dates before it that
    had no run; they get none of their own, because one run takes everything that is ready (README of agencies, 4.18).
    """

    business_date: date
    cutoff: datetime
    missed: tuple[date, ...]


def cutoff(day: date, local_time: time, zone: str) -> datetime:
    """Return the instant, in UTC, at which the run of *day* starts and from which entries wait for the next one.

    Raises:
        ConfigurationError: *zone* is not a known time zone.
        DataError: *local_time* carries a time zone of its own.
    """
    if local_time.tzinfo is not None:
        raise DataError("the time of a schedule is local and carries no zone")
    local = datetime.combine(day, local_time, _zone(zone))
    # fold=0 of a skipped time maps back to before the gap's end plus the gap: 02:30 becomes 03:30. The first instant
    # after the gap is sooner and independent of the minute asked for.
    instant = local.astimezone(UTC)
    skipped = instant.astimezone(_zone(zone)).replace(tzinfo=None) != local.replace(tzinfo=None)
    return _end_of_gap(local) if skipped else instant


def local_date(instant: datetime, zone: str) -> date:
    """Return the calendar day that *instant* falls on in *zone*: "today" for a creditor (L-DD-06)."""
    return _aware(instant).astimezone(_zone(zone)).date()


def business_date(instant: datetime, local_time: time, zone: str) -> date:
    """Return the business date whose run takes what is committed at *instant*.

    17:59:59 belongs to the same day's run, 18:00:00 to the next day's (R-LS-04).
    """
    day = local_date(instant, zone)
    return day if _aware(instant) < cutoff(day, local_time, zone) else day + _DAY


def next_run(after: datetime, local_time: time, zone: str) -> datetime:
    """Return the first run instant, in UTC, that is later than *after*."""
    day = local_date(after, zone)
    instant = cutoff(day, local_time, zone)
    return instant if instant > _aware(after) else cutoff(day + _DAY, local_time, zone)


def due_run(last: date | None, now: datetime, local_time: time, zone: str) -> DueRun | None:
    """Return the run to make now, or None when the latest due one was made.

    However long the machine was off, only the latest business date is run, once; the dates in between are named in
    ``missed`` so that they can be shown (`run.missed`).

    Args:
        last: business date of the last run made; None for an agreement that never ran (nothing was missed then).
        now: the instant of asking.
        local_time: time of day of the schedule, in *zone*.
        zone: IANA name, such as ``Europe/Oslo``.
    """
    day = business_date(now, local_time, zone) - _DAY
    if last is not None and day <= last:
        return None
    missed = () if last is None else tuple(last + _DAY * n for n in range(1, (day - last).days))
    return DueRun(day, cutoff(day, local_time, zone), missed)


def _end_of_gap(local: datetime) -> datetime:
    """Return the first instant after the gap that holds *local*; the two readings of it lie on either side."""
    before, after = local.replace(fold=1).astimezone(UTC), local.replace(fold=0).astimezone(UTC)
    offset = before.astimezone(local.tzinfo).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(local.tzinfo).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise DataError("an instant needs a time zone")
    return instant.astimezone(UTC)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(f"unknown time zone {name!r}") from error
