"""Vols and greeks of chains made by hand, whose vols are known and whose greeks are slopes."""

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import (
    DAY,
    RATE,
    SPOT,
    YIELD,
    alter,
    bars,
    expiry,
    flat_curve,
    in_days,
    is_contract,
    lake_of,
    years_to,
)
from volsurf_assets.quotes import option_quotes
from volsurf_math.american import american_price
from volsurf_math.black import undiscounted_price
from volsurf_resources.exchange_calendar import previous_session
from volsurf_tables.quotes import OPTION_QUOTES

TABLES = ["implied_forwards", "option_quotes"]
NAN = float("nan")


def smile(k):
    return 0.2 - 0.1 * k + 0.4 * k**2


def quotes_of(home, chain, *others):
    lake, _ = lake_of(home, chain, *others, only=TABLES)
    return lake.read("option_quotes")


@pytest.fixture(scope="module")
def quotes(tmp_path_factory):
    chain = pl.concat([expiry(in_days(n), smile, half_share=0.02) for n in (10, 60, 400)])
    return quotes_of(tmp_path_factory.mktemp("european"), chain)


def premium(spot, strike, tte, vol, rate, is_call, carry=None):
    """Black's premium on a spot that grows at `carry` (rate less yield unless given)."""
    forward = spot * np.exp((rate - YIELD if carry is None else carry) * tte)
    return np.exp(-rate * tte) * undiscounted_price(forward, strike, vol**2 * tte, is_call)


def test_the_vols_behind_bid_mid_and_ask_come_back(quotes):
    strike, tte = quotes["strike"].to_numpy(), quotes["tte_years"].to_numpy()
    is_call = (quotes["option_type"] == "CALL").to_numpy()
    truth = smile(np.log(strike / (SPOT * np.exp((RATE - YIELD) * tte))))
    assert quotes["iv_mid"].to_numpy() == pytest.approx(truth, abs=1e-6)
    for side in ("bid", "ask"):
        solved = quotes.filter(pl.col(f"iv_{side}").is_not_null())
        rows = quotes[f"iv_{side}"].is_not_null().to_numpy()
        price = premium(
            SPOT, strike[rows], tte[rows], solved[f"iv_{side}"].to_numpy(), RATE, is_call[rows]
        )
        assert price == pytest.approx(solved[side].to_numpy(), rel=1e-6, abs=1e-9)
    assert quotes.filter("is_out_of_the_money")["iv_bid"].is_not_null().all()
    w = quotes["iv_mid"].to_numpy() ** 2 * tte
    assert quotes["total_variance"].to_numpy() == pytest.approx(w, rel=1e-14)
    assert set(quotes["iv_status"]) == {"solved"}
    assert quotes["early_exercise_premium"].unique().to_list() == [0.0]


def test_greeks_are_the_slopes_of_the_premium(quotes):
    strike, tte, vol = (quotes[n].to_numpy() for n in ("strike", "tte_years", "iv_mid"))
    is_call = (quotes["option_type"] == "CALL").to_numpy()

    def slope(which, h):
        at = {"spot": SPOT, "tte": tte, "vol": vol, "rate": RATE}
        up, down = (
            premium(strike=strike, is_call=is_call, **(at | {which: at[which] + step}))
            for step in (h, -h)
        )
        return (up - down) / (2.0 * h)

    def bend(h):
        up, mid, down = (
            premium(SPOT + step, strike, tte, vol, RATE, is_call) for step in (h, 0.0, -h)
        )
        return (up - 2.0 * mid + down) / h**2

    assert quotes["delta"].to_numpy() == pytest.approx(slope("spot", 1e-3), abs=1e-6)
    assert quotes["gamma"].to_numpy() == pytest.approx(bend(2e-2), rel=1e-3, abs=1e-6)
    assert quotes["vega"].to_numpy() == pytest.approx(slope("vol", 1e-5), rel=1e-5, abs=1e-6)
    assert quotes["rho"].to_numpy() == pytest.approx(slope("rate", 1e-5), rel=1e-4, abs=1e-5)
    assert quotes["theta"].to_numpy() == pytest.approx(-slope("tte", 1e-6), rel=1e-4, abs=1e-5)


