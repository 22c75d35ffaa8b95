r"""From a premium back to the Black implied volatility. A bad row is data, not an exception.

In the notation of :mod:`volsurf_math.black` the unknown is :math:`u = \ln s` and the equation
:math:`\ln\beta(u) = \ln\beta`, whose derivatives are cheap once D is known:

.. math:: L' = 1/D, \quad L'' = L'(g - L'), \quad
          L'''/L' = g^2 - 2(h^2+t^2) - 3L'g + 2L'^2, \quad g = 1 + h^2 - t^2

so that Householder's third-order step applies. Nine rows in ten take the first path: a start from
the Bachelier model (two rationals, relative error 1e-5) and exactly two steps, written without a
branch so that the compiler fills the vector lanes. The rest take the same step inside a shrinking
bracket; close to the maximum price it works on what is missing from that maximum, whose logarithm
has the same derivatives with :math:`L' = -s\beta'/(\beta_{max} - \beta)`.
"""

from enum import IntEnum
from math import exp, inf, isfinite, log, nan, sqrt

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from volsurf_math.black import log_ratio, price_slope_ratio, ratio_series
from volsurf_math.broadcasting import FloatArray, float_columns, payoff_sign
from volsurf_math.compile_options import KERNEL
from volsurf_math.normal import (
    LOG_SQRT_TWO_PI,
    fast_log,
    fast_log1p,
    mills_ratio,
    mills_ratio_everywhere,
)

BLOCK = 1024  # rows per pass: the intermediate columns stay in the first-level cache
MAX_STEPS = 80  # a bracketed search needs 4; 80 halvings reach any double
LAST_STEP = 1e-5  # of ln s: the error after such a step is its fourth power


class ImpliedVolStatus(IntEnum):
    """Why a price has no implied volatility. Stored in the lake, so never renumbered."""

    OK = 0
    NOT_FINITE = 1
    NO_TIME_VALUE = 2
    ABOVE_MAXIMUM = 3
    EXPIRED = 4
    BAD_INPUT = 5
    NOT_CONVERGED = 6


OK = int(ImpliedVolStatus.OK)
NOT_FINITE = int(ImpliedVolStatus.NOT_FINITE)
NO_TIME_VALUE = int(ImpliedVolStatus.NO_TIME_VALUE)
ABOVE_MAXIMUM = int(ImpliedVolStatus.ABOVE_MAXIMUM)
EXPIRED = int(ImpliedVolStatus.EXPIRED)
BAD_INPUT = int(ImpliedVolStatus.BAD_INPUT)


@njit(**KERNEL)
def _bachelier_start(y, beta, log_beta):
    """Total volatility of the normal model, a good start while s is small."""
    straddle = 2.0 * beta + y
    eta = y / straddle
    e = eta * eta
    top = -2.660096616568328 + e * (1.7551384094291202 - e * 0.3435452884251433)
    bottom = -1.8043694025996884 + e * (0.9121513730603333 - e * 0.09649638779288197)
    near = straddle * (1.2533069673790136 + e * top) / (1.0 + e * bottom)
    lack = fast_log(y + 1e-300) - log_beta
    top = 0.1955149503401392 + lack * 0.005899734811173219
    top = -0.31274811863534085 + lack * (
        0.7709241059567948 + lack * (-0.2619289722427134 + lack * top)
    )
    bottom = 0.12634117059809347 + lack * 0.002969956896889421
    q2 = top / (1.0 + lack * (0.5574869624620226 + lack * bottom))
    return near if eta < 0.87 else y / sqrt(max(q2, 0.3))


@njit(**KERNEL)
def _householder_step(f, first, h2, t2):
    """Change of ln s that solves L = 0 to third order, from L = f, L' = first."""
    nu = -f / first
    g = 1.0 + h2 - t2
    gamma = g - first
    delta = g * g - 2.0 * (h2 + t2) - 3.0 * first * g + 2.0 * first * first
    return nu * (1.0 + 0.5 * gamma * nu) / (1.0 + nu * (gamma + delta * nu * (1.0 / 6.0)))


@njit(**KERNEL)
def _equation(y, s, log_beta, log_missing):
    """Value and slope in ln s of the equation: of the price, or of what it lacks to its maximum."""
    q, t = y / s, 0.5 * s
    log_slope = -0.5 * (q * q + t * t) - LOG_SQRT_TWO_PI
    if log_missing < log_beta and t > q:
        missing = mills_ratio_everywhere(t - q) + mills_ratio_everywhere(t + q)
        return log_slope + log(missing) - log_missing, -s / missing
    ratio = price_slope_ratio(q, t)
    return log_slope + log(s * ratio) - log_beta, 1.0 / ratio


@njit(**KERNEL)
def total_volatility(y, beta):
    """Solve time_value(y, s) = beta for s, where 0 < beta < exp(-y / 2), inside a bracket."""
    maximum = exp(-0.5 * y)
    log_beta, log_missing = log(beta), log(maximum - beta)
    if log_missing < log_beta:
        s = sqrt(8.0 * max(log(2.0) - 0.5 * y - log_missing, 0.03))
    else:
        s = min(_bachelier_start(y, beta, log_beta), max(sqrt(2.0 * y), 1.0))
    low, high = 0.0, inf
    for _ in range(MAX_STEPS):
        f, first = _equation(y, s, log_beta, log_missing)
        if f * first > 0.0:
            high = s
        else:
            low = s
        q, t = y / s, 0.5 * s
        step = _householder_step(f, first, q * q, t * t)
        if not abs(step) < 1.0:
            step = min(max(-f / first, -1.0), 1.0)
        following = s * exp(step)
        if abs(step) < LAST_STEP:
            return following
        if not low < following < high:
            following = 2.0 * low if high == inf else 0.5 * (low + high)
        s = following
    return s


