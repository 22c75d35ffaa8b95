"""Power-law SSVI: recovery, the set it cannot leave, hostile quotes."""

import numpy as np
import pytest

from tests.math.test_essvi import check_no_arbitrage, random_market
from volsurf_math.smiles.base import FitStatus
from volsurf_math.surfaces.essvi import Essvi, fit_essvi
from volsurf_math.surfaces.ssvi import fit_ssvi

THETA = np.array([0.002, 0.006, 0.02, 0.05, 0.09])
K = np.linspace(-2.5, 2.0, 25) * np.sqrt(THETA)[:, None]
OFFSETS = np.arange(6) * 25


@pytest.mark.parametrize(
    ("rho", "eta", "gamma"), [(-0.7, 1.1, 0.4), (-0.2, 0.6, 0.25), (0.4, 1.3, 0.48)]
)
def test_clean_surfaces_are_recovered(rho, eta, gamma):
    truth = Essvi.from_power_law(THETA, rho=rho, eta=eta, gamma=gamma)
    w = truth.total_variance(K).ravel()
    fit = fit_ssvi(K.ravel(), w, w**-2, OFFSETS)
    assert fit.status is FitStatus.CONVERGED
    np.testing.assert_allclose([fit.rho, fit.eta, fit.gamma], [rho, eta, gamma], rtol=1e-5)
    np.testing.assert_allclose(fit.surface.theta, THETA, rtol=1e-6)


def test_noisy_surfaces_have_no_arbitrage_and_cost_more_than_essvi():
    for seed in range(5):
        market = random_market(np.random.default_rng(seed), n_slices=6, noise=0.01, level_noise=0.1)
        quotes = (market.k, market.w, market.weight, market.offsets)
        fit, essvi = fit_ssvi(*quotes), fit_essvi(*quotes)
        check_no_arbitrage(fit.surface)
        size = market.weight.reshape(6, -1).sum(axis=1)
        assert np.sum(size * fit.rmse**2) >= np.sum(size * essvi.rmse**2) * (1.0 - 1e-6)


def test_strange_quotes_never_raise():
    rng = np.random.default_rng(8)
    for _ in range(5):
        k = rng.choice(np.linspace(-0.4, 0.4, 9), 40)
        w = np.exp(rng.uniform(-9.0, 0.0, 40))
        w[::9] = np.nan
        fit = fit_ssvi(k, w, np.ones(40), np.array([0, 10, 20, 30, 40]))
        assert (fit.surface is None) == (fit.status is not FitStatus.CONVERGED)
        if fit.surface is not None:
            assert fit.surface.is_arbitrage_free


def test_nothing_to_fit():
    fit = fit_ssvi(np.zeros(2), np.ones(2), np.ones(2), np.array([0, 1, 2]))
    assert fit.status is FitStatus.TOO_FEW_POINTS
    assert fit.surface is None
    assert np.isnan(fit.eta)
