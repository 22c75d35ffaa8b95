"""Realised volatility against 40-digit values and simulated paths of known volatility."""

import json
from pathlib import Path

import numpy as np
import pytest

from volsurf_math import realised

TRUTH = json.loads((Path(__file__).parents[1] / "reference" / "realised.json").read_text())
OPEN, HIGH, LOW, CLOSE = (
    np.array([bar[name] for bar in TRUTH["bars"]]) for name in ("open", "high", "low", "close")
)
ESTIMATORS = {
    "close_to_close_zero_mean": lambda o, h, lo, c, n: realised.close_to_close(c, n),
    "close_to_close_demeaned": lambda o, h, lo, c, n: realised.close_to_close(
        c, n, is_demeaned=True
    ),
    "parkinson": lambda o, h, lo, c, n: realised.parkinson(h, lo, n),
    "garman_klass": realised.garman_klass,
    "rogers_satchell": realised.rogers_satchell,
    "yang_zhang": realised.yang_zhang,
}
NEEDS_CLOSE_BEFORE = {"close_to_close_zero_mean", "close_to_close_demeaned", "yang_zhang"}


@pytest.fixture(params=ESTIMATORS.items(), ids=ESTIMATORS)
def named(request):
    return request.param


@pytest.mark.parametrize("window", [3, 5])
def test_reference_values(named, window):
    name, estimate = named
    ours = estimate(OPEN, HIGH, LOW, CLOSE, window)
    assert ours[-1] == pytest.approx(TRUTH[f"window_{window}"][name], abs=1e-10)


def test_no_value_until_the_window_is_full(named):
    name, estimate = named
    ours = estimate(OPEN, HIGH, LOW, CLOSE, 3)
    first = 3 if name in NEEDS_CLOSE_BEFORE else 2
    assert np.isnan(ours[:first]).all()
    assert np.isfinite(ours[first:]).all()
    assert np.isnan(estimate(OPEN, HIGH, LOW, CLOSE, 7)).all()


def test_a_missing_session_leaves_no_value_in_windows_that_hold_it(named):
    name, estimate = named
    bars = [np.tile(x, 4) for x in (OPEN, HIGH, LOW, CLOSE)]
    for x in bars:
        x[10] = np.nan
    ours = estimate(*bars, 5)
    touched = slice(10, 16) if name in NEEDS_CLOSE_BEFORE else slice(10, 15)
    assert np.isnan(ours[touched]).all()
    assert np.isfinite(ours[touched.stop :]).all()


@pytest.mark.parametrize("price", [0.0, -5.0, np.inf])
def test_an_impossible_price_is_a_missing_one(named, price):
    _, estimate = named
    bars = [np.tile(x, 4) for x in (OPEN, HIGH, LOW, CLOSE)]
    for x in bars:
        x[10] = price
    assert np.isnan(estimate(*bars, 5)[10])


def test_a_high_below_the_low_is_no_bar():
    ours = realised.parkinson(LOW, HIGH, 3)
    assert np.isnan(ours).all()


def test_later_bars_change_nothing(named):
    _, estimate = named
    bars = [np.tile(x, 4) for x in (OPEN, HIGH, LOW, CLOSE)]
    whole = estimate(*bars, 5)
    cut = estimate(*(x[:15] for x in bars), 5)
    np.testing.assert_array_equal(whole[:15], cut)


def test_no_bars_give_no_values(named):
    _, estimate = named
    empty = np.array([])
    assert estimate(empty, empty, empty, empty, 5).size == 0


def test_simulated_paths_give_back_their_volatility(named):
    name, estimate = named
    rng = np.random.default_rng(12)
    sigma, n_days, n_steps = 0.25, 1_500, 1_000
    overnight = 0.3 if name in NEEDS_CLOSE_BEFORE else 0.0  # share of variance between sessions
    day = sigma / np.sqrt(252.0)
    steps = rng.standard_normal((n_days, n_steps)) * day * np.sqrt((1.0 - overnight) / n_steps)
    gaps = rng.standard_normal(n_days) * day * np.sqrt(overnight)
    within = np.cumsum(steps, axis=1)
    start = np.cumsum(gaps + np.concatenate([[0.0], within[:-1, -1]]))
    path = start[:, None] + np.column_stack([np.zeros(n_days), within])
    bars = 100.0 * np.exp([path[:, 0], path.max(axis=1), path.min(axis=1), path[:, -1]])
    ours = estimate(*bars, n_days - 1)[-1]
    # 1 / sqrt(2 n) = 1.8 % for close to close, less for ranges, which 1,000 steps see 3 % too low
    assert ours == pytest.approx(sigma, rel=0.05)


def test_annualisation_is_a_setting():
    year, crypto = (realised.close_to_close(CLOSE, 3, periods_per_year=n)[-1] for n in (252, 365))
    assert crypto / year == pytest.approx(np.sqrt(365 / 252))


@pytest.mark.parametrize("window", [0, -1])
def test_a_window_of_nothing_is_refused(named, window):
    _, estimate = named
    with pytest.raises(ValueError, match="window"):
        estimate(OPEN, HIGH, LOW, CLOSE, window)
