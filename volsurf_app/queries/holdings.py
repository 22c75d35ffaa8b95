"""What the lake holds: symbols, dates, gaps, last writes.

Belongs here: which rows there are. Not here: what they say.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from volsurf_resources.calendars import CALENDARS, Market
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings


def open_lake(settings: Settings) -> Lake:
    """Return the lake of the settings' market."""
    return Lake(settings.lake_root, history=settings.history_root, calendar=settings.calendar)


@dataclass(frozen=True, slots=True)
class Lakes:
    """The lakes of a home, one of each market."""

    settings: Settings
    by_market: Mapping[Market, Lake]

    def of(self, symbol: str) -> Lake:
        """Return the lake of the market that a symbol trades on."""
        return self.by_market[self.settings.market_of(symbol.strip().upper())]


def open_lakes(settings: Settings) -> Lakes:
    """Return the lakes of every market of the home."""
    lakes = {market: open_lake(settings.for_market(market)) for market in CALENDARS}
    return Lakes(settings, lakes)


def symbols(lake: Lake) -> list[str]:
    """Return the symbols of all stored chains, and of the newest bars."""
    return sorted({symbol for symbols in _held(lake) for symbol in symbols})


def holds(lake: Lake, symbol: str) -> bool:
    """Whether there is a chain of a symbol, or a bar in the newest session."""
    return any(symbol in symbols for symbols in _held(lake))


def _held(lake: Lake) -> Iterator[Iterable[str]]:
    """Give the symbols of each date, the newest first: who finds his own need not go on."""
    bars, chains = lake.days("underlying_prices")[-1:], lake.days("raw_options_chains")
    for table, days in (("underlying_prices", bars), ("raw_options_chains", reversed(chains))):
        for day in days:
            footer = lake.footer(table, day)
            yield footer.parts if footer else ()


def coverage(lake: Lake, symbol: str, start: date, end: date) -> pl.DataFrame:
    """Return table, quote_date, is_present for every session of a range and every table.

    Tables without symbols (rates, index levels) count as present with any rows of the date.
    """
    rows = []
    for table in lake.tables:
        there = {day for day in lake.days(table.name) if start <= day <= end}
        found = {day for day in there if _has(lake, table.name, day, symbol)}
        rows += [(table.name, day, day in found) for day in lake.calendar.sessions(start, end)]
    schema = {"table": pl.String, "quote_date": pl.Date, "is_present": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _has(lake: Lake, table: str, day: date, symbol: str) -> bool:
    footer = lake.footer(table, day)
    if footer is None or not footer.parts:
        return False
    return symbol in footer.parts or not lake.table(table).has_symbol


def first_and_last(lake: Lake, symbol: str) -> tuple[date, date] | None:
    """Return the first and last session with a chain of the symbol; None if there is none."""
    days = lake.days("raw_options_chains", symbol)
    return (days[0], days[-1]) if days else None


def last_writes(lake: Lake) -> pl.DataFrame:
    """Return, per table, its newest date: rows, when it became known, by which run and source."""
    rows = []
    for table in lake.tables:
        for day in lake.days(table.name)[-1:]:
            footer = lake.footer(table.name, day)
            if footer is not None:
                origin = footer.provenance
                rows.append(
                    (table.name, day, footer.rows, footer.known_at, origin.source, origin.run_id)
                )
    names = ("table", "quote_date", "rows", "known_at", "source", "run_id")
    return pl.DataFrame(rows, schema=list(names), orient="row")
