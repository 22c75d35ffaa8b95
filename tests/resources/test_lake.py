"""Partitions are replaced whole or by symbol, read back exactly, and refuse what is not theirs."""

import pickle
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.resources.lake_rows import BARS, CHAINS, DAY, DAYS, QUOTES, rows
from volsurf_resources.lake import Lake, Provenance
from volsurf_resources.lake_errors import BadFile, BadFrame
from volsurf_tables.catalogue import TABLES, table

LATER = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "home" / "lake")


def files(lake: Lake) -> dict[Path, int]:
    """All files of the lake and its history, with their inodes."""
    return {p: p.stat().st_ino for p in lake.root.parent.rglob("*.parquet*")}


@pytest.mark.parametrize("contract", TABLES, ids=lambda t: t.name)
def test_every_table_comes_back_as_it_went_in(lake: Lake, contract):
    frame = rows(contract, n=7).unique(contract.key, keep="first")
    written = lake.replace(contract.name, DAY, frame.sample(fraction=1, shuffle=True, seed=1))
    assert written.changed
    assert written.rows == frame.height
    assert_frame_equal(lake.read(contract.name), frame.sort(contract.key))


@pytest.mark.parametrize("contract", TABLES, ids=lambda t: t.name)
def test_what_does_not_exist_reads_as_an_empty_frame_with_the_schema(lake: Lake, contract):
    frame = lake.read(contract.name, [DAY])
    assert frame.is_empty()
    assert frame.schema == contract.schema
    assert lake.days(contract.name) == []
    assert lake.content_hash(contract.name, DAY) is None
    assert lake.provenance(contract.name, DAY) is None


def test_same_content_writes_nothing_and_keeps_the_old_provenance(lake: Lake):
    first = lake.replace(CHAINS, DAY, rows(CHAINS, n=9), provenance=Provenance(run_id="first"))
    before = files(lake)
    again = rows(CHAINS, n=9, loaded=LATER).reverse()
    second = lake.replace(CHAINS, DAY, again, provenance=Provenance(run_id="second"))
    assert first.changed
    assert not second.changed
    assert second.content_hash == first.content_hash
    assert files(lake) == before
    assert lake.provenance(CHAINS, DAY).run_id == "first"


def test_provenance_comes_back(lake: Lake):
    told = Provenance(
        known_at=datetime(2026, 1, 5, 22, 30, tzinfo=UTC),
        code_version="3",
        settings_hash="abc",
        run_id="run-1",
        source="simulated",
        upstream={CHAINS: {"2026-01-05": "0123"}},
    )
    lake.replace(QUOTES, DAY, rows(QUOTES), provenance=told)
    assert lake.provenance(QUOTES, DAY) == told
    stamped = pl.read_parquet_metadata(lake.path(QUOTES, DAY))
    assert stamped["volsurf.content_hash"] == lake.content_hash(QUOTES, DAY)
    assert stamped["volsurf.schema_version"] == str(table(QUOTES).version)


def test_known_at_needs_a_time_zone(lake: Lake):
    naive = Provenance(known_at=datetime(2026, 1, 5))
    with pytest.raises(ValueError, match="known_at needs a time zone"):
        lake.replace(BARS, DAY, rows(BARS), provenance=naive)
    assert lake.days(BARS) == []


def test_a_symbol_is_replaced_alone(lake: Lake):
    lake.replace(CHAINS, DAY, rows(CHAINS, symbols=["IWM", "QQQ", "SPY"], n=4))
    new = rows(CHAINS, symbols=["QQQ"], n=3, seed=1, loaded=LATER)
    before = lake.read(CHAINS)
    written = lake.replace(CHAINS, DAY, new, symbols=["QQQ"])
    assert written.rows == 11
    after = lake.read(CHAINS)
    others = pl.col("symbol") != "QQQ"
    assert_frame_equal(after.filter(others), before.filter(others))
    assert_frame_equal(after.filter(~others), new.sort(table(CHAINS).key))


def test_a_symbol_with_the_same_content_keeps_its_ingestion_timestamp(lake: Lake):
    lake.replace(CHAINS, DAY, rows(CHAINS, symbols=["QQQ", "SPY"], n=4))
    same = rows(CHAINS, symbols=["QQQ"], n=4, loaded=LATER)
    spy = rows(CHAINS, symbols=["SPY"], n=4, seed=5, loaded=LATER)
    qqq = lake.read(CHAINS, symbols=["QQQ"]).drop("ingestion_timestamp")
    new = pl.concat([qqq.with_columns(ingestion_timestamp=same["ingestion_timestamp"]), spy])
    lake.replace(CHAINS, DAY, new, symbols=["QQQ", "SPY"])
    loaded = dict(
        lake.read(CHAINS).group_by("symbol").agg(pl.col("ingestion_timestamp").max()).rows()
    )
    assert loaded["SPY"] == LATER
    assert loaded["QQQ"] < LATER


