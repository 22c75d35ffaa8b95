"""Models besides raw SVI at points: against their own functions at stored parameters."""

import dataclasses
import json
import math

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import DAY
from tests.assets.test_surfaces import EXPIRIES, smiles
from volsurf_app import surface
from volsurf_app.contract_greeks import greeks
from volsurf_app.questions import BadQuestion, NotStored, when, where
from volsurf_math.heston import Heston
from volsurf_math.smiles.convex import ConvexSmile
from volsurf_math.smiles.gamma_vanna_volga import GammaVannaVolga
from volsurf_math.smiles.polynomial import PolynomialSmile
from volsurf_math.smiles.sabr import Sabr
from volsurf_resources.lake import Lake
from volsurf_tables.models import SABR_SMILES, SMILE_MODELS
from volsurf_tables.stochastic_vol import HESTON_SURFACES

LAW = {"kappa": 2.0, "theta": 0.05, "sigma": 0.6, "rho": -0.6, "v0": 0.04}


def stored_as(table, rows, **columns):
    schema = table.schema
    given = rows.with_columns(**columns)
    return pl.concat([schema.to_frame(), given], how="diagonal_relaxed").select(schema.names())


@pytest.fixture
def lake(tmp_path):
    lake = Lake(tmp_path)
    rows = smiles().drop("reason", "atm_vol_std_error")
    lake.replace("fitted_surfaces", DAY, smiles())
    alpha = [2.0 + 0.1 * n for n in range(len(EXPIRIES))]
    sabr = stored_as(
        SABR_SMILES,
        rows,
        alpha=pl.Series(alpha),
        beta=pl.lit(0.5),
        rho=pl.lit(-0.4),
        nu=pl.lit(0.8),
    )
    lake.replace("sabr_smiles", DAY, sabr)
    law = rows.head(1).select("symbol", "quote_date", "snapshot").with_columns(**LAW)
    lake.replace("heston_surfaces", DAY, stored_as(HESTON_SURFACES, law, status=pl.lit("fitted")))
    return lake


FITTED = {
    "GAMMA_VANNA_VOLGA": GammaVannaVolga(sigma=0.2, rho=-0.6, nu=0.8),
    "POLYNOMIAL": PolynomialSmile(coefficients=(0.06, -0.05, 0.2), k_min=-0.3, k_max=0.3),
    "CONVEX": ConvexSmile(  # means of 0.9 and 1.04, whose mean is the forward
        log_mean=(math.log(0.9), math.log(1.04)), variance=(0.02, 0.004), mass=(2 / 7, 5 / 7)
    ),
}


@pytest.fixture
def registered(lake):
    """Smiles of the models that only the register knows: the same one at every expiry."""
    rows = smiles().drop("reason", "atm_vol_std_error", "model_type")
    frames = [
        stored_as(
            SMILE_MODELS, rows, model_type=pl.lit(name), parameters=pl.lit(parameters_of(own))
        )
        for name, own in FITTED.items()
    ]
    lake.replace("smile_models", DAY, pl.concat(frames))
    return lake


def parameters_of(smile):
    return json.dumps(dataclasses.asdict(smile))


@pytest.mark.parametrize("model", FITTED)
@pytest.mark.parametrize("k", [-0.15, 0.0, 0.08])
def test_registered_models_are_their_stored_parameters(registered, model, k):
    rows = registered.read("fitted_surfaces", [DAY]).sort("tte_years").rows(named=True)
    (w,) = FITTED[model].total_variance(np.array([k]))
    asked = {"log_moneyness": k, "model": model, "lake": registered}
    listed = surface.at("SPX", expiry=rows[1]["expiration_date"], **asked)
    assert listed.total_variance == pytest.approx(w, rel=1e-12)
    tte = 0.3 * rows[1]["tte_years"] + 0.7 * rows[2]["tte_years"]
    between = surface.at("SPX", tte=tte, **asked)
    assert between.total_variance == pytest.approx(w, rel=1e-12)  # equal on both sides
    by_delta = surface.at("SPX", tte=tte, delta=between.delta, model=model, lake=registered)
    assert by_delta.log_moneyness == pytest.approx(k, abs=1e-9)
    assert surface.at("SPX", tte=tte, log_moneyness=0.5, model=model, lake=registered).status == (
        "outside_strikes"
    )


def test_models_have_the_names_that_people_give_them(registered):
    asked = {"tenor": 30, "log_moneyness": 0.0, "lake": registered}
    points = [surface.at("SPX", **asked, model=name) for name in ("gvv", "GAMMA_VANNA_VOLGA")]
    assert points[0] == points[1]
    with pytest.raises(BadQuestion, match="CONVEX"):
        surface.at("SPX", **asked, model="BLACK")
    registered.replace("smile_models", DAY, registered.read("smile_models", [DAY]).clear())
    with pytest.raises(NotStored, match="SMILE_MODELS"):
        surface.at("SPX", **asked, model="gvv")


