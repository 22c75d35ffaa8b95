"""The lake as a reader chose to see it: one snapshot of a day, or what was known at some time.

Belongs here: that choice, made once for all questions. Not here: the questions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache

import polars as pl

from volsurf_app.queries.holdings import open_lake
from volsurf_resources.calendars import CALENDARS, Market
from volsurf_resources.lake import OFFICIAL, Day, Lake
from volsurf_resources.lake_reading import Versions
from volsurf_resources.provenance import Footer
from volsurf_resources.settings import Settings

_CHAINS = "raw_options_chains"
_newest: dict[tuple[str, str], tuple[tuple[int, ...], str]] = {}
_held: dict[Settings, tuple[tuple[int, ...], dict[str, Settings]]] = {}


@dataclass(frozen=True, kw_only=True)
class SeenLake(Lake):
    """A lake whose rows of `day` are those of `snapshot`, and all as it was known at `known_at`.

    Other days keep their official snapshots. Who asks for another snapshot or time gets it.
    """

    day: date | None = None
    snapshot: str = OFFICIAL
    known_at: datetime | None = None

    def read(
        self,
        table: str,
        days: Sequence[Day] | None = None,
        *,
        symbols: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        snapshot: str | None = OFFICIAL,
        known_at: datetime | None = None,
    ) -> pl.DataFrame:
        """Return rows as `Lake.read` does."""
        at = known_at or self.known_at

        def rows(some: Sequence[Day] | None, of: str | None) -> pl.DataFrame:
            return super(SeenLake, self).read(
                table, some, symbols=symbols, columns=columns, snapshot=of, known_at=at
            )

        if snapshot != OFFICIAL or self.snapshot == OFFICIAL:
            return rows(days, snapshot)
        wanted = self.days(table) if days is None else [date.fromisoformat(str(d)) for d in days]
        if (own := self.day) is None or own not in wanted:
            return rows(wanted, OFFICIAL)
        before, after = [d for d in wanted if d < own], [d for d in wanted if d > own]
        if not before and not after:
            return rows([own], self.snapshot)
        return pl.concat(
            [rows(before, OFFICIAL), rows([own], self.snapshot), rows(after, OFFICIAL)]
        )

    def versions(
        self, table: str, days: Sequence[Day] | None = None, known_at: datetime | None = None
    ) -> Versions:
        """Return the file that holds each date."""
        return super().versions(table, days, known_at or self.known_at)

    def footer(self, table: str, day: Day) -> Footer | None:
        """Return all that the file of a date says of itself."""
        if self.known_at is None:
            return super().footer(table, day)
        found = self.versions(table, [day])
        return found[0][1] if found else None

    def content_hash(self, table: str, day: Day, symbol: str | None = None) -> str | None:
        """Return the hash of a date, or of one symbol of it."""
        footer = self.footer(table, day)
        if footer is None:
            return None
        return footer.content_hash if symbol is None else footer.parts.get(symbol)

    def days(self, table: str, symbol: str | None = None) -> list[date]:
        """Return the dates that were known."""
        found = super().days(table, symbol)
        return [day for day in found if self.known_at is None or self._knew(table, day, symbol)]

    def _knew(self, table: str, day: date, symbol: str | None) -> bool:
        footer = self.footer(table, day)
        return footer is not None and (symbol is None or symbol in footer.parts)


def seen_lake(
    settings: Settings,
    day: date | None = None,
    snapshot: str = OFFICIAL,
    known_at: datetime | None = None,
) -> SeenLake:
    """Return the lake of the settings' market as a reader chose to see it."""
    lake = open_lake(settings)
    return SeenLake(
        lake.root, history=lake.history, calendar=lake.calendar,
        day=day, snapshot=snapshot, known_at=known_at,
    )  # fmt: skip


def markets_of(settings: Settings) -> Mapping[str, Settings]:
    """Return every symbol with a stored chain, and the settings of its market.

    A symbol of two markets is on the one that the settings name for it. Folders that have not
    changed are not looked into again.
    """
    lakes = {own: open_lake(own) for own in (_of_market(settings, name) for name in CALENDARS)}
    changed = tuple(_changed(lake, _CHAINS) for lake in lakes.values())
    if (known := _held.get(settings)) is None or known[0] != changed:
        _held[settings] = known = (changed, _chains_of(settings, lakes))
    return known[1]


def _chains_of(settings: Settings, lakes: Mapping[Settings, Lake]) -> dict[str, Settings]:
    found: dict[str, Settings] = {}
    for own, lake in lakes.items():
        for day in lake.days(_CHAINS):
            footer = lake.footer(_CHAINS, day)
            for symbol in footer.parts if footer else ():
                if symbol not in found or settings.market_of(symbol) == own.volsurf_market:
                    found[symbol] = own
    return dict(sorted(found.items()))


@lru_cache(maxsize=16)
def _of_market(settings: Settings, market: Market) -> Settings:
    return settings.for_market(market)


def _changed(lake: Lake, table: str) -> int:
    folder = lake.root / table
    return folder.stat().st_mtime_ns if folder.is_dir() else 0


def snapshots(lake: Lake, symbol: str, day: date) -> tuple[list[str], str]:
    """Return the names of a day's stored snapshots, and which of them is the official one."""
    per = ["symbol", "quote_date"]
    columns = [*per, "snapshot"]
    rows = lake.read(_CHAINS, [day], symbols=[symbol], columns=columns, snapshot=None).unique()
    official = lake.calendar.official(rows.lazy(), per).collect()["snapshot"].to_list()
    return rows["snapshot"].sort().to_list(), official[0] if official else OFFICIAL


def newest_content(lake: Lake, symbol: str) -> str:
    """Return a word that changes when a symbol's rows of the newest day of any table change.

    Tables whose folders have not changed are not looked into again.
    """
    changed = tuple(_changed(lake, table.name) for table in lake.tables)
    place = (str(lake.root), symbol)
    if (known := _newest.get(place)) is None or known[0] != changed:
        _newest[place] = known = (changed, _content_of_newest(lake, symbol))
    return known[1]


def _content_of_newest(lake: Lake, symbol: str) -> str:
    newest = [(table.name, day) for table in lake.tables for day in lake.days(table.name)[-1:]]
    return "\n".join(f"{name} {day} {lake.content_hash(name, day, symbol)}" for name, day in newest)
