"""What is wrong with a chain is found: every way in which the simulated market spoils quotes."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import (
    RATE,
    SPOT,
    alter,
    expiry,
    flat_curve,
    in_days,
    is_contract,
    lake_of,
    years_to,
)
from tests.assets.pipeline import simulated_lake
from volsurf_math.american import american_price
from volsurf_resources.simulated.dirt import Dirt

DAYS = [date(2025, 3, 10), date(2025, 8, 6)]
TABLES = ["implied_forwards", "option_quotes", "quote_issues"]
ARBITRAGE = {"vertical_executable", "butterfly_executable", "calendar_executable"}

# A violation at the same strike is one at the same moneyness only where forwards agree; else the
# price contradicts its own neighbours. Too low a vol may leave no time value at all.
FOUND_BY = {
    Dirt.NEGATIVE_PRICE: {"price_positive"},
    Dirt.CROSSED: {"bid_not_above_ask"},
    Dirt.NO_QUOTE: {"no_quote"},
    Dirt.WIDE_SPREAD: {"spread_wide"},
    Dirt.VERY_WIDE_SPREAD: {"spread_unusable"},
    Dirt.VERTICAL: {"vertical_executable"},
    Dirt.BUTTERFLY: {"butterfly_executable"},
    Dirt.CALENDAR: ARBITRAGE,
    Dirt.PARITY_GAP: {"parity_gap"},
    Dirt.VOL_TOO_HIGH: {"iv_too_high"},
    Dirt.VOL_TOO_LOW: {"iv_too_low", "iv_unsolvable"},
    Dirt.BELOW_INTRINSIC: {"vertical_executable"},
    Dirt.STALE: {"stale"},
    Dirt.CONFLICTING_DUPLICATE: {"duplicate_contract"},
    Dirt.EXPIRED: {"expired"},
    Dirt.ADJUSTED: {"adjusted_contract"},
}


def marked(lake, source):
    """Every spoilt contract with the rules that found it."""
    dirt = pl.concat(
        source.dirt_of("SPY", day).with_columns(quote_date=pl.lit(day)) for day in DAYS
    )
    rules = (
        lake.read("quote_issues")
        .with_columns(pl.col("contract_id").str.head(21))
        .group_by("quote_date", "contract_id")
        .agg(rules=pl.col("rule").unique())
    )
    return dirt.join(rules, on=["quote_date", "contract_id"], how="left").with_columns(
        pl.col("rules").fill_null([])
    )


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    lake, source = simulated_lake(tmp_path_factory.mktemp("dirty"), DAYS, dirt=0.04, only=TABLES)
    return lake, source, marked(lake, source)


@pytest.mark.parametrize("dirt", FOUND_BY)
def test_dirt_is_found_by_the_rule_made_for_it(dirty, dirt):
    spoilt = dirty[2].filter(pl.col("dirt") == dirt.value)
    if dirt is Dirt.PARITY_GAP:  # call and put spoilt alike keep parity
        pair = [pl.col("contract_id").str.head(12), pl.col("contract_id").str.tail(8)]
        spoilt = spoilt.filter(pl.struct("quote_date", pair[0], k=pair[1]).is_unique())
    is_found = spoilt["rules"].list.set_intersection(list(FOUND_BY[dirt])).list.len() > 0
    assert spoilt.height >= 20
    assert is_found.mean() >= 0.95, spoilt.filter(~is_found)


def test_every_kind_of_dirt_has_its_rule(dirty):
    assert {*FOUND_BY, Dirt.DUPLICATE} == set(Dirt)
    calendar = dirty[2].filter(pl.col("dirt") == Dirt.CALENDAR.value)
    assert calendar["rules"].list.contains("calendar_executable").mean() > 0.8


def test_exact_duplicates_are_dropped_and_nothing_else_is(dirty):
    lake, source, spoilt = dirty
    for day in DAYS:
        received = source.chain("SPY", day)
        stored = lake.read("raw_options_chains", [day])
        twice = spoilt.filter(pl.col("quote_date") == day, pl.col("dirt") == Dirt.DUPLICATE.value)
        assert stored.height == received.height - twice.height == received.unique().height
        assert lake.read("option_quotes", [day]).height == stored.height


def test_spoilt_quotes_are_kept_out_of_fits(dirty):
    lake, _, spoilt = dirty
    bad = spoilt.filter(~pl.col("dirt").is_in([Dirt.DUPLICATE.value]))
    quotes = lake.read("option_quotes").with_columns(pl.col("contract_id").str.head(21))
    judged = bad.join(quotes, on=["quote_date", "contract_id"])
    assert judged.height >= bad.height
    assert judged["is_liquid"].mean() < 0.01


def test_an_issue_says_what_was_measured_against_what(dirty):
    issues = dirty[0].read("quote_issues")
    wide = issues.filter(pl.col("rule") == "spread_unusable")
    assert (wide["value"] > wide["threshold"]).all()
    assert wide["threshold"].unique().to_list() == [50.0]
    gaps = issues.filter(pl.col("rule") == "parity_gap")
    assert (gaps["value"] > gaps["threshold"]).all()
    by_contract = issues.filter(pl.col("contract_id") == gaps["contract_id"][0])
    assert by_contract.height >= 1


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return simulated_lake(tmp_path_factory.mktemp("clean"), DAYS, dirt=0.0, only=TABLES)[0]


def test_a_clean_market_has_wide_spreads_and_no_other_error(clean):
    issues = clean.read("quote_issues")
    quotes = clean.read("option_quotes").height
    errors = issues.filter(pl.col("severity") == "error")
    assert set(errors["rule"]) <= {"spread_unusable"}
    false = issues.filter(pl.col("rule").is_in([*ARBITRAGE, "parity_gap"]))
    assert false.height < 0.001 * quotes, false
    vols = issues.filter(pl.col("rule").str.starts_with("iv_")).join(
        clean.read("option_quotes"), on=["quote_date", "contract_id"]
    )
    assert (vols["tte_years"] < 2 / 365).all()


def test_no_issue_is_listed_twice(dirty):
    issues = dirty[0].read("quote_issues")
    key = ["symbol", "quote_date", "snapshot", "contract_id", "rule"]
    assert not issues.select(key).is_duplicated().any()


def issues_of(home, chain, *others):
    return lake_of(home, chain, *others, only=TABLES)[0].read("quote_issues")


def raised(chain, name, by):
    up = {side: pl.col(side) + by for side in ("bid", "ask")}
    return alter(chain, is_contract(*name), **up)


def test_a_european_pair_keeps_parity_within_spread_and_tolerance(tmp_path):
    """Half-spreads of next to nothing, so that the tolerance of 0.05 is what a gap may be."""
    chain = expiry(in_days(30), half_share=1e-6)
    assert issues_of(tmp_path / "none", chain).is_empty()
    kept = issues_of(tmp_path / "kept", raised(chain, ("CALL", 100.0), 0.049))
    assert "parity_gap" not in kept["rule"].to_list()
    broken = issues_of(tmp_path / "broken", raised(chain, ("CALL", 100.0), 0.051))
    gaps = broken.filter(pl.col("rule") == "parity_gap")
    assert gaps["contract_id"].str.slice(12, 1).sort().to_list() == ["C", "P"]
    assert gaps["value"].to_list() == pytest.approx([0.051] * 2, abs=1e-5)
    assert gaps["threshold"].to_list() == pytest.approx([0.05] * 2, abs=1e-5)


def test_an_american_pair_may_part_by_what_early_exercise_explains(tmp_path):
    expiration = in_days(360)

    def price(strike, tte, forward, vol, is_call):
        return american_price(SPOT, strike, tte, RATE, forward, vol, is_call)

    forward = SPOT * np.exp(RATE * years_to(expiration))
    chain = expiry(
        expiration, symbol="SPY", exercise_style="american", forward=forward, price=price,
        half_share=0.0,
    )  # fmt: skip
    assert "parity_gap" not in issues_of(tmp_path / "fair", chain)["rule"].to_list()
    too_dear = issues_of(tmp_path / "dear", raised(chain, ("CALL", 110.0), 1.5))
    gaps = too_dear.filter(pl.col("rule") == "parity_gap")
    assert gaps["contract_id"].str.slice(12, 1).sort().to_list() == ["C", "P"]


@pytest.mark.parametrize(
    ("by", "rules"),
    [(3.0, {"vertical_executable", "butterfly_executable"}), (0.2, {"butterfly_executable"})],
)
def test_arbitrage_across_strikes_is_named_by_its_kind(tmp_path, by, rules):
    chain = expiry(in_days(30), half_share=0.001)
    found = issues_of(tmp_path, raised(chain, ("CALL", 100.0), by))
    name = chain.filter(is_contract("CALL", 100.0))["contract_id"].item()
    own = found.filter(pl.col("contract_id") == name)["rule"]
    assert rules <= set(own)


def test_arbitrage_across_expiries_is_found(tmp_path):
    chain = pl.concat([expiry(in_days(30), 0.4), expiry(in_days(60), 0.2)])
    found = issues_of(tmp_path, chain)
    near = found.filter(pl.col("rule") == "calendar_executable")
    assert near.height > 10
    assert near["contract_id"].str.slice(6, 6).unique().to_list() == [f"{in_days(30):%y%m%d}"]
    fair = pl.concat([expiry(in_days(30), 0.2), expiry(in_days(60), 0.2)])
    assert issues_of(tmp_path / "fair", fair).is_empty()


def test_mids_that_contradict_each_other_inside_the_spread_are_information(tmp_path):
    chain = raised(expiry(in_days(30), half_share=0.03), ("CALL", 100.0), 0.17)
    found = issues_of(tmp_path, chain)
    assert set(found["rule"]) == {"butterfly_mid"}
    assert set(found["severity"]) == {"info"}


def test_symbols_of_one_day_do_not_influence_each_other(tmp_path):
    spoilt = raised(expiry(in_days(30)), ("CALL", 100.0), 3.0)
    other = expiry(in_days(30), symbol="NDX", forward=101.0)
    both = issues_of(tmp_path / "both", pl.concat([spoilt, other]), flat_curve())
    alone = issues_of(tmp_path / "alone", spoilt, flat_curve())
    assert both.filter(pl.col("symbol") == "SPX").equals(alone)
    assert both.height == alone.height
