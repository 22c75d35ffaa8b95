r"""SSVI with a power law: three numbers and the at-the-money variances make a whole surface.

.. math:: \varphi(\theta) = \frac{\eta}{\theta^{\gamma}(1+\theta)^{1-\gamma}}, \qquad
          0 < \gamma \le \tfrac12, \quad \eta(1 + |\rho|) \le 2,

with one correlation :math:`\rho` and :math:`\theta` non-decreasing is free of arbitrage for every
maturity, also between and beyond the listed ones [1]_. The search runs in free variables whose
image is exactly this set, so conditions need no further care.

Belongs here: the three-parameter surface and its fit. One correlation per expiry: `essvi`.

References
----------
.. [1] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces", eq. (4.5) and
   remark 4.4.
"""

import math
from dataclasses import dataclass

import numpy as np

from volsurf_math.smiles.base import FitStatus, FloatArray, IntArray
from volsurf_math.surfaces.essvi import Essvi, SliceQuotes, usable_slices

_LEAST_STEP = 1e-6  # of theta, relative to the quoted ones
_START = np.array([-0.5, 0.5, 0.5])  # of the free variables behind rho, eta, gamma


@dataclass(frozen=True, slots=True, kw_only=True)
class SsviFit:
    """A fitted power-law surface; `surface` is None unless `status` is CONVERGED."""

    surface: Essvi | None
    rho: float
    eta: float
    gamma: float
    status: FitStatus
    fitted: IntArray  # which of the given slices the surface's slices are
    rmse: FloatArray  # (n_fitted,), weighted, in total variance


def fit_ssvi(k: FloatArray, w: FloatArray, weight: FloatArray, offsets: IntArray) -> SsviFit:
    """Fit all expiries jointly by weighted least squares in total variance.

    Arguments, errors and what is left out as in `essvi.fit_essvi`.
    """
    from scipy.optimize import least_squares

    quotes = usable_slices(k, w, weight, offsets)
    n = quotes.fitted.size
    if n == 0:
        return _failure(FitStatus.TOO_FEW_POINTS, quotes, np.empty(0))
    root = np.sqrt(quotes.weight / np.sum(quotes.weight * quotes.w**2))
    slices = quotes.slice_of
    level = _at_the_money(quotes)

    def residual(x: FloatArray) -> FloatArray:
        return root * (_surface(x, level).variance_at(slices, quotes.k) - quotes.w)

    found = least_squares(
        residual, np.concatenate((_START, np.full(n, -1.0))), x_scale="jac", max_nfev=100
    )
    if not (found.success and np.isfinite(found.x).all()):
        return _failure(FitStatus.NOT_CONVERGED, quotes, np.full(n, np.nan))
    surface = _surface(found.x, level)
    rho, eta, gamma = _law(found.x)
    square = (surface.variance_at(slices, quotes.k) - quotes.w) ** 2
    rmse = np.bincount(slices, quotes.weight * square) / np.bincount(slices, quotes.weight)
    return SsviFit(
        surface=surface,
        rho=rho,
        eta=eta,
        gamma=gamma,
        status=FitStatus.CONVERGED,
        fitted=quotes.fitted,
        rmse=np.sqrt(rmse),
    )


def _at_the_money(quotes: SliceQuotes) -> FloatArray:
    """Quoted variance nearest the money, made non-decreasing: the scale of theta."""
    nearest = [
        quotes.w[rows][np.argmin(np.abs(quotes.k[rows]))]
        for rows in (quotes.slice_of == i for i in range(quotes.fitted.size))
    ]
    return np.maximum.accumulate(np.array(nearest))


def _law(x: FloatArray) -> tuple[float, float, float]:
    """Return (rho, eta, gamma) of the free variables; every value of them is allowed."""
    rho = 0.9999 * math.tanh(x[0])
    eta, gamma = (0.5 * (1.0 + math.tanh(v)) for v in x[1:3])
    return rho, max(2.0 * eta, 1e-6) / (1.0 + abs(rho)), max(0.5 * gamma, 1e-6)


def _surface(x: FloatArray, level: FloatArray) -> Essvi:
    """Thetas are sums of positive steps, softplus of the free variables times the quoted scale."""
    rho, eta, gamma = _law(x)
    before = np.concatenate(([0.0], level[:-1]))
    scale = np.maximum(level - before, 1e-3 * level) / math.log1p(math.exp(-1.0))
    theta = np.cumsum(scale * (np.logaddexp(0.0, x[3:]) + _LEAST_STEP))
    return Essvi.from_power_law(theta, rho=rho, eta=eta, gamma=gamma)


def _failure(status: FitStatus, quotes: SliceQuotes, rmse: FloatArray) -> SsviFit:
    return SsviFit(
        surface=None,
        rho=math.nan,
        eta=math.nan,
        gamma=math.nan,
        status=status,
        fitted=quotes.fitted,
        rmse=rmse,
    )
