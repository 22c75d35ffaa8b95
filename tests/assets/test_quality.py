"""Every rule of a single row: what breaks it, what just keeps it, and that nothing is deleted."""

from datetime import timedelta

import polars as pl
import pytest

from tests.assets.handmade import DAY, alter, expiry, in_days, is_contract, lake_of
from tests.assets.pipeline import settings_of
from volsurf_assets.quality import (
    MID,
    broken,
    chain_rules,
    is_usable,
    liquidity_rules,
    vol_rules,
)
from volsurf_resources.exchange_calendar import previous_session, session_close

YESTERDAY = session_close(previous_session(DAY))
NAN = float("nan")


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return settings_of(tmp_path_factory.mktemp("home"))


def one_row(**changes):
    """A quote of 9.95 at 10.05 that keeps every rule, changed."""
    row = expiry(in_days(30), strikes=[100.0]).head(1)
    return alter(row, pl.lit(True), **({"bid": 9.95, "ask": 10.05} | changes))


# rule: (what breaks it, what just keeps it)
CHAIN = {
    "price_positive": ({"bid": -0.01}, {"bid": 0.0}),
    "bid_not_above_ask": ({"bid": 10.06}, {"bid": 10.05}),
    "no_quote": ({"bid": 0.0, "ask": 0.0}, {"bid": 0.0, "ask": 0.05}),
    "one_sided": ({"bid": 0.0}, {"bid": 0.0, "ask": 0.0}),
    "spread_unusable": ({"bid": 2.99, "ask": 5.01}, {"bid": 3.0, "ask": 5.0}),
    "spread_wide": ({"bid": 9.0, "ask": 11.0}, {"bid": 9.01, "ask": 11.0}),
    "strike_positive": ({"strike": 0.0}, {"strike": 0.01}),
    "ambiguous_root": ({"root": ""}, {"root": "SPXW"}),
    "adjusted_contract": ({"is_adjusted": True}, {"is_adjusted": None}),
    "expired": ({"expiration_date": in_days(-1)}, {"expiration_date": DAY}),
    "stale": ({"quote_time": YESTERDAY}, {"quote_time": YESTERDAY + timedelta(hours=10)}),
    "mark_outside_quote": ({"mark": 10.06}, {"mark": 10.05}),
    "underlying_positive": ({"underlying_price": 0.0}, {"underlying_price": None}),
}


@pytest.mark.parametrize("name", CHAIN)
def test_a_chain_rule_finds_what_breaks_it_and_passes_what_keeps_it(name, settings):
    rule = next(rule for rule in chain_rules(settings) if rule.name == name)
    breaks, keeps = CHAIN[name]
    (found,) = rule.issues(one_row(**breaks)).iter_rows(named=True)
    assert found["rule"] == name
    assert found["severity"] == rule.severity
    assert rule.issues(one_row(**keeps)).is_empty()
    is_excluded = not one_row(**breaks).select(is_usable(settings)).item()
    assert is_excluded or rule.severity != "error"


def test_every_chain_rule_has_its_case(settings):
    names = {rule.name for rule in chain_rules(settings)}
    assert names == {*CHAIN, "duplicate_contract"}
    assert one_row().select(broken(chain_rules(settings))).item() is None


def test_a_contract_quoted_twice_is_a_duplicate_and_other_contracts_are_none(settings):
    (rule,) = [rule for rule in chain_rules(settings) if rule.name == "duplicate_contract"]
    row = one_row()
    again = row.with_columns(contract_id=pl.col("contract_id") + "#2", bid=pl.lit(9.90))
    found = rule.issues(pl.concat([row, again]))
    assert found["contract_id"].to_list() == [row["contract_id"][0], again["contract_id"][0]]
    assert found["value"].to_list() == [2.0, 2.0]
    other = alter(row, pl.lit(True), contract_id=row["contract_id"][0].replace("C", "P"))
    later = row.with_columns(snapshot=pl.lit("1500"))
    assert rule.issues(pl.concat([row, other, later])).is_empty()


@pytest.mark.parametrize(
    "prices",
    [
        {"bid": None}, {"ask": None}, {"bid": None, "ask": None}, {"bid": NAN}, {"ask": NAN},
        {"bid": NAN, "ask": NAN}, {"ask": float("inf")}, {"bid": 0.0}, {"bid": 10.06},
        {"ask": -1.0},
    ],
    ids=str,
)  # fmt: skip
def test_prices_that_are_none_are_never_usable_and_are_named(prices, settings):
    row = one_row(**prices)
    assert row.select(is_usable(settings)).item() is False
    assert row.select(broken(chain_rules(settings))).item() is not None


# rule: (what breaks it, what just keeps it), R116 and R276
VOL = {
    "iv_too_low": (0.0499, 0.05),
    "iv_too_high": (2.001, 2.0),
    "iv_unsolvable": (None, 0.2),
}


