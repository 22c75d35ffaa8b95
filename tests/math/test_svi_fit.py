"""Fits of raw SVI: recovery, the best optimum, the guard, the floor, robustness, error bars."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import least_squares

from tests.math.random_smiles import random_market, random_smile
from volsurf_math.arbitrage import calendar_slope
from volsurf_math.smiles.base import FitStatus
from volsurf_math.smiles.svi import Loss, RawSvi, Repair
from volsurf_math.smiles.svi_slices import fit_slices

VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)  # has arbitrage
EQUITY = RawSvi(a=0.006, b=0.118, rho=-0.72, m=0.05, sigma=0.22)
K = np.linspace(-0.6, 0.4, 41)


def scipy_best_cost(k, w, weight, starts):
    """The lowest cost that SciPy's trust region finds from several starts, analytic Jacobian."""
    width = np.ptp(k)
    root = np.sqrt(weight)
    low = (-np.inf, 1e-9, -0.9995, k.min() - width, 2e-3 * width)
    high = (np.inf, np.inf, 0.9995, k.max() + width, min(2.0 * width, max(width, 1.0)))

    def residual(p):
        a, b, rho, m, sigma = p
        return root * (a + b * (rho * (k - m) + np.hypot(k - m, sigma)) - w)

    def jacobian(p):
        _, b, rho, m, sigma = p
        x, z = k - m, np.hypot(k - m, sigma)
        columns = (np.ones_like(k), rho * x + z, b * x, -b * (rho + x / z), b * sigma / z)
        return root[:, None] * np.column_stack(columns)

    fits = [
        least_squares(residual, np.clip(p, low, high), jacobian, (low, high), x_scale="jac",
                      ftol=1e-12, xtol=1e-12, gtol=1e-12, max_nfev=400)
        for p in starts
    ]  # fmt: skip
    return min(2.0 * fit.cost for fit in fits)


class TestRecovery:
    def test_clean_smiles_are_recovered_to_1e_8(self):
        market = random_market(300, seed=2, noise=0.0)
        fits = fit_slices(market.k, market.w, market.weight, market.offsets)
        truth = np.array([astuple(smile) for smile in market.truth])
        assert (fits.status == FitStatus.CONVERGED).all()
        np.testing.assert_allclose(fits.parameters, truth, rtol=0.0, atol=1e-8)

    @pytest.mark.parametrize("loss", Loss)
    def test_every_loss_recovers_a_clean_smile(self, loss):
        fit = RawSvi.fit(K, EQUITY.total_variance(K), np.full(K.size, 1e8), loss=loss)
        np.testing.assert_allclose(astuple(fit.smile), astuple(EQUITY), atol=1e-8)

    def test_a_batch_equals_its_slices(self):
        market = random_market(20, seed=4)
        fits = fit_slices(market.k, market.w, market.weight, market.offsets, loss=Loss.SOFT_L1)
        for i in range(20):
            rows = slice(*market.offsets[i : i + 2])
            alone = RawSvi.fit(
                market.k[rows], market.w[rows], market.weight[rows], loss=Loss.SOFT_L1
            )
            assert alone.smile == fits[i].smile

    def test_threads_fit_what_one_thread_fits(self):
        market = random_market(60, seed=5)
        whole = fit_slices(market.k, market.w, market.weight, market.offsets)
        halves = (market.offsets[:31], market.offsets[30:])
        with ThreadPoolExecutor(2) as pool:
            parts = pool.map(
                lambda offsets: fit_slices(market.k, market.w, market.weight, offsets), halves
            )
        together = np.concatenate([part.parameters for part in parts])
        np.testing.assert_array_equal(together, whole.parameters)

    def test_stored_density_factor_is_that_of_the_smile(self):
        market = random_market(20, seed=7)
        fits = fit_slices(market.k, market.w, market.weight, market.offsets)
        for i in range(20):
            assert fits[i].smile.min_durrleman_g() == fits.min_durrleman_g[i]

    def test_scale_of_the_weights_does_not_matter(self):
        market = random_market(20, seed=8)
        one = fit_slices(market.k, market.w, market.weight, market.offsets)
        other = fit_slices(market.k, market.w, 1e-9 * market.weight, market.offsets)
        np.testing.assert_allclose(one.parameters, other.parameters, rtol=1e-6, atol=1e-9)


