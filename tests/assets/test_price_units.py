"""Prices in coin of a market that moves while its quotes are gathered, one after the other."""

from datetime import UTC, datetime
from math import exp, sin, sqrt

import numpy as np
import polars as pl
import pytest

from tests.assets.coins import COINS_DAY, LATE, FullExchange, coin_settings, fill_coins, record
from tests.resources.deribit.exchange import black, read
from volsurf_assets.price_units import with_underlying, with_unit_value

VOL = 0.5
MOVE = 0.002  # of the underlying, up and down, within one snapshot


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    with FullExchange(lambda: LATE) as exchange:
        names = exchange.names("BTC")
    changes = {}
    for n, name in enumerate(names):
        _, day, strike, is_call = read(name)
        tte = (datetime(day.year, day.month, day.day, 8, tzinfo=UTC) - LATE).total_seconds()
        tte /= 365 * 86_400
        forward = 67_000.0 * exp(0.03 * tte) * (1.0 + MOVE * sin(1.7 * (n // 2)))
        bid, ask = (
            black(forward, strike, (VOL + half) * sqrt(tte), is_call) / forward
            for half in (-0.0025, 0.0025)
        )
        changes[name.replace("-", "_")] = {
            "bid_price": bid, "ask_price": ask, "underlying_price": forward,
        }  # fmt: skip
    settings = coin_settings(tmp_path_factory.mktemp("moving"))
    record(settings.recordings_path, "BTC", LATE, **changes)
    return fill_coins(settings)[0]


def test_each_quote_is_valued_at_its_own_underlying_and_all_have_one_forward(lake):
    """R207: one forward per expiry; the raw rows keep what they were paired with."""
    quotes = lake.read("option_quotes", [COINS_DAY]).filter("is_liquid", "is_out_of_the_money")
    assert np.abs(quotes["iv_mid"].to_numpy() - VOL).max() < 1e-3
    assert (
        quotes.group_by("expiration_date").agg(pl.col("forward").n_unique())["forward"].max() == 1
    )
    valued = quotes["unit_value"] / quotes["forward"] - 1.0
    assert valued.abs().max() > 0.9 * MOVE
    raw = lake.read("raw_options_chains", [COINS_DAY])
    assert raw["underlying_price"].n_unique() == 60


def test_parity_holds_at_the_median_underlying(lake):
    forwards = lake.read("implied_forwards", [COINS_DAY]).sort("expiration_date")
    raw = lake.read("raw_options_chains", [COINS_DAY])
    middle = raw.group_by("expiration_date").agg(pl.col("underlying_price").median())
    expected = middle.sort("expiration_date")["underlying_price"]
    assert (forwards["forward"] / expected - 1.0).abs().max() < 2e-5


def test_dollars_stay_dollars_and_a_coin_without_underlying_is_worth_nothing_known():
    keys = {"symbol": "X", "quote_date": COINS_DAY, "snapshot": "0730", "root": "X",
            "expiration_date": COINS_DAY}  # fmt: skip
    price = {"underlying_price": None, "index_price": None, "forward": 100.0}
    rows = [
        keys | price | {"price_unit": "coin"},
        keys | price | {"price_unit": "USD", "root": "Y"},
    ]
    schema = {"underlying_price": pl.Float64, "index_price": pl.Float64}
    found = with_unit_value(with_underlying(pl.DataFrame(rows, schema_overrides=schema)))
    assert found["worth"].to_list() == [None, 1.0]
    assert found["unit_value"].to_list() == [100.0, 1.0]
    alone = with_underlying(pl.DataFrame(rows[1:], schema_overrides=schema))
    assert alone.select("worth", "drift").rows() == [(1.0, 1.0)]
