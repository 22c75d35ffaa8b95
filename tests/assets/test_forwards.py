"""Forwards of chains made by hand, whose forward and discount factor are known."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import (
    DAY,
    RATE,
    SPOT,
    STRIKES,
    alter,
    bars,
    carry_forward,
    expiry,
    flat_curve,
    in_days,
    is_contract,
    lake_of,
    years_to,
)
from volsurf_assets.dividends import Dividends, expected_dividends
from volsurf_assets.forwards import implied_forwards
from volsurf_assets.spots import spot_of_quotes
from volsurf_math.american import american_price
from volsurf_resources.exchange_calendar import previous_session
from volsurf_tables.market import MARKET_RATES
from volsurf_tables.quotes import IMPLIED_FORWARDS

NEW_YORK = ZoneInfo("America/New_York")
NO_CURVE = flat_curve().clear()
CLOSE_STRIKES = np.arange(80.0, 121.0, 0.5)


def forwards_of(home, chain, *others, **settings):
    lake, _ = lake_of(home, chain, *others, only=["implied_forwards"], settings=settings)
    return lake.read("implied_forwards").sort("root", "expiration_date")


def only(frame):
    (row,) = frame.iter_rows(named=True)
    return row


def test_a_european_chain_gives_its_forward_and_discount_factor_back(tmp_path):
    days = [in_days(n) for n in (7, 30, 180, 720)]
    found = forwards_of(tmp_path, pl.concat([expiry(day) for day in days]))
    tte = np.array([years_to(day) for day in days])
    assert found["tte_years"].to_numpy() == pytest.approx(tte, rel=1e-14)
    assert found["forward"].to_list() == pytest.approx([carry_forward(t) for t in tte], rel=1e-9)
    assert found["discount_factor"].to_numpy() == pytest.approx(np.exp(-RATE * tte), rel=1e-9)
    assert found["implied_rate"].to_list() == pytest.approx([RATE] * 4, rel=1e-6)
    assert found["implied_carry"].to_list() == pytest.approx([0.03] * 4, rel=1e-6)
    assert (found["forward_std_error"] < 1e-6).all()
    assert found["discount_factor_std_error"].is_not_null().all()
    assert found["parity_gap_half_spreads"].max() < 1e-6
    assert found["spot"].to_list() == [SPOT] * 4
    assert set(found["method"]) == {"parity_regression"}
    assert set(found["status"]) == {"estimated"}
    assert found["reason"].is_null().all()


def test_quotes_tell_the_rate_even_where_the_curve_says_something_else(tmp_path):
    chain = expiry(in_days(360), rate=RATE, forward=100.0)
    row = only(forwards_of(tmp_path, chain, flat_curve(RATE + 0.005)))
    assert row["implied_rate"] == pytest.approx(RATE, abs=1e-6)
    assert row["reason"] is None


def test_a_rate_far_from_the_curve_is_not_believed(tmp_path):
    row = only(forwards_of(tmp_path, expiry(in_days(360), forward=100.0), flat_curve(RATE + 0.02)))
    assert row["implied_rate"] == pytest.approx(RATE + 0.02, abs=1e-12)
    assert row["reason"] == "discount factor from the curve"
    assert row["discount_factor_std_error"] is None  # the curve states none


def test_morning_and_evening_roots_of_one_expiry_stay_apart(tmp_path):
    third_friday = date(2026, 12, 18)
    morning = expiry(third_friday, settlement="AM", forward=100.4)
    evening = expiry(third_friday, root="SPXW", forward=100.5)
    found = forwards_of(tmp_path, pl.concat([morning, evening]))
    assert found["root"].to_list() == ["SPX", "SPXW"]
    assert found["forward"].to_list() == pytest.approx([100.4, 100.5], rel=1e-9)
    opening = datetime(2026, 12, 18, 9, 30, tzinfo=NEW_YORK)
    closing = datetime(2026, 12, 18, 16, 0, tzinfo=NEW_YORK)
    assert found["expiry_time"].to_list() == [opening, closing]
    quoted = datetime(2026, 11, 18, 16, 0, tzinfo=NEW_YORK)
    seconds = [(t - quoted).total_seconds() for t in (opening, closing)]
    assert found["tte_years"].to_numpy() * 365 * 86_400 == pytest.approx(seconds, abs=1e-3)


def test_two_roots_that_settle_together_are_both_estimated(tmp_path):
    third_friday = date(2026, 12, 18)
    chain = pl.concat([expiry(third_friday), expiry(third_friday, root="SPXW")])
    assert forwards_of(tmp_path, chain)["status"].to_list() == ["estimated"] * 2


def test_time_to_expiry_counts_to_the_second_from_the_quotes_own_time(tmp_path):
    quoted = datetime(2026, 11, 18, 15, 45, 17, tzinfo=NEW_YORK)
    row = only(forwards_of(tmp_path, expiry(in_days(30), quote_time=quoted)))
    seconds = (datetime(2026, 12, 18, 16, tzinfo=NEW_YORK) - quoted).total_seconds()
    assert row["tte_years"] * 365 * 86_400 == pytest.approx(seconds, abs=1e-3)


def test_an_expiry_on_an_early_close_runs_to_one_o_clock(tmp_path):
    row = only(forwards_of(tmp_path, expiry(date(2026, 11, 27))))
    assert row["expiry_time"] == datetime(2026, 11, 27, 13, 0, tzinfo=NEW_YORK)


def test_the_forward_is_read_where_call_and_put_are_at_the_money(tmp_path):
    """What bends the line of far pairs hardly moves it: |delta| is 0.3 to 0.7 within 5 dollars."""
    chain = expiry(in_days(90), strikes=CLOSE_STRIKES)
    bend = pl.when(pl.col("option_type") == "CALL").then(2e-4 * (pl.col("strike") - 100.0) ** 2)
    moved = {side: pl.col(side) + bend.otherwise(0.0) for side in ("bid", "ask")}
    row = only(forwards_of(tmp_path, alter(chain, pl.lit(True), **moved)))
    right = only(forwards_of(tmp_path / "right", chain))
    assert 0.0 < row["forward"] - right["forward"] < 2e-3  # over two deviations it is 1.1e-2
    assert row["n_pairs"] == right["n_pairs"] == 21


def test_a_wrong_pair_is_left_out(tmp_path):
    chain = expiry(in_days(90))
    wrong = alter(chain, is_contract("CALL", 100.0), bid=pl.col("bid") + 2, ask=pl.col("ask") + 2)
    row = only(forwards_of(tmp_path, wrong))
    right = only(forwards_of(tmp_path / "right", chain))
    assert row["n_pairs"] == right["n_pairs"] - 1
    assert (row["n_left_out"], right["n_left_out"]) == (1, 0)
    assert row["forward"] == pytest.approx(right["forward"], rel=1e-9)


@pytest.mark.parametrize(
    "spoilt",
    [{"bid": 50.0}, {"bid": None}, {"is_adjusted": True}, {"bid": -1.0},
     {"quote_time": datetime(2026, 11, 17, 21, tzinfo=UTC)}],
    ids=str,
)  # fmt: skip
def test_unusable_quotes_take_no_part(tmp_path, spoilt):
    chain = expiry(in_days(90), strikes=CLOSE_STRIKES)
    one = alter(chain, is_contract("PUT", 100.0), **spoilt)
    row, right = only(forwards_of(tmp_path, one)), only(forwards_of(tmp_path / "right", chain))
    assert row["n_pairs"] == right["n_pairs"] - 1
    assert row["forward"] == pytest.approx(right["forward"], rel=1e-9)
    assert row["tte_years"] == right["tte_years"]


DIVIDENDS = 0.45  # a quarter


def quarterly_bars(symbol="SPY", growth=1.0):
    """Of two years the bars with a dividend: third Fridays of the quarters' last months."""
    frame = bars(np.full(520, SPOT), symbol=symbol)
    paid = pl.col("quote_date").is_in(
        [date(2024, 12, 20), date(2025, 3, 21), date(2025, 6, 20), date(2025, 9, 19),
         date(2025, 12, 19), date(2026, 3, 20), date(2026, 6, 18), date(2026, 9, 18)]
    )  # fmt: skip
    recent = pl.col("quote_date") > date(2025, 11, 19)
    amount = pl.when(recent).then(DIVIDENDS * growth).otherwise(DIVIDENDS)
    return frame.filter(paid).with_columns(dividend=amount)


