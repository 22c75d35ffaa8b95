"""Bates against reference prices, other integrals, Merton's series, identities; calibration."""

import json
from dataclasses import fields, replace
from math import exp, factorial, log
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad

from volsurf_math.affine_model import AGREEMENT, price_columns
from volsurf_math.bates import Bates
from volsurf_math.black import undiscounted_price
from volsurf_math.heston_fit import CalibrationStatus
from volsurf_math.heston_quotes import Quoted
from volsurf_math.implied_vol import implied_vol

TRUTH = json.loads((Path(__file__).parents[1] / "reference" / "heston.json").read_text())["prices"]
EQUITY = Bates(
    v0=0.02, kappa=3.5, theta=0.045, sigma=0.45, rho=-0.6,
    jump_intensity=1.0, jump_mean=-0.02, jump_sd=0.03,
)  # fmt: skip
STRESSED = replace(EQUITY, v0=0.25, theta=0.19, jump_intensity=4.4)
TENORS = (15 / 525_600, 1 / 365, 7 / 365, 30 / 365, 0.5, 2.5)


def call_ratio(law: Bates, k, tte: float):
    return law.undiscounted_price(1.0, np.exp(k), tte, True)


def test_without_jumps_prices_are_hestons():
    for row in TRUTH["rows"]:
        case = dict(zip(TRUTH["columns"], row, strict=True))
        law = Bates(**{p: case[p] for p in ("v0", "kappa", "theta", "sigma", "rho")})
        call = law.undiscounted_price(100.0, case["K"], case["T"], True)
        assert call == pytest.approx(float(case["call_20"]), abs=1e-8), case


def little_trap(law: Bates, u: complex, tte: float) -> complex:
    """Characteristic function of ln(S/F) as Albrecher et al. (2007) write it, with jumps."""
    b = law.kappa - 1j * law.rho * law.sigma * u
    d = np.sqrt(b * b + law.sigma**2 * (1j * u + u * u))
    g = (b - d) / (b + d)
    e = np.exp(-d * tte)
    c = (b - d) * tte - 2.0 * np.log((1.0 - g * e) / (1.0 - g))
    exponent = law.kappa * law.theta / law.sigma**2 * c
    exponent += law.v0 / law.sigma**2 * (b - d) * (1.0 - e) / (1.0 - g * e)
    size = np.exp(1j * u * law.jump_mean - 0.5 * (u * law.jump_sd) ** 2) - 1.0
    mean = exp(law.jump_mean + 0.5 * law.jump_sd**2) - 1.0
    return np.exp(exponent + law.jump_intensity * tte * (size - 1j * u * mean))


def gil_pelaez_call(law: Bates, k: float, tte: float) -> float:
    def probability(shift: complex) -> float:
        def integrand(u: float) -> float:
            return (np.exp(-1j * u * k) * little_trap(law, u + shift, tte) / (1j * u)).real

        return 0.5 + quad(integrand, 1e-12, 400.0, limit=1000, epsabs=1e-12)[0] / np.pi

    return probability(-1j) - exp(k) * probability(0.0)


@pytest.mark.parametrize(
    ("k", "tte"), [(-0.1, 0.1), (0.0, 0.25), (0.1, 0.25), (-0.3, 1.0), (0.2, 2)]
)
@pytest.mark.parametrize("law", [EQUITY, STRESSED])
def test_agrees_with_gil_pelaez_inversion(law, k, tte):
    assert call_ratio(law, [k], tte)[0] == pytest.approx(gil_pelaez_call(law, k, tte), abs=1e-9)


@pytest.mark.parametrize("tte", TENORS[1:])
def test_without_vol_of_vol_prices_are_mertons_series(tte):
    v = EQUITY.v0
    law = replace(EQUITY, theta=v, sigma=2e-4, rho=0.0)
    k = np.linspace(-0.2, 0.2, 9)
    expected = np.zeros_like(k)
    for n in range(30):
        chance = exp(-law.jump_intensity * tte) * (law.jump_intensity * tte) ** n / factorial(n)
        drift = n * log(1.0 + law.jump_compensator)
        drift -= law.jump_intensity * law.jump_compensator * tte
        w = v * tte + n * law.jump_sd**2
        expected += chance * undiscounted_price(exp(drift), np.exp(k), w, True)
    np.testing.assert_allclose(call_ratio(law, k, tte), expected, atol=1e-8)


