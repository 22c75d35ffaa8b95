"""SQL over the lake only looks, sees every snapshot, and knows the mission's names."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.resources.lake_rows import BARS, CHAINS, DAY, DAYS, QUOTES, rows
from volsurf_resources.calendars import NEW_YORK, ROUND_THE_CLOCK
from volsurf_resources.lake import Lake
from volsurf_resources.lake_errors import BadFile
from volsurf_tables.catalogue import TABLES
from volsurf_tables.views import VIEWS


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "o'hara" / "lake")


@pytest.mark.parametrize("contract", TABLES, ids=lambda t: t.name)
def test_every_table_answers_even_when_empty(lake: Lake, contract):
    answer = lake.sql(f"FROM {contract.name}")
    assert answer.is_empty()
    assert answer.schema == contract.schema
    lake.replace(contract.name, DAY, rows(contract, symbols=["SPY"]))
    order = ", ".join(f'"{name}"' for name in contract.key)
    assert_frame_equal(lake.sql(f"FROM {contract.name} ORDER BY {order}"), lake.read(contract.name))


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.name)
def test_views_have_the_columns_that_they_declare(lake: Lake, view):
    answer = lake.sql(f"FROM mission.{view.name}")
    assert answer.schema == pl.Schema({c.name: c.dtype for c in view.columns})


@pytest.mark.parametrize(
    ("calendar", "hour", "shown"), [(NEW_YORK, 21, "EOD"), (ROUND_THE_CLOCK, 8, "0745")]
)
def test_views_know_when_a_day_ends_and_which_chain_is_official(tmp_path, calendar, hour, shown):
    lake = Lake(tmp_path, calendar=calendar)
    for snapshot in ("0700", "0745", "0800", *(["EOD"] if calendar is NEW_YORK else [])):
        chain = rows(CHAINS, n=3, symbols=["BTC"], snapshot=snapshot)
        lake.replace(CHAINS, DAY, chain, symbols=["BTC"], snapshots=[snapshot])
    lake.replace(BARS, DAY, rows(BARS, symbols=["BTC"]))
    (end,) = lake.sql("SELECT time FROM market_prices")["time"]
    assert end == datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC)
    official = lake.read(CHAINS).filter(pl.col("snapshot") == shown)
    found = lake.sql("FROM mission.raw_options_chains")
    assert sorted(found["volume"]) == sorted(official["volume"])
    assert found["chain_id"].n_unique() == 3


def test_parameters_and_snapshots(lake: Lake):
    both = pl.concat([rows(CHAINS, n=3), rows(CHAINS, n=3, snapshot="1530")])
    lake.replace(CHAINS, DAY, both)
    query = f"SELECT count(*) AS n FROM {CHAINS} WHERE symbol = $symbol AND quote_date = $day"
    assert lake.sql(query, {"symbol": "SPY", "day": DAY})["n"].item() == 6
    query = f"SELECT count(*) AS n FROM {CHAINS} WHERE symbol = ? AND snapshot = ?"
    assert lake.sql(query, ["SPY", "EOD"])["n"].item() == 3


@pytest.mark.parametrize(
    "query",
    [
        "COPY (SELECT 1) TO 'out.csv'",
        "CREATE TABLE t (i INT)",
        "SELECT 1; SELECT 2",
        "ATTACH 'other.duckdb'",
        "SET threads = 1",
        "",
    ],
)
def test_only_one_select_is_answered(lake: Lake, query: str):
    with pytest.raises(ValueError, match="the lake answers one SELECT"):
        lake.sql(query)


def test_a_query_cannot_leave_the_lake(lake: Lake, tmp_path: Path):
    import duckdb

    (tmp_path / "secret.csv").write_text("a\n1\n")
    for query in (f"FROM read_csv('{tmp_path}/secret.csv')", f"FROM glob('{tmp_path}/*')"):
        with pytest.raises(duckdb.PermissionException):
            lake.sql(query)


def test_damage_that_only_the_data_shows_is_named(lake: Lake):
    lake.replace(CHAINS, DAY, rows(CHAINS, n=200))
    path = lake.path(CHAINS, DAY)
    content = bytearray(path.read_bytes())
    content[4:2000] = bytes(1996)
    path.write_bytes(content)
    with pytest.raises(BadFile, match=f"{re.escape(str(path))} is damaged"):
        lake.sql(f"SELECT count(DISTINCT contract_id), sum(strike) FROM {CHAINS}")


def test_mission_chain_joins_our_judgement_and_keeps_the_vendors_numbers(lake: Lake):
    chain = rows(CHAINS, symbols=["SPY"], n=3).with_columns(
        bid=pl.Series([1.0, 0.0, 2.0]), ask=pl.Series([1.5, 0.1, None]), vendor_iv=0.2
    )
    lake.replace(CHAINS, DAY, chain)
    judged = rows(QUOTES, symbols=["SPY"], n=2).with_columns(is_liquid=pl.Series([True, False]))
    lake.replace(QUOTES, DAY, judged)
    answer = lake.sql(f"FROM mission.{CHAINS} ORDER BY chain_id")
    assert answer["chain_id"].to_list() == [f"SPY:contract_id-{i}:2026-01-05" for i in range(3)]
    assert answer["mid"].to_list() == [1.25, None, None]
    assert answer["is_liquid"].to_list() == [True, False, None]
    assert answer["implied_volatility"].to_list() == [0.2] * 3


def test_times_of_sessions_and_snapshots(lake: Lake):
    winter, summer = date(2026, 1, 5), date(2026, 7, 6)
    for day in (winter, summer):
        both = [rows(BARS, day, ["SPY"], snapshot=s) for s in ("EOD", "1530")]
        lake.replace(BARS, day, pl.concat(both))
    times = lake.sql('SELECT "time" FROM market_prices ORDER BY 1')["time"].to_list()
    hours = [(1, 5, 15, 30), (1, 5, 21, 0), (7, 6, 15, 30), (7, 6, 20, 0)]
    assert times == [datetime(2026, *parts, tzinfo=UTC) for parts in hours]


def test_model_parameters_hold_smiles_and_models_without_maturity(lake: Lake):
    smiles = rows("fitted_surfaces", symbols=["SPY"], n=2).with_columns(
        svi_a=pl.Series([0.01, None]), rmse=0.05
    )
    lake.replace("fitted_surfaces", DAY, smiles)
    terms = rows("term_structure_params", symbols=["SPY"]).with_columns(atm_term_a=0.18)
    lake.replace("term_structure_params", DAY, terms)
    answer = lake.sql("FROM model_parameters ORDER BY maturity NULLS LAST")
    assert answer["maturity"].to_list() == [DAYS[0], None]
    assert json.loads(answer["parameters"][0])["a"] == 0.01
    assert json.loads(answer["parameters"][1])["atm_term_a"] == 0.18
    assert answer["fit_quality"][0] == 0.05


@pytest.mark.parametrize(
    ("calendar", "month"), [(NEW_YORK, 21), (ROUND_THE_CLOCK, 30)], ids=["us", "crypto"]
)
def test_the_premium_afterwards_is_of_as_many_days_as_the_implied_vol(tmp_path, calendar, month):
    lake = Lake(tmp_path, calendar=calendar)
    days = calendar.last_sessions(DAYS[-1], 33)
    told = {"vrp_metrics": ["implied_vol_30d"], "realized_volatility": ["rv_21d", "rv_30d"]}
    for table, columns in told.items():
        for n, day in enumerate(days):
            values = {name: 0.2 + 0.001 * n + 0.1 * i for i, name in enumerate(columns)}
            own = rows(table, day, symbols=["BTC"]).with_columns(**values)
            lake.replace(table, day, own)
    found = lake.sql("FROM vrp_ex_post ORDER BY quote_date")
    assert found["quote_date"].to_list() == days[: 33 - month]
    assert found["known_on"].to_list() == days[month:]
    realised = lake.read("realized_volatility", days[month:]).sort("quote_date")
    assert found["realized_vol_next_30d"].to_list() == realised[f"rv_{month}d"].to_list()
