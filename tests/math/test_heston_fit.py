"""Calibration of Heston: recovery, noise, objectives, fallback, error bars, and bad quotes."""

import json
import os
from dataclasses import replace
from math import exp
from pathlib import Path

import numpy as np
import pytest

from volsurf_math.heston import DEFAULT_BOUNDS, Heston
from volsurf_math.heston_fit import CalibrationStatus, Objective
from volsurf_math.heston_quotes import Quoted

CUI = json.loads((Path(__file__).parents[1] / "reference" / "heston.json").read_text())["cui"]
EXPIRIES = np.array([1 / 12, 0.25, 0.5, 1.0, 2.0])
INDEX = Heston(kappa=2.0, theta=0.06, sigma=0.6, rho=-0.7, v0=0.03)


def surface(law, n_strikes=10, expiries=EXPIRIES):
    """Strikes from -2 to 1.5 standard deviations, out-of-the-money options, exact prices."""
    tte = np.repeat(expiries, n_strikes)
    z = np.tile(np.linspace(-2.0, 1.5, n_strikes), expiries.size)
    strike = 100.0 * np.exp(z * np.sqrt(law.diffusive_variance(tte)))
    is_call = strike >= 100.0
    return (
        strike,
        tte,
        law.undiscounted_price(100.0, strike, tte, is_call, is_precise=True),
        is_call,
    )


def random_law(rng):
    return Heston(
        kappa=rng.uniform(0.5, 6.0),
        theta=rng.uniform(0.02, 0.15),
        sigma=rng.uniform(0.2, 1.2),
        rho=rng.uniform(-0.9, 0.1),
        v0=rng.uniform(0.01, 0.2),
    )


def largest_error(law, strike, tte, price, is_call):
    return np.max(np.abs(law.undiscounted_price(100.0, strike, tte, is_call) - price)) / 100.0


class TestRecovery:
    def test_random_surfaces_from_one_start(self):
        rng = np.random.default_rng(11)
        n_feller_violated = 0
        for _ in range(60):
            truth = random_law(rng)
            n_feller_violated += truth.feller_ratio < 1.0
            strike, tte, price, is_call = surface(truth)
            found = Heston.calibrate(100.0, strike, tte, price, is_call)
            assert found.status is CalibrationStatus.CONVERGED, truth
            assert largest_error(found.model, strike, tte, price, is_call) < 1e-9, truth
            np.testing.assert_allclose(found.model.parameters, truth.parameters, rtol=1e-5)
            assert found.rmse < 1e-8
            assert found.r_squared == pytest.approx(1.0)
            assert found.share_within_2_pct == 1.0
            assert found.largest_difference < 1e-9
            assert found.n_evaluations < 30
        assert n_feller_violated > 20

    def test_the_market_of_cui_et_al(self):
        strike, tte, call = np.array(CUI["rows"]).T
        growth = np.exp(CUI["r"] * tte)
        for start in (None, Heston(**CUI["initial"])):
            found = Heston.calibrate(growth, strike, tte, growth * call, True, start=start)
            assert found.status is CalibrationStatus.CONVERGED
            np.testing.assert_allclose(
                found.model.parameters, Heston(**CUI["true"]).parameters, rtol=1e-5
            )

    def test_volatilities_puts_and_calls_say_the_same(self):
        strike, tte, price, is_call = surface(INDEX)
        vol = INDEX.implied_vol(100.0, strike, tte)
        by_vol = Heston.calibrate(100.0, strike, tte, vol, is_call, quoted=Quoted.IMPLIED_VOL)
        puts = price + np.where(is_call, strike - 100.0, 0.0)
        by_put = Heston.calibrate(100.0, strike, tte, puts, False)
        for found in (by_vol, by_put):
            np.testing.assert_allclose(found.model.parameters, INDEX.parameters, rtol=1e-4)

    def test_the_unit_of_money_and_of_weights_does_not_matter(self):
        strike, tte, price, is_call = surface(INDEX)
        noisy = price * (1.0 + 0.01 * np.sin(np.arange(price.size)))
        one = Heston.calibrate(100.0, strike, tte, noisy, is_call)
        other = Heston.calibrate(1.0, strike / 100.0, tte, noisy / 100.0, is_call, 7.0)
        np.testing.assert_allclose(one.model.parameters, other.model.parameters, rtol=1e-6)

    def test_one_expiry_is_enough_for_prices(self):
        strike, tte, price, is_call = surface(INDEX, 15, np.array([0.25]))
        found = Heston.calibrate(100.0, strike, tte, price, is_call)
        assert largest_error(found.model, strike, tte, price, is_call) < 1e-5


