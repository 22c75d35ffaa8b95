"""A market that never closes: where its days begin, and which snapshot speaks for a day.

Belongs here: every question of the calendar that the source has. Not here: data.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta

OFFICIAL = "EOD"
EXPIRY = time(8, 0)

DayRange = Callable[[date], tuple[datetime, datetime]]


def utc_day(day: date) -> tuple[datetime, datetime]:
    """Return where a day begins and where the next one does: midnight UTC."""
    start = datetime.combine(day, time(0), UTC)
    return start, start + timedelta(days=1)


def label_of(instant: datetime) -> str:
    """Return the name of a snapshot: HHMM in UTC."""
    return f"{instant.astimezone(UTC):%H%M}"


def official(instants: Iterable[datetime], day: date) -> datetime | None:
    """Return the snapshot that speaks for a day: its last before 08:00 UTC, when options expire.

    A day that was seen only later has its first one: so a snapshot that is taken after 08:00
    never changes what the day's official one is. None for a day without snapshots.
    """
    start, end = utc_day(day)
    own = sorted(at for at in instants if start <= at < end)
    early = [at for at in own if at < datetime.combine(day, EXPIRY, UTC)]
    return early[-1] if early else next(iter(own), None)
