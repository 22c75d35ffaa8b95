"""A backfill that is killed, and backfills in different orders: the same lake in the end.

The command line is run as a user runs it, in processes of its own.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import date
from pathlib import Path

import pytest

from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.lake import Lake

pytestmark = pytest.mark.slow
DAYS = sessions(date(2026, 10, 12), date(2026, 10, 21))
SYMBOL = "IWM"  # the simulated market's smallest chains


def environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VOLSURF_", "DAGSTER_"))}
    return kept | {"VOLSURF_HOME": str(home), "VOLSURF_SYMBOLS": SYMBOL, "DEFAULT_SYMBOL": SYMBOL}


def backfill(home: Path, first: date, last: date) -> subprocess.Popen:
    command = [sys.executable, "-m", "volsurf_app", "backfill", SYMBOL]
    command += ["--start", str(first), "--end", str(last), "--history", "30"]
    return subprocess.Popen(
        command, env=environment(home), cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors.decode()[-2000:]


def contents(home: Path) -> dict[tuple[str, date], str | None]:
    lake = Lake(home / "lake")
    return {
        (table.name, day): lake.content_hash(table.name, day)
        for table in lake.tables
        for day in lake.days(table.name)
    }


def written(home: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (home / "lake").glob("*/*.parquet")}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    home = tmp_path_factory.mktemp("undisturbed")
    finish(backfill(home, DAYS[0], DAYS[-1]))
    return home


def test_five_kills_then_the_same_content(undisturbed, tmp_path):
    rng = random.Random(20261120)
    lake, problems, stop = Lake(tmp_path / "lake"), [], threading.Event()

    def poll() -> None:
        while not stop.wait(0.05):
            for table in lake.tables:
                try:
                    lake.read(table.name)
                except Exception as error:
                    problems.append(error)

    reader = threading.Thread(target=poll)
    reader.start()
    try:
        for _ in range(5):
            before = set(written(tmp_path))
            process = backfill(tmp_path, DAYS[0], DAYS[-1])
            while set(written(tmp_path)) == before and process.poll() is None:
                time.sleep(0.02)
            time.sleep(rng.uniform(0.0, 0.8))
            assert process.poll() is None, "the backfill was over before it was killed"
            process.send_signal(signal.SIGKILL)
            process.communicate()
        finish(backfill(tmp_path, DAYS[0], DAYS[-1]))
    finally:
        stop.set()
        reader.join()
    assert problems == []
    assert contents(tmp_path) == contents(undisturbed)


def test_reverse_order_ends_with_the_same_content_and_a_rerun_writes_nothing(undisturbed, tmp_path):
    half = len(DAYS) // 2
    finish(backfill(tmp_path, DAYS[half], DAYS[-1]))
    finish(backfill(tmp_path, DAYS[0], DAYS[half - 1]))
    assert {k: v for k, v in contents(tmp_path).items() if k[1] in DAYS} == {
        k: v for k, v in contents(undisturbed).items() if k[1] in DAYS
    }
    before = written(tmp_path)
    finish(backfill(tmp_path, DAYS[0], DAYS[-1]))
    assert written(tmp_path) == before