class TestNoise:
    def test_errors_are_those_of_the_standard_errors(self):
        rng = np.random.default_rng(12)
        strike, tte, _, is_call = surface(INDEX, 20)
        vol = INDEX.implied_vol(100.0, strike, tte)
        z = []
        for _ in range(30):
            noisy = vol + 0.002 * rng.standard_normal(vol.size)
            found = Heston.calibrate(100.0, strike, tte, noisy, is_call, quoted=Quoted.IMPLIED_VOL)
            assert found.status is CalibrationStatus.CONVERGED
            assert found.rmse == pytest.approx(0.002, rel=0.3)
            z.append((found.model.parameters - INDEX.parameters) / found.standard_errors)
        spread = np.sqrt(np.mean(np.square(z), axis=0))
        assert ((spread > 0.6) & (spread < 1.5)).all(), spread

    def test_the_optimum_is_that_of_scipy(self):
        from scipy.optimize import least_squares

        rng = np.random.default_rng(13)
        strike, tte, price, is_call = surface(INDEX)
        price = price * (1.0 + 0.02 * rng.standard_normal(price.size))
        found = Heston.calibrate(
            100.0, strike, tte, price, is_call, objective=Objective.RELATIVE_PRICE
        )

        def residual(p):
            law = Heston(**dict(zip(("kappa", "theta", "sigma", "rho", "v0"), p, strict=True)))
            return law.undiscounted_price(100.0, strike, tte, is_call) / price - 1.0

        bounds = [bound.parameters for bound in DEFAULT_BOUNDS]
        peer = least_squares(residual, INDEX.parameters, bounds=bounds, x_scale="jac", ftol=1e-14)
        ours = float(np.sum(residual(found.model.parameters) ** 2))
        assert ours <= 2.0 * peer.cost * (1.0 + 1e-9)
        assert found.share_within_2_pct > 0.4

    def test_objectives_and_weights_change_the_optimum(self):
        strike, tte, price, is_call = surface(INDEX)
        price = price * np.where(strike < 90.0, 1.1, 1.0)
        plain = Heston.calibrate(100.0, strike, tte, price, is_call)
        relative = Heston.calibrate(
            100.0, strike, tte, price, is_call, objective=Objective.RELATIVE_PRICE
        )
        near = Heston.calibrate(100.0, strike, tte, price, is_call, np.where(strike < 90, 1e-6, 1))
        assert abs(plain.model.rho - relative.model.rho) > 1e-4
        np.testing.assert_allclose(near.model.parameters, INDEX.parameters, rtol=0.02)

    def test_the_feller_penalty_pulls_towards_feller(self):
        law = replace(INDEX, sigma=1.2)
        strike, tte, price, is_call = surface(law)
        free = Heston.calibrate(100.0, strike, tte, price, is_call)
        held = Heston.calibrate(100.0, strike, tte, price, is_call, feller_penalty=1.0)
        assert free.model.feller_ratio == pytest.approx(law.feller_ratio, rel=1e-4)
        assert held.model.feller_ratio > 0.9
        assert held.rmse > free.rmse


class TestFallback:
    def test_evolution_rescues_a_start_in_the_corner_and_is_repeatable(self):
        strike, tte, price, is_call = surface(INDEX, 4, EXPIRIES[:3])
        corner = Heston(kappa=49.0, theta=3.9, sigma=0.011, rho=0.99, v0=1.1e-5)
        quotes = (100.0, strike, tte, price, is_call)
        found = [
            Heston.calibrate(
                *quotes,
                bounds=(corner, replace(corner, theta=4.0)) if is_boxed else None,
                noise_floor=1e-3,
                rng=np.random.default_rng(5),
            )
            for is_boxed in (False, True, True)
        ]
        assert not found[0].is_global
        assert found[1].is_global
        assert found[1].model == found[2].model
        assert found[1].status is not CalibrationStatus.CONVERGED

    def test_a_parameter_at_its_bound_says_so(self):
        strike, tte, price, is_call = surface(INDEX)
        low, high = DEFAULT_BOUNDS
        found = Heston.calibrate(
            100.0, strike, tte, price, is_call, bounds=(low, replace(high, sigma=0.3))
        )
        assert found.status is CalibrationStatus.AT_BOUND
        assert found.model.sigma == pytest.approx(0.3)


