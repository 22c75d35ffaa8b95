"""The lake as it was known at any past time, and what retention lets go."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from tests.resources.lake_rows import BARS, CHAINS, DAY, DAYS, rows
from volsurf_resources.lake import Lake, Provenance
from volsurf_resources.lake_errors import HistoryPruned
from volsurf_resources.lake_history import keep
from volsurf_tables.catalogue import table

NOON = [datetime(2026, 2, n, 12, tzinfo=UTC) for n in range(1, 10)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "home" / "lake", retention_days=3)


def put(lake: Lake, known_at: datetime, seed: int, day=DAY) -> None:
    told = Provenance(known_at=known_at, run_id=f"run-{seed}")
    lake.replace(BARS, day, rows(BARS, day, seed=seed), provenance=told)


def test_reading_as_known_at_a_time(lake: Lake):
    for n in (0, 1, 2):
        put(lake, NOON[2 * n], seed=n)
    put(lake, NOON[3], seed=7, day=DAYS[1])
    as_of = {n: lake.read(BARS, known_at=NOON[n]) for n in (0, 1, 2, 3, 4, 8)}
    for n, seed in ((0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (8, 2)):
        first = as_of[n].filter(quote_date=DAY)
        assert_frame_equal(first, rows(BARS, seed=seed).sort(table(BARS).key))
    assert as_of[2]["quote_date"].unique().to_list() == [DAY]
    assert as_of[3]["quote_date"].unique().to_list() == DAYS[:2]
    assert lake.read(BARS, known_at=NOON[0] - timedelta(microseconds=1)).is_empty()
    assert_frame_equal(as_of[8], lake.read(BARS))


def test_replaced_versions_keep_their_provenance(lake: Lake):
    put(lake, NOON[0], seed=0)
    put(lake, NOON[1], seed=1)
    ((_, footer),) = lake.versions(BARS, [DAY], known_at=NOON[0])
    assert footer.provenance == Provenance(known_at=NOON[0], run_id="run-0")
    assert footer.content_hash != lake.content_hash(BARS, DAY)


def test_a_return_to_old_content_is_a_new_version(lake: Lake):
    for n, seed in enumerate((0, 1, 0)):
        put(lake, NOON[n], seed)
    assert_frame_equal(lake.read(BARS, known_at=NOON[0]), lake.read(BARS, known_at=NOON[2]))
    assert lake.provenance(BARS, DAY).known_at == NOON[2]


def test_versions_follow_each_other_when_clocks_do_not(lake: Lake):
    put(lake, NOON[5], seed=0)
    put(lake, NOON[1], seed=1)
    assert lake.provenance(BARS, DAY).known_at == NOON[5] + timedelta(microseconds=1)
    assert lake.read(BARS, known_at=NOON[4]).is_empty()


def test_symbol_upserts_have_a_history_too(lake: Lake):
    lake.replace(CHAINS, DAY, rows(CHAINS), provenance=Provenance(known_at=NOON[0]))
    new = rows(CHAINS, symbols=["SPY"], seed=3)
    told = Provenance(known_at=NOON[1])
    lake.replace(CHAINS, DAY, new, symbols=["SPY"], provenance=told)
    assert_frame_equal(lake.read(CHAINS, known_at=NOON[0]), rows(CHAINS))
    assert_frame_equal(lake.read(CHAINS, symbols=["SPY"]), new)


def test_retention_counts_from_the_time_of_replacement(lake: Lake):
    for n in range(5):
        put(lake, NOON[n], seed=n)
    assert lake.prune_history(NOON[4]) == 0
    # Replaced on days 1, 2, 3, 4; on day 5.5 those of days 1 and 2 are older than three days.
    assert lake.prune_history(NOON[5] + timedelta(hours=12)) == 2
    assert_frame_equal(lake.read(BARS, known_at=NOON[2]), rows(BARS, seed=2))
    with pytest.raises(HistoryPruned, match=f"{BARS} of {DAY} as known at"):
        lake.read(BARS, known_at=NOON[1])
    assert lake.read(BARS, known_at=NOON[0] - timedelta(days=1)).is_empty()
    assert lake.prune_history(NOON[4] + timedelta(days=999)) == 2
    assert_frame_equal(lake.read(BARS), rows(BARS, seed=4))


def test_without_retention_everything_is_kept(tmp_path: Path):
    lake = Lake(tmp_path / "lake", history=tmp_path / "elsewhere")
    put(lake, NOON[0], seed=0)
    put(lake, NOON[1], seed=1)
    assert lake.prune_history(NOON[1] + timedelta(days=9999)) == 0
    assert len(list((tmp_path / "elsewhere" / BARS / DAY.isoformat()).iterdir())) == 1


def test_a_kill_between_keeping_and_replacing_does_no_harm(lake: Lake):
    put(lake, NOON[0], seed=0)
    folder = lake.root.parent / "history" / BARS / DAY.isoformat()
    keep(lake.path(BARS, DAY), NOON[0], folder)
    assert_frame_equal(lake.read(BARS, known_at=NOON[1]), rows(BARS, seed=0))
    assert lake.prune_history(NOON[8]) == 0
    put(lake, NOON[2], seed=1)
    assert_frame_equal(lake.read(BARS, known_at=NOON[1]), rows(BARS, seed=0))
    assert len(list(folder.iterdir())) == 1


def test_history_on_a_file_system_without_links(lake: Lake, monkeypatch):
    def no_links(*_: object) -> None:
        raise OSError("Invalid cross-device link")

    monkeypatch.setattr("os.link", no_links)
    put(lake, NOON[0], seed=0)
    put(lake, NOON[1], seed=1)
    assert_frame_equal(lake.read(BARS, known_at=NOON[0]), rows(BARS, seed=0))


def test_sweeping_removes_only_strays(lake: Lake):
    put(lake, NOON[0], seed=0)
    stray = lake.path(BARS, DAYS[1]).with_name(f".{DAYS[1]}.parquet.tmp")
    stray.write_bytes(b"PAR1 half a file")
    assert lake.days(BARS) == [DAY]
    assert lake.read(BARS).height == 2
    assert lake.sweep() == 1
    assert lake.sweep() == 0
    stray.write_bytes(b"PAR1 half a file")
    put(lake, NOON[1], seed=0, day=DAYS[1])
    assert not stray.exists()
    assert lake.read(BARS).height == 4
