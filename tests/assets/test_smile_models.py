"""Registered smile models: each is fitted, stored and read again; a new one by being registered."""

import json
import math
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY, expiry, in_days, lake_of
from tests.assets.pipeline import make, settings_of
from volsurf_assets.smile_models import (
    asked_models,
    parameters_of,
    smile_models,
    smile_of,
)
from volsurf_math.smiles import SMILES
from volsurf_math.smiles.base import Fit, FitStatus
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_tables.models import SMILE_MODELS, model_type_of, table_of

TABLES = ["implied_forwards", "option_quotes", "smile_models"]
SCORED = [*TABLES, "fitted_surfaces", "sabr_smiles", "model_scores"]
WITHOUT_TABLE = [name for name in SMILES if table_of(model_type_of(name)) is SMILE_MODELS]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatSmile:
    """The toy: one volatility for all strikes."""

    variance: float

    def total_variance(self, k):
        return np.full_like(k, self.variance)

    @classmethod
    def fit(cls, k, w, weight):
        smile = cls(variance=float(np.average(w, weights=weight)))
        return Fit(smile=smile, status=FitStatus.CONVERGED)


class RaisingSmile(FlatSmile):
    """A model with a defect."""

    @classmethod
    def fit(cls, k, w, weight):
        raise ValueError("no such luck")


class NowhereSmile(FlatSmile):
    """A model that ends without a positive variance."""

    @classmethod
    def fit(cls, k, w, weight):
        return Fit(smile=cls(variance=math.nan), status=FitStatus.CONVERGED)


def chain(day=DAY):
    """Two expiries of a smooth skew, quoted with a little noise."""
    strikes = np.arange(76.0, 125.0, 1.5)
    parts = []
    for n in (30, 90):
        noise = np.random.default_rng(n).normal(0.0, 5e-4, strikes.size)
        vol = 0.2 - 0.15 * np.log(strikes / 100.0) + 0.4 * np.log(strikes / 100.0) ** 2 + noise
        parts.append(expiry(in_days(n), lambda _, v=vol: np.tile(v, 2), strikes=strikes, day=day))
    return pl.concat(parts)


def stored(home, models, only=TABLES):
    lake, _ = lake_of(home, chain(), only=only, settings={"smile_models": models})
    return lake


