"""Heston prices and gradients against high precision, identities, limits, and bad input."""

import json
from dataclasses import asdict, replace
from math import exp
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.interpolate import RectBivariateSpline
from scipy.sparse.linalg import splu

from volsurf_math.affine_model import AGREEMENT, price_columns
from volsurf_math.black import undiscounted_price
from volsurf_math.heston import Heston
from volsurf_math.variance_swap import Strip, strip_variance

TRUTH = json.loads((Path(__file__).parents[1] / "reference" / "heston.json").read_text())
NAMES = ("kappa", "theta", "sigma", "rho", "v0")
INDEX = Heston(kappa=2.0, theta=0.06, sigma=1.0, rho=-0.75, v0=0.03)


def cases(name):
    table = TRUTH[name]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def model_of(case):
    return Heston(**{name: case[name] for name in NAMES})


@pytest.mark.parametrize(("is_precise", "tolerance"), [(False, 1e-10), (True, 1e-12)])
def test_every_row_of_truth(is_precise, tolerance):
    for case in cases("prices"):
        for is_call, expected in ((True, case["call_20"]), (False, case["put_20"])):
            price = model_of(case).undiscounted_price(
                100.0, case["K"], case["T"], is_call, is_precise=is_precise
            )
            # digits of K beyond a double's belong to the truth's put and call
            assert price == pytest.approx(float(expected), abs=100.0 * tolerance), case


def test_gradients_of_truth():
    for case in cases("gradients"):
        price, gradient = model_of(case).price_and_gradient(
            100.0, case["K"], case["T"], True, is_precise=True
        )
        expected = [case[f"d_{name}"] for name in NAMES]
        assert price == pytest.approx(case["call"], abs=1e-10), case
        np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-10, err_msg=str(case))


def test_published_prices():
    for case in cases("lewis"):
        forward = case["S"] * exp((case["r"] - case["q"]) * case["T"])
        discount = exp(-case["r"] * case["T"])
        for is_call, key in ((True, "call"), (False, "put")):
            price = model_of(case).undiscounted_price(forward, case["K"], case["T"], is_call)
            assert discount * price == pytest.approx(float(case[key]), abs=1e-9), case
    for case in cases("andersen"):
        price = model_of(case).undiscounted_price(case["S"], case["K"], case["T"], True)
        assert price == pytest.approx(case["call"], abs=1e-8), case


def random_laws(n, seed, shortest=1e-4):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield (
            Heston(
                kappa=10.0 ** rng.uniform(-2.0, 1.3),
                theta=10.0 ** rng.uniform(-3.0, 0.0),
                sigma=10.0 ** rng.uniform(-2.0, 0.5),
                rho=rng.uniform(-0.98, 0.98),
                v0=10.0 ** rng.uniform(-3.0, 0.0),
            ),
            10.0 ** rng.uniform(-4.0, 1.1),
        )


def test_random_laws_on_two_contours():
    z = np.linspace(-9.0, 9.0, 13)
    for law, tte in random_laws(400, seed=3):
        k = np.clip(z * np.sqrt(law.diffusive_variance(tte)), -5.0, 5.0)
        columns = [np.ones(13), np.exp(k), np.full(13, tte), np.ones(13)]
        one, _ = price_columns(law.parameters, columns, 0, AGREEMENT)
        other, _ = price_columns(law.parameters, columns, 0, 1e-9, scale=0.42, step=0.2)
        np.testing.assert_allclose(one, other, rtol=0.0, atol=1e-10, err_msg=f"{law} {tte}")


def test_gradient_is_that_of_the_prices():
    k = np.linspace(-0.4, 0.3, 8)
    for law, tte in random_laws(40, seed=4, shortest=0.02):
        _, gradient = law.price_and_gradient(1.0, np.exp(k), tte, True, is_precise=True)
        for i, name in enumerate(NAMES):
            step = 2e-4 * abs(getattr(law, name))

            def price(n, law=law, name=name, step=step, tte=tte):
                moved = replace(law, **{name: getattr(law, name) + n * step})
                return moved.undiscounted_price(1.0, np.exp(k), tte, True, is_precise=True)

            slope = (8.0 * (price(1) - price(-1)) - (price(2) - price(-2))) / (12.0 * step)
            np.testing.assert_allclose(
                gradient[:, i], slope, rtol=1e-6, atol=2e-11 / step, err_msg=f"{law} {name}"
            )