def test_delta_of_calls_less_puts_is_the_discounted_growth_of_the_spot(quotes):
    sides = quotes.pivot("option_type", index=["tte_years", "strike"], values=["delta", "gamma"])
    tte = sides["tte_years"].to_numpy()
    apart = (sides["delta_CALL"] - sides["delta_PUT"]).to_numpy()
    assert apart == pytest.approx(np.exp(-YIELD * tte), rel=1e-6)
    assert sides["gamma_CALL"].to_numpy() == pytest.approx(sides["gamma_PUT"].to_numpy(), rel=1e-6)


def test_options_at_the_money_decay_and_deep_puts_may_grow(quotes):
    near = quotes.filter(pl.col("log_moneyness").abs() < 0.03)
    assert (near["theta"] < 0.0).all()
    deep = quotes.filter(
        pl.col("option_type") == "PUT", pl.col("strike") == 120.0, pl.col("tte_years") < 0.1
    )
    assert (deep["theta"] > 0.0).all()  # interest on the strike outweighs the time value


def test_mid_stands_wherever_both_sides_are_quoted(tmp_path):
    chain = expiry(in_days(30))
    for strike, named in {
        90.0: {"bid": 1.0, "ask": 9.0}, 92.0: {"bid": 0.0}, 94.0: {"ask": None},
    }.items():  # fmt: skip
        chain = alter(chain, is_contract("PUT", strike), **named)
    quotes = quotes_of(tmp_path, chain)
    two_sided = (pl.col("bid") > 0.0) & (pl.col("ask") >= pl.col("bid"))
    both = quotes.filter(two_sided)
    assert both.height == chain.height - 2
    assert both["mid"].to_list() == ((both["bid"] + both["ask"]) / 2.0).to_list()
    assert quotes.filter(~two_sided.fill_null(False))["mid"].is_null().all()


@pytest.mark.parametrize(
    ("prices", "reason"),
    [
        ({"bid": -1.0}, "price_positive"),
        ({"ask": -1.0}, "price_positive"),
        ({"bid": 9.0}, "bid_not_above_ask"),
        ({"bid": 0.0}, "not_two_sided"),
        ({"bid": None, "ask": None}, "no_quote"),
        ({"bid": NAN}, "not_two_sided"),
        ({"ask": NAN}, "not_two_sided"),
        ({"bid": 150.0, "ask": 151.0}, "no_iv"),
        ({"strike": 0.0}, "strike_positive"),
    ],
    ids=str,
)
def test_a_bad_quote_has_no_vol_but_a_reason_and_leaves_the_others(tmp_path, prices, reason):
    chain = expiry(in_days(30))
    bad = is_contract("CALL", 106.0)
    name = chain.filter(bad)["contract_id"].item()
    quotes = quotes_of(tmp_path, alter(chain, bad, **prices))
    assert quotes.height == chain.height
    row = quotes.filter(pl.col("contract_id") == name).row(0, named=True)
    for column in ("iv_bid", "iv_mid", "iv_ask", "total_variance", "vega"):
        assert row[column] is None, column
    assert not row["is_liquid"]
    assert reason in row["reject_reason"]
    assert row["iv_status"] != "solved"
    others = quotes.filter(pl.col("contract_id") != name)
    assert others["iv_mid"].to_numpy() == pytest.approx(0.2, abs=1e-6)


def test_vendor_values_are_never_overwritten(tmp_path):
    chain = expiry(in_days(30), vendor_iv=0.5, vendor_delta=0.25)
    lake, _ = lake_of(tmp_path, chain, only=TABLES)
    raw = lake.read("raw_options_chains")
    assert set(raw["vendor_iv"]) == {0.5}
    assert set(raw["vendor_delta"]) == {0.25}
    own = lake.read("option_quotes").join(raw, on="contract_id")
    assert own.height == chain.height
    assert own["iv_mid"].to_numpy() == pytest.approx(0.2, abs=1e-6)


