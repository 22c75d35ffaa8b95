"""HAR and GARCH forecasts against simulated truth, brute force and their own past."""

import numpy as np
import pytest

from volsurf_math.volatility_forecast import ForecastStatus, garch_forecast, har_forecast

OMEGA, ALPHA, BETA = 2e-6, 0.08, 0.9


def garch_path(n, seed=0):
    """Returns of a known GARCH(1,1), and the variance of the day after."""
    rng = np.random.default_rng(seed)
    s, returns = OMEGA / (1.0 - ALPHA - BETA), np.empty(n)
    for i in range(n):
        returns[i] = np.sqrt(s) * rng.standard_normal()
        s = OMEGA + ALPHA * returns[i] ** 2 + BETA * s
    return returns, s


@pytest.fixture(scope="module")
def path():
    return garch_path(8_000)


def test_garch_recovers_the_parameters_it_was_simulated_with(path):
    forecast = garch_forecast(path[0])
    assert forecast.status is ForecastStatus.FORECAST
    _, alpha, beta = forecast.coefficients
    assert alpha == pytest.approx(ALPHA, abs=0.02)
    assert beta == pytest.approx(BETA, abs=0.03)


def test_garch_sum_of_forecasts_equals_the_recursion(path):
    returns = path[0][:2_000]
    forecast = garch_forecast(returns, horizon=21)
    omega, alpha, beta = forecast.coefficients
    square = (returns - returns.mean()) ** 2
    s = square.mean()
    for x in square:
        s = omega + alpha * x + beta * s
    total = 0.0
    for _ in range(21):
        total += s
        s = omega + (alpha + beta) * s
    assert forecast.volatility == pytest.approx(np.sqrt(252.0 * total / 21.0), rel=1e-10)


def test_garch_optimum_is_not_beaten_by_a_grid(path):
    returns = path[0][:2_000]
    _, alpha, beta = garch_forecast(returns).coefficients
    square = (returns - returns.mean()) ** 2 / returns.var()

    def deviance(alpha, beta):
        s, total = 1.0, 0.0
        for x in square:
            total += np.log(s) + x / s
            s = 1.0 - alpha - beta + alpha * x + beta * s
        return total

    best = deviance(alpha, beta)
    for other_alpha in (0.03, 0.06, 0.09, 0.12):
        for decay in (0.9, 0.95, 0.98, 0.99):
            assert best <= deviance(other_alpha, decay - other_alpha) + 1e-6


def test_garch_forecasts_what_then_happens_better_than_the_past_month(path):
    returns = path[0]
    ends = range(2_000, 7_900, 100)
    truth = np.array([np.mean(returns[i : i + 21] ** 2) for i in ends])
    ours = np.array([garch_forecast(returns[:i]).volatility ** 2 / 252 for i in ends])
    month = np.array([np.mean(returns[i - 21 : i] ** 2) for i in ends])
    assert np.mean((ours - truth) ** 2) < np.mean((month - truth) ** 2)


def test_har_equals_a_regression_written_out(path):
    daily = path[0][:600] ** 2
    forecast = har_forecast(daily, horizon=21)
    rows, follows = [], []
    for t in range(21, 600):
        rows.append([1.0, daily[t], daily[t - 4 : t + 1].mean(), daily[t - 21 : t + 1].mean()])
        if t + 21 < 600:
            follows.append(daily[t + 1 : t + 22].mean())
    design = np.array(rows[: len(follows)])
    coefficients = np.linalg.solve(design.T @ design, design.T @ np.array(follows))
    np.testing.assert_allclose(forecast.coefficients, coefficients, rtol=1e-6)
    expected = np.clip(np.array(rows[-1]) @ coefficients, min(follows), max(follows))
    assert forecast.volatility == pytest.approx(np.sqrt(252.0 * expected), rel=1e-9)


def test_har_of_constant_variance_is_that_variance():
    forecast = har_forecast(np.full(400, 1e-4))
    assert forecast.volatility == pytest.approx(np.sqrt(252e-4), rel=1e-9)


def test_har_is_never_negative_after_a_shock():
    daily = np.full(400, 1e-4) * np.random.default_rng(1).chisquare(1, 400)
    daily[-1] = 0.05
    assert har_forecast(daily).volatility > 0.0


def test_har_leaves_out_origins_with_a_missing_day(path):
    daily = path[0][:600] ** 2
    daily[300] = np.nan
    assert har_forecast(daily).status is ForecastStatus.FORECAST
    daily[-3] = np.nan
    assert har_forecast(daily).status is ForecastStatus.MISSING_LAST


@pytest.mark.parametrize("forecast", [har_forecast, garch_forecast])
class TestBoth:
    def test_a_short_past_gives_no_forecast(self, forecast):
        short = forecast(np.full(251, 1e-4))
        assert short.status is ForecastStatus.TOO_SHORT
        assert np.isnan(short.volatility)
        assert short.n_observations == 251

    def test_a_missing_last_day_gives_no_forecast(self, forecast, path):
        x = path[0][:500] ** 2
        x[-1] = np.nan
        assert forecast(x).status is ForecastStatus.MISSING_LAST

    def test_nothing_at_all(self, forecast):
        assert forecast(np.array([])).status is ForecastStatus.TOO_SHORT

    def test_scale_of_the_data_is_scale_of_the_forecast(self, forecast, path):
        x = path[0][:800] if forecast is garch_forecast else path[0][:800] ** 2
        power = 1.0 if forecast is garch_forecast else 0.5
        assert forecast(4.0 * x).volatility == pytest.approx(
            4.0**power * forecast(x).volatility, rel=1e-6
        )


def test_garch_of_prices_that_never_move():
    assert garch_forecast(np.zeros(300)).status is ForecastStatus.NOT_CONVERGED
