"""Simulated coins through every recipe: the pipeline finds the truth behind the quotes."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.assets.coins import coin_settings, fill_coins
from volsurf_jobs.simulating import record_simulated
from volsurf_tables.surfaces import IS_STANDARD

MOMENTS = [
    ("BTC", 7, datetime(2026, 2, 20, 7, 45, tzinfo=UTC)),
    ("ETH", 4, datetime(2026, 5, 2, 7, 45, tzinfo=UTC)),
    ("BTC", 5, datetime(2026, 6, 1, 13, 0, tzinfo=UTC)),
]
SHORT_DAYS = 10  # up to here a tick is worth much in vol
TOLERANCE, SHORT_TOLERANCE = 0.4, 0.8  # vol points


@pytest.fixture(scope="module")
def lakes(tmp_path_factory):
    """A lake of two days of each: the fits of the second may carry those of the first."""
    made = []
    for symbol, seed, at in MOMENTS:
        home = tmp_path_factory.mktemp(f"{symbol}{seed}")
        settings = coin_settings(home, symbol, simulated_seed=seed)
        times = [at - timedelta(days=1), at]
        list(record_simulated(settings, symbol, times, history_hours=0))
        made.append((fill_coins(settings, [t.date() for t in times])[0], at.date()))
    return made


def truth_of(chain: pl.DataFrame) -> pl.DataFrame:
    """Forward, and the vol at it between the strikes' own, of each expiry."""
    rows = []
    for (day,), own in chain.filter(pl.col("vendor_iv") > 0).group_by("expiration_date"):
        calls = own.filter(pl.col("option_type") == "CALL").sort("strike")
        forward = own["underlying_price"][0]
        vol = np.interp(np.log(forward), calls["strike"].log(), calls["vendor_iv"])
        rows.append({"expiration_date": day, "true_forward": forward, "true_vol": float(vol)})
    return pl.DataFrame(rows)


def test_forwards_are_found_within_three_standard_errors(lakes):
    found = pl.concat(
        lake.read("implied_forwards", [day]).join(
            truth_of(lake.read("raw_options_chains", [day])), on="expiration_date"
        )
        for lake, day in lakes
    ).filter(pl.col("status") == "estimated")
    miss = (found["forward"] - found["true_forward"]).abs()
    assert found.height >= 33
    assert (miss < 3.0 * found["forward_std_error"]).mean() >= 0.9
    assert (miss / found["true_forward"]).max() < 1e-3


def test_vols_at_the_money_are_the_true_ones(lakes):
    for lake, day in lakes:
        fits = lake.read("fitted_surfaces", [day]).filter(IS_STANDARD)
        fitted = fits.filter(pl.col("status") == "fitted").join(
            truth_of(lake.read("raw_options_chains", [day])), on="expiration_date"
        )
        assert fitted.height >= 10
        points = 100.0 * (fitted["atm_vol"] - fitted["true_vol"]).abs()
        is_short = fitted["tte_years"] < SHORT_DAYS / 365
        assert points.filter(is_short).max() < SHORT_TOLERANCE
        assert points.filter(~is_short).max() < TOLERANCE


def test_quotes_around_prices_of_one_law_hold_no_arbitrage(lakes):
    """Prices in coin are judged in dollars: none can be locked in, no pair is far from parity."""
    for lake, day in lakes:
        issues = lake.read("quote_issues", [day])
        assert not issues["rule"].str.ends_with("executable").any()
        pairs = issues.filter(pl.col("rule") == "parity_gap")
        assert pairs.height <= 4
        assert issues.filter(pl.col("rule") == "mark_outside_quote").height == 4
        assert issues.filter(pl.col("rule") == "bid_not_above_ask").height == 1


def test_nothing_is_carried_into_an_expiry_that_is_over(lakes):
    """The two options that expired the day before are still told; yesterday's fit is not theirs."""
    for lake, day in lakes:
        fits = lake.read("fitted_surfaces", [day])
        over = fits.filter(pl.col("tte_years") <= 0.0)
        assert over.height > 0
        assert set(over.select("status", "reason").rows()) == {("skipped", "expired")}
        assert fits.filter(pl.col("status") == "carried").is_empty()