def american(expiration, vol=0.2, **named):
    """An American expiry whose forward is that of the dividends that will be paid."""
    tte = years_to(expiration)
    projected = expected_dividends(quarterly_bars(), "SPY", DAY)
    due = projected.times <= tte
    worth = SPOT - (projected.amounts[due] * np.exp(-RATE * projected.times[due])).sum()

    def price(strike, tte, forward, vol, is_call):
        return american_price(
            SPOT, strike, tte, RATE, forward, vol, is_call, projected.times, projected.amounts
        )

    return expiry(
        expiration, vol, symbol="SPY", exercise_style="american", price=price,
        forward=worth * np.exp(RATE * tte), **named
    )  # fmt: skip


def test_an_american_chain_with_dividends_gives_its_forward_back(tmp_path):
    days = [in_days(n) for n in (30, 121, 394)]
    chain = pl.concat([american(day) for day in days])
    found = forwards_of(tmp_path, chain, flat_curve(), quarterly_bars())
    tte = np.array([years_to(day) for day in days])
    assert set(found["method"]) == {"parity_american"}
    assert found["discount_factor"].to_numpy() == pytest.approx(np.exp(-RATE * tte), rel=1e-12)
    assert found["forward_std_error"].is_not_null().all()
    projected = expected_dividends(quarterly_bars(), "SPY", DAY)
    for row in found.iter_rows(named=True):
        due = projected.times <= row["tte_years"]
        escrow = (projected.amounts[due] * np.exp(-RATE * projected.times[due])).sum()
        truth = (SPOT - escrow) * np.exp(RATE * row["tte_years"])
        assert row["forward"] == pytest.approx(truth, rel=2e-6)


