"""One session of the lake as an asset may see it: what was known, never what came later.

Belongs here: reading the past for one partition, and remembering what was read. Not here: whether
that still holds (`proofs`), or what is computed from it (the families).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import polars as pl

from volsurf_resources.calendars import Calendar
from volsurf_resources.lake import OFFICIAL, Lake
from volsurf_resources.settings import Settings
from volsurf_tables.table import Table

Parts = Mapping[str, str]  # content hashes by symbol


@dataclass(frozen=True, slots=True, order=True)
class Read:
    """A span of one table: the last `n` sessions, up to the day itself or to the one before."""

    table: str
    n: int
    includes_day: bool


@lru_cache(maxsize=1 << 14)
def days_of(read: Read, day: date, calendar: Calendar) -> tuple[date, ...]:
    """Return the sessions that a read of `day` spans, oldest first."""
    last = day if read.includes_day else calendar.previous_session(day)
    return tuple(calendar.last_sessions(last, read.n))


def parts_of(lake: Lake, table: str, day: date) -> Parts:
    """Return the content hashes of a partition by symbol; nothing where there is no partition."""
    footer = lake.footer(table, day)
    return {} if footer is None else footer.parts


@dataclass(frozen=True, slots=True)
class Session:
    """The lake up to one day. There is no way to read past `day`.

    `symbols` narrows every table that has symbols (empty: all), `declared` are the names of the
    tables that may be read. What was read, with the content that it then had, stays in `found`.
    """

    lake: Lake
    settings: Settings
    day: date
    symbols: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    found: dict[Read, dict[date, Parts]] = field(default_factory=dict)

    def read(self, table: Table) -> pl.DataFrame:
        """Return this day's rows, of every snapshot."""
        return self._span(table, Read(table.name, 1, True), snapshot=None)

    def official(self, table: Table) -> pl.DataFrame:
        """Return the rows of this day's official snapshot."""
        return self._span(table, Read(table.name, 1, True))

    def window(self, table: Table, n: int) -> pl.DataFrame:
        """Return the official rows of the last `n` sessions, this day's included, by date."""
        return self._span(table, Read(table.name, n, True))

    def before(self, table: Table, n: int) -> pl.DataFrame:
        """Return the official rows of the last `n` sessions before this day, by date."""
        return self._span(table, Read(table.name, n, False))

    def _span(self, table: Table, read: Read, snapshot: str | None = OFFICIAL) -> pl.DataFrame:
        if table.name not in self.declared:
            raise ValueError(f"an asset reads what it declares: {self.declared}, not {table.name}")
        days = days_of(read, self.day, self.lake.calendar)
        # Looked up before the rows are read: a change in between makes the result stale, not wrong.
        self.found[read] = {past: parts_of(self.lake, table.name, past) for past in days}
        symbols = self.symbols if self.symbols and table.has_symbol else None
        return self.lake.read(table.name, days, symbols=symbols, snapshot=snapshot)
