"""The power law of the term structure (R057, R154)."""

import numpy as np
import pytest

from volsurf_math.term_structure import TermStatus, fit_power_law

TTE = np.array([0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0])


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.08), (0.35, -0.2), (-0.05, -0.5), (0.04, 0.0)])
def test_recovers_its_own_parameters(a, b):
    law = fit_power_law(TTE, a * TTE**b, np.linspace(1.0, 3.0, 7))
    assert law.status is TermStatus.FITTED
    assert law.a == pytest.approx(a, rel=1e-12)
    assert law.b == pytest.approx(b, abs=1e-12)
    assert law.rmse == pytest.approx(0.0, abs=1e-15)
    np.testing.assert_allclose(law.value(TTE), a * TTE**b, rtol=1e-12)


def test_equals_numpy_polyfit_in_logs():
    y = 0.2 * TTE**0.1 * np.exp(0.05 * np.random.default_rng(0).standard_normal(7))
    weight = np.linspace(1.0, 4.0, 7)
    b, log_a = np.polyfit(np.log(TTE), np.log(y), 1, w=np.sqrt(weight))
    law = fit_power_law(TTE, y, weight)
    assert law.b == pytest.approx(b, rel=1e-10)
    assert law.a == pytest.approx(np.exp(log_a), rel=1e-10)
    expected = np.sqrt(np.average((law.value(TTE) - y) ** 2, weights=weight))
    assert law.rmse == pytest.approx(expected, rel=1e-12)


def test_error_bars_cover_the_truth():
    rng = np.random.default_rng(3)
    tte = np.geomspace(0.02, 2.0, 25)
    pulls = []
    for _ in range(300):
        law = fit_power_law(tte, 0.2 * tte**0.1 * np.exp(0.03 * rng.standard_normal(25)))
        pulls.append(((law.a - 0.2) / law.a_std_error, (law.b - 0.1) / law.b_std_error))
    np.testing.assert_allclose(np.std(pulls, axis=0), 1.0, atol=0.15)


def test_points_without_a_number_take_no_part():
    y = 0.2 * TTE**0.1
    y[2] = np.nan
    law = fit_power_law(TTE, y)
    assert law.a == pytest.approx(0.2)
    assert law.n_points == 6


def test_two_expiries_are_too_few():
    law = fit_power_law(TTE[:2], np.array([0.2, 0.3]))
    assert law.status is TermStatus.TOO_FEW_POINTS
    assert np.isnan(law.a)


def test_a_skew_that_changes_sign_is_no_power_law():
    law = fit_power_law(TTE, np.array([0.05, 0.04, 0.03, 0.02, 0.01, -0.01, -0.02]))
    assert law.status is TermStatus.MIXED_SIGN
    assert np.isnan(law.b)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        fit_power_law(TTE, TTE[:-1])
