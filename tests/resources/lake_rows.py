"""Rows to put into a lake, and writers that run in processes of their own."""

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import polars as pl

from volsurf_resources.lake import Lake
from volsurf_tables.catalogue import table as table_called
from volsurf_tables.table import Column, Table

DAY = date(2026, 1, 5)
DAYS = [DAY + timedelta(days=i) for i in range(60)]
LOADED = datetime(2026, 1, 6, tzinfo=UTC)
CHAINS, QUOTES, BARS = "raw_options_chains", "option_quotes", "underlying_prices"


def rows(
    table: str | Table,
    day: date = DAY,
    symbols: Sequence[str] = ("QQQ", "SPY"),
    n: int = 1,
    seed: int = 0,
    snapshot: str = "EOD",
    loaded: datetime = LOADED,
) -> pl.DataFrame:
    """Make `n` rows of random content for each symbol, in the table's schema."""
    contract = table_called(table) if isinstance(table, str) else table
    rng = np.random.default_rng([seed, day.toordinal()])
    fixed = {"quote_date": day, "snapshot": snapshot}
    columns = {}
    for column in contract.columns:
        if column.name == "symbol":
            values = np.repeat(list(symbols), n).tolist()
        elif column.name in fixed:
            values = [fixed[column.name]] * (n * len(symbols))
        else:
            values = _values(column, column.name in contract.key, n, len(symbols), rng, loaded)
        columns[column.name] = pl.Series(column.name, values, dtype=column.dtype)
    return pl.DataFrame(columns)


def _values(
    column: Column, is_key: bool, n: int, times: int, rng: np.random.Generator, loaded: datetime
) -> list:
    size = n * times
    if column.dtype == pl.String:
        return [f"{column.name}-{i}" for i in range(n)] * times
    if column.dtype == pl.Date:
        return [DAY + timedelta(days=i) for i in range(n)] * times
    if column.dtype == pl.Boolean:
        return rng.integers(0, 2, size).astype(bool).tolist()
    if column.dtype.is_temporal():
        return [loaded if column.is_provenance else LOADED] * size
    if is_key:
        return [float(i) if column.dtype.is_float() else i for i in range(n)] * times
    if column.dtype.is_integer():
        return rng.integers(0, 100, size).tolist()
    return [None if x < -1.5 else x for x in rng.normal(size=size).tolist()]


def write_days(home: Path, days: Sequence[date], tables: Sequence[str], n: int, seed: int) -> int:
    """Write each table and date; return how many had other content before."""
    lake = Lake(home / "lake")
    return sum(
        lake.replace(table, day, rows(table, day, n=n, seed=seed)).changed
        for day in days
        for table in tables
    )


def write_symbols(home: Path, symbols: Sequence[str]) -> None:
    """Put symbols into one date, one after the other."""
    lake = Lake(home / "lake")
    for symbol in symbols:
        lake.replace(CHAINS, DAY, rows(CHAINS, symbols=[symbol], n=5), symbols=[symbol])


def write_for_ever(home: Path) -> None:
    """Replace ten dates over and over with two contents in turn, until killed."""
    write_days(home, DAYS[:3], [CHAINS], 200, 0)
    print("writing", flush=True)
    for turn in count(1):
        write_days(home, DAYS[:10], [CHAINS], 200, turn % 2)


if __name__ == "__main__":
    write_for_ever(Path(sys.argv[1]))