def check_a_market(n_slices, seed, n_scipy):
    market = random_market(n_slices, seed)
    free = fit_slices(market.k, market.w, market.weight, market.offsets, is_guarded=False)
    fits = fit_slices(market.k, market.w, market.weight, market.offsets)
    assert (fits.status == FitStatus.CONVERGED).all()
    assert (fits.min_durrleman_g >= 0.0).all()
    slopes = fits.parameters[:, 1] * (1.0 + np.abs(fits.parameters[:, 2]))
    assert (slopes <= 2.0).all()
    worse, at_cost = 0, []
    for i in range(n_scipy):
        rows = slice(*market.offsets[i : i + 2])
        k = market.k[rows]
        width = np.ptp(k)
        spread = [(0.5, 0.1), (0.3, 0.3), (0.6, 0.5)]
        guesses = [
            (0.5 * market.w[rows].min(), 0.1, -0.3, k.min() + at * width, s * width)
            for at, s in spread
        ]
        starts = [astuple(market.truth[i]), *guesses]
        best = scipy_best_cost(k, market.w[rows], market.weight[rows], starts)
        worse += free.cost[i] > 1.001 * best
        if fits.repair[i] != Repair.NOT_NEEDED:
            rows = k, market.w[rows], market.weight[rows]
            at_cost.append(fits.cost[i] / slsqp_cost(*rows, fits[i].smile))
    assert worse <= 0.005 * n_scipy
    assert max(at_cost, default=1.0) < 1.05
    return len(at_cost)


def test_noisy_smiles_reach_the_best_known_optimum_and_no_arbitrage():
    check_a_market(1_000, seed=1, n_scipy=40)


@pytest.mark.slow
def test_a_thousand_noisy_smiles_each_beside_scipy():
    n_repaired = check_a_market(1_000, seed=1, n_scipy=1_000)
    assert n_repaired > 5


@pytest.mark.slow
def test_ten_thousand_noisy_smiles():
    check_a_market(10_000, seed=11, n_scipy=600)


class TestGuard:
    def test_vogt_is_refused_as_quoted_and_its_neighbour_found(self):
        k = np.linspace(-1.5, 1.5, 61)
        w = VOGT.total_variance(k)
        free = RawSvi.fit(k, w, np.ones_like(k), is_guarded=False)
        fit = RawSvi.fit(k, w, np.ones_like(k))
        np.testing.assert_allclose(astuple(free.smile), astuple(VOGT), atol=1e-8)
        assert fit.repair is Repair.REPAIRED
        assert fit.smile.is_butterfly_free
        assert fit.rmse < 0.0025  # of variances from 0.012 to 0.2; 0.00231 is the SLSQP optimum

    def test_repairs_cost_little_more_than_an_exact_constrained_solver(self):
        rng = np.random.default_rng(3)
        ratios = []
        while len(ratios) < 12:
            factors = rng.uniform(0.8, 1.2, 5)
            smile = RawSvi(
                **dict(zip(["a", "b", "rho", "m", "sigma"], factors * astuple(VOGT), strict=True))
            )
            if smile.min_total_variance < 0.002:
                continue
            k = np.sort(rng.uniform(-1.2, 1.5, 40))
            half_spread = 0.002 * (1.0 + np.abs(k))
            vol = np.sqrt(smile.total_variance(k)) + half_spread * rng.uniform(-0.7, 0.7, 40)
            weight = (2.0 * vol * half_spread) ** -2
            fit = RawSvi.fit(k, vol**2, weight)
            assert fit.smile.is_butterfly_free
            ratios.append(fit.cost / slsqp_cost(k, vol**2, weight, fit.smile))
        assert max(ratios) < 1.05

    def test_a_feasible_fit_is_left_alone(self):
        fit = RawSvi.fit(K, EQUITY.total_variance(K), np.ones_like(K))
        assert fit.repair is Repair.NOT_NEEDED
        assert fit.cost == fit.free_cost

    def test_quotes_of_no_smile_at_all_still_give_one(self):
        rng = np.random.default_rng(0)
        for _ in range(50):
            w = rng.uniform(0.001, 0.2, K.size)
            fit = RawSvi.fit(K, w, np.ones_like(K))
            assert fit.status is FitStatus.CONVERGED
            assert fit.smile.is_butterfly_free