@pytest.mark.parametrize("sessions", [0, 200, 252])
def test_dividends_nobody_knows_of_make_the_forward_a_fallback(tmp_path, sessions):
    """Its error bars cannot say how wrong it may be."""
    history = bars([SPOT] * 252, symbol="SPY").tail(sessions)
    ends = history.filter(pl.col("quote_date").is_in([history["quote_date"].min(), DAY]))
    row = only(forwards_of(tmp_path, american(in_days(60)), flat_curve(), ends))
    assert row["method"] == "parity_american"
    assert row["status"] == ("estimated" if sessions == 252 else "fallback")
    unknown = "less than a year of dividends known"
    assert row["reason"] == (None if sessions == 252 else unknown)


def test_without_a_curve_early_exercise_is_ignored_and_said_so(tmp_path):
    row = only(forwards_of(tmp_path, american(in_days(60)), NO_CURVE, quarterly_bars()))
    assert row["status"] == "fallback"
    assert row["reason"] == "no curve or no spot: early exercise ignored"
    assert row["forward"] == pytest.approx(SPOT, rel=0.01)


def test_a_thin_expiry_takes_the_carry_of_its_neighbours(tmp_path):
    thin = expiry(in_days(60)).filter(pl.col("option_type") == "CALL")
    chain = pl.concat([expiry(in_days(30)), thin, expiry(in_days(90))])
    found = forwards_of(tmp_path, chain)
    row = found.row(1, named=True)
    assert (row["method"], row["status"], row["n_pairs"]) == ("carry", "fallback", 0)
    assert row["reason"] == "0 usable pairs: too_few_pairs; carry of the other expiries"
    assert row["forward"] == pytest.approx(carry_forward(row["tte_years"]), rel=1e-9)


def test_one_expiry_of_one_side_only_is_carried_at_the_curves_rate(tmp_path):
    calls = expiry(in_days(60)).filter(pl.col("option_type") == "CALL")
    row = only(forwards_of(tmp_path, calls))
    assert (row["method"], row["status"]) == ("carry", "fallback")
    assert row["reason"].endswith("carry at the curve's rate, no dividends")
    assert row["forward"] == pytest.approx(SPOT * np.exp(RATE * row["tte_years"]), rel=1e-12)


@pytest.mark.parametrize("spot", [None, 0.0, -1.0])
def test_pairs_need_no_underlying_price(tmp_path, spot):
    chain = expiry(in_days(60), underlying_price=spot)
    row = only(forwards_of(tmp_path, chain))
    assert row["status"] == "estimated"
    assert row["spot"] is None
    assert row["implied_carry"] is None


NEAR = [in_days(n) for n in (2, 7, 9, 14, 21, 28, 35)]


