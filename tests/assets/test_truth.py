"""The truth of the simulated market is recovered from its quotes, within the stored error bars."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from tests.assets.pipeline import simulated_lake
from volsurf_math.smiles.svi import RawSvi
from volsurf_tables.surfaces import IS_STANDARD

TABLES = ["implied_forwards", "option_quotes", "fitted_surfaces", "surface_points"]
PARAMETERS = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
FAST = {7: [date(2025, 3, 10), date(2026, 1, 14)], 11: [date(2025, 8, 6)]}
LONG = {
    seed: [
        date(2024, 9, 4), date(2024, 12, 17), date(2025, 3, 10), date(2025, 6, 17),
        date(2025, 8, 6), date(2026, 1, 14), date(2026, 5, 20), date(2026, 11, 27),
    ]
    for seed in (3, 7, 11, 23)
}  # fmt: skip


@pytest.fixture(
    scope="module", params=[FAST, pytest.param(LONG, marks=pytest.mark.slow)], ids=["fast", "long"]
)
def recovered(request, tmp_path_factory):
    """Fitted expiries beside their truth; smiles as callables of log-moneyness are left out."""
    rows, lakes = [], {}
    for seed, days in request.param.items():
        home = tmp_path_factory.mktemp(f"seed{seed}")
        lake, source = simulated_lake(home, days, seed=seed, dirt=0.01, only=TABLES)
        lakes[seed] = lake, source
        forwards = lake.read("implied_forwards").drop("reason", "status", "tte_years")
        smiles = lake.read("fitted_surfaces").drop("forward")
        smiles = smiles.filter(IS_STANDARD, pl.col("root") == "SPY")
        truth = pl.concat(
            source.truth("SPY", day).with_columns(quote_date=pl.lit(day)) for day in days
        ).select("quote_date", "expiration_date", true_forward="forward", true_vol="atm_vol")
        key = ["quote_date", "expiration_date"]
        joined = smiles.join(forwards, on=[*key, "root"]).join(truth, on=key)
        rows.append(joined.with_columns(seed=pl.lit(seed)))
    return lakes, pl.concat(rows)


def within(rows, estimate, truth, error, n=2.0):
    """Share of rows whose estimate is within `n` standard errors of the truth."""
    gap = (rows[estimate] - rows[truth]).abs()
    return (gap <= n * rows[error]).mean()


def test_forwards_are_within_their_error_bars(recovered):
    fitted = recovered[1].filter(pl.col("status") == "fitted")
    assert fitted["forward_std_error"].is_not_null().all()
    assert within(fitted, "forward", "true_forward", "forward_std_error") >= 0.85
    assert within(fitted, "forward", "true_forward", "forward_std_error", 5.0) >= 0.98


def test_a_spot_told_at_the_time_of_the_quotes_is_left_alone(recovered):
    spots = recovered[1].select("seed", "quote_date", "spot", "quoted_spot").unique()
    assert (spots["spot"] == spots["quoted_spot"]).mean() >= 0.9
    assert (spots["spot"] / spots["quoted_spot"] - 1.0).abs().max() < 1e-4


def test_vols_at_the_money_are_within_their_error_bars(recovered):
    fitted = recovered[1].filter(pl.col("status") == "fitted")
    assert fitted.height > 60
    assert within(fitted, "atm_vol", "true_vol", "atm_vol_std_error") >= 0.93
    assert fitted["atm_vol_std_error"].median() < 0.0008  # not by being modest


def test_forwards_of_every_expiry_are_close(recovered):
    gap = (recovered[1]["forward"] / recovered[1]["true_forward"] - 1.0).abs()
    assert gap.median() < 1e-4
    assert gap.max() < 5e-3  # of the longest, whose dividends nobody knows


def test_thin_expiries_have_the_right_vol_at_the_money(recovered):
    thin = recovered[1].filter(pl.col("atm_method") == "quotes", pl.col("tte_years") > 1 / 365)
    gap = 100.0 * (thin["atm_vol"] - thin["true_vol"]).abs()
    assert thin.height > 5
    assert gap.median() < 0.1
    assert gap.max() < 1.0


def test_whole_smiles_are_the_true_ones(recovered):
    """In vol points, over the strikes that were quoted."""
    lakes, rows = recovered
    errors = []
    for row in rows.filter(pl.col("status") == "fitted").iter_rows(named=True):
        _, source = lakes[row["seed"]]
        k = np.linspace(row["k_min"], row["k_max"], 9)
        smile = RawSvi(**{name[4:]: row[name] for name in PARAMETERS})
        vol = np.sqrt(smile.total_variance(k) / row["tte_years"])
        strikes = row["true_forward"] * np.exp(k)
        true = source.true_vol("SPY", row["quote_date"], row["expiration_date"], strikes)
        errors.append(100.0 * np.sqrt(np.nanmean((vol - true) ** 2)))
    assert np.median(errors) < 0.1
    assert np.quantile(errors, 0.95) < 0.5


def test_no_fit_has_arbitrage_and_none_fails(recovered):
    rows = recovered[1]
    assert set(rows["status"]) <= {"fitted", "skipped"}
    fitted = rows.filter(pl.col("status") == "fitted")
    assert (fitted["butterfly_arbitrage_violations"] == 0).all()
    assert fitted["passes_no_arbitrage"].mean() > 0.97


def test_surfaces_have_a_value_wherever_quotes_support_one(recovered):
    for lake, _ in recovered[0].values():
        points = lake.read("surface_points").filter(
            IS_STANDARD, pl.col("axis") == "delta", pl.col("tenor_days").is_between(14, 365),
            pl.col("coordinate").abs() >= 0.25,
        )  # fmt: skip
        assert (points["status"] == "interpolated").mean() > 0.9
        assert points["implied_vol"].drop_nulls().is_between(0.05, 1.5).all()
