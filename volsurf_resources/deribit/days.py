"""Where the days of this market begin, and what its snapshots are called.

Belongs here: the source's own questions of time. Not here: sessions, and which snapshot of a day is
the official one (`volsurf_resources.calendars`).
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

EXPIRY = time(8, 0)

DayRange = Callable[[date], tuple[datetime, datetime]]


def utc_day(day: date) -> tuple[datetime, datetime]:
    """Return where a day begins and where the next one does: midnight UTC."""
    start = datetime.combine(day, time(0), UTC)
    return start, start + timedelta(days=1)


def label_of(instant: datetime) -> str:
    """Return the name of a snapshot: HHMM in UTC."""
    return f"{instant.astimezone(UTC):%H%M}"
