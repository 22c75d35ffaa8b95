"""The recorded snapshot of 880 BTC options, end to end: what a reference tool fits, fitted better.

The numbers that it is held against are the exchange's own: `mark_iv`, its greeks, its underlyings.
"""

import os
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.assets.coins import coin_settings, fill_coins
from volsurf_app import queries
from volsurf_assets.smile_fits import MODELS, fit_model
from volsurf_assets.smile_points import points_of, points_to_fit
from volsurf_assets.smile_quality import PARAMETERS, variance
from volsurf_math.greeks import black_greeks
from volsurf_tables.surfaces import IS_STANDARD

pytestmark = pytest.mark.skipif(
    "VOLSURF_REAL_DATA" not in os.environ, reason="VOLSURF_REAL_DATA names no folder of real data"
)
DAY = date(2026, 2, 20)
CLOSE_ENOUGH = 0.30  # vol points, to `mark_iv` within two standard deviations


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    file = Path(os.environ["VOLSURF_REAL_DATA"]) / "deribit_btc_20260220.json"
    home = tmp_path_factory.mktemp("btc")
    return coin_settings(home).model_copy(update={"deribit_recordings": file})


@pytest.fixture(scope="module")
def lake(settings):
    return fill_coins(settings, [DAY])[0]


@pytest.fixture(scope="module")
def quotes(lake):
    raw = lake.read("raw_options_chains", [DAY])
    theirs = ("contract_id", "underlying_price", "price_unit", "mark")
    vendor = [name for name in raw.columns if name.startswith("vendor_")]
    return lake.read("option_quotes", [DAY]).join(raw.select(*theirs, *vendor), on="contract_id")


@pytest.fixture(scope="module")
def smiles(lake):
    rows = lake.read("fitted_surfaces", [DAY]).filter(IS_STANDARD)
    return rows.sort("expiration_date")


def errors(quotes, expiries, parameters):
    """RMSE per expiry of smiles against `mark_iv`, out of the money within two deviations."""
    found = []
    for (expiration, tte), own in zip(expiries, parameters, strict=True):
        rows = quotes.filter(
            pl.col("expiration_date") == expiration, "is_out_of_the_money", pl.col("vendor_iv") > 0
        )
        k = rows["log_moneyness"].to_numpy()
        vol = np.sqrt(variance(k, own) / tte)
        is_near = np.abs(k) <= 2.0 * np.sqrt(variance(np.zeros(1), own))
        miss = 100.0 * (vol - rows["vendor_iv"].to_numpy())[is_near]
        found.append(float(np.sqrt(np.mean(miss**2))))
    return np.array(found)


def test_every_expiry_is_fitted_without_arbitrage(smiles, lake):
    assert smiles["status"].to_list() == ["fitted"] * 12
    assert smiles["passes_no_arbitrage"].all()
    assert smiles["min_durrleman_g"].min() >= 0.0
    assert smiles["rmse"].median() < 0.30
    assert smiles["rmse"].max() < 0.70  # of the options that expire in 18 hours
    assert smiles["inside_spread_share"].min() > 0.85
    forwards = lake.read("implied_forwards", [DAY])
    assert set(forwards["status"]) == {"estimated"}
    assert forwards["forward_std_error"].max() < 15.0  # USD, of 67000


def test_smiles_are_as_near_to_the_marks_as_the_quotes_themselves(quotes, smiles):
    """A fit to quotes cannot be nearer to the exchange's marks than what is quoted.

    Mids of a coarse tick lie 0.1 to 1.1 vol points from the marks: where they lie within 0.35, so
    does the smile.
    """
    expiries = smiles.select("expiration_date", "tte_years").rows()
    rmse = errors(quotes, expiries, smiles.select(PARAMETERS).to_numpy())
    reach = 2.0 * pl.col("atm_vol") * pl.col("years").sqrt()
    near = quotes.join(
        smiles.select("expiration_date", "atm_vol", years="tte_years"), on="expiration_date"
    ).filter("is_out_of_the_money", pl.col("vendor_iv") > 0, pl.col("log_moneyness").abs() <= reach)
    apart = 100.0 * (pl.col("iv_mid") - pl.col("vendor_iv"))
    of_mids = near.group_by("expiration_date").agg(rmse=(apart**2).mean().sqrt())
    noise = of_mids.sort("expiration_date")["rmse"].to_numpy()
    assert (rmse <= CLOSE_ENOUGH).sum() >= 5
    assert rmse.max() < 1.0
    assert (rmse < noise + 0.2).all()


