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
MAX_STEPS = 200  # a smile takes about ten
_STILL = 1e-10  # relative step or gain that ends the search
_MOST_DAMPING = 1e12


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
        square = self.nu**2 * (1.0 - self.rho**2)
        return _smile(np.asarray(k, dtype=np.float64), np.array([self.sigma, lean, square]))[0]

    @classmethod
    def fit(cls, k: FloatArray, w: FloatArray, weight: FloatArray) -> Fit:
        """Fit to quoted total variances `w` at `k`, all of shape (n_quotes,)."""
        keep = usable_quotes(k, w, weight)
        k, w, weight = k[keep], w[keep], weight[keep]
        if np.unique(k).size < MIN_POINTS:
            return Fit(smile=None, status=FitStatus.TOO_FEW_POINTS)
        root = np.sqrt(weight / np.sum(weight * w * w))
        p, has_converged = _search(k, w, root, _start(k, w, root))
        sigma, lean, square = p.tolist()
        nu = math.sqrt(lean * lean + square)
        if not (has_converged and sigma != 0.0 and math.isfinite(nu)):
            return Fit(smile=None, status=FitStatus.NOT_CONVERGED)
        rho = math.copysign(1.0, sigma) * lean / nu if nu > 0.0 else 0.0
        smile = cls(sigma=abs(float(sigma)), rho=min(max(float(rho), -1.0), 1.0), nu=nu)
        error = smile.total_variance(k) - w
        rmse = float(np.sqrt(np.sum(weight * error**2) / np.sum(weight)))
        return Fit(smile=smile, status=FitStatus.CONVERGED, rmse=rmse)


def _smile(k: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Total variance and dF/dw at p = (sigma, rho nu, nu^2 (1 - rho^2)), the last not negative."""
    sigma, lean, rest = p
    square = lean * lean + rest
    free = sigma * sigma + 2.0 * sigma * lean * k + square * k * k
    linear = 1.0 - sigma * lean
    root = np.sqrt(linear * linear + square * free)
    return 2.0 * free / (linear + root), root


def _gradient(k: FloatArray, p: FloatArray, w: FloatArray, root: FloatArray) -> FloatArray:
    """Derivatives of total variance in p, shape (3, n_quotes), by the implicit function."""
    sigma, lean, _ = p
    vanna, volga = 2.0 * k + w, k * k - 0.25 * w * w
    return np.stack((2.0 * sigma + lean * vanna, sigma * vanna + 2.0 * lean * volga, volga)) / root


def _search(
    k: FloatArray, w: FloatArray, root: FloatArray, p: FloatArray
) -> tuple[FloatArray, bool]:
    """Levenberg-Marquardt from p; its last parameter stays at zero where it would fall below.

    There, at a correlation of one, a search in square roots has no gradient and does not end.
    """
    damping = 1e-3
    model, steepness = _smile(k, p)
    error = root * (model - w)
    cost = float(error @ error)
    for _ in range(MAX_STEPS):
        slope = root * _gradient(k, p, model, steepness)
        downhill = slope @ error
        is_free = np.array([True, True, p[2] > 0.0 or downhill[2] < 0.0])
        hessian = slope[is_free] @ slope[is_free].T
        scale = np.diagonal(hessian).copy()
        while True:
            step = np.zeros(3)
            hessian[np.diag_indices_from(hessian)] = scale * (1.0 + damping) + 1e-300
            step[is_free] = np.linalg.solve(hessian, -downhill[is_free])
            trial = p + step
            trial[2] = max(trial[2], 0.0)
            model, steepness = _smile(k, trial)
            error = root * (model - w)
            new = float(error @ error)
            is_still = bool((np.abs(trial - p) <= _STILL * (np.abs(p) + 1e-8)).all())
            if new <= cost or is_still or damping > _MOST_DAMPING:
                break
            damping *= 8.0
        gain, cost, p = cost - new, new, trial
        if is_still or gain <= _STILL * cost:
            return p, True
        damping = max(0.1 * damping, 1e-12)
    return p, False


def _start(k: FloatArray, w: FloatArray, root: FloatArray) -> FloatArray:
    """Solve the quadratic for its coefficients, in which it is linear, at the quoted variances."""
    design = np.column_stack((np.ones_like(k), 2.0 * k + w, k * k - 0.25 * w * w))
    (variance, covariance, square), *_ = np.linalg.lstsq(root[:, None] * design, root * w)
    sigma = math.sqrt(max(variance, 0.1 * float(w.min())))
    lean = covariance / sigma
    return np.array([sigma, lean, max(square - lean * lean, 0.01 * square, 1e-4)])
