r"""Hagan's lognormal SABR formula in unit form: total volatility as a function of log-moneyness.

Forward F and time T scale out exactly. With :math:`a = \alpha F^{\beta-1}\sqrt T`,
:math:`n = \nu\sqrt T`, :math:`u = 1 - \beta` and :math:`h = e^{uk/2}`, eq. (2.17a) reads

.. math::
   \sigma\sqrt T = \frac{a}{h\,(1 + u^2k^2/24 + u^4k^4/1920)}\; Z(z)\;
   \Bigl(1 + \frac{u^2a^2}{24h^2} + \frac{\rho\beta n a}{4h} + \frac{2-3\rho^2}{24}n^2\Bigr),
   \qquad z = -\frac{n}{a}\,h\,k, \quad Z = \frac{z}{x(z)}.

:math:`x(z) = \int_0^z dt/\sqrt{1-2\rho t+t^2}`, whose integrand generates the Legendre polynomials:
:math:`x/z = \sum_n P_n(\rho) z^n/(n+1)` near the money. Elsewhere, with
:math:`s = \sqrt{1-2\rho z+z^2}`, it is :math:`\ln[(s+z-\rho)/(1-\rho)]`, written with ``log1p`` and
mirrored, :math:`x(z;\rho) = -x(-z;-\rho)`, so that nothing cancels on either side.

Belongs here: the compiled formula and its derivatives. Not here: parameters with units (`sabr`).

References
----------
.. [1] Hagan, Kumar, Lesniewski, Woodward (2002), "Managing smile risk", Wilmott, eq. (2.17a).
"""

import math

import numpy as np
from numba import njit

from volsurf_math.compile_options import KERNEL, ROUTINE
from volsurf_math.normal import fast_log1p

NEAR_MONEY = 1e-3  # of |z|: below it the series is exact to rounding, second derivatives to 1e-8


@njit(**KERNEL)
def _near_money(z, rho):
    """Z, Z', Z'' and dZ/drho for small z, from five Legendre terms."""
    r2 = rho * rho
    p2, p3 = 1.5 * r2 - 0.5, (2.5 * r2 - 1.5) * rho
    p4 = (4.375 * r2 - 3.75) * r2 + 0.375
    x = 1.0 + z * (rho / 2.0 + z * (p2 / 3.0 + z * (p3 / 4.0 + z * p4 / 5.0)))
    x1 = rho / 2.0 + z * (2.0 * p2 / 3.0 + z * (0.75 * p3 + z * 0.8 * p4))
    x2 = 2.0 * p2 / 3.0 + z * (1.5 * p3 + z * 2.4 * p4)
    by_rho = z * (0.5 + z * (rho + z * (1.875 * r2 - 0.375)))
    inverse = 1.0 / x
    square = inverse * inverse
    bend = (2.0 * x1 * x1 * inverse - x2) * square
    return inverse, -x1 * square, bend, -by_rho * square


@njit(**KERNEL)
def _away(z, rho):
    """Z, Z', Z'' and dZ/drho in closed form; no number at z = 0."""
    sign = 1.0 if z > 0.0 else -1.0
    y, r = abs(z), sign * rho
    rest, d = 1.0 - r, y - r
    bar = rest * (1.0 + r)
    s = math.sqrt(d * d + bar)
    root = s + d if d > 0.0 else bar / (s - d)
    inverse = 1.0 / fast_log1p(y * (root + rest) / ((s + 1.0) * rest))
    ratio = y * inverse
    slope = (1.0 - ratio / s) * inverse
    bend = (ratio * d / (s * s * s) - 2.0 * slope / s) * inverse
    by_rho = -ratio * inverse * (1.0 / rest - (y + s) / (s * root))
    return ratio, sign * slope, bend, sign * by_rho


@njit(**KERNEL)
def z_over_x(z, rho):
    """Return Z = z / x(z), its first and second derivative in z, and its derivative in rho."""
    if abs(z) < NEAR_MONEY:
        return _near_money(z, rho)
    return _away(z, rho)


@njit(**ROUTINE)
def total_vol(k, a, beta, rho, n):
    """Return the total volatility at one k."""
    u = 1.0 - beta
    h = math.exp(0.5 * u * k)
    square = u * u * k * k
    ratio = 1.0 if n == 0.0 else z_over_x(-n / a * h * k, rho)[0]
    level = a / (h * (1.0 + square * (1.0 / 24.0 + square / 1920.0)))
    c = a / h
    time = (
        1.0
        + u * u * c * c / 24.0
        + rho * beta * n * c / 4.0
        + (2.0 - 3.0 * rho * rho) * n * n / 24.0
    )
    return level * ratio * time


