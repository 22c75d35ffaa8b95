"""The archive on real files of the research folder's layout, where VOLSURF_REAL_DATA has them."""

import os
from datetime import date
from pathlib import Path
from time import perf_counter

import polars as pl
import pytest

from volsurf_resources.archive import Archive
from volsurf_resources.source import NoData
from volsurf_tables.market import RAW_OPTIONS_CHAINS

FOLDER = os.environ.get("VOLSURF_REAL_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="VOLSURF_REAL_DATA names no folder of data")
WARM_CHAIN_SECONDS = 0.15


@pytest.fixture(scope="module")
def real() -> Archive:
    return Archive(Path(FOLDER or ""))


def test_the_layout_is_recognised(real):
    assert real.name == "research_folder"
    assert real.problems == {}


def test_spy_2026_has_fourteen_sessions(real):
    days = real.sessions("SPY", date(2026, 1, 1), date(2026, 12, 31))
    assert (len(days), days[0], days[-1]) == (14, date(2026, 7, 22), date(2026, 8, 12))
    total = 0
    for day in days:
        chain = real.chain("SPY", day)
        total += chain.height
        assert chain.schema == {
            name: dtype
            for name, dtype in RAW_OPTIONS_CHAINS.schema.items()
            if name != "ingestion_timestamp"
        }
        assert chain["contract_id"].is_unique().all()
        assert chain["contract_id"].str.len_chars().unique().to_list() == [21]
        assert chain["underlying_price"].n_unique() == 1
    assert total == 197_266


def test_spx_2019_has_41_sessions_and_refuses_the_holiday_copy(real):
    days = real.sessions("SPX", date(2019, 1, 1), date(2019, 12, 31))
    assert len(days) == 41
    with pytest.raises(NoData, match=r"2019-05-27.*stale copy"):
        real.chain("SPX", date(2019, 5, 27))
    with pytest.raises(NoData, match="41 sessions from 2019-04-25 to 2019-06-28"):
        real.chain("SPX", date(2019, 5, 10))
    third_friday = real.chain("SPX", days[0]).filter(expiration_date=date(2019, 6, 21))
    assert dict(third_friday.select("root", "settlement").unique().iter_rows()) == {
        "SPX": "AM",
        "SPXW": "PM",
    }


def test_sparse_year_is_complete(real):
    days = real.sessions("SPY", date(2021, 1, 1), date(2021, 12, 31))
    assert len(days) == 252
    assert real.chain("SPY", days[0]).height == 20


def test_coin_prices_are_left_alone(real):
    assert real.sessions("BTC", date(2026, 1, 1), date(2026, 12, 31)) == []


def test_bars_reach_to_the_last_chain(real):
    bars = real.underlying("SPY", date(2020, 1, 1), date(2026, 8, 12))
    assert bars["quote_date"].is_unique().all()
    sources = dict(bars.select("quote_date", "data_source").iter_rows())
    assert sources[date(2021, 6, 1)] == "research_folder: availe_yahoo"
    assert sources[date(2026, 7, 27)] == "research_folder: bingman9_yahoo"
    assert sources[date(2026, 8, 12)] == "research_folder: underlying of the chain"
    paid = bars.filter(pl.col("quote_date").dt.year() == 2021, pl.col("dividend") > 0)
    assert paid["dividend"].to_list() == [1.278, 1.376, 1.428, 1.633]


def test_the_split_of_apple_is_marked(real):
    bars = real.underlying("AAPL", date(2014, 6, 6), date(2014, 6, 9))
    assert bars.select("close", "split_ratio").rows() == [(645.57, 1.0), (93.7, 7.0)]


def test_curves_of_both_eras(real):
    then, now = real.rates(date(2019, 5, 1)), real.rates(date(2026, 7, 24))
    assert set(then["source"]) == {"treasury"}
    assert set(then["curve_date"]) == {date(2019, 5, 1)}
    assert now["source"].to_list() == ["sofr", *3 * ["constant_maturity"]]
    assert now["curve_date"].to_list() == [date(2026, 7, 23), *3 * [date(2026, 7, 24)]]
    assert now["zero_rate"].is_between(0.035, 0.05).all()


def test_vix_of_every_session(real):
    levels = real.index_levels(date(2019, 4, 25), date(2019, 6, 28))
    days = levels.filter(index="VIX")["quote_date"]
    assert set(real.sessions("SPX", date(2019, 1, 1), date(2019, 12, 31))) <= set(days)


def test_a_warm_chain_is_fast(real):
    real.chain("SPY", date(2026, 7, 24))
    seconds = []
    for _ in range(5):
        start = perf_counter()
        real.chain("SPY", date(2026, 7, 24))
        seconds.append(perf_counter() - start)
    assert min(seconds) < WARM_CHAIN_SECONDS
