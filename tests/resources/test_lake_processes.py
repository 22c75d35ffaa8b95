"""Writers in several processes, readers all the while, and kills at any moment."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, wait
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.resources.lake_rows import (
    CHAINS,
    DAY,
    DAYS,
    QUOTES,
    rows,
    write_days,
    write_symbols,
)
from volsurf_resources.lake import Lake
from volsurf_tables.catalogue import table

ROWS = 50
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def four_processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        yield pool


def sorted_rows(name: str, day: date, seed: int) -> pl.DataFrame:
    return rows(name, day, n=ROWS, seed=seed).sort(table(name).key)


def test_four_writers_and_a_reader(four_processes: ProcessPoolExecutor, tmp_path: Path):
    lake = Lake(tmp_path / "lake")
    tables = [CHAINS, QUOTES]
    for seed in (0, 1):
        jobs = [
            four_processes.submit(write_days, tmp_path, DAYS[i::4], tables, ROWS, seed)
            for i in range(4)
        ]
        polls = 0
        while any(not job.done() for job in jobs):
            for name in tables:
                counts = lake.read(name, columns=["quote_date"])["quote_date"].value_counts()
                assert set(counts["count"]) <= {2 * ROWS}
                query = f"SELECT count(DISTINCT contract_id) AS n FROM {name} GROUP BY quote_date"
                assert set(lake.sql(query)["n"]) <= {ROWS}
                polls += 1
        assert [job.result() for job in jobs] == [30] * 4
        assert polls > 0
    for name in tables:
        assert lake.days(name) == DAYS
        expected = pl.concat(
            [rows(name, day, n=ROWS, seed=1).sort(table(name).key) for day in DAYS]
        )
        assert_frame_equal(lake.read(name), expected)


def test_forty_symbols_from_four_processes_are_all_kept(
    four_processes: ProcessPoolExecutor, tmp_path: Path
):
    symbols = [f"S{i:02}" for i in range(40)]
    jobs = [four_processes.submit(write_symbols, tmp_path, symbols[i::4]) for i in range(4)]
    wait(jobs)
    lake = Lake(tmp_path / "lake")
    for symbol in symbols:
        one = rows(CHAINS, symbols=[symbol], n=5)
        assert_frame_equal(lake.read(CHAINS, symbols=[symbol]), one)
    assert lake.footer(CHAINS, DAY).rows == 200


def test_writers_of_one_date_leave_one_of_their_versions(
    four_processes: ProcessPoolExecutor, tmp_path: Path
):
    jobs = [
        four_processes.submit(write_days, tmp_path, [DAY] * 5, [CHAINS], ROWS, seed)
        for seed in range(4)
    ]
    assert sum(job.result() for job in jobs) >= 4
    lake = Lake(tmp_path / "lake")
    stored = lake.read(CHAINS)
    assert any(
        stored.equals(rows(CHAINS, n=ROWS, seed=s).sort(table(CHAINS).key)) for s in range(4)
    )
    assert lake.sweep() == 0


def test_kill_9_at_random_moments(tmp_path: Path):
    """Every visible file is whole, and a rerun gives the hashes of an undisturbed run."""
    days, seeds = DAYS[:10], random.Random(7)
    write_days(tmp_path / "undisturbed", days, [CHAINS], 200, 1)
    undisturbed = Lake(tmp_path / "undisturbed" / "lake")
    expected = {day: undisturbed.content_hash(CHAINS, day) for day in days}
    homes = [tmp_path / f"killed-{i}" for i in range(5)]
    command = [sys.executable, "-m", "tests.resources.lake_rows"]
    writers = [
        subprocess.Popen([*command, str(home)], cwd=ROOT, stdout=subprocess.PIPE) for home in homes
    ]
    for home, writer in zip(homes, writers, strict=True):
        assert writer.stdout.readline() == b"writing\n"
        time.sleep(seeds.uniform(0.0, 0.3))
        writer.kill()
        writer.communicate()
        check_after_kill(home, expected)


def check_after_kill(home: Path, expected: dict) -> None:
    lake = Lake(home / "lake")
    for path in home.rglob("[0-9]*.parquet"):
        assert pl.read_parquet(path).height == 400
    assert set(lake.days(CHAINS)) >= set(DAYS[:3])
    assert lake.read(CHAINS).height == 400 * len(lake.days(CHAINS))
    assert lake.sweep() <= 1
    write_days(home, list(expected), [CHAINS], 200, 1)
    assert {day: lake.content_hash(CHAINS, day) for day in expected} == expected
    assert not [p for p in lake.root.rglob(".*.tmp")]