def slsqp_cost(k, w, weight, start):
    """Cost of SciPy's SLSQP with g >= 0 on 301 points of the scaled line, from our smile."""
    from scipy.optimize import minimize

    ell = np.sinh(np.linspace(-7.3, 7.3, 301))
    root = np.sqrt(1.0 + ell**2)
    scale = np.array(astuple(start))
    norm = weight @ w**2

    def cost(q):
        a, b, rho, m, sigma = q * scale
        z = np.hypot(k - m, sigma)
        error = a + b * (rho * (k - m) + z) - w
        columns = (np.ones_like(k), rho * (k - m) + z, b * (k - m), -b * (rho + (k - m) / z),
                   b * sigma / z)  # fmt: skip
        gradient = 2.0 * np.array(columns) @ (weight * error) * scale
        return 1e4 * (weight @ error**2) / norm, 1e4 * gradient / norm

    def g(q):
        a, b, rho, m, sigma = q * scale
        n, n1 = a / sigma + b * (rho * ell + root), b * (rho + ell / root)
        t = 1.0 - 0.5 * (ell + m / sigma) * n1 / n
        return t**2 - n1**2 / 16.0 + (b / root**3 - 0.5 * n1**2 / n) / (2.0 * sigma)

    found = minimize(
        cost, np.ones(5), jac=True, method="SLSQP", constraints={"type": "ineq", "fun": g},
        options={"maxiter": 300, "ftol": 1e-13},
    )  # fmt: skip
    return found.fun * norm / 1e4


class TestFloor:
    def test_a_slice_may_not_undercut_the_one_before(self):
        near = RawSvi(a=0.008, b=0.2, rho=-0.5, m=0.0, sigma=0.1)
        far = RawSvi(a=0.02, b=0.12, rho=-0.5, m=0.0, sigma=0.15)  # crosses on both sides
        fit = RawSvi.fit(K, far.total_variance(K), np.ones_like(K), floor=near)
        wide = np.linspace(-20.0, 20.0, 4001)
        assert fit.repair is Repair.REPAIRED
        assert fit.smile.is_butterfly_free
        assert (fit.smile.total_variance(wide) >= near.total_variance(wide) * (1 - 1e-12)).all()
        assert fit.smile.left_slope >= near.left_slope * (1 - 1e-12)
        assert fit.smile.right_slope >= near.right_slope * (1 - 1e-12)

    def test_a_floor_that_does_not_bind_changes_nothing(self):
        low = RawSvi(a=0.0, b=0.02, rho=-0.7, m=0.05, sigma=0.2)
        w = EQUITY.total_variance(K)
        assert (
            RawSvi.fit(K, w, np.ones_like(K), floor=low).smile
            == RawSvi.fit(K, w, np.ones_like(K)).smile
        )

    def test_stacked_slices_have_no_calendar_arbitrage(self):
        rng = np.random.default_rng(6)
        tte = np.array([0.05, 0.1, 0.15, 0.2, 0.4])
        parts = []
        for years in tte:
            sd = rng.uniform(0.15, 0.3) * np.sqrt(years)  # levels at random: raw slices cross
            while (smile := random_smile(rng, sd)) is None:
                pass
            k = np.linspace(-2.5, 1.5, 40) * sd
            parts.append((k, smile.total_variance(k)))
        k, w = (np.concatenate(x) for x in zip(*parts, strict=True))
        offsets = np.arange(6) * 40
        loose = fit_slices(k, w, w**-2, offsets)
        stacked = fit_slices(k, w, w**-2, offsets, is_calendar_free=True)
        assert (stacked.status == FitStatus.CONVERGED).all()
        gaps = []
        for near, (short, long) in enumerate(pairwise(parts)):
            grid = np.linspace(
                max(short[0][0], long[0][0]), min(short[0][-1], long[0][-1]), 400
            )  # where both are quoted
            pair = slice(near, near + 2)
            gaps.append(
                [calendar_slope(f.parameters[pair], tte[pair], grid).min_gap[0]
                 for f in (loose, stacked)]
            )  # fmt: skip
        assert (np.array(gaps)[:, 0] < 0.0).any()
        assert (np.array(gaps)[:, 1] >= -1e-9).all()
        assert (stacked.min_durrleman_g >= 0.0).all()

    def test_few_evaluations_are_reported_as_no_convergence(self):
        k = np.linspace(-0.3, 0.3, 30)
        w = 0.04 + 0.1 * k**2
        fits = fit_slices(k, w, w**-2, np.array([0, 30]), max_iterations=2)
        assert fits.status[0] == FitStatus.NOT_CONVERGED


