r"""What traders quote of a raw SVI smile: volatility at the money and at a delta, with error bars.

Delta is the undiscounted forward delta, N(d1) for calls and N(-d1) for puts, with the smile's own
volatility at the strike and no premium adjustment. A delta fixes d1, and
:math:`d_1(k) = -k/\sqrt{w} + \sqrt{w}/2` falls in k wherever there is no butterfly arbitrage
(Fukasawa 2012), so the strike is a bracketed Newton root.

Belongs here: quantities of a slice that need its time to expiry. Not here: fitting.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.special import ndtri

from volsurf_math.compile_options import ROUTINE
from volsurf_math.smiles.base import FloatArray
from volsurf_math.smiles.svi_least_squares import variance

_TOLERANCE = 1e-14


@dataclass(frozen=True, slots=True, kw_only=True)
class SmileQuantities:
    """Quoted quantities of slices, each of shape (n_slices,); volatilities are decimals."""

    atm_vol: FloatArray
    atm_slope: FloatArray  # d vol / d k at the forward
    atm_curvature: FloatArray  # d2 vol / d k2 at the forward
    vol_25delta_put: FloatArray
    vol_25delta_call: FloatArray
    skew_25delta: FloatArray  # put minus call
    butterfly_25delta: FloatArray  # mean of put and call minus atm_vol
    atm_vol_std_error: FloatArray
    skew_25delta_std_error: FloatArray


@njit(**ROUTINE)
def _d1(k, a, b, rho, m, sigma):
    root = math.sqrt(variance(k, a, b, rho, m, sigma))
    return -k / root + 0.5 * root


@njit(**ROUTINE)
def k_at_d1(target, a, b, rho, m, sigma):
    """Log-moneyness whose d1 is `target`; NaN where total variance is not positive."""
    level = variance(0.0, a, b, rho, m, sigma)
    if not (level > 0.0 and a + b * sigma * math.sqrt(1.0 - rho * rho) > 0.0):
        return math.nan
    reach = math.sqrt(level) * (abs(target) + 1.0) + level
    lo, hi = -reach, reach
    for _ in range(60):
        if _d1(lo, a, b, rho, m, sigma) > target:
            break
        lo *= 2.0
    for _ in range(60):
        if _d1(hi, a, b, rho, m, sigma) < target:
            break
        hi *= 2.0
    k = 0.0
    for _ in range(100):
        w = variance(k, a, b, rho, m, sigma)
        root = math.sqrt(w)
        miss = -k / root + 0.5 * root - target
        if miss > 0.0:
            lo = k
        else:
            hi = k
        slope = b * (rho + (k - m) / math.sqrt((k - m) ** 2 + sigma * sigma))
        pull = -1.0 / root + slope * (0.5 * k / w + 0.25) / root
        step = -miss / pull
        k_new = k + step
        if not lo < k_new < hi:
            k_new = 0.5 * (lo + hi)
        if abs(k_new - k) <= _TOLERANCE * (1.0 + abs(k)):
            return k_new
        k = k_new
    return k


@njit(**ROUTINE)
def variance_gradient(k, b, rho, m, sigma, unit, out):
    """Derivatives of w(k) in (a, b, rho, m, sigma), times `unit`."""
    x = k - m
    root = math.sqrt(x * x + sigma * sigma)
    out[0], out[1], out[2] = unit, unit * (rho * x + root), unit * b * x
    out[3], out[4] = -unit * b * (rho + x / root), unit * b * sigma / root


@njit(**ROUTINE)
def _vol_gradient_at_delta(k, tte, a, b, rho, m, sigma, out):
    """Derivatives of the volatility at a fixed delta, the strike moving with the smile.

    With F(k, w) = d1, dvol = dw_p / (2 vol tte) * F_k / (F_k + F_w w').
    """
    w = variance(k, a, b, rho, m, sigma)
    root = math.sqrt(w)
    x = k - m
    slope = b * (rho + x / math.sqrt(x * x + sigma * sigma))
    by_k = -1.0 / root
    by_w = (0.5 * k / w + 0.25) / root
    unit = by_k / (by_k + by_w * slope) / (2.0 * math.sqrt(w * tte))
    variance_gradient(k, b, rho, m, sigma, unit, out)


@njit(**ROUTINE)
def _quadratic_form(gradient, covariance):
    total = 0.0
    for i in range(5):
        for j in range(5):
            total += gradient[i] * covariance[i, j] * gradient[j]
    return math.sqrt(total) if total >= 0.0 else math.nan


@njit(**ROUTINE)
def _quantities(parameters, covariance, tte, d1, out):
    at_money, at_put, at_call = np.empty(5), np.empty(5), np.empty(5)
    for i in range(tte.size):
        a, b, rho, m, sigma = parameters[i]
        w = variance(0.0, a, b, rho, m, sigma)
        if not (w > 0.0 and tte[i] > 0.0):
            out[i] = math.nan
            continue
        root = math.sqrt(m * m + sigma * sigma)
        slope, bend = b * (rho - m / root), b * sigma * sigma / root**3
        vol = math.sqrt(w / tte[i])
        out[i, 0] = vol
        out[i, 1] = 0.5 * slope / math.sqrt(w * tte[i])
        out[i, 2] = 0.5 * (bend - 0.5 * slope * slope / w) / math.sqrt(w * tte[i])
        k_put = k_at_d1(d1, a, b, rho, m, sigma)
        k_call = k_at_d1(-d1, a, b, rho, m, sigma)
        out[i, 3] = math.sqrt(variance(k_put, a, b, rho, m, sigma) / tte[i])
        out[i, 4] = math.sqrt(variance(k_call, a, b, rho, m, sigma) / tte[i])
        variance_gradient(0.0, b, rho, m, sigma, 0.5 / (vol * tte[i]), at_money)
        _vol_gradient_at_delta(k_put, tte[i], a, b, rho, m, sigma, at_put)
        _vol_gradient_at_delta(k_call, tte[i], a, b, rho, m, sigma, at_call)
        for j in range(5):
            at_put[j] -= at_call[j]
        out[i, 5] = _quadratic_form(at_money, covariance[i])
        out[i, 6] = _quadratic_form(at_put, covariance[i])


def smile_quantities(
    parameters: FloatArray, covariance: FloatArray, tte: FloatArray
) -> SmileQuantities:
    """Return the quoted quantities of raw SVI slices.

    Parameters
    ----------
    parameters : array, shape (n_slices, 5)
        (a, b, rho, m, sigma); a row of NaN gives NaN.
    covariance : array, shape (n_slices, 5, 5)
        Of the parameters; NaN gives NaN standard errors only.
    tte : array, shape (n_slices,)
        Years to expiry.
    """
    parameters, covariance = np.ascontiguousarray(parameters), np.ascontiguousarray(covariance)
    out = np.empty((tte.size, 7))
    _quantities(parameters, covariance, tte, -float(ndtri(0.25)), out)
    atm, put, call = out[:, 0], out[:, 3], out[:, 4]
    return SmileQuantities(
        atm_vol=atm,
        atm_slope=out[:, 1],
        atm_curvature=out[:, 2],
        vol_25delta_put=put,
        vol_25delta_call=call,
        skew_25delta=put - call,
        butterfly_25delta=0.5 * (put + call) - atm,
        atm_vol_std_error=out[:, 5],
        skew_25delta_std_error=out[:, 6],
    )


@njit(**ROUTINE)
def k_at_d1_many(target, parameters, out):
    """Log-moneyness at d1 = target[i] on smile parameters[i], into `out`."""
    for i in range(target.size):
        a, b, rho, m, sigma = parameters[i]
        out[i] = k_at_d1(target[i], a, b, rho, m, sigma)
