r"""Gamma-vanna-volga: what a delta-hedged option costs when spot and volatility move together.

If implied volatilities move lognormally, :math:`d\sigma_K/\sigma_K = \nu\,dZ`, and spot with
volatility :math:`\sigma`, :math:`dW dZ = \rho\,dt`, then decay must pay for gamma, vanna and volga.
Divided by cash gamma the Black greeks become :math:`-d_2\sqrt T` and :math:`d_1 d_2 T`, so that in
totals over the option's life (:math:`\sigma\sqrt T \to \sigma`, :math:`\nu\sqrt T \to \nu`)

.. math:: w = \sigma^2 + 2\rho\nu\sigma\,(k + w/2) + \nu^2\,(k^2 - w^2/4),

a quadratic in w whose positive root is the smile. Its wings rise with slope 2, Lee's bound.

Belongs here: the parameter set and its fit.

References
----------
.. [1] Arslan, Eid, Khoury, Roth (2009), "The gamma-vanna-volga cost framework for constructing
   implied volatility curves", Deutsche Bank.
.. [2] Carr, Sun (2007), "A new approach for option pricing under stochastic volatility", Review of
   Derivatives Research 10 (the same quadratic).
"""

import math
from dataclasses import asdict, dataclass

import numpy as np

from volsurf_math.smiles.base import Fit, FitStatus, FloatArray, usable_quotes

MIN_POINTS = 3  # one per parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaVannaVolga:
    """Totals over the option's life: spot volatility, its correlation with and the vol of vol."""

    sigma: float
    rho: float
    nu: float

    def __post_init__(self) -> None:
        """Refuse what is no such model."""
        if not (0.0 < self.sigma < math.inf and abs(self.rho) <= 1.0 and 0.0 <= self.nu < math.inf):
            rule = "gamma-vanna-volga needs sigma > 0, |rho| <= 1 and nu >= 0"
            raise ValueError(f"{rule}, was {asdict(self)}")

    def total_variance(self, k: FloatArray) -> FloatArray:
        """Total variance (vol^2 * years) at log-moneyness `k`; same shape as `k`."""
        lean = self.rho * self.nu
        rest = self.nu * math.sqrt(1.0 - self.rho**2)
        return _smile(np.asarray(k, dtype=np.float64), np.array([self.sigma, lean, rest]))[0]

    @classmethod
    def fit(cls, k: FloatArray, w: FloatArray, weight: FloatArray) -> Fit:
        """Fit to quoted total variances `w` at `k`, all of shape (n_quotes,)."""
        from scipy.optimize import least_squares

        keep = usable_quotes(k, w, weight)
        k, w, weight = k[keep], w[keep], weight[keep]
        if np.unique(k).size < MIN_POINTS:
            return Fit(smile=None, status=FitStatus.TOO_FEW_POINTS)
        root = np.sqrt(weight / np.sum(weight * w * w))
        found = least_squares(
            lambda p: root * (_smile(k, p)[0] - w),
            _start(k, w, root),
            lambda p: root[:, None] * _gradient(k, p),
            method="lm",
            x_scale="jac",
            xtol=1e-12,
            ftol=1e-12,
        )
        sigma, lean, rest = found.x
        nu = math.hypot(lean, rest)
        if not (found.success and sigma != 0.0 and math.isfinite(nu)):
            return Fit(smile=None, status=FitStatus.NOT_CONVERGED)
        rho = math.copysign(1.0, sigma) * lean / nu if nu > 0.0 else 0.0
        smile = cls(sigma=abs(float(sigma)), rho=min(max(float(rho), -1.0), 1.0), nu=nu)
        error = smile.total_variance(k) - w
        rmse = float(np.sqrt(np.sum(weight * error**2) / np.sum(weight)))
        return Fit(smile=smile, status=FitStatus.CONVERGED, rmse=rmse)


def _smile(k: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Total variance and dF/dw at p = (sigma, rho nu, nu sqrt(1 - rho^2)): no bounds are needed."""
    sigma, lean, rest = p
    square = lean * lean + rest * rest
    free = sigma * sigma + 2.0 * sigma * lean * k + square * k * k
    linear = 1.0 - sigma * lean
    root = np.sqrt(linear * linear + square * free)
    return 2.0 * free / (linear + root), root


def _gradient(k: FloatArray, p: FloatArray) -> FloatArray:
    """Derivatives of total variance in p, shape (n_quotes, 3), by the implicit function."""
    sigma, lean, rest = p
    w, root = _smile(k, p)
    vanna, volga = 2.0 * k + w, k * k - 0.25 * w * w
    columns = (2.0 * sigma + lean * vanna, sigma * vanna + 2.0 * lean * volga, 2.0 * rest * volga)
    return np.column_stack(columns) / root[:, None]


def _start(k: FloatArray, w: FloatArray, root: FloatArray) -> FloatArray:
    """Solve the quadratic for its coefficients, in which it is linear, at the quoted variances."""
    design = np.column_stack((np.ones_like(k), 2.0 * k + w, k * k - 0.25 * w * w))
    (variance, covariance, square), *_ = np.linalg.lstsq(root[:, None] * design, root * w)
    sigma = math.sqrt(max(variance, 0.1 * float(w.min())))
    lean = covariance / sigma
    rest = math.sqrt(max(square - lean * lean, 0.01 * square, 1e-4))
    return np.array([sigma, lean, rest])