class TestRobustness:
    @pytest.mark.parametrize("loss", [Loss.SOFT_L1, Loss.HUBER])
    def test_one_wild_quote_moves_the_fit_by_no_more_than_its_share(self, loss):
        w = EQUITY.total_variance(K)
        weight = np.full(K.size, 1.0 / 1e-4**2)
        wild = w.copy()
        wild[12] *= 3.0
        plain = RawSvi.fit(K, wild, weight).smile.total_variance(K)
        robust = RawSvi.fit(K, wild, weight, loss=loss).smile.total_variance(K)
        others = np.delete(np.arange(K.size), 12)
        assert np.abs(robust - w)[others].max() < 2e-4  # two half-spreads
        assert np.abs(plain - w)[others].max() > 20e-4

    def test_a_quote_without_weight_is_not_there(self):
        w, weight = EQUITY.total_variance(K), np.ones(K.size)
        wild = w.copy()
        wild[12], weight[12] = 9.0, 0.0
        fit = RawSvi.fit(K, wild, weight)
        np.testing.assert_allclose(astuple(fit.smile), astuple(EQUITY), atol=1e-8)
        assert fit.n_points == 40

    @pytest.mark.parametrize("n", [0, 1, 2, 3, 4])
    def test_too_few_strikes(self, n):
        fit = RawSvi.fit(K[:n], np.full(n, 0.04), np.ones(n))
        assert fit.status is FitStatus.TOO_FEW_POINTS

    def test_equal_strikes_are_one_strike(self):
        fit = RawSvi.fit(np.full(20, 0.1), np.full(20, 0.04), np.ones(20))
        assert fit.status is FitStatus.TOO_FEW_POINTS

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -0.01])
    def test_impossible_variances_take_no_part(self, bad):
        w = EQUITY.total_variance(K)
        w[::5] = bad
        fit = RawSvi.fit(K, w, np.ones_like(K))
        np.testing.assert_allclose(astuple(fit.smile), astuple(EQUITY), atol=1e-8)

    def test_min_points_is_a_setting(self):
        w = EQUITY.total_variance(K)
        fit = RawSvi.fit(K[:9], w[:9], np.ones(9), min_points=10)
        assert fit.status is FitStatus.TOO_FEW_POINTS

    @pytest.mark.parametrize("w", [np.full(K.size, 0.04), 0.04 + 0.05 * K, 0.05 - 0.1 * K**2])
    def test_flat_straight_and_concave_quotes_end_in_a_smile(self, w):
        fit = RawSvi.fit(K, w, np.ones_like(K))
        assert fit.status is FitStatus.CONVERGED
        assert fit.smile.is_butterfly_free

    def test_an_expiry_in_minutes(self):
        scale = 1e-6
        small = RawSvi(a=0.006 * scale, b=0.118 * scale**0.5, rho=-0.72, m=0.05 * scale**0.5,
                       sigma=0.22 * scale**0.5)  # fmt: skip
        k = K * scale**0.5
        fit = RawSvi.fit(k, small.total_variance(k), np.ones_like(k))
        np.testing.assert_allclose(fit.smile.total_variance(k), small.total_variance(k), rtol=1e-9)

    def test_long_expiries_do_not_drift_to_a_wide_vertex(self):
        # a parabola with noise: sigma is not identified and would run away with a
        rng = np.random.default_rng(5)
        k = np.linspace(-0.4, 0.4, 60)
        w = 0.1 - 0.1 * k + 0.05 * k**2 + 1e-4 * rng.standard_normal(60)
        fit = RawSvi.fit(k, w, np.ones(60))
        assert fit.smile.sigma <= 1.0 + 1e-12
        assert fit.smile.a > -0.2

    def test_shapes_that_differ_are_refused(self):
        with pytest.raises(ValueError, match="one shape"):
            RawSvi.fit(K, K[:-1], K)
        with pytest.raises(ValueError, match="offsets need to rise"):
            fit_slices(K, K, K, np.array([0, 50]))

    def test_no_slices_give_no_fits(self):
        assert len(fit_slices(K[:0], K[:0], K[:0], np.array([0]))) == 0


class TestErrorBars:
    def test_they_cover_the_truth(self):
        market_tte, n = 0.25, 400
        rng = np.random.default_rng(9)
        sd = np.sqrt(EQUITY.total_variance(np.array([0.0])))
        k = np.tile(np.linspace(-3.0, 2.0, 50) * sd, n)
        w = EQUITY.total_variance(k)
        scale = 0.01 * w
        quotes = w + scale * rng.standard_normal(k.size)
        fits = fit_slices(k, quotes, scale**-2, np.arange(n + 1) * 50)
        ours, truth = fits.quantities(np.full(n, market_tte)), EQUITY.quantities(market_tte)
        for name, error in (
            ("atm_vol", ours.atm_vol_std_error),
            ("skew_25delta", ours.skew_25delta_std_error),
        ):
            pull = (getattr(ours, name) - getattr(truth, name)) / error
            assert 0.88 < pull.std() < 1.12  # a deviation of 400 draws has error 1/sqrt(800)
            assert abs(pull.mean()) < 0.2

    def test_five_quotes_leave_nothing_to_judge_by(self):
        k = K[::10]
        fit = RawSvi.fit(k, EQUITY.total_variance(k), np.ones_like(k))
        assert fit.status is FitStatus.CONVERGED
        assert np.isnan(fit.covariance).all()
