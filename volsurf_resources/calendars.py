"""The calendars of the markets: which days are sessions, when they end, which snapshot stands.

Belongs here: the protocol and its finals, and the markets that have them. Not here: the rules of
the New York exchanges (`exchange_calendar`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Literal, Protocol

from volsurf_resources import exchange_calendar

if TYPE_CHECKING:
    from polars import LazyFrame

Market = Literal["us", "crypto"]

END_OF_DAY = "EOD"
_ONE_DAY = timedelta(days=1)


class Calendar(Protocol):
    """The days of one market. Dates are those of `timezone`; instants are in UTC."""

    def __hash__(self) -> int:
        """Answers are kept by calendar."""

    @property
    def timezone(self) -> tzinfo:
        """Whose days the sessions are."""

    @property
    def sessions_per_year(self) -> int:
        """By which realised volatility is annualised."""

    @property
    def sessions_per_month(self) -> int:
        """How many make up 30 days."""

    def is_session(self, day: date) -> bool:
        """Whether the market trades on `day`."""

    def sessions(self, start: date, end: date) -> list[date]:
        """Return the sessions from `start` to `end`, both included."""

    def previous_session(self, day: date) -> date:
        """Return the last session before `day`."""

    def last_sessions(self, until: date, n: int) -> list[date]:
        """Return the last `n` sessions up to and including `until`, oldest first."""

    def available_from(self, day: date) -> datetime:
        """Instant from which the day's chains may be asked for."""

    def session_close(self, day: date) -> datetime:
        """Instant from which the day's official snapshot can be had."""

    def latest_closed_session(self, now: datetime) -> date:
        """Return the last session whose official snapshot can be had at `now`."""

    def closures(self, first_year: int, last_year: int) -> Sequence[date]:
        """Return every weekday of the years without a session, in order."""

    def official(self, rows: "LazyFrame", per: Sequence[str]) -> "LazyFrame":
        """Keep the rows of each day's official snapshot; `per`: columns, each value has its own."""


@dataclass(frozen=True, slots=True)
class NewYork:
    """Sessions of the New York exchanges; the snapshot at the end of the day is the official one.

    A day without one has no official snapshot.
    """

    timezone: tzinfo = exchange_calendar.NEW_YORK
    sessions_per_year: int = 252
    sessions_per_month: int = 21
    is_session = staticmethod(exchange_calendar.is_session)
    sessions = staticmethod(exchange_calendar.sessions)
    previous_session = staticmethod(exchange_calendar.previous_session)
    last_sessions = staticmethod(exchange_calendar.last_sessions)
    available_from = session_close = staticmethod(exchange_calendar.session_close)
    latest_closed_session = staticmethod(exchange_calendar.latest_closed_session)
    closures = staticmethod(exchange_calendar.closures)

    def official(self, rows: "LazyFrame", per: Sequence[str]) -> "LazyFrame":
        """Keep the end of the day."""
        import polars as pl

        return rows.filter(pl.col("snapshot") == END_OF_DAY)


@dataclass(frozen=True, slots=True)
class RoundTheClock:
    """Every day of UTC, without holidays: options settle at 08:00.

    The official snapshot is the last one before 08:00, when the day's own expiry still trades; on
    a day that has none, the first one from then on.
    """

    timezone: tzinfo = UTC
    sessions_per_year: int = 365
    sessions_per_month: int = 30
    settles: time = time(8, 0)

    def is_session(self, day: date) -> bool:
        """Every day is one."""
        return True

    def sessions(self, start: date, end: date) -> list[date]:
        """Return the days from `start` to `end`, both included."""
        return [start + n * _ONE_DAY for n in range((end - start).days + 1)]

    def previous_session(self, day: date) -> date:
        """Return the day before."""
        return day - _ONE_DAY

    def last_sessions(self, until: date, n: int) -> list[date]:
        """Return the last `n` days up to and including `until`, oldest first."""
        return self.sessions(until - (n - 1) * _ONE_DAY, until)

    def available_from(self, day: date) -> datetime:
        """Return midnight: there is no close to wait for."""
        return datetime.combine(day, time(), UTC)

    def session_close(self, day: date) -> datetime:
        """Return 08:00 UTC of the day."""
        return datetime.combine(day, self.settles, UTC)

    def latest_closed_session(self, now: datetime) -> date:
        """Return today from 08:00 UTC on, else yesterday."""
        today = now.astimezone(UTC).date()
        return today if now >= self.session_close(today) else today - _ONE_DAY

    def closures(self, first_year: int, last_year: int) -> Sequence[date]:
        """There are none."""
        return ()

    def official(self, rows: "LazyFrame", per: Sequence[str]) -> "LazyFrame":
        """Keep the snapshot that ranks highest: before 08:00 the later, after it the earlier."""
        import polars as pl

        hhmm = pl.col("snapshot").cast(pl.Int32, strict=False)
        limit = self.settles.hour * 100 + self.settles.minute
        place = pl.when(hhmm < limit).then(hhmm + 1).otherwise(-hhmm)
        rank = pl.when(pl.col("snapshot") == END_OF_DAY).then(9999).otherwise(place)
        return rows.filter(rank == rank.max().over(list(per)))


NEW_YORK, ROUND_THE_CLOCK = NewYork(), RoundTheClock()
CALENDARS: dict[Market, Calendar] = {"us": NEW_YORK, "crypto": ROUND_THE_CLOCK}
