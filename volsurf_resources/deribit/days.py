"""Where the days of this market begin, and what its snapshots are called.

Belongs here: the source's own questions of time. Not here: sessions, and which snapshot of a day is
the official one (`volsurf_resources.calendars`).
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta

from volsurf_resources.calendars import ROUND_THE_CLOCK

EXPIRY = ROUND_THE_CLOCK.settles

DayRange = Callable[[date], tuple[datetime, datetime]]


def to_settlement(day: date) -> tuple[datetime, datetime]:
    """Return the span of a day's bar: the 24 hours up to its settlement at 08:00 UTC.

    So it is finished, and known, when the official snapshot is taken, and ends at the same time.
    """
    end = ROUND_THE_CLOCK.session_close(day)
    return end - timedelta(days=1), end


def utc_day(day: date) -> tuple[datetime, datetime]:
    """Return where a date begins and where the next one does: midnight UTC."""
    start = datetime.combine(day, time(), UTC)
    return start, start + timedelta(days=1)


def label_of(instant: datetime) -> str:
    """Return the name of a snapshot: HHMM in UTC."""
    return f"{instant.astimezone(UTC):%H%M}"