@njit(**ROUTINE)
def fill_gradient(k, h, bracket, a, beta, rho, n, out):
    """Total volatility and its derivatives in (ln a, rho, ln n) into the rows of `out`, (4, n).

    `h` and `bracket` = 1 + u^2k^2/24 + u^4k^4/1920 do not depend on what is fitted. Both forms of
    Z are computed everywhere and one is chosen: without a branch the loop fills vector lanes.
    """
    u = 1.0 - beta
    in_n = (2.0 - 3.0 * rho * rho) * n * n / 24.0
    for i in range(k.size):
        c = a / h[i]
        z = -n / c * k[i]
        near, near_slope, _, near_by_rho = _near_money(z, rho)
        far, far_slope, _, far_by_rho = _away(z, rho)
        is_near = abs(z) < NEAR_MONEY
        ratio = near if is_near else far
        z_slope = z * (near_slope if is_near else far_slope)
        by_rho = near_by_rho if is_near else far_by_rho
        in_c, by_cn = u * u * c * c / 24.0, 0.25 * beta * n * c
        in_cn = rho * by_cn
        time = 1.0 + in_c + in_cn + in_n
        level = c / bracket[i]
        out[0, i] = level * ratio * time
        out[1, i] = level * ((ratio - z_slope) * time + ratio * (2.0 * in_c + in_cn))
        out[2, i] = level * (by_rho * time + ratio * (by_cn - 0.25 * rho * n * n))
        out[3, i] = level * (z_slope * time + ratio * (in_cn + 2.0 * in_n))


@njit(**ROUTINE)
def total_vol_by_k(k, a, beta, rho, n):
    """Return the total volatility at one k with its first and second derivative in k."""
    u = 1.0 - beta
    half = 0.5 * u
    h = math.exp(half * k)
    square = u * u * k * k
    bracket = 1.0 + square * (1.0 / 24.0 + square / 1920.0)
    bracket1 = u * u * k * (1.0 / 12.0 + square / 480.0)
    bracket2 = u * u * (1.0 / 12.0 + square / 160.0)
    c = a / h
    ratio, ratio1, ratio2 = 1.0, 0.0, 0.0
    if n > 0.0:
        z, z1, z2 = -n / c * k, -n / c * (1.0 + half * k), -n / c * half * (2.0 + half * k)
        ratio, by_z, by_zz, _ = z_over_x(z, rho)
        ratio1, ratio2 = by_z * z1, by_zz * z1 * z1 + by_z * z2
    in_c, in_cn = u * u * c * c / 24.0, rho * beta * n * c / 4.0
    time = 1.0 + in_c + in_cn + (2.0 - 3.0 * rho * rho) * n * n / 24.0
    time1 = -half * (2.0 * in_c + in_cn)
    time2 = half * half * (4.0 * in_c + in_cn)
    vol = c / bracket * ratio * time
    # logarithmic derivatives add up
    d1 = -half - bracket1 / bracket + ratio1 / ratio + time1 / time
    d2 = (
        -bracket2 / bracket
        + (bracket1 / bracket) ** 2
        + ratio2 / ratio
        - (ratio1 / ratio) ** 2
        + time2 / time
        - (time1 / time) ** 2
    )
    return vol, vol * d1, vol * (d1 * d1 + d2)


@njit(**ROUTINE)
def fill_total_vol(k, a, beta, rho, n, out):
    """Total volatility at each k; NaN where the expansion gives none, that is nothing positive."""
    for i in range(k.size):
        vol = total_vol(k[i], a[i], beta, rho[i], n[i])
        out[i] = vol if vol > 0.0 else np.nan


@njit(**ROUTINE)
def fill_total_variance(k, a, beta, rho, n, out):
    """Total variance and its two derivatives in k into the rows of `out`, shape (3, n)."""
    for i in range(k.size):
        vol, d1, d2 = total_vol_by_k(k[i], a, beta, rho, n)
        if not vol > 0.0:
            vol = np.nan
        out[0, i], out[1, i], out[2, i] = vol * vol, 2.0 * vol * d1, 2.0 * (d1 * d1 + vol * d2)
