"""Fourteen sessions of real SPY chains through every table: American, dividends, wide quotes."""

import os
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.assets.pipeline import fill, make, settings_of
from volsurf_jobs.proving import look_ahead
from volsurf_jobs.replay import replay
from volsurf_resources.archive import Archive
from volsurf_resources.lake import Lake
from volsurf_tables.surfaces import IS_STANDARD

pytestmark = pytest.mark.skipif(
    "VOLSURF_REAL_DATA" not in os.environ, reason="VOLSURF_REAL_DATA names no folder of real data"
)
FIRST, LAST = date(2026, 7, 1), date(2026, 8, 31)
WIDE = date(2026, 8, 4)  # quotes taken after the close


@pytest.fixture(scope="module")
def real() -> Path:
    return Path(os.environ["VOLSURF_REAL_DATA"])


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return settings_of(tmp_path_factory.mktemp("spy"))


@pytest.fixture(scope="module")
def lake(real, settings):
    lake, source = Lake(settings.lake_root), Archive(real)
    days = source.sessions("SPY", FIRST, LAST)
    fill(lake, source, settings, days, ["SPY"], history=300)
    make(lake, settings, days)
    return lake


@pytest.fixture(scope="module")
def fits(lake):
    return lake.read("fitted_surfaces").filter(IS_STANDARD, pl.col("status") == "fitted")


@pytest.fixture(scope="module")
def joint(lake):
    return lake.read("fitted_surfaces").filter(~IS_STANDARD, pl.col("status") == "fitted")


def test_all_sessions_reach_every_table(lake):
    days = lake.days("raw_options_chains")
    assert len(days) == 14
    for table in lake.tables:
        assert set(days) <= set(lake.days(table.name)), table.name


def test_fit_error_is_near_that_of_a_plain_weighted_svi(fits):
    inside = fits.filter(
        pl.col("model_type") == "SVI", pl.col("tte_years").is_between(7 / 365, 730 / 365)
    )
    assert inside.height >= 370
    assert inside["rmse"].median() < 0.10
    assert inside["rmse"].quantile(0.95) < 0.25


def test_every_expiry_has_a_row_for_both_models(lake, fits, joint):
    expiry = ["quote_date", "root", "expiration_date"]
    smiles = lake.read("fitted_surfaces").select(*expiry, "model_type", "status")
    counts = smiles.group_by(expiry).agg(pl.n_unique("model_type"), pl.n_unique("status"))
    assert (counts["model_type"] == 2).all()
    assert (counts["status"] == 1).all()
    assert joint.height == fits.height


def test_one_joint_surface_is_coarser_than_a_smile_per_expiry(fits, joint):
    assert joint["rmse"].median() < 0.3
    assert joint["rmse"].quantile(0.95) < 0.5
    assert fits["atm_vol_std_error"].median() < joint["atm_vol_std_error"].median() < 1e-3


def test_every_certificate_is_clean(lake):
    found = lake.read("surface_certificates")
    assert found.group_by("model_type").len()["len"].to_list() == [14, 14]
    assert found["is_clean"].all()
    assert (found["num_carried"] == 0).all()
    joint = found.filter(pl.col("model_type") == "SSVI")
    assert joint["is_clean_everywhere"].all()
    assert (joint["calendar_violations"] + joint["butterfly_violations"] == 0).all()
    assert joint["min_density_factor"].min() > 0.0
    assert joint["min_calendar_slope"].min() > 0.0


def test_the_smile_over_the_interest_rate_decision_is_an_event(fits):
    """The Federal Reserve decided on 2026-07-29: flagged on the two sessions before it."""
    told = fits.filter(pl.col("is_event_smile").is_not_null())
    events = told.filter("is_event_smile").sort("quote_date")
    assert events.height < 0.01 * told.height
    assert events["quote_date"].to_list() == [date(2026, 7, 27), date(2026, 7, 28)]
    assert (events["tte_years"] < 10 / 365).all()


def test_no_butterfly_arbitrage_and_next_to_no_calendar_arbitrage(lake, fits):
    assert (fits["butterfly_arbitrage_violations"] == 0).all()
    assert (fits["min_durrleman_g"] >= 0.0).all()
    pairs = fits.filter(pl.col("calendar_arbitrage_violations").is_not_null())
    violated = pairs.filter(pl.col("calendar_arbitrage_violations") > 0)
    assert violated.height < 0.005 * pairs.height
    assert not violated["passes_no_arbitrage"].any()
    assert lake.read("fitted_surfaces").filter(pl.col("status") == "failed").is_empty()