@pytest.mark.parametrize("told", [SPOT - 0.05, SPOT, SPOT + 0.3])
def test_the_spot_is_that_of_the_quotes_whatever_minute_the_price_told_is_of(tmp_path, told):
    """Five basis points between them would be 9 % of carry a year for an expiry of two days."""
    chain = pl.concat([expiry(day, underlying_price=told) for day in NEAR])
    found = forwards_of(tmp_path, chain)
    assert set(found["quoted_spot"]) == {told}
    assert found["spot"].to_numpy() == pytest.approx(SPOT, rel=1e-9)
    assert found["implied_carry"].to_numpy() == pytest.approx(0.03, abs=1e-5)


def test_few_expiries_do_not_tell_the_spot(tmp_path):
    chain = pl.concat([expiry(day, underlying_price=99.9) for day in NEAR[:4]])
    assert set(forwards_of(tmp_path, chain)["spot"]) == {99.9}


def test_dividends_and_an_odd_expiry_do_not_move_the_spot():
    """Forwards net of dividends, one of them off; amounts known to a tenth leave 4 bp open."""
    times, amounts = np.array([0.03, 0.09]), np.array([0.4, 0.1])
    dividends = Dividends(times, amounts, 0.1 * amounts, is_year_known=True)
    rows = []
    for n, tte in enumerate(np.array([2, 5, 9, 14, 21, 28, 40]) / 365):
        escrow = amounts[times <= tte] @ np.exp(-RATE * times[times <= tte])
        forward = (SPOT - escrow) * np.exp(RATE * tte) * (1.003 if n == 3 else 1.0)
        rows.append({"tte_years": tte, "forward": forward, "discount_factor": np.exp(-RATE * tte)})
    assert spot_of_quotes(0.998 * SPOT, rows, dividends) == pytest.approx(SPOT, rel=1e-9)
    assert spot_of_quotes(0.9995 * SPOT, rows, dividends) == 0.9995 * SPOT
    assert spot_of_quotes(None, rows, dividends) is None


def test_the_days_close_stands_in_for_an_underlying_price(tmp_path):
    chain = expiry(in_days(60), underlying_price=0.0)
    row = only(forwards_of(tmp_path, chain, flat_curve(), bars([99.0, 101.5])))
    assert row["spot"] == 101.5


@pytest.mark.parametrize(
    ("spot", "curve", "reason"),
    [(None, flat_curve(), "no underlying price"), (SPOT, NO_CURVE, "no curve")],
)
def test_where_nothing_helps_the_forward_fails_with_its_reason(tmp_path, spot, curve, reason):
    chain = expiry(in_days(60), underlying_price=spot)
    row = only(forwards_of(tmp_path, chain.filter(pl.col("option_type") == "PUT"), curve))
    assert row["status"] == "failed"
    assert reason in row["reason"]
    assert row["forward"] is None


def test_an_expired_contract_fails_and_leaves_the_others(tmp_path):
    found = forwards_of(tmp_path, pl.concat([expiry(in_days(-1)), expiry(in_days(30))]))
    assert found["status"].to_list() == ["failed", "estimated"]
    assert found["reason"].to_list() == ["expired", None]


def test_an_expiry_at_the_moment_of_the_quote_is_expired(tmp_path):
    assert only(forwards_of(tmp_path, expiry(DAY, price=lambda *_: 1.0)))["reason"] == "expired"


def test_an_empty_chain_gives_an_empty_table(tmp_path):
    lake, settings = lake_of(tmp_path, expiry(in_days(30)), only=[])
    day_before = previous_session(DAY)
    assert implied_forwards.compute(implied_forwards.session(lake, settings, day_before)).equals(
        IMPLIED_FORWARDS.schema.to_frame()
    )


def test_dividends_of_the_last_year_are_expected_again():
    found = expected_dividends(quarterly_bars(), "SPY", DAY)
    first = (date(2026, 12, 18) - DAY).days - 6.5 / 24.0
    assert found.times.min() == pytest.approx(first / 365.0)
    assert found.times.size == 12
    assert set(found.amounts) == {DIVIDENDS}