class TestIdentities:
    def test_put_call_parity(self):
        k, tte = np.linspace(40.0, 250.0, 30), 0.7
        call = INDEX.undiscounted_price(100.0, k, tte, True)
        put = INDEX.undiscounted_price(100.0, k, tte, False)
        np.testing.assert_allclose(call - put, 100.0 - k, atol=1e-8)

    @pytest.mark.parametrize("tte", [1 / 365, 0.1, 1.0, 10.0])
    def test_the_characteristic_function_has_mass_and_mean_one(self, tte):
        assert INDEX.characteristic(0.5j, tte) == pytest.approx(1.0, abs=1e-14)
        assert INDEX.characteristic(-0.5j, tte) == pytest.approx(1.0, abs=1e-12)

    @pytest.mark.parametrize("tte", [1 / 365, 0.1, 1.0, 10.0])
    def test_the_characteristic_function_never_jumps(self, tte):
        z = np.linspace(0.0, 400.0, 40_001)
        phi = INDEX.characteristic(z, tte)
        assert np.max(np.abs(np.diff(phi))) < 0.02

    def test_a_strip_replicates_the_mean_variance(self):
        tte, strike = 0.25, np.exp(np.linspace(-3.0, 1.5, 20_001))
        split = strike[np.searchsorted(strike, 1.0) - 1]
        price = INDEX.undiscounted_price(1.0, strike, tte, strike > 1.0, is_precise=True)
        both = INDEX.undiscounted_price(1.0, split, tte, [True, False], is_precise=True)
        price[strike == split] = np.mean(both)
        strip = Strip(strike=strike, price=price, split=float(split))
        found = strip_variance(strip, 1.0, tte, 1.0)
        assert found.variance * tte == pytest.approx(INDEX.diffusive_variance(tte), rel=1e-6)

    def test_rows_do_not_depend_on_their_company(self):
        rng = np.random.default_rng(1)
        strike, tte = rng.uniform(60.0, 150.0, 60), rng.choice([0.05, 0.5, 2.0], 60)
        is_call = rng.random(60) < 0.5
        together = INDEX.undiscounted_price(100.0, strike, tte, is_call)
        rows = zip(strike, tte, is_call, strict=True)
        alone = [INDEX.undiscounted_price(100.0, *row) for row in rows]
        np.testing.assert_allclose(together, alone, rtol=0.0, atol=1e-8)

    def test_shapes_broadcast(self):
        price, gradient = INDEX.price_and_gradient(
            100.0, [[90.0], [100.0]], [0.1, 0.5, 1.0], [[True], [False]]
        )
        assert price.shape == (2, 3)
        assert gradient.shape == (2, 3, 5)

    def test_feller_ratio(self):
        assert INDEX.feller_ratio == pytest.approx(2.0 * 2.0 * 0.06 / 1.0)


class TestLimits:
    @pytest.mark.parametrize("sigma", [0.0, 1e-12, 1e-9, 1e-6])
    def test_certain_variance_is_black(self, sigma):
        law, strike = replace(INDEX, sigma=sigma), np.linspace(70.0, 140.0, 15)
        for tte in (1 / 365, 0.5, 10.0):
            w = law.diffusive_variance(tte)
            black = undiscounted_price(100.0, strike, w, True)
            found, gradient = law.price_and_gradient(100.0, strike, tte, True)
            np.testing.assert_allclose(found, black, atol=1e-8 + 100.0 * sigma)
            assert np.isfinite(gradient).all()

    def test_the_gradient_is_continuous_where_variance_becomes_certain(self):
        strike = np.linspace(80.0, 120.0, 9)
        _, certain = replace(INDEX, sigma=0.0).price_and_gradient(100.0, strike, 0.5, True)
        _, nearly = replace(INDEX, sigma=1e-7).price_and_gradient(100.0, strike, 0.5, True)
        np.testing.assert_allclose(certain, nearly, atol=1e-4)
        assert np.max(np.abs(certain[:, 2])) > 0.1

    @pytest.mark.parametrize("tte", [1e-5, 1e-8, 1e-11])
    def test_short_options_approach_black(self, tte):
        s = np.sqrt(INDEX.v0 * tte)
        strike = 100.0 * np.exp(s * np.linspace(-6.0, 6.0, 13))
        found = INDEX.undiscounted_price(100.0, strike, tte, True)
        black = undiscounted_price(100.0, strike, INDEX.diffusive_variance(tte), True)
        skew = INDEX.sigma * np.sqrt(tte) / np.sqrt(INDEX.v0)  # relative order of the correction
        np.testing.assert_allclose(found, black, atol=1e-8 + 100.0 * s * skew)

    def test_far_strikes_are_worth_their_intrinsic_value(self):
        strike = 100.0 * np.exp([-3.0, -1.0, 1.0, 3.0])
        call = INDEX.undiscounted_price(100.0, strike, 1 / 365, True)
        np.testing.assert_allclose(call, np.maximum(100.0 - strike, 0.0), atol=1e-8)


