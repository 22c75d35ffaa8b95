"""Scores of models against the stored fits that they are made of."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY
from tests.assets.pipeline import settings_of, simulated_lake
from volsurf_assets.model_scores import LEAST_SHARE, model_scores
from volsurf_resources.lake import Lake
from volsurf_tables.models import SABR_SMILES, SMILE_MODELS
from volsurf_tables.stochastic_vol import HESTON_SURFACES
from volsurf_tables.surfaces import FITTED_SURFACES

FITS = ("fitted_surfaces", "sabr_smiles", "smile_models")
TABLES = ["implied_forwards", "option_quotes", *FITS, "heston_surfaces", "model_scores"]
DAYS = [date(2025, 8, 6), date(2025, 8, 7)]


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return simulated_lake(tmp_path_factory.mktemp("scored"), DAYS, only=TABLES)[0]


def fits(lake, model, day):
    """Fitted rows of one model and session, wherever they are stored."""
    found = [lake.read(name, [day]) for name in FITS]
    found[1] = found[1].with_columns(model_type=pl.lit("SABR"))
    shared = [
        *("root", "expiration_date", "rmse", "holdout_rmse", "inside_spread_share", "num_points"),
        *("atm_vol", "skew_25delta", "butterfly_25delta", "model_type", "status"),
    ]
    rows = pl.concat([rows.select(shared) for rows in found])
    return rows.filter(pl.col("status") == "fitted", pl.col("model_type") == model)


def test_every_model_has_a_score_and_the_best_foretells_best(lake):
    for day in DAYS:
        scores = lake.read("model_scores", [day]).sort("rank")
        assert set(scores["model_type"]) >= {"SVI", "SABR", "GAMMA_VANNA_VOLGA", "POLYNOMIAL"}
        ranked = scores.filter(pl.col("rank").is_not_null())
        assert ranked["rank"].to_list() == list(range(1, ranked.height + 1))
        assert ranked["pooled_holdout_rmse"].is_sorted()
        assert (scores["status"] == "scored").sum() == ranked.height
        assert scores.filter(pl.col("status") == "partial")["reason"].is_not_null().all()


@pytest.mark.parametrize("model", ["SVI", "SABR", "POLYNOMIAL"])
def test_scores_follow_from_the_stored_fits(lake, model):
    rows = fits(lake, model, DAYS[1])
    scores = lake.read("model_scores", [DAYS[1]])
    (score,) = scores.filter(pl.col("model_type") == model).iter_rows(named=True)
    n = rows["num_points"].to_numpy()
    rmse, holdout = rows["rmse"].to_numpy(), rows["holdout_rmse"].to_numpy()
    assert score["num_expirations"] == rows.height
    assert score["num_points"] == n.sum()
    assert score["median_rmse"] == pytest.approx(np.median(rmse))
    assert score["pooled_rmse"] == pytest.approx(np.sqrt(np.average(rmse**2, weights=n)))
    known = np.isfinite(holdout)
    assert score["median_holdout_rmse"] == pytest.approx(np.median(holdout[known]))
    pooled = np.sqrt(np.average(holdout[known] ** 2, weights=n[known]))
    assert score["pooled_holdout_rmse"] == pytest.approx(pooled)
    share = np.average(rows["inside_spread_share"].to_numpy(), weights=n)
    assert score["inside_spread_share"] == pytest.approx(share)
    before = fits(lake, model, DAYS[0]).rows_by_key(["root", "expiration_date"], named=True)
    assert score["previous_date"] == DAYS[0]
    for name in ("atm_vol", "skew_25delta", "butterfly_25delta"):
        moves = [
            abs(row[name] - before[row["root"], row["expiration_date"]][0][name])
            for row in rows.iter_rows(named=True)
            if (row["root"], row["expiration_date"]) in before and row[name] is not None
        ]
        assert score[f"{name}_change"] == pytest.approx(100.0 * np.median(moves))


def test_the_first_session_has_nothing_to_compare_with(lake):
    first = lake.read("model_scores", [DAYS[0]])
    assert first["previous_date"].is_null().all()
    assert first["atm_vol_change"].is_null().all()


def hand_fits(table, model, errors, **named):
    """Fitted rows with given errors of left-out strikes, one expiry each."""
    common = {"symbol": "SPX", "quote_date": DAY, "snapshot": "EOD", "root": "SPX",
              "model_type": model, "num_points": 20, "rmse": 0.1, "status": "fitted"}  # fmt: skip
    rows = [
        common | {"expiration_date": DAY + timedelta(n), "holdout_rmse": error} | named
        for n, error in enumerate(errors, 1)
    ]
    return pl.DataFrame(rows).select(
        (pl.col(name) if name in (common | rows[0] | named) else pl.lit(None))
        .cast(dtype)
        .alias(name)
        for name, dtype in table.schema.items()
    )


def scored(home, *frames):
    settings = settings_of(home)
    lake = Lake(settings.lake_root)
    for table, frame in frames:
        lake.replace(table.name, DAY, frame)
    model_scores.refresh(lake, settings, DAY)
    rows = lake.read("model_scores", [DAY]).rows_by_key("model_type", named=True)
    return {model: found[0] for model, found in rows.items()}


def test_a_model_that_fits_only_the_easy_expiries_has_no_rank(tmp_path):
    many = [0.1] * 20
    few = [0.01] * (int(LEAST_SHARE * len(many)) - 1)
    scores = scored(
        tmp_path,
        (FITTED_SURFACES, hand_fits(FITTED_SURFACES, "SVI", many)),
        (SABR_SMILES, hand_fits(SABR_SMILES, "SABR", few)),
        (SMILE_MODELS, hand_fits(SMILE_MODELS, "CONVEX", [*many[1:], 0.02])),
    )
    assert (scores["CONVEX"]["rank"], scores["SVI"]["rank"], scores["SABR"]["rank"]) == (1, 2, None)
    assert scores["SABR"]["status"] == "partial"
    assert scores["SABR"]["reason"] == "17 of 20 expiries fitted"


def test_heston_takes_in_thin_expiries_and_leaves_the_ranks_of_others(tmp_path):
    one = {"symbol": "SPX", "quote_date": DAY, "snapshot": "EOD", "status": "fitted",
           "rmse": 0.3, "holdout_rmse": 0.4, "n_expiries": 30, "n_quotes": 400}  # fmt: skip
    heston = pl.DataFrame([one], schema_overrides=HESTON_SURFACES.schema).select(
        (pl.col(name) if name in one else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in HESTON_SURFACES.schema.items()
    )
    svi = hand_fits(FITTED_SURFACES, "SVI", [0.1] * 20)
    scores = scored(tmp_path, (FITTED_SURFACES, svi), (HESTON_SURFACES, heston))
    assert (scores["SVI"]["rank"], scores["HESTON"]["rank"]) == (1, 2)
    assert scores["HESTON"]["median_holdout_rmse"] is None
    assert scores["HESTON"]["pooled_holdout_rmse"] == 0.4
    (alone,) = scored(tmp_path / "alone", (HESTON_SURFACES, heston)).values()
    assert (alone["rank"], alone["status"]) == (1, "scored")


def test_carried_fits_say_nothing_of_their_session(tmp_path):
    scores = scored(
        tmp_path,
        (FITTED_SURFACES, hand_fits(FITTED_SURFACES, "SVI", [0.1])),
        (SABR_SMILES, hand_fits(SABR_SMILES, "SABR", [0.1], status="carried")),
    )
    assert set(scores) == {"SVI"}


def test_without_left_out_strikes_there_is_no_rank(tmp_path):
    none = hand_fits(FITTED_SURFACES, "SVI", [None])
    (score,) = scored(tmp_path, (FITTED_SURFACES, none)).values()
    assert (score["rank"], score["status"]) == (None, "partial")
    assert score["reason"] == "no error on left-out strikes"
    assert score["pooled_holdout_rmse"] is None


def test_an_empty_session_gives_an_empty_table(tmp_path):
    settings = settings_of(tmp_path)
    session = model_scores.session(Lake(settings.lake_root), settings, DAY)
    assert model_scores.compute(session).is_empty()