@pytest.mark.parametrize("name", WITHOUT_TABLE)
def test_every_registered_model_is_fitted_stored_and_read_again(tmp_path, name):
    lake = stored(tmp_path, name)
    rows = lake.read("smile_models").sort("expiration_date")
    assert rows["status"].to_list() == ["fitted"] * 2
    assert set(rows["model_type"]) == {name.upper()}
    for row in rows.iter_rows(named=True):
        smile = smile_of(row["model_type"], row["parameters"])
        assert type(smile) is SMILES[name]
        assert parameters_of(smile) == row["parameters"]
        own = lake.read("option_quotes").filter(
            pl.col("expiration_date") == row["expiration_date"], "is_liquid",
            "is_out_of_the_money",
            pl.col("log_moneyness").is_between(row["k_min"], row["k_max"]),
        )  # fmt: skip
        k, quoted = own["log_moneyness"].to_numpy(), own["iv_mid"].to_numpy()
        error = 100.0 * (np.sqrt(smile.total_variance(k) / row["tte_years"]) - quoted)
        assert row["num_points"] == own.height
        assert row["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6)
        assert row["rmse"] < 0.5
        assert row["holdout_rmse"] < 0.6
        at_money = smile.total_variance(np.zeros(1))[0] / row["tte_years"]
        assert row["atm_vol"] == pytest.approx(math.sqrt(at_money), abs=1e-12)
        assert row["skew_25delta"] > 0.0
    found = lake.sql(f"FROM model_parameters WHERE model_type = '{name.upper()}'").sort("maturity")
    for seen, row in zip(found.iter_rows(named=True), rows.iter_rows(named=True), strict=True):
        assert json.loads(seen["parameters"]) == {"root": "SPX"} | json.loads(row["parameters"])
        assert seen["fit_quality"] == row["rmse"]


def test_a_toy_model_is_one_line_in_the_register(tmp_path, monkeypatch):
    monkeypatch.setitem(SMILES, "flat", FlatSmile)
    lake = stored(tmp_path, "polynomial,flat", only=SCORED)
    rows = lake.read("smile_models").filter(pl.col("model_type") == "FLAT")
    assert rows["status"].to_list() == ["fitted"] * 2
    for row in rows.iter_rows(named=True):
        assert smile_of("FLAT", row["parameters"]) == FlatSmile(
            variance=pytest.approx(row["atm_vol"] ** 2 * row["tte_years"])
        )
        assert row["skew_25delta"] == pytest.approx(0.0, abs=1e-12)
        assert row["min_durrleman_g"] == pytest.approx(1.0)
        assert row["inside_spread_share"] < 0.5
    scores = dict(lake.read("model_scores").select("model_type", "rank").iter_rows())
    assert scores["FLAT"] == max(scores.values())
    assert set(scores) >= {"SVI", "SABR", "POLYNOMIAL", "FLAT"}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (RaisingSmile, "no convergence: ValueError: no such luck"),
        (NowhereSmile, "no convergence: total variance is not positive at the quotes"),
    ],
)
def test_a_model_that_fails_leaves_the_others(tmp_path, monkeypatch, model, reason):
    monkeypatch.setitem(SMILES, "bad", model)
    rows = stored(tmp_path / "with", "bad,polynomial").read("smile_models")
    bad = rows.filter(pl.col("model_type") == "BAD")
    assert bad["status"].to_list() == ["failed"] * 2
    assert set(bad["reason"]) == {reason}
    assert bad["parameters"].is_null().all()
    rest = rows.filter(pl.col("model_type") != "BAD")
    assert rest.equals(stored(tmp_path / "without", "polynomial").read("smile_models"))


def test_thin_expiries_are_skipped(tmp_path):
    thin = expiry(in_days(40), strikes=np.arange(96.0, 105.0))
    lake, _ = lake_of(tmp_path, thin, only=TABLES, settings={"smile_models": "polynomial"})
    (row,) = lake.read("smile_models").iter_rows(named=True)
    assert (row["status"], row["reason"]) == ("skipped", "9 strikes to fit, needs 10")
    assert (row["num_points"], row["rmse"], row["parameters"]) == (9, None, None)


def test_models_are_asked_for_by_name_or_short_name():
    assert asked_models(["gvv", " Polynomial ", "gamma_vanna_volga"]) == [
        "gamma_vanna_volga",
        "polynomial",
    ]
    assert Settings(_env_file=None, smile_models="GVV, convex ,").smile_models == ("gvv", "convex")


def test_what_cannot_be_asked_for_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="no smile model 'cubic'; there are raw_svi, sabr, gamma"):
        asked_models(["cubic"])
    with pytest.raises(ValueError, match="SMILE_MODELS needs no sabr: it always stands in sabr_s"):
        asked_models(["sabr"])
    with pytest.raises(ValueError, match=r"SMILE_MODELS needs no raw_svi: .* fitted_surfaces"):
        asked_models(["svi"])


def test_a_model_taken_out_of_the_settings_leaves_the_table(tmp_path):
    lake = stored(tmp_path, "polynomial,gvv")
    assert set(lake.read("smile_models")["model_type"]) == {"POLYNOMIAL", "GAMMA_VANNA_VOLGA"}
    make(lake, settings_of(tmp_path, smile_models="gvv"), [DAY], TABLES)
    assert set(lake.read("smile_models")["model_type"]) == {"GAMMA_VANNA_VOLGA"}


def test_an_empty_session_gives_an_empty_table(tmp_path):
    settings = settings_of(tmp_path)
    session = smile_models.session(Lake(settings.lake_root), settings, DAY - timedelta(days=1))
    assert smile_models.compute(session).is_empty()
