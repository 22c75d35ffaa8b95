"""The published copy: any DuckDB client reads it, and no reader ever meets a publish."""

import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.resources.lake_rows import BARS, CHAINS, DAY, DAYS, rows
from volsurf_resources.lake import Lake, Provenance
from volsurf_resources.lake_errors import BadFile
from volsurf_resources.published import publish
from volsurf_tables.catalogue import TABLES
from volsurf_tables.views import VIEWS

POLLING = """
import sys, duckdb
from pathlib import Path
path, stop = Path(sys.argv[1]), Path(sys.argv[2])
print("reading", flush=True)
seen = []
while not stop.exists():
    with duckdb.connect(path, read_only=True) as connection:
        query = "SELECT count(*), count(DISTINCT quote_date) FROM raw_options_chains"
        (row,) = connection.execute(query).fetchall()
        assert row[0] == 400 * row[1], row
        seen.append(row[1])
assert seen == sorted(seen), seen
print(len(seen), min(seen), max(seen))
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "volsurf.duckdb"


def ask(path: Path, query: str) -> pl.DataFrame:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.sql(query).pl()


def test_an_empty_lake_is_published_with_all_tables_and_views(lake: Lake, path: Path):
    assert publish(lake, path).rows == 0
    for contract in TABLES:
        assert ask(path, f"FROM {contract.name}").columns == list(contract.schema)
    for view in VIEWS:
        assert ask(path, f"FROM mission.{view.name}").columns == [c.name for c in view.columns]
    assert ask(path, "FROM market_prices").is_empty()
    assert ask(path, "FROM volsurf_provenance").is_empty()
    assert sorted(p.name for p in path.parent.iterdir()) == ["lake", "volsurf.duckdb"]


def test_every_row_is_published_sorted_with_its_provenance(lake: Lake, path: Path):
    for day in reversed(DAYS[:3]):
        lake.replace(CHAINS, day, rows(CHAINS, day, n=20), provenance=Provenance(run_id="r1"))
    lake.replace(BARS, DAY, rows(BARS))
    assert publish(lake, path).rows == 122
    order = ["symbol", "quote_date"]
    published = ask(path, f"FROM {CHAINS}")
    assert published.select(order).equals(published.select(order).sort(order))
    everything = [*order, "contract_id"]
    assert_frame_equal(
        published.sort(everything).drop("quote_time", "underlying_time", "ingestion_timestamp"),
        lake.read(CHAINS)
        .sort(everything)
        .drop("quote_time", "underlying_time", "ingestion_timestamp"),
    )
    told = ask(
        path,
        """SELECT "date", rows, content_hash, run_id, epoch_us(known_at) AS known_at
        FROM volsurf_provenance WHERE "table" = 'raw_options_chains' ORDER BY "date" """,
    )
    for day, row in zip(DAYS, told.rows(named=True), strict=False):
        known_at = lake.provenance(CHAINS, day).known_at
        assert row == {
            "date": day,
            "rows": 40,
            "content_hash": lake.content_hash(CHAINS, day),
            "run_id": "r1",
            "known_at": round(known_at.timestamp() * 1e6),
        }


def test_tables_and_columns_say_what_they_hold(lake: Lake, path: Path):
    publish(lake, path)
    query = (
        "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE schema_name = 'main'"
    )
    comments = ask(path, query)
    said = {(table, column): comment for table, column, comment in comments.rows()}
    for contract in TABLES:
        for column in contract.columns:
            assert said[contract.name, column.name] == f"{column.meaning} [{column.unit}]"
    assert ask(path, "FROM duckdb_constraints()").is_empty()


def test_nothing_is_published_twice(lake: Lake, path: Path):
    lake.replace(BARS, DAY, rows(BARS))
    assert publish(lake, path).changed
    inode = path.stat().st_ino
    lake.replace(BARS, DAY, rows(BARS))
    assert not publish(lake, path).changed
    assert path.stat().st_ino == inode
    lake.replace(BARS, DAY, rows(BARS, seed=1))
    assert publish(lake, path).changed
    assert_frame_equal(
        ask(path, f"SELECT close FROM {BARS} ORDER BY symbol"),
        lake.read(BARS, columns=["close"]),
    )


def test_what_lies_in_the_way_is_replaced(lake: Lake, path: Path):
    path.write_text("not a database")
    path.with_name(".volsurf.duckdb.tmp").write_text("left by a killed publisher")
    path.with_name(".volsurf.duckdb.tmp.wal").write_text("so is this")
    path.with_name(".volsurf.duckdb.tmp.tmp").mkdir()
    assert publish(lake, path).changed
    assert len(list(path.parent.iterdir())) == 2
    assert ask(path, f"FROM {BARS}").is_empty()


def test_a_damaged_lake_leaves_the_old_copy(lake: Lake, path: Path):
    lake.replace(BARS, DAY, rows(BARS))
    publish(lake, path)
    lake.replace(BARS, DAYS[1], rows(BARS, DAYS[1]))
    stored = lake.path(BARS, DAYS[1])
    stored.write_bytes(stored.read_bytes()[:-9])
    with pytest.raises(BadFile, match=f"{stored} is damaged"):
        publish(lake, path)
    assert ask(path, f"FROM {BARS}").height == 2


def test_readers_never_meet_a_publish(lake: Lake, path: Path, tmp_path: Path):
    lake.replace(CHAINS, DAY, rows(CHAINS, n=200))
    publish(lake, path)
    stop = tmp_path / "stop"
    reader = subprocess.Popen(
        [sys.executable, "-c", POLLING, str(path), str(stop)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert reader.stdout.readline() == b"reading\n"
    with duckdb.connect(path, read_only=True):  # Held open, as a dashboard does.
        for day in DAYS[1:4]:
            lake.replace(CHAINS, day, rows(CHAINS, day, n=200))
            assert publish(lake, path).changed
    stop.touch()
    out, err = reader.communicate(timeout=30)
    assert reader.returncode == 0, err.decode()
    polls, fewest, most = map(int, out.split())
    assert polls > most - fewest
    assert ask(path, f"SELECT count(DISTINCT quote_date) AS n FROM {CHAINS}")["n"].item() == 4


def test_a_publish_while_the_lake_is_written_is_of_one_moment(tmp_path: Path):
    """What the copy says of each date belongs to the rows that it holds."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.resources.lake_rows", str(tmp_path)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    lake, path, sums = Lake(tmp_path / "lake"), tmp_path / "copy.duckdb", set()
    try:
        assert writer.stdout.readline() == b"writing\n"
        for _ in range(3):
            publish(lake, path)
            query = f"""SELECT content_hash, count(*), round(sum(bid), 9) FROM {CHAINS}
                JOIN volsurf_provenance ON quote_date = "date" GROUP BY quote_date, content_hash"""
            sums.update(ask(path, query).rows())
    finally:
        writer.kill()
        writer.communicate()
    assert {count for _, count, _ in sums} == {400}
    assert len({content for content, _, _ in sums}) == len(sums)
