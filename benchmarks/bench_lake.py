"""How fast the lake is: `python benchmarks/bench_lake.py`, in a temporary folder, about a minute.

Belongs here: writing from several processes, bulk load, reading one date, look-ups over a year of
one symbol (requirement R020), publishing. Rows are random numbers in the tables' schemas.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from volsurf_resources.lake import Lake
from volsurf_resources.published import publish
from volsurf_tables.catalogue import table as table_called

CHAINS, QUOTES = "raw_options_chains", "option_quotes"
SESSIONS = [date(2025, 1, 2) + timedelta(days=i) for i in range(252)]
ROWS = 6_000


def frame(table: str, day: date, n: int = ROWS, seed: int = 0) -> pl.DataFrame:
    """A session of one symbol: n contracts over 30 expiries."""
    contract = table_called(table)
    rng = np.random.default_rng([seed, day.toordinal()])
    place = np.arange(n)
    known: dict[str, object] = {
        "symbol": "SPY",
        "quote_date": day,
        "snapshot": "EOD",
        "expiration_date": (pl.lit(day) + pl.duration(days=pl.Series(place % 30 * 7))),
        "contract_id": pl.Series([f"SPY   260101C{i:08}" for i in place]),
        "is_liquid": pl.Series(rng.random(n) < 0.3),
        "option_type": pl.Series(np.where(place % 2, "PUT", "CALL")),
    }
    columns = []
    for column in contract.columns:
        value = known.get(column.name)
        if value is None and column.dtype.is_float():
            value = pl.Series(np.round(rng.gamma(2.0, 5.0, n), 4))
        lit = value if isinstance(value, pl.Expr) else pl.lit(value)
        columns.append(lit.cast(column.dtype).alias(column.name))
    return pl.select(pl.lit(pl.Series("", place)).alias("place")).select(columns)


def write(root: Path, days: list[date], tables: list[str], seed: int, start: float) -> float:
    """Write some sessions, from the agreed instant on; return when they were written."""
    frames = [(table, day, frame(table, day, seed=seed)) for table in tables for day in days]
    lake = Lake(root)
    time.sleep(max(0.0, start - time.time()))
    for table, day, rows in frames:
        lake.replace(table, day, rows)
    return time.time()


def best_of(n: int, work: Callable[[], object]) -> float:
    """Shortest of n timings, in ms."""
    times = []
    for _ in range(n):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print what took how long."""
    start = time.perf_counter()
    yield
    print(f"{what:<74}{time.perf_counter() - start:8.2f} s")


def four_processes(home: Path) -> None:
    """60 dates x 2 tables from 4 processes: new, then every date replaced, then nothing new."""
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        for seed, what in ((0, "new"), (1, "replaced, history kept"), (1, "same content")):
            start = time.time() + 8.0
            jobs = [
                pool.submit(write, home / "lake", SESSIONS[i:60:4], [CHAINS, QUOTES], seed, start)
                for i in range(4)
            ]
            end = max(job.result() for job in jobs)
            print(f"60 dates x 2 tables, 4 processes, {what:<41}{end - start:8.2f} s")


def reading(lake: Lake) -> None:
    """One date, a window, and the look-ups of R020 on a year of one symbol."""
    day, expiry = SESSIONS[100], SESSIONS[100] + timedelta(days=70)
    year = {
        "one date by symbol and date": lambda: lake.read(CHAINS, [day], symbols=["SPY"]),
        "window of 252 dates, 3 columns": lambda: lake.read(
            CHAINS, SESSIONS, columns=["quote_date", "strike", "bid"]
        ),
        "SQL: one (symbol, date)": lambda: lake.sql(
            f"FROM {CHAINS} WHERE symbol = 'SPY' AND quote_date = ?", [day]
        ),
        "SQL: one expiration": lambda: lake.sql(
            f"FROM {CHAINS} WHERE expiration_date = ?", [expiry]
        ),
        "SQL: count of is_liquid": lambda: lake.sql(
            f"SELECT count(*) FROM {QUOTES} WHERE is_liquid"
        ),
        "SQL: mission.raw_options_chains, one date, liquid": lambda: lake.sql(
            f"FROM mission.{CHAINS} WHERE quote_date = ? AND is_liquid", [day]
        ),
        "dates that exist, by symbol": lambda: lake.days(CHAINS, "SPY"),
    }
    for what, work in year.items():
        print(f"a year of {ROWS} rows a day: {what:<49}{best_of(3, work):8.1f} ms")


def files_touched(lake: Lake) -> None:
    """Read one date while every other file of the table is unreadable."""
    folder = lake.path(CHAINS, SESSIONS[100]).parent
    others = [path for path in folder.iterdir() if path.stem != SESSIONS[100].isoformat()]
    for path in others:
        path.rename(path.with_suffix(".away"))
    rows = lake.read(CHAINS, [SESSIONS[100]]).height
    for path in others:
        path.with_suffix(".away").rename(path)
    print(f"one date read with the other {len(others)} files taken away: {rows} rows")


def published(lake: Lake, path: Path) -> None:
    """Publish the year, publish nothing new, look up in the copy."""
    with timed(f"publish {2 * len(SESSIONS) * ROWS:,} rows"):
        publish(lake, path)
    with timed("publish with nothing new"):
        publish(lake, path)
    queries = {
        "one (symbol, date)": f"FROM {CHAINS} WHERE symbol = 'SPY' AND quote_date = '2025-04-12'",
        "one expiration": f"FROM {CHAINS} WHERE expiration_date = '2025-06-21'",
        "is_liquid": f"SELECT count(*) FROM {QUOTES} WHERE is_liquid",
    }
    with duckdb.connect(path, read_only=True) as connection:
        for what, query in queries.items():
            took = best_of(3, lambda query=query: connection.sql(query).pl())
            print(f"published copy: {what:<58}{took:8.1f} ms")
    print(f"published copy: {path.stat().st_size / 1e6:.0f} MB")


def main() -> None:
    print(f"{platform.platform()}, {os.cpu_count()} cores, Python {platform.python_version()}, ")
    print(f"polars {pl.__version__}, duckdb {duckdb.__version__}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        home = Path(folder)
        four_processes(home / "four")
        bulk = frame(CHAINS, SESSIONS[0], n=1_000_000)
        with timed("bulk load of 1,000,000 rows into one date"):
            Lake(home / "bulk" / "lake").replace(CHAINS, SESSIONS[0], bulk)
        del bulk
        lake = Lake(home / "year" / "lake")
        chains, quotes = frame(CHAINS, SESSIONS[0]), frame(QUOTES, SESSIONS[0])
        with timed(f"{2 * len(SESSIONS)} partitions of {ROWS} rows, one process"):
            for day in SESSIONS:
                for table, rows in ((CHAINS, chains), (QUOTES, quotes)):
                    lake.replace(table, day, rows.with_columns(quote_date=pl.lit(day)))
        size = sum(path.stat().st_size for path in lake.root.rglob("*.parquet"))
        print(f"the year in Parquet: {size / 1e6:.0f} MB")
        reading(lake)
        files_touched(lake)
        published(lake, home / "volsurf.duckdb")


if __name__ == "__main__":
    main()
