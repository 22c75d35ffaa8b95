"""How the tables are cut: one partition per session of the exchange.

Belongs here: the partitions definition. Not here: the rules of the calendar (volsurf_resources).
"""

from datetime import UTC, datetime

import dagster as dg

from volsurf_resources.exchange_calendar import closures

FIRST_SESSION = "2015-01-02"
_YEARS_AHEAD = 2  # of known holidays; a test fails when the horizon comes near
_WEEKENDS = ("0 0 * * 0", "0 0 * * 6")


def _closure_midnights() -> list[datetime]:
    """Naive midnights: Dagster labels them with the partitions' own time zone."""
    last_year = datetime.now(UTC).year + _YEARS_AHEAD
    days = closures(int(FIRST_SESSION[:4]), last_year)
    return [datetime(day.year, day.month, day.day) for day in days]  # noqa: DTZ001


trading_days = dg.DailyPartitionsDefinition(
    start_date=FIRST_SESSION,
    timezone="America/New_York",
    end_offset=1,  # today's session exists before midnight, for the run after the close
    exclusions=[*_WEEKENDS, *_closure_midnights()],
)