@njit(**KERNEL)
def implied_vol_row(price, forward, strike, tte, discount_factor, sign):
    """Implied volatility and status of one row, checked and solved by the bracketed path."""
    if not (
        isfinite(price)
        and isfinite(tte)
        and 0.0 < forward < inf
        and 0.0 < strike < inf
        and 0.0 < discount_factor < inf
    ):
        finite = isfinite(price + forward + strike + tte + discount_factor)
        return nan, BAD_INPUT if finite else NOT_FINITE
    if tte <= 0.0:
        return nan, EXPIRED
    scale = sqrt(forward * strike)
    beta = (price / discount_factor - max(sign * (forward - strike), 0.0)) / scale
    if beta <= 0.0:
        return nan, NO_TIME_VALUE
    y = abs(log_ratio(forward, strike))
    maximum = forward if sign > 0.0 else strike
    if price / discount_factor >= maximum or beta >= exp(-0.5 * y):
        return nan, ABOVE_MAXIMUM
    return total_volatility(y, beta) / sqrt(tte), OK


@njit(**KERNEL)
def _normalise(price, forward, strike, tte, discount_factor, sign, y, beta):
    """Write |ln(F/K)| and the time value over sqrt(FK); NaN where a row cannot be inverted."""
    for i in range(price.size):
        f, strike_i, df = forward[i], strike[i], discount_factor[i]
        valid = (f > 0.0) & (strike_i > 0.0) & (df > 0.0) & (tte[i] > 0.0) & (tte[i] < inf)
        intrinsic = max(sign[i] * (f - strike_i), 0.0)
        y[i] = fast_log1p(abs(f - strike_i) / min(f, strike_i))
        scaled = (price[i] / df - intrinsic) / sqrt(f * strike_i)
        beta[i] = scaled if valid else nan


@njit(**KERNEL)
def _two_steps(y, beta, s):
    """Write the total volatility after two Householder steps from the Bachelier start."""
    for i in range(y.size):
        log_beta = fast_log(beta[i])
        root = min(_bachelier_start(y[i], beta[i], log_beta), 0.9)
        root = min(_series_step(y[i], root, log_beta), 0.9)
        s[i] = _series_step(y[i], root, log_beta)


@njit(**KERNEL)
def _series_step(y, s, log_beta):
    """One Householder step of s, by the Taylor series of D, for s < 1/2 and y < 12 s."""
    q, t = y / s, 0.5 * s
    ratio = ratio_series(q, 1.0 - q * mills_ratio(q), t)
    h2, t2 = q * q, t * t
    f = fast_log(s * ratio) - 0.5 * (h2 + t2) - LOG_SQRT_TWO_PI - log_beta
    d = _householder_step(f, 1.0 / ratio, h2, t2)
    return s * (1.0 + d * (1.0 + d * (0.5 + d * (1.0 / 6.0 + d * (1.0 / 24.0 + d / 120.0)))))


@njit(**KERNEL)
def _invert(price, forward, strike, tte, discount_factor, sign, vol, status):
    """Fill `vol` and `status`, block by block: the branch-free path, then the rows it left."""
    y, beta = np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, price.size, BLOCK):
        rows = slice(start, min(start + BLOCK, price.size))
        n = rows.stop - rows.start
        _normalise(
            price[rows],
            forward[rows],
            strike[rows],
            tte[rows],
            discount_factor[rows],
            sign[rows],
            y[:n],
            beta[:n],
        )
        _two_steps(y[:n], beta[:n], vol[rows])
        for j in range(n):
            i = start + j
            s = vol[i]
            if 1e-100 < s < 0.5 and y[j] < 12.0 * s and beta[j] > 1e-300:
                vol[i] = s / sqrt(tte[i])
                status[i] = OK
            else:
                vol[i], status[i] = implied_vol_row(
                    price[i], forward[i], strike[i], tte[i], discount_factor[i], sign[i]
                )


def implied_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    tte: ArrayLike,
    discount_factor: ArrayLike,
    is_call: ArrayLike,
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Return the Black implied volatility of European premiums, and a status per row.

    Parameters
    ----------
    price : array
        Premium today (discounted), in units of `forward`. All arguments broadcast.
    forward, strike : array
        Positive, same unit as `price`.
    tte : array
        Years to expiry.
    discount_factor : array
        From the expiry to today.
    is_call : array of bool

    Returns
    -------
    vol : float64 array
        Decimal per square root of a year; NaN unless the status is OK. Its error is what rounding
        in the price makes inevitable (2^-52 price / vega) and a few units in the last place.
    status : int8 array
        :class:`ImpliedVolStatus`.
    """
    shape, columns = float_columns(
        price, forward, strike, tte, discount_factor, payoff_sign(is_call)
    )
    vol = np.empty(columns[0].size)
    status = np.empty(columns[0].size, dtype=np.int8)
    _invert(*columns, vol, status)
    return vol.reshape(shape), status.reshape(shape)