@pytest.mark.parametrize("tte", TENORS)
@pytest.mark.parametrize("law", [EQUITY, STRESSED])
def test_the_forward_is_a_martingale_and_its_log_has_the_stated_mean(law, tte):
    assert law.characteristic(-0.5j, tte) == pytest.approx(1.0, abs=1e-12)
    u = 1e-4
    slope = law.characteristic(u + 0.5j, tte) - law.characteristic(-u + 0.5j, tte)
    mean = (slope / (2j * u)).real
    assert law.log_contract_variance(tte) == pytest.approx(-2.0 * mean / tte, rel=1e-5)


@pytest.mark.parametrize("tte", TENORS)
@pytest.mark.parametrize("law", [EQUITY, STRESSED])
def test_prices_have_a_density_and_stay_inside_their_bounds(law, tte):
    k = np.linspace(-0.6, 0.4, 801)
    strike, call = np.exp(k), call_ratio(law, k, tte)
    slope = np.diff(call) / np.diff(strike)
    assert (np.diff(slope) > -1e-9).all()
    assert (slope >= -1.0 - 1e-9).all()
    assert (slope <= 1e-9).all()
    assert (call >= np.maximum(1.0 - strike, 0.0)).all()


@pytest.mark.parametrize("law", [EQUITY, STRESSED])
def test_total_variance_grows_with_time_at_equal_moneyness(law):
    k = np.linspace(-0.04, 0.03, 15)
    total = []
    for tte in np.linspace(2 / 365, 2.0, 25):
        call = call_ratio(law, k, tte)
        price = np.where(k > 0.0, call, call - 1.0 + np.exp(k))
        total.append(implied_vol(price, 1.0, np.exp(k), tte, 1.0, k > 0.0)[0] ** 2 * tte)
    assert (np.diff(total, axis=0) > 0.0).all()


def test_a_strip_of_options_replicates_the_log_contract():
    tte, k = 30 / 365, np.linspace(-1.2, 0.8, 8001)
    call = call_ratio(EQUITY, k, tte)
    otm = np.where(k > 0.0, call, call - 1.0 + np.exp(k))
    strip = 2.0 / tte * np.trapezoid(otm * np.exp(-k), k)
    assert EQUITY.log_contract_variance(tte) == pytest.approx(strip, rel=1e-5)


def random_bates(rng) -> Bates:
    return Bates(
        kappa=10.0 ** rng.uniform(-1.0, 1.3),
        theta=10.0 ** rng.uniform(-2.5, -0.5),
        sigma=10.0 ** rng.uniform(-1.0, 0.3),
        rho=rng.uniform(-0.95, 0.5),
        v0=10.0 ** rng.uniform(-2.5, -0.5),
        jump_intensity=10.0 ** rng.uniform(-2.0, 1.0),
        jump_mean=rng.uniform(-0.5, 0.2),
        jump_sd=10.0 ** rng.uniform(-2.0, -0.3),
    )


def test_random_laws_on_two_contours():
    rng = np.random.default_rng(2)
    for _ in range(150):
        law, tte = random_bates(rng), 10.0 ** rng.uniform(-3.5, 0.5)
        sd = np.sqrt(law.log_contract_variance(tte) * tte)
        k = np.clip(np.linspace(-6.0, 4.0, 9) * sd, -3.0, 3.0)
        columns = [np.ones(9), np.exp(k), np.full(9, tte), np.ones(9)]
        one, _ = price_columns(law.parameters, columns, 0, AGREEMENT)
        other, _ = price_columns(law.parameters, columns, 0, 1e-10, scale=0.42, step=0.2)
        np.testing.assert_allclose(one, other, rtol=0.0, atol=2e-10, err_msg=f"{law} {tte}")