@pytest.mark.parametrize("name", VOL)
def test_a_vol_rule_finds_what_breaks_it_and_passes_what_keeps_it(name, settings):
    (rule,) = [rule for rule in vol_rules(settings) if rule.name == name]
    for iv, count in zip(VOL[name], (1, 0), strict=True):
        row = one_row().with_columns(
            iv_mid=pl.lit(iv, pl.Float64),
            price=pl.lit(10.0),
            is_tradable=pl.lit(True),
            is_out_of_the_money=pl.lit(True),
        )
        assert rule.issues(row).height == count
    assert {rule.name for rule in vol_rules(settings)} == set(VOL)


# rule: (what breaks it, what just keeps it), R030 to R033
LIQUIDITY = {
    "open_interest": ({"open_interest": 50.0}, {"open_interest": 51.0}),
    "volume": ({"volume": 0.0}, {"volume": 1.0}),
    "dte_low": ({"expiration_date": in_days(6)}, {"expiration_date": in_days(7)}),
    "dte_high": ({"expiration_date": in_days(731)}, {"expiration_date": in_days(730)}),
    "moneyness_low": ({"spot": 91.0, "strike": 130.0}, {"spot": 91.0, "strike": 129.99}),
    "moneyness_high": ({"spot": 91.0, "strike": 70.0}, {"spot": 91.0, "strike": 70.01}),
}


@pytest.mark.parametrize("name", LIQUIDITY)
def test_a_liquidity_limit_holds_to_the_last_step(name, settings):
    for changes, expected in zip(LIQUIDITY[name], (name, None), strict=True):
        row = alter(one_row().with_columns(spot=pl.lit(100.0)), pl.lit(True), **changes)
        assert row.select(broken(liquidity_rules(settings))).item() == expected
    assert {rule.name for rule in liquidity_rules(settings)} == set(LIQUIDITY)


def test_open_interest_and_volume_that_nobody_knows_pass(settings):
    row = one_row(open_interest=None, volume=None).with_columns(spot=pl.lit(100.0))
    assert row.select(broken(liquidity_rules(settings))).item() is None


@pytest.fixture(scope="module")
def filtered(tmp_path_factory):
    """One expiry on each side of the limits of time, and a contract on each of every other."""
    chain = pl.concat([expiry(in_days(n), 0.6) for n in (6, 7, 30, 730, 731)])
    here = pl.col("expiration_date") == in_days(30)
    changes = {
        90.0: {"open_interest": 50.0},
        92.0: {"open_interest": 51.0},
        94.0: {"volume": 0.0},
        96.0: {"volume": 1.0},
        98.0: {"open_interest": None, "volume": None},
        102.0: {"bid": MID * (1.0 - 0.0995), "ask": MID * (1.0 + 0.0995)},  # 19.9 % of the mid
        104.0: {"bid": MID * (1.0 - 0.1005), "ask": MID * (1.0 + 0.1005)},  # 20.1 %
        106.0: {"bid": None},
        108.0: {"bid": 0.0, "open_interest": 3.0},
    }
    for strike, named in changes.items():
        chain = alter(chain, here & is_contract("CALL", strike), **named)
    lake, _ = lake_of(
        tmp_path_factory.mktemp("filtered"), chain, only=["implied_forwards", "option_quotes"]
    )
    return chain, lake.read("option_quotes")


def test_the_filter_marks_and_never_deletes(filtered):
    chain, quotes = filtered
    same = ["contract_id", "bid", "ask", "volume", "open_interest"]
    assert quotes.select(same).sort("contract_id").equals(chain.select(same).sort("contract_id"))
    assert (quotes["is_liquid"] == quotes["reject_reason"].is_null()).all()
    assert 0.5 < quotes["is_liquid"].mean() < 0.95


@pytest.mark.parametrize(
    ("strike", "reason"),
    [
        (88.0, None), (90.0, "open_interest"), (92.0, None), (94.0, "volume"), (96.0, None),
        (98.0, None), (102.0, None), (104.0, "spread_wide"), (106.0, "not_two_sided;no_iv"),
        (108.0, "not_two_sided;open_interest;no_iv"),
    ],
)  # fmt: skip
def test_a_rejected_quote_says_why(filtered, strike, reason):
    row = filtered[1].filter(pl.col("expiration_date") == in_days(30), is_contract("CALL", strike))
    assert row["reject_reason"].item() == reason
    assert row["is_liquid"].item() is (reason is None)


@pytest.mark.parametrize(
    ("days", "reason"), [(6, "dte_low"), (7, None), (730, None), (731, "dte_high")]
)
def test_days_to_expiry_from_7_to_730_are_fit_for_fitting(filtered, days, reason):
    rows = filtered[1].filter(pl.col("expiration_date") == in_days(days))
    assert rows["reject_reason"].unique().to_list() == [reason]
