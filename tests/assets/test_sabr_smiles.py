"""SABR smiles: known models come back, curves price between expiries, failures stand alone."""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from tests.assets.handmade import (
    DAY,
    carry_forward,
    expiry,
    in_days,
    lake_of,
    years_to,
)
from tests.assets.pipeline import make, settings_of
from volsurf_assets.sabr import sabr_smiles
from volsurf_assets.sabr_curves import sabr_vol, term_structure_of
from volsurf_assets.smile_outcomes import CARRY_SESSIONS
from volsurf_math.smiles import sabr_slices
from volsurf_math.smiles.sabr import Sabr
from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.lake import Lake

TABLES = ["implied_forwards", "option_quotes", "sabr_smiles"]
OTHERS = ["fitted_surfaces", "smile_models", "heston_surfaces"]
STRIKES = np.arange(70.0, 131.0, 1.0)
TENORS = (30, 60, 120, 240)


def model(tte, beta=0.5):
    """Parameters that lie on curves: power laws of alpha and nu, a line of rho's transform."""
    u = -0.6 - 0.1 * np.log(tte)
    rho = u / np.sqrt(1.0 + u * u)
    alpha = 0.2 * 100.0 ** (1.0 - beta) * tte**0.03
    return Sabr(alpha=float(alpha), beta=beta, rho=float(rho), nu=float(0.6 * tte**-0.4))


def smiling(n_days, day=DAY, beta=0.5, strikes=STRIKES, **named):
    tte = years_to(in_days(n_days), day)
    forward = carry_forward(tte)
    sabr = named.pop("sabr", None) or model(tte, beta)

    def vol(k):
        return sabr.implied_vol(forward * np.exp(k), forward, tte)

    named = {"half_share": 0.002} | named
    return expiry(in_days(n_days), vol, day=day, strikes=strikes, **named)


def rows_of(home, chain, **settings):
    lake, _ = lake_of(home, chain, only=TABLES, settings=settings)
    return lake.read("sabr_smiles").sort("quote_date", "expiration_date")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    chain = pl.concat([smiling(n) for n in TENORS])
    return lake_of(tmp_path_factory.mktemp("sabr"), chain, only=TABLES)[0]


@pytest.fixture(scope="module")
def rows(lake):
    return lake.read("sabr_smiles").sort("expiration_date")


def test_known_parameters_come_back(rows):
    assert rows["status"].to_list() == ["fitted"] * len(TENORS)
    for row in rows.iter_rows(named=True):
        truth = model(row["tte_years"])
        assert row["beta"] == 0.5
        for name in ("alpha", "rho", "nu"):
            assert row[name] == pytest.approx(getattr(truth, name), rel=5e-3)
            assert 0.0 < row[f"{name}_std_error"] < 0.05 * abs(row[name])
        assert max(row["rmse"], row["mae"], row["holdout_rmse"]) < 0.01
        assert row["within_1_point_share"] == row["within_10_bps_share"] == 1.0
        assert row["inside_spread_share"] > 0.95
        assert row["parameters_date"] == DAY
        assert row["reason"] is None


@pytest.mark.parametrize("beta", [0.0, 1.0])
def test_beta_is_the_one_that_is_set(tmp_path, beta):
    (row,) = rows_of(tmp_path, smiling(60, beta=beta), sabr_beta=beta).iter_rows(named=True)
    truth = model(row["tte_years"], beta)
    assert row["beta"] == beta
    assert [row[x] for x in ("alpha", "rho", "nu")] == pytest.approx(
        [truth.alpha, truth.rho, truth.nu], rel=5e-3
    )


