r"""The normal distribution as compiled scalar kernels, free of branches where speed needs it.

Everything rests on the Mills ratio :math:`R(q) = (1 - \Phi(q)) / \phi(q)`, which neither
underflows nor cancels in the tail. Option formulas do not belong here.

`MILLS_P / MILLS_Q` is a rational of degree 10/11 for :math:`R` on [0, 39], fitted in 60-digit
arithmetic to a relative error below one unit in the last place; all coefficients are positive, so
its evaluation loses nothing. Past 39 the density is zero in double precision.
"""

from math import exp

import numpy as np
from numba import njit

from volsurf_math.compile_options import KERNEL

SQRT_TWO_PI = 2.5066282746310002
LOG_SQRT_TWO_PI = 0.91893853320467274178
INVERSE_SQRT_TWO_PI = 0.3989422804014327
MILLS_LIMIT = 39.0

ONE_BITS = 0x3FF0000000000000  # 1.0
ROOT_HALF_BITS = 0x3FE6A09E667F3BCD  # sqrt(1/2)
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
INVERSE_LN2 = 1.4426950408889634
ROUNDING = 6755399441055744.0  # 1.5 * 2^52: adding it rounds to an integer in the low bits
LG5, LG6, LG7 = 0.1818357216161805, 0.15313837699209373, 0.14798198605116586

MILLS_P = (
    1.2533141373155003,
    2.0754555520413596,
    1.7037704383418046,
    0.8959183688860637,
    0.33108252602571125,
    0.08943704737827866,
    0.017861932645092247,
    0.0026074793700703747,
    0.000267292749894557,
    1.7497760595714617e-05,
    5.623675957338152e-07,
)
MILLS_Q = (  # without its leading 1
    2.453858502409254,
    2.8173079413724333,
    2.001758212785352,
    0.9803155754446118,
    0.348415489641978,
    0.09200953151839888,
    0.018128100650801855,
    0.002624977130869371,
    0.0002678551174871427,
    1.749776059574428e-05,
    5.623675957336876e-07,
)


@njit(**KERNEL)
def _degree_10(x, c):
    """Polynomial c[0] + ... + c[10] x^10 by Estrin's scheme, whose terms do not wait in line."""
    x2 = x * x
    x4 = x2 * x2
    low = (c[0] + c[1] * x) + (c[2] + c[3] * x) * x2
    middle = (c[4] + c[5] * x) + (c[6] + c[7] * x) * x2
    high = (c[8] + c[9] * x) + c[10] * x2
    return low + x4 * (middle + x4 * high)


@njit(**KERNEL)
def mills_ratio(q):
    """Mills ratio R(q) for 0 <= q <= 39, without a branch."""
    return _degree_10(q, MILLS_P) / (1.0 + q * _degree_10(q, MILLS_Q))


@njit(**KERNEL)
def fast_log(x):
    """Natural logarithm of a normal positive number (fdlibm's method), without a branch."""
    bits = np.float64(x).view(np.int64)
    exponent = ((bits + (ONE_BITS - ROOT_HALF_BITS)) >> 52) - 1023
    f = np.int64(bits - (exponent << 52)).view(np.float64) - 1.0
    s = f / (2.0 + f)
    z = s * s
    z2 = z * z
    odd = z * (0.6666666666666735 + z2 * (0.2857142874366239 + z2 * (LG5 + z2 * LG7)))
    even = z2 * (0.3999999999940942 + z2 * (0.22222198432149784 + z2 * LG6))
    half = 0.5 * f * f
    k = float(exponent)
    return k * LN2_HIGH - ((half - (s * (half + (odd + even)) + k * LN2_LOW)) - f)


@njit(**KERNEL)
def fast_log1p(x):
    """Logarithm of 1 + x for x >= 0, without a branch."""
    shifted = 1.0 + x
    gained = shifted - 1.0  # ln(1 + x) = ln(u) x / (u - 1) at the double u next to 1 + x
    return fast_log(shifted) * (x / gained) if gained != 0.0 else x


@njit(**KERNEL)
def fast_exp(x):
    """Exponential without a branch; its argument is kept inside [-708, 709]."""
    x = min(max(x, -708.0), 709.0)
    shifted = x * INVERSE_LN2 + ROUNDING
    exponent = np.float64(shifted).view(np.int64)
    k = shifted - ROUNDING
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (1.0 + r) + r2 * (0.5 + r * (1.0 / 6.0))
    middle = (1.0 / 24.0 + r * (1.0 / 120.0)) + r2 * (1.0 / 720.0 + r * (1.0 / 5040.0))
    high = (1.0 / 40320.0 + r * (1.0 / 362880.0)) + r2 * (1.0 / 3628800.0 + r * (1.0 / 39916800.0))
    last = 1.0 / 479001600.0 + r * (1.0 / 6227020800.0)
    power = low + r4 * (middle + r4 * (high + r4 * last))
    return np.int64(np.float64(power).view(np.int64) + (exponent << 52)).view(np.float64)


@njit(**KERNEL)
def mills_ratio_everywhere(q):
    """Mills ratio R(q) for any q; infinite below -38, where the density underflows."""
    if q < 0.0:
        return SQRT_TWO_PI * exp(0.5 * q * q) - mills_ratio_everywhere(-q)
    if q < MILLS_LIMIT:
        return mills_ratio(q)
    v = 1.0 / (q * q)
    return (1.0 - v * (1.0 - v * (3.0 - v * (15.0 - v * 105.0)))) / q