def test_gradient_is_that_of_the_prices():
    rng, k = np.random.default_rng(3), np.linspace(-0.4, 0.3, 8)
    for _ in range(20):
        law, tte = random_bates(rng), rng.uniform(0.05, 2.0)
        _, gradient = law.price_and_gradient(1.0, np.exp(k), tte, True, is_precise=True)
        for i, field in enumerate(fields(Bates)):
            step = 2e-4 * abs(getattr(law, field.name))

            def price(n, law=law, name=field.name, step=step, tte=tte):
                moved = replace(law, **{name: getattr(law, name) + n * step})
                return moved.undiscounted_price(1.0, np.exp(k), tte, True, is_precise=True)

            slope = (8.0 * (price(1) - price(-1)) - (price(2) - price(-2))) / (12.0 * step)
            np.testing.assert_allclose(
                gradient[:, i], slope, rtol=1e-6, atol=2e-11 / step, err_msg=f"{law} {field.name}"
            )


def surface(law: Bates):
    tte = np.repeat([0.04, 1 / 12, 0.25, 0.5, 1.0, 2.0], 20)
    z = np.tile(np.linspace(-3.0, 2.0, 20), 6)
    strike = 100.0 * np.exp(z * np.sqrt(law.log_contract_variance(tte) * tte))
    is_call = strike >= 100.0
    return (
        strike,
        tte,
        law.undiscounted_price(100.0, strike, tte, is_call, is_precise=True),
        is_call,
    )


def share_recovered(n, seed):
    """Of random surfaces, those on which the best known optimum, the truth, is found."""
    rng, n_found = np.random.default_rng(seed), 0
    for _ in range(n):
        truth = Bates(
            kappa=rng.uniform(0.5, 6.0),
            theta=rng.uniform(0.02, 0.1),
            sigma=rng.uniform(0.2, 0.9),
            rho=rng.uniform(-0.9, -0.2),
            v0=rng.uniform(0.01, 0.1),
            jump_intensity=rng.uniform(0.1, 2.0),
            jump_mean=rng.uniform(-0.2, 0.0),
            jump_sd=rng.uniform(0.03, 0.2),
        )
        found = Bates.calibrate(100.0, *surface(truth))
        assert found.rmse < 0.01, truth
        n_found += found.rmse < 1e-7
    return n_found / n


def test_calibration_recovers_random_surfaces():
    assert share_recovered(10, seed=5) == 1.0


@pytest.mark.slow
def test_calibration_finds_the_best_known_optimum_of_a_hundred_surfaces():
    assert share_recovered(100, seed=6) >= 0.99


def test_jumps_of_another_kind_and_noise_end_well():
    """Upward jumps and a rough surface: found, and never an exception on the way."""
    rng = np.random.default_rng(16)
    for mean in (0.1, -0.3):
        truth = replace(EQUITY, rho=0.2, jump_mean=mean, jump_sd=0.25, jump_intensity=3.0)
        strike, tte, price, is_call = surface(truth)
        vol = implied_vol(price, 100.0, strike, tte, 1.0, is_call)[0]
        vol = vol + 0.002 * rng.standard_normal(vol.size)
        found = Bates.calibrate(100.0, strike, tte, vol, is_call, quoted=Quoted.IMPLIED_VOL)
        assert found.rmse < 0.0025  # the noise


def test_calibration_explains_heston_without_jumps_and_reports_few_quotes():
    heston = replace(EQUITY, jump_intensity=0.0)
    strike, tte, price, is_call = surface(heston)
    found = Bates.calibrate(100.0, strike, tte, price, is_call)
    assert found.rmse < 1e-4
    few = Bates.calibrate(100.0, strike[:7], tte[:7], price[:7], is_call[:7])
    assert few.status is CalibrationStatus.TOO_FEW_QUOTES
    assert few.model is None


def test_impossible_parameters_are_refused_and_impossible_times_are_rows():
    with pytest.raises(ValueError, match="rho"):
        replace(EQUITY, rho=-1.0)
    with pytest.raises(ValueError, match="v0"):
        replace(EQUITY, v0=0.0)
    with pytest.raises(ValueError, match="jump_sd"):
        replace(EQUITY, jump_sd=-0.1)
    price = EQUITY.undiscounted_price(1.0, 1.0, [0.0, -1.0, np.nan, 0.1], True)
    np.testing.assert_array_equal(np.isnan(price), [True, True, True, False])
