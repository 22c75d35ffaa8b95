"""Ornstein-Uhlenbeck: the exact likelihood, its maximum, error bars, and verdicts."""

import json
from math import inf, log
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from statsmodels.tsa.adfvalues import mackinnoncrit

from volsurf_math.ou import Ou, Verdict, fit, half_life_interval, log_likelihood

TRUTH = json.loads((Path(__file__).parents[1] / "reference" / "ou_likelihood.json").read_text())
DT = 1 / 252
QUICK = Ou(theta=0.3, mu=12.0, sigma=0.5)


def simulate(process, n, rng, dt=DT):
    """Exact steps from the stationary law."""
    b = np.exp(-process.mu * dt)
    x = np.empty(n)
    shock = process.stationary_sd * rng.standard_normal(n)
    x[0] = shock[0]
    for i in range(1, n):
        x[i] = b * x[i - 1] + np.sqrt(1.0 - b * b) * shock[i]
    return process.theta + x


class TestAgainstHighPrecision:
    def test_likelihood(self):
        x, dt = np.array(TRUTH["x"]), 1.0 / TRUTH["steps_per_year"]
        for case in TRUTH["average_log_likelihood"]:
            process = Ou(theta=case["theta"], mu=case["mu"], sigma=case["sigma"])
            total = log_likelihood(x, dt, process)
            assert total == pytest.approx((x.size - 1) * case["value"], rel=1e-13)

    def test_autoregression(self):
        expected = TRUTH["autoregression"]
        found = fit(TRUTH["x"], 1.0 / TRUTH["steps_per_year"])
        assert found.autoregression == pytest.approx(expected["ar1_b"], rel=1e-12)
        assert found.intercept == pytest.approx(expected["ar1_a"], rel=1e-12)
        assert found.residual_variance == pytest.approx(expected["s2"], rel=1e-12)
        assert found.verdict is Verdict.OVERSHOOTING
        assert found.process is None


class TestMaximum:
    @pytest.mark.parametrize("seed", range(5))
    def test_no_optimiser_finds_a_higher_likelihood(self, seed):
        x = simulate(QUICK, 500, np.random.default_rng(seed))
        found = fit(x, DT)
        assert found.log_likelihood == pytest.approx(
            log_likelihood(x, DT, found.process), rel=1e-12
        )
        assert found.aic == pytest.approx(6.0 - 2.0 * found.log_likelihood)

        def loss(q):
            process = Ou(theta=q[0], mu=np.exp(q[1]), sigma=np.exp(q[2]))
            return -log_likelihood(x, DT, process)

        start = np.array([0.25, log(9.0), log(0.6)])
        peer = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-9})
        assert found.log_likelihood >= -peer.fun - 1e-8
        ours = (found.process.theta, found.process.mu, found.process.sigma)
        np.testing.assert_allclose(ours, [peer.x[0], *np.exp(peer.x[1:])], rtol=1e-4)

    def test_a_shift_and_a_scale_move_only_what_they_should(self):
        x = simulate(QUICK, 400, np.random.default_rng(9))
        one, other = fit(x, DT), fit(1e3 + 10.0 * x, DT)
        assert other.process.mu == pytest.approx(one.process.mu, rel=1e-9)
        assert other.process.theta == pytest.approx(1e3 + 10.0 * one.process.theta)
        assert other.process.sigma == pytest.approx(10.0 * one.process.sigma)

    def test_half_life(self):
        assert QUICK.half_life == pytest.approx(log(2.0) / 12.0)
        b = np.exp(-QUICK.mu * QUICK.half_life)
        assert b == pytest.approx(0.5)