def test_stored_errors_follow_from_stored_parameters_and_quotes(tmp_path):
    chain = smiling(60, half_share=0.02)
    sign = np.random.default_rng(3).uniform(-1.0, 1.0, chain.height)
    moved = chain.with_columns(pl.col("bid", "ask") * pl.Series(1.0 + 0.01 * sign))
    lake, _ = lake_of(tmp_path, moved, only=TABLES)
    (row,) = lake.read("sabr_smiles").iter_rows(named=True)
    own = lake.read("option_quotes").filter(
        "is_liquid", "is_out_of_the_money",
        pl.col("log_moneyness").is_between(row["k_min"], row["k_max"]),
    )  # fmt: skip
    sabr = Sabr(**{name: row[name] for name in ("alpha", "beta", "rho", "nu")})
    vol = sabr.implied_vol(own["strike"].to_numpy(), row["forward"], row["tte_years"])
    error = 100.0 * (vol - own["iv_mid"].to_numpy())
    assert row["num_points"] == own.height
    assert row["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-6)
    assert row["mae"] == pytest.approx(np.abs(error).mean(), rel=1e-6)
    assert row["max_error"] == pytest.approx(np.abs(error).max(), rel=1e-6)
    assert row["within_1_point_share"] == pytest.approx((np.abs(error) <= 1.0).mean())
    assert row["within_10_bps_share"] == pytest.approx((np.abs(error) <= 0.1).mean())
    assert 0.0 < row["within_10_bps_share"] < row["within_1_point_share"]
    inside = (vol >= own["iv_bid"].fill_null(0.0).to_numpy()) & (vol <= own["iv_ask"].to_numpy())
    assert row["inside_spread_share"] == pytest.approx(inside.mean())


def test_parameters_stand_in_the_missions_view(lake, rows):
    found = lake.sql("FROM model_parameters WHERE model_type = 'SABR'").sort("maturity")
    assert found["maturity"].equals(rows["expiration_date"].alias("maturity"))
    said = json.loads(found["parameters"][0])
    names = ("root", "alpha", "beta", "rho", "nu")
    assert said == {name: rows[name][0] for name in names}
    assert found["fit_quality"].to_list() == rows["rmse"].to_list()


def test_curves_through_the_expiries_are_stored_and_price_between_them(rows):
    for row in rows.iter_rows(named=True):
        truth = model(row["tte_years"])
        for name in ("alpha", "rho", "nu"):
            assert row[f"term_{name}"] == pytest.approx(getattr(truth, name), rel=5e-3)
        assert row["term_rmse"] < 0.02
    k = np.linspace(-0.1, 0.1, 5)
    for tte in (0.11, 0.25, 0.5):
        forward = carry_forward(tte)
        truth = model(tte).implied_vol(forward * np.exp(k), forward, tte)
        assert sabr_vol(rows, k, tte) == pytest.approx(truth, abs=2e-4)


def test_nothing_is_priced_outside_the_expiries(rows):
    k = np.zeros(1)
    assert np.isnan(sabr_vol(rows, k, 0.5 * rows["tte_years"].min())).all()
    assert np.isnan(sabr_vol(rows, k, 1.01 * rows["tte_years"].max())).all()
    assert np.isnan(sabr_vol(rows.head(1), k, rows["tte_years"][0])).all()
    assert term_structure_of(rows.clear()) is None


def test_where_the_formula_breaks_is_said(tmp_path):
    """Long, with much volatility of volatility: density turns negative among the low strikes."""
    wild = Sabr(alpha=4.0, beta=0.5, rho=-0.2, nu=0.9)
    chain = smiling(700, sabr=wild, strikes=np.arange(60.0, 141.0, 2.0), half_share=0.001)
    (row,) = rows_of(tmp_path, chain).iter_rows(named=True)
    smile = wild.at(row["forward"], row["tte_years"])
    low = np.log(smile.sound_range()[0] / row["forward"])
    assert row["sound_k_min"] == pytest.approx(low, rel=0.05)
    assert row["min_durrleman_g"] < 0.0
    assert row["butterfly_arbitrage_violations"] > 0
    assert row["is_sound_at_quotes"] == (row["sound_k_min"] <= row["k_min"])


def test_a_smile_without_negative_density_says_so(rows):
    short = rows.row(0, named=True)
    assert short["is_sound_at_quotes"]


def raising(*_, **__):
    raise ArithmeticError("forced")


@pytest.fixture
def two_days(tmp_path):
    first, second = sessions(DAY, in_days(7))[:2]
    chain = pl.concat([smiling(n, day) for day in (first, second) for n in (60, 120)])
    lake, settings = lake_of(tmp_path, chain, only=[])
    return lake, settings, first, second


def test_a_failing_sabr_is_carried_and_stops_no_other_model(two_days, monkeypatch):
    lake, settings, first, second = two_days
    make(lake, settings, [first], [*TABLES, *OTHERS, "model_scores"])
    monkeypatch.setattr(sabr_slices, "fit_slices", raising)
    make(lake, settings, [second], [*TABLES, *OTHERS, "model_scores"])
    before, after = (
        lake.read("sabr_smiles", [day]).sort("expiration_date") for day in (first, second)
    )
    assert after["status"].to_list() == ["carried"] * 2
    assert set(after["reason"]) == {"no convergence: ArithmeticError: forced"}
    assert set(after["parameters_date"]) == {first}
    kept = ["alpha", "beta", "rho", "nu", "atm_vol", "tte_years"]
    assert after.select(kept).equals(before.select(kept))
    assert after["term_alpha"].is_null().all()
    for table in OTHERS:
        assert "fitted" in lake.read(table, [second])["status"].to_list(), table
    scored = lake.read("model_scores", [second])["model_type"]
    assert "SVI" in scored
    assert "SABR" not in scored


def test_without_a_past_fit_a_failure_is_a_failure(two_days, monkeypatch):
    lake, settings, first, _ = two_days
    monkeypatch.setattr(sabr_slices, "fit_slices", raising)
    make(lake, settings, [first], TABLES)
    rows = lake.read("sabr_smiles", [first])
    assert set(rows["status"]) == {"failed"}
    assert set(rows["reason"]) == {"no convergence: ArithmeticError: forced; nothing to carry"}
    assert rows["alpha"].is_null().all()
    assert rows["num_points"].min() > 10


def test_parameters_are_carried_for_so_many_sessions(two_days, monkeypatch):
    lake, settings, first, _ = two_days
    make(lake, settings, [first], TABLES)
    monkeypatch.setattr(sabr_slices, "fit_slices", raising)
    days = sessions(first, in_days(21))[1 : CARRY_SESSIONS + 2]
    more = pl.concat([smiling(60, day) for day in days])
    lake_of(settings.volsurf_home, more, only=TABLES)
    status = lake.read("sabr_smiles", days).sort("quote_date")["status"].to_list()
    assert status == ["carried"] * CARRY_SESSIONS + ["failed"]


def test_thin_expiries_are_skipped_and_leave_the_others(tmp_path):
    thin = smiling(40, strikes=np.arange(96.0, 105.0))
    good = pl.concat([smiling(n) for n in (30, 60)])
    found = rows_of(tmp_path / "both", pl.concat([good, thin]))
    skipped = found.filter(pl.col("status") == "skipped")
    assert skipped["reason"].to_list() == ["9 strikes to fit, needs 10"]
    assert skipped["alpha"].is_null().all()
    rest = found.filter(pl.col("status") == "fitted")
    assert rest.equals(rows_of(tmp_path / "alone", good))


def test_an_expiry_without_forward_is_skipped(tmp_path):
    puts = smiling(30, underlying_price=0.0).filter(pl.col("option_type") == "PUT")
    (row,) = rows_of(tmp_path, puts).iter_rows(named=True)
    assert (row["status"], row["reason"]) == ("skipped", "0 strikes to fit, needs 10")


def test_an_empty_session_gives_an_empty_table(tmp_path):
    settings = settings_of(tmp_path)
    session = sabr_smiles.session(Lake(settings.lake_root), settings, DAY - timedelta(days=1))
    assert sabr_smiles.compute(session).is_empty()