def sabr_variance(row, k):
    smile = Sabr(**{name: row[name] for name in ("alpha", "beta", "rho", "nu")})
    strike = row["forward"] * math.exp(k)
    return (
        float(smile.implied_vol(strike, row["forward"], row["tte_years"])) ** 2 * row["tte_years"]
    )


@pytest.mark.parametrize("k", [-0.2, 0.0, 0.1])
def test_sabr_is_hagans_formula_and_linear_in_time_between(lake, k):
    rows = lake.read("sabr_smiles", [DAY]).sort("tte_years").rows(named=True)
    listed = surface.at(
        "SPX", expiry=rows[1]["expiration_date"], log_moneyness=k, model="SABR", lake=lake
    )
    assert listed.total_variance == pytest.approx(sabr_variance(rows[1], k), rel=1e-12)
    tte = 0.5 * (rows[1]["tte_years"] + rows[2]["tte_years"])
    between = surface.at("SPX", tte=tte, log_moneyness=k, model="sabr", lake=lake)
    middle = 0.5 * (sabr_variance(rows[1], k) + sabr_variance(rows[2], k))
    assert between.total_variance == pytest.approx(middle, rel=1e-12)
    assert between.std_error is None
    by_delta = surface.at("SPX", tte=tte, delta=between.delta, model="SABR", lake=lake)
    assert by_delta.log_moneyness == pytest.approx(k, abs=1e-9)


@pytest.mark.parametrize("tenor", [30, 45, 250])
@pytest.mark.parametrize("k", [-0.15, 0.02])
def test_heston_is_the_law_at_that_very_time(lake, tenor, k):
    point = surface.at("SPX", tenor=tenor, log_moneyness=k, model="HESTON", lake=lake)
    exact = Heston(**LAW).implied_vol(1.0, math.exp(k), tenor / 365.0)
    assert point.implied_vol == pytest.approx(float(exact), rel=1e-12)
    svi = surface.at("SPX", tenor=tenor, log_moneyness=k, lake=lake)
    assert point.forward == pytest.approx(svi.forward, rel=1e-12)
    assert {s.expiration_date for s in point.slices} == {s.expiration_date for s in svi.slices}
    assert [s.passes_no_arbitrage for s in point.slices] == [None] * len(point.slices)
    by_delta = surface.at("SPX", tenor=tenor, delta=point.delta, model="HESTON", lake=lake)
    assert by_delta.log_moneyness == pytest.approx(k, abs=1e-9)


@pytest.mark.parametrize("model", ["SABR", "HESTON"])
def test_quotes_bound_every_model(lake, model):
    for asked, status in (
        ({"tenor": "401d", "strike": 100.0}, "outside_expiries"),
        ({"tenor": "30d", "log_moneyness": 0.2}, "outside_strikes"),
    ):
        point = surface.at("SPX", **asked, model=model, lake=lake)
        assert (point.implied_vol, point.status) == (None, status)
    grid = surface.points(
        "SPX", [when(tenor=30), when(tenor=45)], where(strike=[95.0, 105.0]), model=model, lake=lake
    )
    for i, tenor in enumerate((30, 45)):
        for j, strike in enumerate((95.0, 105.0)):
            point = surface.at("SPX", tenor=tenor, strike=strike, model=model, lake=lake)
            assert grid.implied_vol[i][j] == pytest.approx(point.implied_vol, rel=1e-13)


@pytest.mark.parametrize("model", ["SABR", "HESTON"])
def test_what_only_svi_can_answer_is_refused_for_others(lake, model):
    with pytest.raises(BadQuestion, match="SVI and SSVI"):
        surface.svi_params("SPX", model=model, lake=lake)
    asked = {"tenor": 30, "strike": 100.0, "option_type": "C", "model": model}
    assert greeks("SPX", **asked, lake=lake).status == "no_forward"


def test_model_that_was_not_fitted_is_not_there(lake):
    row = lake.read("heston_surfaces", [DAY])
    names = list(LAW)
    failed = row.with_columns(
        *(pl.lit(None, pl.Float64).alias(name) for name in names),
        status=pl.lit("failed"),
        reason=pl.lit("no convergence"),
    )
    lake.replace("heston_surfaces", DAY, failed)
    point = surface.at("SPX", tenor=30, strike=100.0, model="HESTON", lake=lake)
    assert (point.implied_vol, point.status, point.reason) == (None, "no_smile", "no convergence")
    lake.replace("sabr_smiles", DAY, lake.read("sabr_smiles", [DAY]).clear())
    with pytest.raises(NotStored, match="no SABR surface"):
        surface.at("SPX", tenor=30, strike=100.0, model="SABR", lake=lake)