class TestErrorBars:
    def test_standard_errors_are_the_spread_of_the_estimates(self):
        rng = np.random.default_rng(1)
        fits = [fit(simulate(QUICK, 2000, rng), DT) for _ in range(200)]
        names = ("theta", "mu", "sigma", "half_life")
        found = np.array([[getattr(f.process, name) for name in names] for f in fits])
        errors = np.array([[getattr(f, f"{name}_std_error") for name in names] for f in fits])
        np.testing.assert_allclose(np.median(errors, axis=0), found.std(axis=0), rtol=0.2)

    def test_the_interval_covers_and_its_median_is_unbiased(self):
        rng = np.random.default_rng(8)
        slow = Ou(theta=0.0, mu=log(2.0) / (60 * DT), sigma=0.2)
        covered, naive, median = 0, [], []
        for _ in range(120):
            found = fit(simulate(slow, 252, rng), DT)
            interval = half_life_interval(found, DT, rng, n_resamples=199)
            covered += interval.lower <= slow.half_life <= interval.upper
            assert interval.lower <= interval.median <= interval.upper
            naive.append(found.process.half_life if found.process else inf)
            median.append(interval.median)
        assert 0.8 <= covered / 120 <= 0.98
        assert np.median(naive) < 0.6 * slow.half_life
        assert 0.6 < np.median(median) / slow.half_life < 1.7

    def test_the_same_generator_gives_the_same_interval(self):
        found = fit(simulate(QUICK, 252, np.random.default_rng(4)), DT)
        one, other = (half_life_interval(found, DT, np.random.default_rng(7)) for _ in range(2))
        assert one == other
        assert one.lower < QUICK.half_life < one.upper < inf

    def test_a_random_walk_may_never_return(self):
        walk = np.random.default_rng(3).standard_normal(500).cumsum()
        found = fit(walk, DT)
        assert half_life_interval(found, DT, np.random.default_rng(0)).upper == inf

    def test_no_estimate_no_interval(self):
        interval = half_life_interval(fit([1.0, 2.0], DT), DT, np.random.default_rng(0))
        assert np.isnan(interval.median)


class TestVerdicts:
    def test_a_quick_process_is_tradable(self):
        assert fit(simulate(QUICK, 500, np.random.default_rng(0)), DT).verdict is Verdict.TRADABLE

    def test_random_walks_are_rarely_tradable(self):
        rng = np.random.default_rng(6)
        verdicts = [fit(rng.standard_normal(252).cumsum(), DT).verdict for _ in range(1000)]
        assert verdicts.count(Verdict.TRADABLE) == pytest.approx(50, abs=25)
        assert Verdict.NOT_MEAN_REVERTING in verdicts

    def test_an_explosive_series_does_not_revert(self):
        found = fit(1.02 ** np.arange(200.0) + 1e-3 * np.sin(np.arange(200.0)), DT)
        assert found.verdict is Verdict.NOT_MEAN_REVERTING
        assert found.process is None

    @pytest.mark.parametrize("n", [20, 100, 1000])
    def test_critical_values_are_mackinnons(self, n):
        from volsurf_math.ou import _critical_value

        expected = mackinnoncrit(N=1, regression="c", nobs=n)[1]
        assert _critical_value(n) == pytest.approx(expected, abs=1e-4)

    @pytest.mark.parametrize(
        ("x", "verdict"),
        [
            ([], Verdict.TOO_FEW_POINTS),
            ([1.0, 2.0, 3.0, 4.0], Verdict.TOO_FEW_POINTS),
            ([1.0] * 20, Verdict.BAD_INPUT),
            ([1.0, 2.0, np.nan, 1.0, 3.0, 2.0], Verdict.BAD_INPUT),
            ([1.0, 2.0, np.inf, 1.0, 3.0, 2.0], Verdict.BAD_INPUT),
            (list(range(20)), Verdict.BAD_INPUT),
        ],
    )
    def test_hopeless_series(self, x, verdict):
        found = fit(x, DT)
        assert found.verdict is verdict
        assert found.process is None

    def test_wrong_calls_are_refused(self):
        with pytest.raises(ValueError, match="dt needs to be positive and finite, was 0"):
            fit([1.0] * 9, 0.0)
        with pytest.raises(ValueError, match="one axis"):
            fit(np.ones((3, 3)), DT)
        with pytest.raises(ValueError, match="mu, sigma > 0"):
            Ou(theta=0.0, mu=-1.0, sigma=1.0)