class TestBadQuotes:
    def test_bad_rows_are_left_out(self):
        strike, tte, price, is_call = surface(INDEX)
        clean = Heston.calibrate(100.0, strike, tte, price, is_call)
        forward, weight = np.full(strike.size, 100.0), np.ones(strike.size)
        rows = [np.append(x, x[:9]) for x in (forward, strike, tte, price, is_call, weight)]
        spoilt = [
            (3, np.nan), (3, 0.0), (3, -1.0), (3, 1e9), (2, 0.0), (2, -0.1), (1, 0.0), (0, np.inf),
            (5, np.nan),
        ]  # fmt: skip
        for row, (column, value) in enumerate(spoilt, start=strike.size):
            rows[column] = rows[column].astype(np.float64)
            rows[column][row] = value
        rows[4] = rows[4].astype(bool)
        found = Heston.calibrate(*rows)
        assert found.n_quotes == clean.n_quotes == strike.size
        np.testing.assert_allclose(found.model.parameters, clean.model.parameters, rtol=1e-6)

    @pytest.mark.parametrize("n", [0, 1, 4])
    def test_too_few_quotes(self, n):
        strike, tte, price, is_call = (x[:n] for x in surface(INDEX))
        found = Heston.calibrate(100.0, strike, tte, price, is_call)
        assert found.status is CalibrationStatus.TOO_FEW_QUOTES
        assert found.model is None
        assert np.isnan(found.standard_errors).all()

    @pytest.mark.parametrize("n", [5, 6])
    def test_just_enough_quotes_and_equal_strikes(self, n):
        strike, tte, price, is_call = (x[:n] for x in surface(INDEX))
        found = Heston.calibrate(100.0, strike, tte, price, is_call)
        assert found.model is not None
        same = Heston.calibrate(100.0, np.full(n, 100.0), 0.5, np.full(n, 5.0), True)
        assert same.model is not None
        assert same.rmse < 1e-4

    def test_an_arbitrary_surface_ends_with_a_status(self):
        rng = np.random.default_rng(3)
        strike, tte, _, is_call = surface(INDEX)
        vol = np.exp(rng.normal(-1.5, 0.6, strike.size))
        found = Heston.calibrate(100.0, strike, tte, vol, is_call, quoted=Quoted.IMPLIED_VOL)
        assert found.model is not None
        assert np.isfinite(found.rmse)

    def test_an_expiry_in_seconds(self):
        strike, tte, price, is_call = surface(INDEX)
        tte = np.append(tte, 30.0 / (365.0 * 86400.0))
        found = Heston.calibrate(
            100.0, np.append(strike, 100.0), tte, np.append(price, 100.0 * 0.4 * exp(-8.0)),
            np.append(is_call, True),
        )  # fmt: skip
        assert found.n_quotes == strike.size + 1
        assert np.isfinite(found.rmse)

    def test_a_negative_penalty_is_refused(self):
        with pytest.raises(ValueError, match="feller_penalty needs to be >= 0, was -1"):
            Heston.calibrate(1.0, 1.0, 1.0, 0.1, True, feller_penalty=-1.0)


@pytest.mark.skipif("VOLSURF_REAL_DATA" not in os.environ, reason="VOLSURF_REAL_DATA is not set")
def test_a_real_session_of_the_sp500():
    import polars as pl

    quotes = pl.read_parquet(Path(os.environ["VOLSURF_REAL_DATA"]) / "spx_chains_2019.parquet")
    day = quotes["quote_date"].min()
    mid, spread = (pl.col("bid") + pl.col("ask")) / 2, pl.col("ask") - pl.col("bid")
    pairs = (
        quotes.filter(pl.col("quote_date") == day, pl.col("bid") > 0, spread > 0)
        .with_columns(mid=mid, tte=(pl.col("expiration") - day).dt.total_days() / 365.0)
        .filter(pl.col("tte").is_between(7 / 365, 2.1))
        .pivot("right", index=["root", "expiration", "tte", "strike"], values="mid")
        .drop_nulls(["C", "P"])
    )
    rows = []
    for (tte,), expiry in pairs.group_by(["tte"], maintain_order=True):
        strike, call, put = (expiry[name].to_numpy() for name in ("strike", "C", "P"))
        if strike.size < 15:
            continue
        near = np.argsort(np.abs(call - put))[:10]
        slope, level = np.polyfit(strike[near], (call - put)[near], 1)
        forward, z = -level / slope, np.log(-strike * slope / level) / (0.15 * np.sqrt(tte))
        price = np.where(strike > forward, call, put) / -slope
        kept = np.flatnonzero((z > -4.0) & (z < 2.0) & (price > 0.3))[::5]
        rows += [(forward, strike[i], tte, price[i], strike[i] > forward) for i in kept]
    found = Heston.calibrate(*(np.array(column) for column in zip(*rows, strict=True)))
    assert found.n_quotes > 200
    assert found.status is CalibrationStatus.CONVERGED
    assert found.rmse < 0.01
    assert found.r_squared > 0.95
    assert found.model.rho < -0.4
