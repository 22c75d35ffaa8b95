"""Files written by another version of a table are read through or refused, never misread."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.resources.lake_rows import DAY, DAYS, rows
from volsurf_resources.lake import Lake, Provenance
from volsurf_resources.lake_errors import BadFile, BadFrame, NewerVersion
from volsurf_tables.columns import DAY as DAY_COLUMNS
from volsurf_tables.columns import names, number
from volsurf_tables.table import Column, Table

COUNT = Column(name="trades", dtype=pl.Int32(), unit="-", meaning="Trades.")
OLD = Table(
    name="levels",
    group="test",
    meaning="Levels as they once were.",
    key=names(DAY_COLUMNS),
    columns=(*DAY_COLUMNS, number("price", "USD", "Close."), COUNT),
)
# The close got its name, the count became a double and moved, the volume is new.
NEW = replace(
    OLD,
    version=2,
    columns=(
        *DAY_COLUMNS,
        replace(COUNT, dtype=pl.Float64()),
        replace(number("close", "USD", "Close."), formerly=("price",)),
        number("volume", "shares", "Shares traded."),
    ),
)


@pytest.fixture
def old(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", tables=(OLD,))


@pytest.fixture
def new(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", tables=(NEW,))


def expected(day=DAY) -> pl.DataFrame:
    frame = rows(OLD, day, n=1).sort("symbol")
    return frame.select(
        *names(DAY_COLUMNS),
        pl.col("trades").cast(pl.Float64),
        pl.col("price").alias("close"),
        pl.lit(None, pl.Float64).alias("volume"),
    )


def test_an_older_file_is_read_through(old: Lake, new: Lake):
    old.replace("levels", DAY, rows(OLD))
    assert_frame_equal(new.read("levels"), expected())
    assert_frame_equal(new.sql("FROM levels ORDER BY symbol"), expected())


def test_old_and_new_files_are_read_together(old: Lake, new: Lake):
    for day in DAYS[:3]:
        old.replace("levels", day, rows(OLD, day))
    half = expected(DAYS[1]).with_columns(trades=pl.lit(2.5), volume=pl.lit(1e9))
    new.replace("levels", DAYS[1], half)
    together = pl.concat([expected(DAYS[0]), half, expected(DAYS[2])])
    assert_frame_equal(new.read("levels"), together)
    assert_frame_equal(new.sql("FROM levels ORDER BY quote_date, symbol"), together)


def test_a_handmade_old_file_is_upgraded_without_loss(old: Lake, new: Lake):
    told = Provenance(run_id="long ago")
    for seed in (1, 0):
        old.replace("levels", DAY, rows(OLD, seed=seed), provenance=told)
    before = old.provenance("levels", DAY)
    read_through = new.read("levels")
    assert new.upgrade() == [new.path("levels", DAY)]
    assert new.upgrade() == []
    stored = pl.read_parquet(new.path("levels", DAY))
    assert_frame_equal(stored, read_through)
    assert new.provenance("levels", DAY) == before
    first = new.read("levels", known_at=before.known_at)
    assert_frame_equal(first, read_through)


def test_history_of_an_upgraded_date_is_still_read(old: Lake, new: Lake):
    old.replace("levels", DAY, rows(OLD))
    first = old.provenance("levels", DAY).known_at
    new.replace("levels", DAY, expected().with_columns(volume=1.0))
    assert_frame_equal(new.read("levels", known_at=first), expected())


def test_names_places_and_new_empty_columns_leave_the_content_hash(old: Lake, tmp_path: Path):
    same_types = tuple(
        replace(column, dtype=pl.Int32()) if column.name == "trades" else column
        for column in NEW.columns
    )
    renamed = Lake(tmp_path / "lake", tables=(replace(NEW, columns=same_types),))
    content = old.replace("levels", DAY, rows(OLD)).content_hash
    renamed.upgrade()
    assert renamed.content_hash("levels", DAY) == content
    frame = renamed.read("levels")
    assert not renamed.replace("levels", DAY, frame).changed


def test_a_write_of_some_symbols_upgrades_the_others(old: Lake, new: Lake):
    old.replace("levels", DAY, rows(OLD))
    spy = expected().filter(symbol="SPY").with_columns(close=1.0)
    new.replace("levels", DAY, spy, symbols=["SPY"])
    assert_frame_equal(new.read("levels"), pl.concat([expected().filter(symbol="QQQ"), spy]))


def test_a_newer_file_is_refused(old: Lake, new: Lake):
    new.replace("levels", DAY, expected())
    attempts = (
        lambda: old.read("levels"),
        lambda: old.replace("levels", DAY, rows(OLD)),
        lambda: old.sql("FROM levels"),
    )
    for attempt in attempts:
        with pytest.raises(NewerVersion, match="has version 2 of levels, this program knows 1"):
            attempt()


def test_other_columns_under_the_same_version_are_never_misread(old: Lake, tmp_path: Path):
    """The trap of globs: the first file's types would turn 2.5 into 2."""
    forgotten = replace(OLD, columns=(*OLD.columns[:-1], replace(COUNT, dtype=pl.Float64())))
    lake = Lake(tmp_path / "lake", tables=(forgotten,))
    old.replace("levels", DAYS[0], rows(OLD, DAYS[0]))
    lake.replace("levels", DAYS[1], rows(forgotten, DAYS[1]))
    for reader in (old, lake):
        with pytest.raises(BadFile, match="says version 1 of levels but has other columns"):
            reader.read("levels")
        with pytest.raises(BadFile, match="says version 1 of levels but has other columns"):
            reader.sql("SELECT trades FROM levels")


def test_a_value_that_the_new_type_cannot_hold_stops_the_upgrade(tmp_path: Path):
    wide = replace(OLD, columns=(*OLD.columns[:-1], replace(COUNT, dtype=pl.Float64())))
    narrow = replace(OLD, version=2)
    Lake(tmp_path / "lake", tables=(wide,)).replace(
        "levels", DAY, rows(wide).with_columns(trades=2.5)
    )
    lake = Lake(tmp_path / "lake", tables=(narrow,))
    with pytest.raises(BadFrame, match=r"levels\.trades needs Int32, cannot hold 2\.5"):
        lake.upgrade()
    assert pl.read_parquet(lake.path("levels", DAY))["trades"].to_list() == [2.5, 2.5]
