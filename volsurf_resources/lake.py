"""The lake, our system of record: one Parquet file per table and date.

Belongs here: reading, replacing and listing the partitions `<root>/<table>/<date>.parquet`. Not
here: what a table is, what its hash is, what the history keeps (`lake_history`), SQL (`lake_sql`).

A file is complete or not there: it is written under a name that no reader matches, synced, and
renamed. A writer holds the lock of its table and date, so a stray of a killed writer is overwritten
by the next one. The replaced version is linked into the history before the new one takes its place,
hence at every instant a reader finds the old version or the new one.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path

import polars as pl

from volsurf_resources import lake_history
from volsurf_resources.calendars import NEW_YORK, Calendar
from volsurf_resources.conform import check_rows, conform
from volsurf_resources.content import part_hashes
from volsurf_resources.lake_errors import BadFile, HistoryPruned
from volsurf_resources.lake_files import locked, partition, put_in_place, strays, write_beside
from volsurf_resources.lake_merging import with_other_snapshots, with_unchanged
from volsurf_resources.lake_reading import (
    OFFICIAL,
    Stored,
    Versions,
    chosen,
    damage_named,
    load,
    together,
    understood_footer,
)
from volsurf_resources.lake_sql import Parameters, run_query
from volsurf_resources.provenance import (
    Footer,
    Provenance,
    columns_digest,
    next_footer,
    read_footer,
)
from volsurf_tables.catalogue import TABLES
from volsurf_tables.table import Table

__all__ = ["OFFICIAL", "Day", "Lake", "Provenance", "Written"]

Day = date | str


@dataclass(frozen=True, slots=True)
class Written:
    """What a replacement left behind: rows and hash of the whole partition."""

    rows: int
    content_hash: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Lake:
    """All tables of one market under one folder, for any number of processes at once.

    `retention_days` says how long replaced versions are kept (None: for ever), `history` where
    (None: beside the root), `calendar` which days are sessions and which snapshot is official.
    """

    root: Path
    retention_days: int | None = field(default=None, kw_only=True)
    history: Path | None = field(default=None, kw_only=True)
    calendar: Calendar = field(default=NEW_YORK, kw_only=True, repr=False)
    tables: tuple[Table, ...] = field(default=TABLES, kw_only=True, repr=False)

    def table(self, name: str) -> Table:
        """Return the contract of a table; KeyError if there is none of that name."""
        for known in self.tables:
            if known.name == name:
                return known
        raise KeyError(f"no table {name!r}; there are {', '.join(t.name for t in self.tables)}")

    def path(self, table: str, day: Day) -> Path:
        """Return where the partition lies, or would lie."""
        return partition(self.root, self.table(table).name, _date(day))

    def replace(
        self,
        table: str,
        day: Day,
        frame: pl.DataFrame,
        *,
        symbols: Sequence[str] | None = None,
        snapshots: Sequence[str] | None = None,
        provenance: Provenance | None = None,
    ) -> Written:
        """Make `frame` the content of a date, or of some symbols of it (the others stay).

        A symbol is replaced with all its snapshots, or with `snapshots` alone (its others stay);
        one without rows in `frame` is removed.

        Rows of symbols whose content is the same stay as they are, with their provenance columns;
        if all are the same, nothing is written. BadFrame, and nothing written, where the frame
        breaks the contract; BadFile where symbols are to be put into a damaged file.
        """
        contract = self.table(table)
        if symbols is not None and not contract.has_symbol:
            raise ValueError(f"{table} has no symbols to replace, was asked for {list(symbols)}")
        new = conform(frame, contract)
        check_rows(new, contract, _date(day), symbols)
        new = new.sort(contract.key)
        path = self.path(table, day)
        with locked(self._lock(path)):
            stored = self._stored(path, contract, tolerate_damage=symbols is None)
            if snapshots is not None and stored is not None:
                new = with_other_snapshots(new, stored.frame, contract, symbols, snapshots)
            old_parts = {} if stored is None else part_hashes(stored.frame, contract)
            others = set(old_parts).difference(old_parts if symbols is None else symbols)
            parts = part_hashes(new, contract) | {s: old_parts[s] for s in others}
            if stored is not None and parts == old_parts:
                return Written(stored.footer.rows, stored.footer.content_hash, changed=False)
            if stored is not None:
                same = [s for s, part in old_parts.items() if parts.get(s) == part]
                new = with_unchanged(new, stored.frame, contract, same)
            previous = None if stored is None else stored.footer
            footer = next_footer(new, contract, parts, previous, provenance or Provenance())
            hidden = write_beside(path, new, footer.metadata())
            if stored is not None:
                lake_history.keep(path, stored.footer.known_at, self._kept(path))
            put_in_place(hidden, path)
            return Written(footer.rows, footer.content_hash, changed=True)

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
        """Return rows of some dates (None: all), in order of date and key.

        `snapshot` is a day's official one unless named; None means all. With `known_at`, the lake
        as it was known then: a date first known later is absent. Dates that do not exist contribute
        nothing.
        """
        contract = self.table(table)
        while True:
            versions = self.versions(table, days, known_at)
            query = chosen(
                together(contract, versions), contract, self.calendar, symbols, columns, snapshot
            )
            with damage_named(contract, versions):
                frame = query.collect()
            # A date replaced in between shows its new version, which was not known yet.
            if known_at is None or versions == self.versions(table, days, known_at):
                return frame

    def days(self, table: str, symbol: str | None = None) -> list[date]:
        """Return the dates that exist, in order; with `symbol`, those that hold rows of it."""
        folder = self.root / self.table(table).name
        found = sorted(_dates(folder)) if folder.is_dir() else []
        if symbol is None:
            return found
        return [day for day in found if self.content_hash(table, day, symbol) is not None]

    def window(self, table: str, until: Day, n: int, symbol: str | None = None) -> list[date]:
        """Return the last `n` existing dates up to and including `until`, in order."""
        last = _date(until)
        past = (day for day in reversed(self.days(table)) if day <= last)
        if symbol is not None:
            past = (day for day in past if self.content_hash(table, day, symbol) is not None)
        return list(islice(past, n))[::-1]

    def content_hash(self, table: str, day: Day, symbol: str | None = None) -> str | None:
        """Return the hash of a date, or of one symbol of it; None if there is nothing."""
        footer = read_footer(self.path(table, day))
        if footer is None:
            return None
        return footer.content_hash if symbol is None else footer.parts.get(symbol)

    def provenance(self, table: str, day: Day) -> Provenance | None:
        """Return where the current version of a date comes from; None if there is none."""
        footer = read_footer(self.path(table, day))
        return None if footer is None else footer.provenance

    def footer(self, table: str, day: Day) -> Footer | None:
        """Return all that a date's file says of itself; None if there is no file."""
        return read_footer(self.path(table, day))

    def versions(
        self, table: str, days: Sequence[Day] | None = None, known_at: datetime | None = None
    ) -> Versions:
        """Return the file that holds each date (None: all), now or as known at a past time."""
        contract = self.table(table)
        wanted = self.days(table) if days is None else sorted({_date(day) for day in days})
        found = []
        for day in wanted:
            path = self.path(table, day)
            footer = understood_footer(path, contract)
            if footer is not None and known_at is not None and footer.known_at > known_at:
                first = footer.first_known_at
                path, footer = self._version_at(path, contract, known_at)
                if footer is None and first <= known_at:
                    raise HistoryPruned(f"{table} of {day} as known at {known_at} is pruned")
            if footer is not None:
                found.append((path, footer))
        return found

    def sql(self, query: str, params: Parameters = None) -> pl.DataFrame:
        """Return the rows of one SELECT over the tables and the mission's views (`views`)."""
        return run_query(self, query, params)

    def upgrade(self) -> list[Path]:
        """Rewrite files of older versions in today's schema, rows and times kept; return them."""
        done = []
        for contract in self.tables:
            for day in self.days(contract.name):
                path = self.path(contract.name, day)
                footer = read_footer(path)
                if footer is not None and footer.schema_version < contract.version:
                    self._upgrade(path, contract)
                    done.append(path)
        return done

    def prune_history(self, now: datetime) -> int:
        """Delete versions replaced more than `retention_days` ago; return how many."""
        if self.retention_days is None:
            return 0
        horizon = now - timedelta(days=self.retention_days)
        pruned = 0
        for contract in self.tables:
            for day in self.days(contract.name):
                path = self.path(contract.name, day)
                with locked(self._lock(path)):
                    footer = read_footer(path)
                    if footer is not None:
                        pruned += lake_history.prune(self._kept(path), footer.known_at, horizon)
        return pruned

    def sweep(self) -> int:
        """Delete what killed writers left behind, waiting for live ones; return how many files."""
        swept = 0
        for contract in self.tables:
            for hidden, path in strays(self.root / contract.name):
                with locked(self._lock(path)):
                    if hidden.exists():
                        hidden.unlink()
                        swept += 1
        return swept

    def _lock(self, path: Path) -> Path:
        return self.root / ".locks" / path.parent.name / f"{path.stem}.lock"

    def _kept(self, path: Path) -> Path:
        home = self.root.parent / "history" if self.history is None else self.history
        return home / path.parent.name / path.stem

    def _stored(self, path: Path, contract: Table, *, tolerate_damage: bool) -> Stored | None:
        try:
            footer = understood_footer(path, contract)
            return None if footer is None else Stored(footer, load(path, footer, contract))
        except BadFile:
            if tolerate_damage:
                return None
            raise

    def _upgrade(self, path: Path, contract: Table) -> None:
        with locked(self._lock(path)):
            stored = self._stored(path, contract, tolerate_damage=False)
            if stored is None:
                return
            frame = stored.frame.sort(contract.key)
            footer = dataclasses.replace(
                stored.footer,
                schema_version=contract.version,
                parts=part_hashes(frame, contract),
                columns=columns_digest(frame.schema),
            )
            put_in_place(write_beside(path, frame, footer.metadata()), path)

    def _version_at(
        self, path: Path, contract: Table, known_at: datetime
    ) -> tuple[Path, Footer | None]:
        kept = lake_history.version_at(self._kept(path), known_at)
        return (path, None) if kept is None else (kept, understood_footer(kept, contract))


def _date(day: Day) -> date:
    return date.fromisoformat(day) if isinstance(day, str) else date(day.year, day.month, day.day)


def _dates(folder: Path) -> Iterator[date]:
    for path in folder.glob("[0-9]*.parquet"):
        yield date.fromisoformat(path.stem)