def test_a_symbol_without_rows_is_removed(lake: Lake):
    lake.replace(CHAINS, DAY, rows(CHAINS, n=4))
    lake.replace(CHAINS, DAY, rows(CHAINS).clear(), symbols=["QQQ"])
    assert lake.read(CHAINS)["symbol"].unique().to_list() == ["SPY"]
    assert lake.content_hash(CHAINS, DAY, "QQQ") is None


def test_an_empty_date_exists(lake: Lake):
    assert lake.replace("quote_issues", DAY, table("quote_issues").schema.to_frame()).changed
    assert lake.days("quote_issues") == [DAY]
    assert lake.read("quote_issues").is_empty()


def test_tables_without_symbols_have_none_to_replace(lake: Lake):
    with pytest.raises(ValueError, match="market_rates has no symbols"):
        lake.replace("market_rates", DAY, rows("market_rates", symbols=["A"]), symbols=["A"])


def test_readers_get_the_official_snapshot_unless_they_ask(lake: Lake):
    both = pl.concat([rows(CHAINS, n=2), rows(CHAINS, n=2, snapshot="1530")])
    lake.replace(CHAINS, DAY, both)
    assert lake.read(CHAINS)["snapshot"].unique().to_list() == ["EOD"]
    assert lake.read(CHAINS, snapshot="1530").height == 4
    assert lake.read(CHAINS, snapshot=None).height == 8


def test_reading_some_dates_symbols_and_columns(lake: Lake):
    for day in DAYS[:5]:
        lake.replace(BARS, day, rows(BARS, day))
    asked = [DAYS[3].isoformat(), DAYS[1], DAYS[1], DAYS[30]]
    frame = lake.read(BARS, asked, symbols=["SPY"], columns=["close", "quote_date"])
    assert frame.columns == ["close", "quote_date"]
    assert frame["quote_date"].to_list() == [DAYS[1], DAYS[3]]
    with pytest.raises(KeyError, match="has no column 'clse'"):
        lake.read(BARS, columns=["clse"])
    with pytest.raises(KeyError, match="market_rates has no column 'symbol'"):
        lake.read("market_rates", symbols=["SPY"])
    with pytest.raises(KeyError, match="no table 'bars'"):
        lake.read("bars")


def test_windows_count_the_dates_that_exist(lake: Lake):
    for day in DAYS[:8:2]:
        symbols = ["QQQ", "SPY"] if day != DAYS[4] else ["SPY"]
        lake.replace(BARS, day, rows(BARS, day, symbols))
    assert lake.days(BARS) == [DAYS[0], DAYS[2], DAYS[4], DAYS[6]]
    assert lake.days(BARS, "QQQ") == [DAYS[0], DAYS[2], DAYS[6]]
    assert lake.window(BARS, DAYS[5], 2) == [DAYS[2], DAYS[4]]
    assert lake.window(BARS, DAYS[5].isoformat(), 2, "QQQ") == [DAYS[0], DAYS[2]]
    assert lake.window(BARS, DAYS[7], 99) == lake.days(BARS)
    assert lake.window(BARS, DAY - timedelta(days=1), 3) == []


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (rows(BARS).drop("close"), r"underlying_prices needs the columns \['close'\]"),
        (rows(BARS).with_columns(vwap=1.0), r"underlying_prices has no columns \['vwap'\]"),
        (rows(BARS).with_columns(close=pl.lit("n/a")), "close needs Float64, was String: 'n/a'"),
        (rows(BARS).with_columns(symbol=pl.lit(7)), "symbol needs String, was Int32: 7"),
        (rows(BARS, DAYS[1]), "quote_date must be 2026-01-05 here, was 2026-01-06 in 2 of 2"),
        (rows(BARS).with_columns(quote_date=None), "quote_date must be 2026-01-05 here, was None"),
        (rows(BARS).with_columns(snapshot=None), "snapshot is part of the key and needs a value"),
        (pl.concat([rows(BARS), rows(BARS)]), r"several of 2 keys, first \[\('QQQ'"),
        (
            rows(BARS).with_columns(ingestion_timestamp=datetime(2026, 1, 5)),
            "ingestion_timestamp needs Datetime",
        ),
    ],
)
def test_a_frame_that_breaks_the_contract_is_refused_and_the_old_file_stays(
    lake: Lake, frame: pl.DataFrame, message: str
):
    lake.replace(BARS, DAY, rows(BARS, seed=9))
    before = files(lake)
    with pytest.raises(BadFrame, match=message):
        lake.replace(BARS, DAY, frame)
    assert files(lake) == before


