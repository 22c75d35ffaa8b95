"""The contract every registered smile keeps. A new model is tested the day it is registered."""

import numpy as np
import pytest

from volsurf_math.smiles import SMILES
from volsurf_math.smiles.base import FitStatus

K = np.linspace(-0.5, 0.5, 41)
EQUITY_SKEW = 0.04 - 0.05 * K + 0.06 * K**2  # smooth and downward
STRANGE = {
    "next to nothing": np.full(K.size, 1e-6),
    "enormous": np.full(K.size, 4.0),
    "straight": 0.04 + 0.05 * K,
    "concave": 0.08 - 0.1 * K**2,
    "one wild quote": np.where(np.arange(K.size) == 20, 3.0, 0.04),
    "noise": np.random.default_rng(0).uniform(1e-4, 0.3, K.size),
}


@pytest.mark.parametrize("smile", SMILES.values(), ids=SMILES)
class TestEverySmile:
    def test_fits_a_plain_equity_skew(self, smile):
        fit = smile.fit(K, EQUITY_SKEW, np.ones_like(K))
        assert fit.status is FitStatus.CONVERGED
        assert fit.rmse < 1e-3

    def test_returns_one_finite_variance_per_strike(self, smile):
        fit = smile.fit(K, EQUITY_SKEW, np.ones_like(K))
        far = np.linspace(-3.0, 3.0, 7)
        assert fit.smile.total_variance(far).shape == far.shape
        assert np.isfinite(fit.smile.total_variance(far)).all()

    def test_two_quotes_are_too_few_not_an_exception(self, smile):
        fit = smile.fit(K[:2], EQUITY_SKEW[:2], np.ones(2))
        assert fit.smile is None
        assert fit.status is FitStatus.TOO_FEW_POINTS

    def test_rows_without_a_number_take_no_part(self, smile):
        w, weight = EQUITY_SKEW.copy(), np.ones_like(K)
        w[3], weight[7] = np.nan, np.nan
        fit = smile.fit(K, w, weight)
        rest = np.delete(np.arange(K.size), [3, 7])
        clean = smile.fit(K[rest], EQUITY_SKEW[rest], weight[rest])
        assert fit.status is FitStatus.CONVERGED
        assert fit.smile == clean.smile

    def test_equal_strikes_are_one_strike(self, smile):
        fit = smile.fit(np.full(9, 0.1), np.full(9, 0.04), np.ones(9))
        assert fit.status is FitStatus.TOO_FEW_POINTS

    @pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
    def test_impossible_variances_take_no_part(self, smile, bad):
        w = EQUITY_SKEW.copy()
        w[::5] = bad
        rest = np.arange(K.size) % 5 > 0
        clean = smile.fit(K[rest], w[rest], np.ones(rest.sum()))
        assert smile.fit(K, w, np.ones_like(K)).smile == clean.smile

    @pytest.mark.parametrize("w", STRANGE.values(), ids=STRANGE)
    def test_strange_quotes_are_data_not_an_exception(self, smile, w):
        fit = smile.fit(K, w, np.ones_like(K))
        assert (fit.smile is None) == (fit.status is not FitStatus.CONVERGED)
        if fit.smile is not None:
            variance = fit.smile.total_variance(K)
            assert np.isfinite(variance).all()
            assert (variance > 0.0).all()
            assert np.isfinite(fit.rmse)
