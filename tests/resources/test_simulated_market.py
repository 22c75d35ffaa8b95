"""The simulated market as a source: schema, determinism, consistency, refusals."""

import subprocess
import sys
from datetime import date
from hashlib import sha256
from time import perf_counter

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.simulated import SimulatedMarket
from volsurf_resources.simulated.pricing import price_chain
from volsurf_resources.simulated.world import make_world
from volsurf_resources.source import MarketSource, NoData
from volsurf_tables.market import (
    INDEX_LEVELS,
    MARKET_RATES,
    RAW_OPTIONS_CHAINS,
    UNDERLYING_PRICES,
)
from volsurf_tables.table import Table

DAYS = (date(2026, 8, 4), date(2024, 11, 29), date(2020, 3, 20))
HASH = """
from datetime import date
from hashlib import sha256
from volsurf_resources.simulated import SimulatedMarket
chain = SimulatedMarket(seed=3).chain("IWM", date(2021, 5, 6))
print(sha256(chain.write_csv().encode()).hexdigest())
"""


def schema_of(table: Table) -> pl.Schema:
    return pl.Schema({name: table.schema[name] for name in table.content})


def forget() -> None:
    make_world.cache_clear()
    price_chain.cache_clear()


def test_frames_have_exactly_the_schemas_of_their_tables():
    market: MarketSource = SimulatedMarket()
    assert market.name == "simulated"
    assert market.chain("SPY", DAYS[0]).schema == schema_of(RAW_OPTIONS_CHAINS)
    assert market.rates(DAYS[0]).schema == schema_of(MARKET_RATES)
    start, end = date(2026, 7, 1), date(2026, 8, 4)
    assert market.underlying("SPY", start, end).schema == schema_of(UNDERLYING_PRICES)
    assert market.index_levels(start, end).schema == schema_of(INDEX_LEVELS)
    nothing = market.underlying("AAPL", start, end)
    assert nothing.schema == schema_of(UNDERLYING_PRICES)
    assert nothing.is_empty()


def test_a_clean_chain_keeps_the_limits_and_words_of_its_contract():
    chain = SimulatedMarket(dirt=0.0).chain("SPY", DAYS[0])
    for column in RAW_OPTIONS_CHAINS.columns:
        if column.one_of:
            assert set(chain[column.name]) <= set(column.one_of), column.name
        if column.low is not None:
            assert (chain[column.name] >= column.low).all(), column.name
    assert chain["contract_id"].is_unique().all()
    assert (chain["bid"] < chain["ask"]).all()
    assert (chain["bid"] >= 0.0).all()
    assert (chain["open_interest_date"] == date(2026, 8, 3)).all()


def test_the_order_of_asking_changes_nothing():
    market = SimulatedMarket()
    first = [market.chain("QQQ", day) for day in DAYS]
    forget()
    market = SimulatedMarket(symbols=("QQQ",))
    second = [market.chain("QQQ", day) for day in reversed(DAYS)][::-1]
    for one, other in zip(first, second, strict=True):
        assert_frame_equal(one, other)


def test_another_process_makes_the_same_market():
    output = subprocess.run(
        [sys.executable, "-c", HASH], capture_output=True, text=True, check=True
    ).stdout
    chain = SimulatedMarket(seed=3).chain("IWM", date(2021, 5, 6))
    assert output.strip() == sha256(chain.write_csv().encode()).hexdigest()


def test_what_comes_later_changes_nothing_earlier():
    short, long = make_world(7, 2026), make_world(7, 2029)
    n = len(short.days)
    np.testing.assert_array_equal(short.path.close, long.path.close[:n])
    np.testing.assert_array_equal(short.zero_rates, long.zero_rates[:n])
    one, other = price_chain(short, "SPY", DAYS[0]), price_chain(long, "SPY", DAYS[0])
    np.testing.assert_array_equal(one.american, other.american)


def test_seeds_make_different_markets():
    one, other = (SimulatedMarket(seed=seed).underlying("SPY", *DAYS[:0:-1]) for seed in (1, 2))
    assert (one["close"] != other["close"]).mean() > 0.9


