"""The simplest smile: total volatility as a polynomial in log-moneyness, flat beyond the quotes.

What Dumas, Fleming and Whaley (1998) called the ad hoc Black-Scholes model: the yardstick that any
other model has to beat. Nothing keeps arbitrage out.

Belongs here: the parameter set and its fit, a linear regression.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import polynomial

from volsurf_math.smiles.base import Fit, FitStatus, FloatArray, usable_quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class PolynomialSmile:
    """Coefficients of total volatility in k, constant first, and the range that was quoted."""

    coefficients: tuple[float, ...]
    k_min: float
    k_max: float

    def total_variance(self, k: FloatArray) -> FloatArray:
        """Total variance (vol^2 * years) at log-moneyness `k`; same shape as `k`."""
        inside = np.clip(k, self.k_min, self.k_max)
        return np.square(polynomial.polyval(inside, np.array(self.coefficients)))

    @classmethod
    def fit(cls, k: FloatArray, w: FloatArray, weight: FloatArray, *, degree: int = 2) -> Fit:
        """Fit to quoted total variances `w` at `k`, all of shape (n_quotes,).

        NOT_CONVERGED means that the polynomial is not positive between the quotes.
        """
        keep = usable_quotes(k, w, weight)
        k, w, weight = k[keep], w[keep], weight[keep]
        if np.unique(k).size < degree + 1:
            return Fit(smile=None, status=FitStatus.TOO_FEW_POINTS)
        s = np.sqrt(w)
        root = 2.0 * s * np.sqrt(weight)  # of the weight of s, as dw = 2 s ds
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", np.exceptions.RankWarning)  # strikes all but equal
            found = polynomial.polyfit(k, s, degree, w=root)
        smile = cls(coefficients=tuple(found.tolist()), k_min=float(k.min()), k_max=float(k.max()))
        between = np.linspace(smile.k_min, smile.k_max, 201)
        if not (polynomial.polyval(between, found) > 0.0).all():
            return Fit(smile=None, status=FitStatus.NOT_CONVERGED)
        error = smile.total_variance(k) - w
        rmse = float(np.sqrt(np.sum(weight * error**2) / np.sum(weight)))
        return Fit(smile=smile, status=FitStatus.CONVERGED, rmse=rmse)
