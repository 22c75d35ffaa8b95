r"""SABR at any maturity between the listed ones: alpha(T), rho(T) and nu(T) as smooth curves.

:math:`\ln\alpha`, :math:`\rho/\sqrt{1-\rho^2}` and :math:`\ln\nu` are polynomials in
:math:`\ln T`: of degree one, alpha and nu are power laws, as they nearly are in equity markets
(:math:`\nu \sim T^{-1/2}`). The curves are fitted to the parameters of single expiries by
generalised least squares, which weighs them with their full covariance and so comes near to a fit
of all quotes at once; an error of the curves themselves keeps one liquid expiry from outweighing
the rest.

Belongs here: the curves and their fit. Not here: the fit of one expiry (`sabr`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math.smiles.base import FitStatus, FloatArray
from volsurf_math.smiles.sabr import hagan_vol
from volsurf_math.smiles.sabr_slices import SabrFits

CURVE_ERROR = 0.02  # standard deviation of the three transformed parameters about their curves


@dataclass(frozen=True, slots=True, kw_only=True)
class SabrTermStructure:
    """Curves of the parameters, valid from `tte_min` to `tte_max` years; nothing is extrapolated.

    `coefficients`, shape (3, degree + 1), are those of ln alpha, rho/sqrt(1 - rho^2) and ln nu in
    powers of ln T, the constant first.
    """

    beta: float
    coefficients: FloatArray
    tte_min: float
    tte_max: float

    def parameters(self, tte: ArrayLike) -> FloatArray:
        """Return (alpha, rho, nu) on a last axis at `tte` years; NaN outside the range."""
        tte = np.asarray(tte, dtype=np.float64)
        is_inside = (tte >= self.tte_min) & (tte <= self.tte_max)
        x = np.log(np.where(is_inside, tte, np.nan))
        powers = x[..., None] ** np.arange(self.coefficients.shape[1])
        log_alpha, u, log_nu = np.moveaxis(powers @ self.coefficients.T, -1, 0)
        columns = (np.exp(log_alpha), u / np.sqrt(1.0 + u * u), np.exp(log_nu))
        return np.stack(columns, axis=-1)

    def implied_vol(self, strike: ArrayLike, forward: ArrayLike, tte: ArrayLike) -> FloatArray:
        """Return Hagan's volatility at any maturity in range, NaN outside; arguments broadcast."""
        alpha, rho, nu = np.moveaxis(self.parameters(tte), -1, 0)
        return hagan_vol(strike, forward, tte, alpha, self.beta, rho, nu)


@dataclass(frozen=True, slots=True, kw_only=True)
class TermStructureFit:
    """Curves and how far the single expiries lie from them; NaN rows took no part."""

    curves: SabrTermStructure | None  # unless `status` is CONVERGED
    status: FitStatus
    residual: FloatArray  # (n_slices, 3), of the transformed parameters


def fit_term_structure(fits: SabrFits, *, degree: int = 1) -> TermStructureFit:
    """Fit curves of `degree` in ln T to the converged slices that have error bars.

    With fewer slices than coefficients the degree is lowered; one slice is TOO_FEW_POINTS.
    """
    if degree < 0:
        raise ValueError(f"a term structure needs degree >= 0, was {degree}")
    alpha, rho, nu = fits.parameters.T
    bar = np.sqrt(1.0 - rho * rho)
    target = np.column_stack((np.log(alpha), rho / bar, np.log(nu)))
    slope = np.column_stack((1.0 / alpha, bar**-3, 1.0 / nu))
    covariance = fits.covariance * slope[:, :, None] * slope[:, None, :]
    is_used = (fits.status == FitStatus.CONVERGED) & np.isfinite(covariance).all(axis=(1, 2))
    is_used &= np.isfinite(target).all(axis=1)
    residual = np.full(target.shape, np.nan)
    n = int(is_used.sum())
    if n < 2:
        return TermStructureFit(curves=None, status=FitStatus.TOO_FEW_POINTS, residual=residual)
    tte, target = fits.tte[is_used], target[is_used]
    powers = np.log(tte)[:, None] ** np.arange(min(degree, n - 1) + 1)
    spread = covariance[is_used] + CURVE_ERROR**2 * np.eye(3)
    precision = np.linalg.inv(spread)
    size = powers.shape[1]
    # unknowns are the coefficients, parameter by parameter
    normal = np.einsum("nij,na,nb->iajb", precision, powers, powers).reshape(3 * size, 3 * size)
    right = np.einsum("nij,na,nj->ia", precision, powers, target).ravel()
    coefficients = np.linalg.solve(normal, right).reshape(3, size)
    residual[is_used] = target - powers @ coefficients.T
    curves = SabrTermStructure(
        beta=fits.beta,
        coefficients=coefficients,
        tte_min=float(tte.min()),
        tte_max=float(tte.max()),
    )
    return TermStructureFit(curves=curves, status=FitStatus.CONVERGED, residual=residual)