def test_whole_numbers_are_not_made_of_fractions(lake: Lake):
    whole = rows("term_structure_params").with_columns(pl.lit(4.0).alias("num_expirations"))
    lake.replace("term_structure_params", DAY, whole)
    assert lake.read("term_structure_params")["num_expirations"].to_list() == [4, 4]
    for value in (2.5, 3e9, float("nan")):
        with pytest.raises(BadFrame, match="num_expirations needs Int32, cannot hold"):
            lake.replace(
                "term_structure_params", DAY, whole.with_columns(num_expirations=pl.lit(value))
            )


def test_nan_is_no_key(lake: Lake):
    frame = rows("market_rates", symbols=["A"]).with_columns(tenor_years=float("nan"))
    with pytest.raises(BadFrame, match="tenor_years is part of the key and needs a value"):
        lake.replace("market_rates", DAY, frame)


def test_rows_of_other_symbols_are_refused(lake: Lake):
    with pytest.raises(BadFrame, match="symbol must be SPY here, was QQQ in 1 of 2 rows"):
        lake.replace(BARS, DAY, rows(BARS), symbols=["SPY"])


@pytest.mark.parametrize("keep", [0, 3, 100, -1, -40], ids=lambda n: f"{n}_bytes")
def test_a_damaged_file_is_named_and_a_rerun_replaces_it(lake: Lake, keep: int):
    for day in DAYS[:3]:
        lake.replace(CHAINS, day, rows(CHAINS, day, n=20))
    lake.replace(BARS, DAY, rows(BARS))
    path = lake.path(CHAINS, DAYS[1])
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    for attempt in (
        lambda: lake.read(CHAINS),
        lambda: lake.content_hash(CHAINS, DAYS[1]),
        lambda: lake.sql(f"SELECT count(*) FROM {CHAINS}"),
        lambda: lake.replace(CHAINS, DAYS[1], rows(CHAINS, DAYS[1], ["SPY"]), symbols=["SPY"]),
    ):
        with pytest.raises(BadFile, match=rf"{path} is damaged .* run that date again"):
            attempt()
    assert lake.read(CHAINS, [DAYS[0], DAYS[2]]).height == 80
    assert lake.read(BARS).height == 2
    assert lake.sql(f"SELECT count(*) AS n FROM {BARS}")["n"].item() == 2
    assert lake.replace(CHAINS, DAYS[1], rows(CHAINS, DAYS[1], n=20)).changed
    assert lake.read(CHAINS).height == 120


def test_damage_inside_a_file_is_named_and_a_rerun_repairs_it(lake: Lake):
    lake.replace(CHAINS, DAY, rows(CHAINS, n=200))
    path = lake.path(CHAINS, DAY)
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)
    with pytest.raises(BadFile, match=f"{path} is damaged"):
        lake.read(CHAINS)
    assert lake.replace(CHAINS, DAY, rows(CHAINS, n=200)).changed
    assert lake.read(CHAINS).height == 400


def test_a_foreign_file_is_not_taken_for_ours(lake: Lake):
    lake.replace(BARS, DAY, rows(BARS))
    rows(BARS, DAYS[1]).write_parquet(lake.path(BARS, DAYS[1]))
    with pytest.raises(BadFile, match="was not written by the lake"):
        lake.read(BARS)
    lake.path(BARS, DAYS[1]).unlink()
    lake.path(BARS, DAY).rename(lake.path(BARS, date(2026, 1, 4)).with_name("2026-01-04.parquet"))
    lake.path(QUOTES, DAY).parent.mkdir()
    lake.path(BARS, date(2026, 1, 4)).rename(lake.path(QUOTES, DAY))
    with pytest.raises(BadFile, match="holds underlying_prices, not option_quotes"):
        lake.read(QUOTES)


def test_a_lake_can_be_sent_to_another_process(lake: Lake):
    assert pickle.loads(pickle.dumps(lake)) == lake


def test_two_homes_are_two_lakes(tmp_path: Path):
    one, two = Lake(tmp_path / "one" / "lake"), Lake(tmp_path / "two" / "lake")
    one.replace(BARS, DAY, rows(BARS))
    assert two.days(BARS) == []
    assert two.read(BARS).is_empty()