def test_the_model_bends_as_the_marks_do(quotes, smiles, settings, lake):
    """Given the marks' vols at the weights of the quotes: 10 of 12 expiries within 0.30."""
    expiries = smiles.select("root", "expiration_date", "tte_years")
    marked = quotes.filter(pl.col("vendor_iv") > 0)
    chosen = points_to_fit(marked, settings).with_columns(iv_mid="vendor_iv")
    points = points_of(chosen, expiries, settings)
    fitted = fit_model(MODELS["SVI"], points, settings, settings.min_strikes_per_fit)
    assert set(fitted.status) == {"converged"}
    rmse = errors(quotes, expiries.drop("root").rows(), fitted.parameters)
    assert (rmse <= CLOSE_ENOUGH).sum() >= 10
    assert rmse.max() < 0.36


def test_puts_and_calls_have_one_vol_at_the_money(quotes, lake):
    """Weighted by what their quotes tell, over strikes within half a deviation of the forward."""
    sides = [quotes.filter(pl.col("option_type") == side, "is_liquid") for side in ("CALL", "PUT")]
    both = sides[0].join(sides[1], on=["expiration_date", "strike"], suffix="_put")
    reach = 0.5 * pl.col("iv_mid") * pl.col("tte_years").sqrt()
    wide = (pl.col("iv_ask") - pl.col("iv_bid")) ** 2
    wide_put = (pl.col("iv_ask_put") - pl.col("iv_bid_put")) ** 2
    gap = 100.0 * (pl.col("iv_mid") - pl.col("iv_mid_put"))
    weight = 1.0 / (wide + wide_put)
    gaps = (
        both.filter(pl.col("log_moneyness").abs() <= reach, pl.col("iv_bid").is_not_null())
        .group_by("expiration_date")
        .agg(gap=(gap * weight).sum() / weight.sum())
        .sort("expiration_date")
    )
    assert gaps.height == 12
    assert (gaps["gap"].abs() <= 0.10).sum() >= 10
    assert gaps["gap"].abs().max() < 0.25  # where the narrowest quote is 1.3 points wide
    assert gaps["gap"].abs().median() < 0.05


def test_greeks_are_the_vendors_within_its_rounding(quotes):
    """Black on the mark's vol, the expiry's own underlying and the quote's own time."""
    rows = quotes.filter(pl.col("vendor_iv") > 0.0, pl.col("tte_years") > 1 / 365)
    columns = ("underlying_price", "strike", "tte_years", "vendor_iv")
    forward, strike, tte, vol = (rows[name].to_numpy() for name in columns)
    is_call = (rows["option_type"] == "CALL").to_numpy()
    ours = black_greeks(forward, strike, tte, vol, np.ones(vol.size), is_call)
    assert np.abs(ours.delta - rows["vendor_delta"].to_numpy()).max() < 6e-5
    assert np.abs(ours.gamma - rows["vendor_gamma"].to_numpy()).max() < 1e-5
    assert np.abs(ours.vega - rows["vendor_vega"].to_numpy()).max() / 100.0 < 0.03
    a_day = (tte > 7 / 365) & (np.abs(ours.delta) < 0.95)
    per_day = ours.theta / 365.0, rows["vendor_theta"].to_numpy() / 365.0
    assert np.abs(per_day[0] / per_day[1] - 1.0)[a_day].max() < 0.12  # theirs is over a whole day


def test_the_report_of_differences_is_small(lake):
    found = queries.vendor_differences(lake, "BTC", DAY)
    assert found.height == 12
    assert found["vol_distance"].max() < 1.2
    assert found["delta_distance"].max() < 0.012
    later = found.filter(pl.col("expiration_date") > date(2026, 3, 1))
    assert later["vol_distance"].max() < 0.35
    assert later["vega_distance"].max() < 0.6


def test_every_table_of_the_snapshot_is_filled(lake):
    empty = {t.name for t in lake.tables if not lake.read(t.name, [DAY], snapshot=None).height}
    assert empty <= {"index_levels"}  # the file brings none
    heston = lake.read("heston_surfaces", [DAY]).row(0, named=True)
    assert (heston["status"], heston["n_expiries"]) == ("fitted", 12)
    assert heston["rmse"] < 4.0
    assert lake.read("model_scores", [DAY]).height >= 5
    assert lake.read("term_structure_params", [DAY])["status"].to_list() == ["fitted"]