class TestImpliedVol:
    def test_inverts_the_prices(self):
        strike = np.array([70.0, 90.0, 100.0, 110.0, 120.0])
        vol = INDEX.implied_vol(100.0, strike, 0.5)
        black = undiscounted_price(100.0, strike, vol**2 * 0.5, True)
        np.testing.assert_allclose(
            black, INDEX.undiscounted_price(100.0, strike, 0.5, True), atol=1e-8
        )

    def test_is_nan_where_the_price_carries_none(self):
        assert np.isnan(INDEX.implied_vol(100.0, [10.0, 400.0], 1 / 365)).all()


class TestBadInput:
    def test_bad_rows_are_nan_and_leave_the_others(self):
        bad = [0.0, -1.0, np.nan, np.inf]
        clean = INDEX.undiscounted_price(100.0, 100.0, 0.5, True)
        for position in range(3):
            row = [[100.0] * 5, [100.0] * 5, [0.5] * 5]
            row[position][:4] = bad
            price, gradient = INDEX.price_and_gradient(*row, True)
            assert np.isnan(price[:4]).all()
            assert np.isnan(gradient[:4]).all()
            assert price[4] == pytest.approx(clean, abs=1e-8)
            assert np.isnan(INDEX.implied_vol(*row)[:4]).all()

    def test_no_rows(self):
        assert INDEX.undiscounted_price([], [], [], []).shape == (0,)

    @pytest.mark.parametrize(
        "wrong", [{"kappa": 0.0}, {"theta": -0.1}, {"sigma": -1.0}, {"rho": 1.0}, {"v0": np.nan}]
    )
    def test_impossible_parameters_are_refused(self, wrong):
        with pytest.raises(ValueError, match=r"Heston needs .* was Heston"):
            Heston(**asdict(INDEX) | wrong)

    def test_shapes_that_do_not_fit_are_refused(self):
        with pytest.raises(ValueError, match="shape mismatch"):
            INDEX.undiscounted_price([1.0, 2.0], [1.0, 2.0, 3.0], 1.0, True)


def little_trap_call(mp, law, k, tte):
    """Gil-Pelaez inversion of the characteristic function of Albrecher et al. (2007)."""
    kappa, theta, sigma, rho, v0 = (mp.mpf(getattr(law, name)) for name in NAMES)

    def phi(u):
        xi = kappa - sigma * rho * 1j * u
        d = mp.sqrt(xi * xi + sigma**2 * (u * u + 1j * u))
        g, decay = (xi - d) / (xi + d), mp.exp(-d * tte)
        drift = (xi - d) * tte - 2 * mp.log((1 - g * decay) / (1 - g))
        fall = (xi - d) * (1 - decay) / (1 - g * decay)
        return mp.exp((kappa * theta * drift + v0 * fall) / sigma**2)

    def probability(shift):
        def integrand(y):  # u = exp(y - exp(-y)), which tames both ends
            u = mp.exp(y - mp.exp(-y))
            return mp.re(mp.exp(-1j * u * k) * phi(u + shift) / (1j * u)) * u * (1 + mp.exp(-y))

        step, total = mp.mpf("0.01"), mp.mpf(0)
        for n in range(-450, 1200):
            term = integrand(n * step)
            total += term
            if n > 0 and abs(term) < mp.mpf("1e-22"):
                break
        return mp.mpf("0.5") + total * step / mp.pi

    return probability(-1j) - mp.exp(k) * probability(0)


@pytest.mark.slow
def test_random_laws_against_mpmath():
    mp = pytest.importorskip("mpmath").mp
    mp.dps = 30
    rng = np.random.default_rng(8)
    for law, tte in random_laws(12, seed=8, shortest=0.02):
        k = float(rng.uniform(-1.5, 1.5) * np.sqrt(law.diffusive_variance(tte)))
        expected = float(little_trap_call(mp, law, k, tte))
        found = law.undiscounted_price(1.0, exp(k), tte, True, is_precise=True)
        assert found == pytest.approx(expected, abs=1e-12), (law, tte, k)


