"""SABR curves across maturities: recovery, weights, range."""

import numpy as np
import pytest

from volsurf_math.smiles.base import FitStatus
from volsurf_math.smiles.sabr import Sabr
from volsurf_math.smiles.sabr_slices import fit_slices
from volsurf_math.smiles.sabr_term_structure import fit_term_structure

TTE = np.array([0.03, 0.08, 0.2, 0.5, 1.0, 1.8])
K = np.linspace(-2.5, 2.0, 30)


def truth_at(tte):
    return Sabr(alpha=2.0 * tte**0.05, beta=0.5, rho=-0.55, nu=0.8 * tte**-0.45)


def slices(noise=0.0, seed=0, n=TTE.size):
    rng = np.random.default_rng(seed)
    k = 0.2 * np.sqrt(TTE)[:n, None] * K
    w = np.stack([truth_at(t).at(100.0, t).total_variance(x) for t, x in zip(TTE, k, strict=False)])
    w = w * (1.0 + noise * rng.normal(size=w.shape))
    offsets = np.arange(n + 1) * K.size
    return fit_slices(
        k.ravel(), w.ravel(), w.ravel() ** -2, offsets, np.full(n, 100.0), TTE[:n], beta=0.5
    )


def test_power_laws_are_recovered_and_price_between_the_expiries():
    fit = fit_term_structure(slices())
    expected = [[np.log(2.0), 0.05], [-0.55 / np.sqrt(1 - 0.55**2), 0.0], [np.log(0.8), -0.45]]
    np.testing.assert_allclose(fit.curves.coefficients, expected, atol=1e-7)
    np.testing.assert_allclose(fit.residual, 0.0, atol=1e-7)
    tte, strike = np.array([[0.05], [0.33], [1.4]]), np.linspace(85.0, 110.0, 6)
    vol = fit.curves.implied_vol(strike, 100.0, tte)
    exact = [truth_at(float(t)).implied_vol(strike, 100.0, t) for t in tte[:, 0]]
    np.testing.assert_allclose(vol, exact, rtol=1e-7)


def test_noise_averages_out_across_expiries():
    single, curve = [], []
    for seed in range(20):
        fits = slices(noise=0.02, seed=seed)
        alone = fits.parameters[:, 2]
        joint = fit_term_structure(fits).curves.parameters(TTE)[:, 2]
        truth = 0.8 * TTE**-0.45
        single.append(np.log(alone / truth))
        curve.append(np.log(joint / truth))
    assert np.sqrt(np.mean(np.square(curve))) < 0.75 * np.sqrt(np.mean(np.square(single)))


def test_nothing_is_extrapolated():
    curves = fit_term_structure(slices()).curves
    tte = np.array([0.02, 0.03, 1.8, 1.9, np.nan, -1.0])
    is_known = [False, True, True, False, False, False]
    np.testing.assert_array_equal(np.isfinite(curves.parameters(tte)).all(axis=1), is_known)
    np.testing.assert_array_equal(np.isfinite(curves.implied_vol(100.0, 100.0, tte)), is_known)


def test_failed_slices_take_no_part():
    k = np.concatenate((0.1 * K, 0.1 * K[:2], 0.3 * K))
    w = np.concatenate([truth_at(t).at(100.0, t).total_variance(x) for t, x in
                        ((0.2, 0.1 * K), (0.5, 0.1 * K[:2]), (1.0, 0.3 * K))])  # fmt: skip
    fits = fit_slices(
        k,
        w,
        np.ones_like(k),
        np.array([0, 30, 32, 62]),
        np.full(3, 100.0),
        np.array([0.2, 0.5, 1.0]),
    )
    fit = fit_term_structure(fits, degree=2)
    assert fit.status is FitStatus.CONVERGED
    assert fit.curves.coefficients.shape == (3, 2)  # two slices carry a line
    np.testing.assert_array_equal(np.isnan(fit.residual[:, 0]), [False, True, False])


def test_one_slice_is_too_few():
    fit = fit_term_structure(slices(n=1))
    assert fit.status is FitStatus.TOO_FEW_POINTS
    assert fit.curves is None


def test_a_wrong_call_raises():
    with pytest.raises(ValueError, match="degree"):
        fit_term_structure(slices(n=1), degree=-1)
