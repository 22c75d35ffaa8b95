"""Rows of small tables kept in memory as long as the lake holds the same version of them.

Belongs here: reading a partition once per version, whoever replaces it meanwhile. Not here: what
is made of the rows.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

import polars as pl

from volsurf_resources.lake import Lake
from volsurf_resources.provenance import Footer

_MOST_KEPT = 4096  # partitions, of some 10 kB each
_SETTLED_NS = 2_000_000_000
_kept: dict[tuple[object, ...], "KeptRows"] = {}
_last_days: dict[tuple[str, str, str], tuple[int, date | None]] = {}


@dataclass(frozen=True, slots=True, eq=False)
class KeptRows:
    """One symbol's rows of one partition and snapshot, and the footer of their file."""

    rows: pl.DataFrame
    footer: Footer


def kept_rows(
    lake: Lake,
    table: str,
    symbol: str,
    days: Sequence[date],
    *,
    snapshot: str | None = "EOD",
    known_at: datetime | None = None,
) -> dict[date, KeptRows]:
    """Return the rows of those days that hold the symbol, in order; equal versions, same object."""
    while True:
        footers = _footers(lake, table, symbol, days, known_at)
        keys = {
            day: (str(lake.root), table, symbol, day, snapshot, footer.known_at)
            for day, footer in footers.items()
        }
        found = {day: kept for day, key in keys.items() if (kept := _kept.get(key)) is not None}
        unknown = [day for day in keys if day not in found]
        if unknown:
            rows = lake.read(table, unknown, symbols=[symbol], snapshot=snapshot, known_at=known_at)
            seen = {day: footers[day] for day in unknown}
            if _footers(lake, table, symbol, unknown, known_at) != seen:
                continue  # replaced while it was read: which version these rows are is not known
            own = rows.partition_by(lake.table(table).date, as_dict=True)
            if len(_kept) + len(unknown) > _MOST_KEPT:
                _kept.clear()
            for day in unknown:
                kept = KeptRows(own.get((day,), rows.clear()), footers[day])
                found[day] = _kept[keys[day]] = kept
        return {day: found[day] for day in keys}


def last_day(lake: Lake, table: str, symbol: str) -> date | None:
    """Return the last day that holds the symbol; None if there is none.

    A folder that has not changed for a while is not listed again.
    """
    try:
        changed = (lake.root / table).stat().st_mtime_ns
    except FileNotFoundError:
        return None
    key = (str(lake.root), table, symbol)
    if (known := _last_days.get(key)) is not None and known[0] == changed:
        return known[1]
    found = next(
        (d for d in reversed(lake.days(table)) if lake.content_hash(table, d, symbol)), None
    )
    if time.time_ns() - changed > _SETTLED_NS:  # a later change would have another time
        _last_days[key] = (changed, found)
    return found


def last_day_known(lake: Lake, table: str, symbol: str, known_at: datetime) -> date | None:
    """Return the last day that held the symbol as far as was known then; None if there is none."""
    days = reversed(lake.days(table))
    return next((day for day in days if _footers(lake, table, symbol, [day], known_at)), None)


def _footers(
    lake: Lake, table: str, symbol: str, days: Sequence[date], known_at: datetime | None
) -> dict[date, Footer]:
    footers = {day: lake.versions(table, [day], known_at) for day in days}
    return {day: own[0][1] for day, own in footers.items() if own and symbol in own[0][1].parts}