@pytest.mark.parametrize(
    ("day", "coming"),
    [(date(2024, 12, 19), date(2024, 12, 20)), (date(2024, 12, 20), date(2025, 12, 19)),
     (date(2026, 6, 17), date(2026, 6, 18))],
)  # fmt: skip
def test_a_third_friday_comes_again_as_a_third_friday(day, coming):
    """53 weeks after that of 2023; two days before the Juneteenth that it would fall on."""
    ex_days = [date(2023, 12, 15), date(2024, 12, 20), date(2025, 6, 20)]
    history = bars([SPOT] * 900, last=day, symbol="SPY")
    history = history.with_columns(dividend=pl.col("quote_date").is_in(ex_days).cast(pl.Float64))
    found = expected_dividends(history, "SPY", day)
    assert found.times.min() == pytest.approx(((coming - day).days - 6.5 / 24.0) / 365.0)


def test_a_dividend_that_is_late_is_due_tomorrow_and_given_up_at_last():
    history = quarterly_bars().filter(pl.col("quote_date") < date(2026, 9, 1))
    days = date(2026, 9, 22), date(2026, 10, 5)
    late, gone = (expected_dividends(history, "SPY", day) for day in days)
    assert late.times.min() == pytest.approx((1.0 - 6.5 / 24.0) / 365.0)
    assert gone.times.min() == pytest.approx(
        ((date(2026, 12, 18) - days[1]).days - 6.5 / 24.0) / 365.0
    )


def test_dividends_grow_as_they_last_grew_within_bounds():
    once = expected_dividends(quarterly_bars(growth=1.1), "SPY", DAY)
    assert sorted(set(once.amounts)) == pytest.approx([DIVIDENDS * 1.1**n for n in (2, 3, 4)])
    assert sorted(set(once.std_errors / once.amounts)) == pytest.approx(
        [np.hypot(0.1, 1.1**n - 1.0) for n in (1, 2, 3)]
    )
    wild = expected_dividends(quarterly_bars(growth=3.0), "SPY", DAY)
    assert wild.amounts.min() == pytest.approx(DIVIDENDS * 3.0 * 1.25)


def test_expected_dividends_use_nothing_after_the_day():
    history = quarterly_bars()
    for day in (date(2026, 9, 17), date(2026, 9, 18), date(2026, 9, 21)):
        known = history.filter(pl.col("quote_date") <= day)
        everything, truncated = (
            expected_dividends(frame, "SPY", day) for frame in (history, known)
        )
        assert everything.times.tolist() == truncated.times.tolist()
        assert everything.amounts.tolist() == truncated.amounts.tolist()


def test_dividends_of_another_symbol_are_not_expected():
    assert expected_dividends(quarterly_bars("QQQ"), "SPY", DAY).times.size == 0


def test_the_curve_is_linear_between_tenors_and_flat_beyond(tmp_path):
    curve = flat_curve().with_columns(zero_rate=pl.Series([0.02, 0.04, 0.05]))
    assert curve.schema == MARKET_RATES.schema
    day = DAY + timedelta(days=365)
    puts = expiry(day).filter(pl.col("option_type") == "PUT")
    near = expiry(in_days(7)).filter(pl.col("option_type") == "PUT")
    found = forwards_of(tmp_path, pl.concat([near, puts]), curve)
    at_year = 0.04 + (found["tte_years"][1] - 1.0) / 9.0 * 0.01
    assert found["implied_rate"].to_list() == pytest.approx([0.02, at_year], abs=1e-12)


def test_rows_in_another_order_give_the_same_content(tmp_path):
    chain = pl.concat([expiry(in_days(n)) for n in (30, 90)] + [american(in_days(60))])
    tables = [
        forwards_of(tmp_path / name, frame, flat_curve(), quarterly_bars())
        for name, frame in (("a", chain), ("b", chain.sample(fraction=1.0, shuffle=True, seed=1)))
    ]
    assert tables[0].equals(tables[1])
    assert STRIKES.size * 6 == chain.height


def test_symbols_of_one_day_do_not_influence_each_other(tmp_path):
    index, fund = expiry(in_days(30), forward=101.0), american(in_days(60), 0.3)
    both = forwards_of(tmp_path, pl.concat([index, fund]), flat_curve(), quarterly_bars())
    alone = forwards_of(tmp_path / "alone", fund, flat_curve(), quarterly_bars())
    assert both.filter(pl.col("symbol") == "SPY").equals(alone)