@pytest.mark.parametrize("symbol", ["SPY", "QQQ", "IWM"])
def test_bars_are_consistent_with_the_chain(symbol):
    market = SimulatedMarket()
    bars = market.underlying(symbol, date(2014, 1, 1), date(2026, 8, 4))
    assert bars["quote_date"].to_list() == sessions(date(2015, 1, 1), date(2026, 8, 4))
    for inside in ("open", "close"):
        assert (bars["low"] <= bars[inside]).all()
        assert (bars[inside] <= bars["high"]).all()
    assert (bars["low"] > 0.0).all()
    assert (bars["volume"] > 0.0).all()
    paid = bars.filter(pl.col("dividend") > 0.0)["quote_date"]
    assert paid.dt.year().value_counts(sort=True)["count"].to_list() == [4] * 11 + [2]
    assert set(paid.dt.month()) == {3, 6, 9, 12}
    chain, bar = market.chain(symbol, DAYS[0]), bars.row(-1, named=True)
    assert bar["low"] <= chain["underlying_price"][0] <= bar["high"]


def test_volatility_indices_follow_the_options_and_exceed_what_is_realised():
    market = SimulatedMarket()
    span = (date(2015, 1, 1), date(2026, 8, 4))
    levels = market.index_levels(*span)
    assert (levels["high"] >= levels["open"]).all()
    assert (levels["low"] <= levels["close"]).all()
    vix = levels.filter(pl.col("index") == "VIX")["close"].to_numpy() / 100.0
    closes = market.underlying("SPY", *span)["close"].to_numpy()
    realised = np.log(closes[1:] / closes[:-1]) ** 2
    ahead = np.sqrt(252.0 * np.lib.stride_tricks.sliding_window_view(realised, 21).mean(axis=1))
    assert 0.0 < np.mean(vix[: ahead.size] - ahead) < 0.05
    assert np.corrcoef(vix[: ahead.size], ahead)[0, 1] > 0.4
    truth = market.truth("SPY", DAYS[0])
    month = truth.filter((pl.col("tte_years") - 30 / 365).abs() < 4 / 365)["atm_vol"].mean()
    assert abs(vix[-1] - month) < 0.05


def test_the_curve_is_smooth_and_moves_slowly():
    market = SimulatedMarket()
    one, other = market.rates(date(2026, 8, 3)), market.rates(DAYS[0])
    assert (one["curve_date"] == date(2026, 8, 3)).all()
    assert one["tenor_years"].is_sorted()
    assert one["zero_rate"].is_between(0.0, 0.08).all()
    assert (one["zero_rate"] - other["zero_rate"]).abs().max() < 0.002


def test_what_it_cannot_serve_is_refused():
    closed, gap = date(2026, 8, 2), date(2026, 8, 5)
    market = SimulatedMarket(symbols=("SPY",), fail_on=[gap])
    for refused in (closed, date(2026, 7, 3), date(2014, 12, 31), gap):
        with pytest.raises(NoData, match=str(refused)):
            market.chain("SPY", refused)
    with pytest.raises(NoData, match="QQQ"):
        market.chain("QQQ", DAYS[0])
    with pytest.raises(NoData):
        market.rates(closed)
    with pytest.raises(NoData):
        market.true_vol("SPY", DAYS[0], closed, 500.0)
    assert market.sessions("SPY", closed, date(2026, 8, 6)) == [
        date(2026, 8, 3),
        date(2026, 8, 4),
        date(2026, 8, 6),
    ]
    assert market.sessions("QQQ", closed, gap) == []
    assert market.rates(gap).height == market.rates(DAYS[0]).height


def test_impossible_markets_are_refused():
    with pytest.raises(ValueError, match="AAPL"):
        SimulatedMarket(symbols=("SPY", "AAPL"))
    with pytest.raises(ValueError, match="dirt"):
        SimulatedMarket(dirt=0.9)


@pytest.mark.slow
def test_a_quarter_of_chains_comes_in_seconds():
    forget()
    market = SimulatedMarket()
    start = perf_counter()
    for day in sessions(date(2026, 5, 11), date(2026, 8, 4)):
        market.chain("SPY", day)
    assert perf_counter() - start < 15.0
