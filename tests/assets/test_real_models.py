"""Every model on real SPY and SPX chains: fitted without failure, scored, and how well."""

import os
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.assets.pipeline import fill, make, settings_of
from volsurf_assets.sabr_curves import sabr_vol
from volsurf_resources.archive import Archive
from volsurf_resources.lake import Lake

pytestmark = pytest.mark.skipif(
    "VOLSURF_REAL_DATA" not in os.environ, reason="VOLSURF_REAL_DATA names no folder of real data"
)
TABLES = [
    *("implied_forwards", "option_quotes", "fitted_surfaces", "sabr_smiles", "smile_models"),
    *("heston_surfaces", "model_scores"),
]
SPANS = {
    "SPY": (date(2026, 7, 27), date(2026, 7, 28)),
    "SPX": (date(2019, 5, 1), date(2019, 5, 3)),
}
BEST_HOLDOUT = {"SPY": 0.08, "SPX": 0.06}  # vol points, median over expiries


@pytest.fixture(scope="module", params=SPANS)
def symbol(request):
    return request.param


@pytest.fixture(scope="module")
def lake(symbol, tmp_path_factory):
    models = "gamma_vanna_volga,polynomial,convex"
    settings = settings_of(tmp_path_factory.mktemp(symbol), smile_models=models)
    lake, source = Lake(settings.lake_root), Archive(Path(os.environ["VOLSURF_REAL_DATA"]))
    days = source.sessions(symbol, *SPANS[symbol])
    fill(lake, source, settings, days, [symbol], history=70)
    make(lake, settings, days, TABLES)
    return lake


def fitted(lake, table):
    return lake.read(table).filter(pl.col("status") == "fitted")


def test_sabr_fits_every_expiry_that_svi_fits(lake):
    key = ["quote_date", "root", "expiration_date"]
    svi = fitted(lake, "fitted_surfaces").filter(pl.col("model_type") == "SVI")
    sabr = fitted(lake, "sabr_smiles")
    assert svi.join(sabr, on=key, how="anti").is_empty()
    assert sabr["rmse"].median() < 0.35
    assert sabr["within_1_point_share"].mean() > 0.97
    assert (sabr["num_points"] >= 10).all()


def test_sabr_has_no_negative_density_where_there_are_quotes(lake):
    sabr = fitted(lake, "sabr_smiles")
    assert sabr["is_sound_at_quotes"].all()
    broken = sabr.filter(pl.col("min_durrleman_g") < 0.0)
    assert broken.select(pl.max_horizontal("sound_k_min", "sound_k_max").is_not_null().all()).item()


def test_a_maturity_between_two_expiries_is_priced_between_their_curves(lake):
    for _, rows in fitted(lake, "sabr_smiles").group_by("quote_date", "root"):
        listed = rows.sort("tte_years")
        tte = listed["tte_years"].to_numpy()
        for near, far in zip(tte[:-1:5], tte[1::5], strict=False):
            k = np.zeros(1)
            middle = sabr_vol(rows, k, 0.5 * (near + far))[0]
            ends = [sabr_vol(rows, k, end)[0] for end in (near, far)]
            assert min(ends) - 1e-4 <= middle <= max(ends) + 1e-4


def test_registered_models_are_fitted_everywhere(lake):
    rows = lake.read("smile_models").filter(pl.col("status") != "skipped")
    share = rows.group_by("model_type").agg((pl.col("status") == "fitted").mean())
    found = dict(share.iter_rows())
    assert found == {"POLYNOMIAL": 1.0, "CONVEX": 1.0, "GAMMA_VANNA_VOLGA": 1.0}


def test_the_best_model_foretells_left_out_strikes(lake, symbol):
    smiles = pl.concat(
        [
            fitted(lake, "smile_models").select("model_type", "holdout_rmse"),
            fitted(lake, "fitted_surfaces").select("model_type", "holdout_rmse"),
        ]
    )
    median = dict(smiles.group_by("model_type").agg(pl.median("holdout_rmse")).iter_rows())
    assert median["CONVEX"] < median["SVI"] < median["GAMMA_VANNA_VOLGA"]
    assert min(median.values()) < BEST_HOLDOUT[symbol]


def test_every_model_is_scored_every_session(lake):
    scores = lake.read("model_scores")
    models = {"SVI", "SSVI", "SABR", "HESTON", "GAMMA_VANNA_VOLGA", "POLYNOMIAL", "CONVEX"}
    for day in lake.days("option_quotes"):
        today = scores.filter(pl.col("quote_date") == day)
        assert set(today["model_type"]) == models
        best = today.sort("rank", nulls_last=True)["model_type"][0]
        assert best == "CONVEX"
    later = scores.filter(
        pl.col("quote_date") > pl.col("quote_date").min(), pl.col("model_type") != "HESTON"
    )
    assert later["previous_date"].is_not_null().all()
    assert later["atm_vol_change"].is_between(0.0, 5.0).all()