def test_thirty_day_vol_is_the_vendors(lake, real):
    vendor = pl.read_parquet(real / "spy_chains_2026.parquet", columns=["quote_date", "iv30"])
    joined = lake.read("vrp_metrics").join(vendor.unique(), on="quote_date")
    assert joined.height == 14
    gap = 100.0 * joined["implied_vol_30d"] - joined["iv30"]
    assert gap.abs().max() < 0.2


def test_carry_is_that_of_a_month_for_an_expiry_of_days_too(lake):
    """The price told is the close, the quotes are of later: the forwards tell the spot of then.

    Rate less dividends does not change within weeks; a weekend's settlement takes its days at once.
    """
    rows = lake.read("implied_forwards").filter(pl.col("method") == "parity_american")
    days = 365.0 * pl.col("tte_years")
    told = (pl.col("forward") / pl.col("quoted_spot")).log() / pl.col("tte_years")
    near = rows.with_columns(told=told).filter(
        days > 1.5, days < 14.0, pl.col("spot").is_not_null()
    )
    month = (
        rows.filter(days.is_between(24, 38))
        .group_by("quote_date")
        .agg(month=pl.col("implied_carry").median())
    )
    apart = near.join(month, on="quote_date").select(
        ours=(pl.col("implied_carry") - pl.col("month")).abs(),
        told=(pl.col("told") - pl.col("month")).abs(),
    )
    assert apart["ours"].median() < 0.01
    assert apart["told"].median() > 4.0 * apart["ours"].median()


def test_wide_quotes_are_flagged(lake):
    wide = lake.read("quote_issues").filter(
        pl.col("rule").is_in(["spread_wide", "spread_unusable"])
    )
    counts = wide.group_by("quote_date").len().sort("len")
    assert counts["quote_date"][-1] == WIDE
    assert counts["len"][-1] > 1.5 * counts["len"][-2]


def test_every_unfitted_expiry_says_why(lake):
    rest = lake.read("fitted_surfaces").filter(pl.col("status") != "fitted")
    assert rest["reason"].is_not_null().all()


def test_stored_errors_follow_from_stored_parameters_and_quotes(lake, fits):
    row = fits.filter(pl.col("num_points") > 50).row(0, named=True)
    quotes = lake.read("option_quotes", [row["quote_date"]]).filter(
        pl.col("expiration_date") == row["expiration_date"], "is_liquid", "is_out_of_the_money",
        pl.col("log_moneyness").is_between(row["k_min"], row["k_max"]),
    )  # fmt: skip
    k, vol, tte = (quotes[name].to_numpy() for name in ("log_moneyness", "iv_mid", "tte_years"))
    a, b, rho, m, sigma = (row[f"svi_{name}"] for name in ("a", "b", "rho", "m", "sigma"))
    model = np.sqrt((a + b * (rho * (k - m) + np.sqrt((k - m) ** 2 + sigma**2))) / tte)
    error = 100.0 * (model - vol)
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-9)
    assert row["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-9)
    assert row["max_error"] == pytest.approx(np.abs(error).max(), rel=1e-9)
    atm = np.sqrt((a + b * (-rho * m + np.sqrt(m**2 + sigma**2))) / row["tte_years"])
    assert row["atm_vol"] == pytest.approx(atm, abs=1e-8)


def test_nothing_looks_ahead_and_a_replay_gives_what_is_stored(lake, settings):
    days = lake.days("vrp_metrics")
    assert list(look_ahead(lake, settings, [days[2], days[-5]])) == []
    assert replay(settings, days[-1]) == []


def test_every_session_has_a_heston_fit(lake):
    laws = lake.read("heston_surfaces")
    assert laws["status"].to_list() == ["fitted"] * 14
    assert laws["r_squared"].min() > 0.95
    assert laws["rmse"].max() < 1.0
    assert laws["within_2_pct_share"].median() > 0.15  # R248, of liquid strikes
    assert laws["n_quotes"].min() > 1500
    assert (laws["holdout_rmse"] < 1.1 * laws["rmse"]).all()


def test_model_free_variance_of_an_american_chain(lake):
    """Above the square of the vol at the money, for the skew; free of early exercise."""
    premium = lake.read("vrp_metrics")
    assert (premium["model_free_method"] == "cboe_strip").all()
    above = premium["model_free_vol_30d"] - premium["implied_vol_30d"]
    assert above.is_between(0.003, 0.04).all()
    expected = premium["model_free_variance_30d"] - premium["realized_vol_30d"] ** 2
    assert (premium["variance_premium_30d"] - expected).abs().max() < 1e-15
