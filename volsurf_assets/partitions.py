"""How the tables are cut: one partition per session of a market, and where its assets stand.

Belongs here: the partitions definitions, and the keys that keep two markets apart in one graph. Not
here: the rules of the calendars (volsurf_resources).
"""

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from volsurf_resources.calendars import NEW_YORK, Market

FIRST_SESSION = "2015-01-02"
_YEARS_AHEAD = 2  # of known holidays; a test fails when the horizon comes near
_WEEKENDS = ("0 0 * * 0", "0 0 * * 6")

# Dagster marks what we use of backfills, partitioned checks and owners as beta, once per asset; its
# version is pinned for that reason, so the warnings tell nobody anything.
for _category in (dg.BetaWarning, dg.PreviewWarning):
    warnings.filterwarnings("ignore", category=_category)


def _closure_midnights() -> list[datetime]:
    """Naive midnights: Dagster labels them with the partitions' own time zone."""
    last_year = datetime.now(UTC).year + _YEARS_AHEAD
    days = NEW_YORK.closures(int(FIRST_SESSION[:4]), last_year)
    return [datetime(day.year, day.month, day.day) for day in days]  # noqa: DTZ001


trading_days = dg.DailyPartitionsDefinition(
    start_date=FIRST_SESSION,
    timezone="America/New_York",
    end_offset=1,  # today's session exists before midnight, for the run after the close
    exclusions=[*_WEEKENDS, *_closure_midnights()],
)
utc_days = dg.DailyPartitionsDefinition(start_date="2018-01-01", timezone="UTC", end_offset=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the assets of one market stand in the graph: their keys, partitions, freshness."""

    market: Market
    partitions: dg.DailyPartitionsDefinition
    freshness: dg.FreshnessPolicy
    prefix: tuple[str, ...] = ()

    @property
    def first(self) -> date:
        """Return the first day that has a partition."""
        return self.partitions.start.date()

    def key(self, table: str) -> dg.AssetKey:
        """Return the key of a table's asset."""
        return dg.AssetKey([*self.prefix, table])

    def step(self, table: str) -> str:
        """Return the name of a table's step in a run."""
        return "__".join((*self.prefix, table))


def _late(warn: int, fail: int) -> dg.FreshnessPolicy:
    return dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=fail), warn_window=timedelta(hours=warn)
    )


PLACES: dict[Market, Place] = {
    # The longest normal gap is from Thursday's close to Monday's.
    "us": Place("us", trading_days, _late(76, 100)),
    "crypto": Place("crypto", utc_days, _late(26, 50), ("crypto",)),
}
