"""The contract every registered smile keeps. A new model is tested the day it is registered."""

import numpy as np
import pytest

from volsurf_math.smiles import SMILES
from volsurf_math.smiles.base import FitStatus

K = np.linspace(-0.5, 0.5, 41)
EQUITY_SKEW = 0.04 - 0.05 * K + 0.06 * K**2  # smooth and downward


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