def american_put(expiration=None, **named):
    """An American expiry without dividends: forward at the rate."""
    expiration = expiration or in_days(180)

    def price(strike, tte, forward, vol, is_call):
        return american_price(SPOT, strike, tte, RATE, forward, vol, is_call)

    forward = SPOT * np.exp(RATE * years_to(expiration))
    return expiry(
        expiration, 0.25, symbol="SPY", exercise_style="american", forward=forward, price=price,
        **named,
    )  # fmt: skip


def test_early_exercise_is_taken_off_before_solving(tmp_path):
    quotes = quotes_of(tmp_path, american_put()).filter(pl.col("iv_mid").is_not_null())
    assert quotes["iv_mid"].to_numpy() == pytest.approx(0.25, abs=2e-4)
    strike, tte, removed = (
        quotes[n].to_numpy() for n in ("strike", "tte_years", "early_exercise_premium")
    )
    is_call = (quotes["option_type"] == "CALL").to_numpy()
    forward = SPOT * np.exp(RATE * tte)
    worth = american_price(SPOT, strike, tte, RATE, forward, 0.25, is_call)
    european = np.exp(-RATE * tte) * undiscounted_price(forward, strike, 0.25**2 * tte, is_call)
    assert removed == pytest.approx(worth - european, abs=2e-3)
    assert removed[is_call] == pytest.approx(0.0, abs=1e-6)  # no dividend, no reason to exercise
    assert (np.diff(removed[~is_call]) > 0.0).all()  # the deeper, the more


def test_vols_of_american_quotes_stand_in_order(tmp_path):
    quotes = quotes_of(tmp_path, american_put(half_share=0.02)).drop_nulls(["iv_bid", "iv_ask"])
    assert quotes.height > 30
    assert (quotes["iv_bid"] < quotes["iv_mid"]).all()
    assert (quotes["iv_mid"] < quotes["iv_ask"]).all()


def test_american_quotes_without_spot_are_still_solved(tmp_path):
    quotes = quotes_of(tmp_path, american_put(underlying_price=0.0))
    near = quotes.filter(pl.col("log_moneyness").abs() < 0.05)
    assert near["iv_mid"].to_numpy() == pytest.approx(0.25, abs=0.01)
    assert near["delta"].is_null().all()


def test_expired_contracts_have_no_vol(tmp_path):
    chain = pl.concat([expiry(in_days(-1)), expiry(in_days(30))])
    quotes = quotes_of(tmp_path, chain).filter(pl.col("expiration_date") < DAY)
    assert quotes["iv_mid"].is_null().all()
    assert quotes["reject_reason"].str.contains("expired").all()


def test_an_empty_chain_gives_an_empty_table(tmp_path):
    lake, settings = lake_of(tmp_path, expiry(in_days(30)), only=[])
    session = option_quotes.session(lake, settings, previous_session(DAY))
    assert option_quotes.compute(session).equals(OPTION_QUOTES.schema.to_frame())


def test_time_to_expiry_is_each_rows_own(tmp_path):
    chain = expiry(in_days(30))
    earlier = datetime(2026, 11, 18, 20, 59, tzinfo=UTC)
    quotes = quotes_of(tmp_path, alter(chain, is_contract("PUT", 90.0), quote_time=earlier))
    tte = quotes.filter(is_contract("PUT", 90.0))["tte_years"].item()
    assert tte - quotes.filter(is_contract("PUT", 92.0))["tte_years"].item() == pytest.approx(
        60.0 / (365 * 86_400), rel=1e-6
    )


def test_rows_in_another_order_and_other_symbols_change_nothing(tmp_path):
    index, fund = expiry(in_days(30), smile), american_put()
    both = pl.concat([index, fund]).sample(fraction=1.0, shuffle=True, seed=3)
    paid = bars([SPOT, SPOT], symbol="SPX", dividend=[1.0, 0.0])  # not the fund's
    quotes = quotes_of(tmp_path / "both", both, flat_curve(), paid)
    alone = quotes_of(tmp_path / "alone", fund)
    assert quotes.filter(pl.col("symbol") == "SPY").equals(alone)