@pytest.mark.slow
def test_random_laws_against_quantlib():
    ql = pytest.importorskip("QuantLib")
    today = ql.Date(2, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, ql.Actual365Fixed()))
    spot = ql.QuoteHandle(ql.SimpleQuote(100.0))
    rng = np.random.default_rng(9)
    for law, tte in random_laws(150, seed=9, shortest=0.02):
        days = max(round(365 * tte), 1)
        process = ql.HestonProcess(
            flat, flat, spot, law.v0, law.kappa, law.theta, law.sigma, law.rho
        )
        engine = ql.AnalyticHestonEngine(ql.HestonModel(process), 1e-12, 200_000)
        sd = np.sqrt(law.diffusive_variance(days / 365.0))
        strike = 100.0 * exp(float(np.clip(rng.uniform(-2.0, 2.0) * sd, -1.0, 1.0)))
        option = ql.VanillaOption(
            ql.PlainVanillaPayoff(ql.Option.Call, strike), ql.EuropeanExercise(today + days)
        )
        option.setPricingEngine(engine)
        found = law.undiscounted_price(100.0, strike, days / 365.0, True)
        # QuantLib's own error reaches some 1e-6 where mpmath confirms us
        assert found == pytest.approx(option.NPV(), abs=1e-5), (law, days, strike)


def derivatives(x):
    """First and second derivative on an uneven grid, three points each, zero in the end rows."""
    left, right = np.diff(x)[:-1], np.diff(x)[1:]
    total = left + right
    first = np.zeros((3, x.size))
    second = np.zeros((3, x.size))
    inner = slice(1, -1)
    first[:, inner] = (
        -right / (left * total),
        (right - left) / (left * right),
        left / (right * total),
    )
    second[:, inner] = 2.0 / (left * total), -2.0 / (left * right), 2.0 / (right * total)
    n = x.size
    return [
        sparse.diags([d[0, 1:], d[1], d[2, :-1]], [-1, 0, 1], shape=(n, n)) for d in (first, second)
    ]


def put_by_finite_differences(law, strike, tte, n_x=161, n_v=81, n_steps=80):
    """Heston's equation for puts of forward 1 in x = ln F and v: implicit, then Crank-Nicolson."""
    x = 0.1 * np.sinh(np.linspace(-4.2, 4.2, n_x))
    v = 0.02 * np.sinh(np.linspace(0.0, 4.4, n_v))
    (x1, x2), (v1, v2) = derivatives(x), derivatives(v)
    v1 = v1.tolil()
    v1[0, :2] = np.array([-1.0, 1.0]) / (v[1] - v[0])  # at v = 0 the drift points inwards
    rows, level = sparse.eye(n_v), sparse.diags(v)
    inside = sparse.diags(np.r_[0.0, np.ones(n_x - 2), 0.0])  # the ends in x keep their value
    generator = (
        0.5 * sparse.kron(level, inside @ (x2 - x1))
        + law.rho * law.sigma * sparse.kron(level @ v1, inside @ x1)
        + 0.5 * law.sigma**2 * sparse.kron(level @ v2, inside)
        + law.kappa * sparse.kron(sparse.diags(law.theta - v) @ v1, inside)
    ).tocsc()
    identity = sparse.kron(rows, sparse.eye(n_x)).tocsc()
    u = np.tile(np.maximum(strike - np.exp(x), 0.0), n_v)
    dt = tte / n_steps
    implicit = splu(identity - 0.5 * dt * generator)
    for _ in range(4):  # Rannacher's start damps the kink of the payoff
        u = implicit.solve(u)
    for _ in range(n_steps - 2):
        u = implicit.solve(u + 0.5 * dt * (generator @ u))
    return float(RectBivariateSpline(v, x, u.reshape(n_v, n_x))(law.v0, 0.0)[0, 0])


@pytest.mark.parametrize("strike", [0.8, 1.0, 1.2])
@pytest.mark.parametrize(("tte", "sigma"), [(0.25, 0.3), (1.0, 0.3), (1.0, 0.8)])
def test_solves_hestons_equation(strike, tte, sigma):
    law = replace(INDEX, sigma=sigma)
    expected = put_by_finite_differences(law, strike, tte)
    assert law.undiscounted_price(1.0, strike, tte, False) == pytest.approx(expected, abs=1e-4)
