r"""Lewis's integral for Heston's and Bates's option prices, with their gradients, as kernels.

With :math:`x = \ln(F/K)` and the characteristic function :math:`\varphi` of :math:`\ln(S_T/F)`,

.. math::
    \frac{C}{F} = 1 - \frac{e^{-x/2}}{\pi}\,\mathrm{Re}\int_0^\infty
                  \frac{e^{izx}\varphi(z - i/2)}{z^2 + 1/4}\,dz .

It is taken along :math:`z = b\sinh(y + i\omega) - ib\sin\omega` by the trapezoidal rule in y, whose
error falls as exp(-2 pi d / step) with the half-width d of the strip free of singularities. With
b = 1/2 the poles lie at d = pi/2. Options far from the money bend the contour
(:math:`\omega = \pm 1/2`) to where :math:`e^{izx}` decays.

The nodes double until the two interleaved halves of the rule agree. Each of them has the *square
root* of the error of their mean, which is what makes a modest agreement of halves a guarantee.

References: Lewis (2000), "Option Valuation under Stochastic Volatility", ch. 2; Boyarchenko and
Levendorskii (2019), "Sinh-acceleration", International Journal of Theoretical and Applied Finance
22(3).
"""

from math import atan2, copysign, cos, exp, inf, nan, pi, sin, sqrt

import numpy as np
from numba import njit

from volsurf_math.black import log_ratio
from volsurf_math.compile_options import ROUTINE, SUMS
from volsurf_math.heston_characteristic import evaluate, inverse, mean_variance
from volsurf_math.normal import ROUNDING, fast_exp

SCALE = 0.5  # b
FIRST_STEP = 0.24  # of the two interleaved rules; their mean has half of it
PASSES = 10
UNRESOLVED = 2e-5  # gap after the last pass at which a price is given up
FARTHEST = 24.0  # of y: z = 7e9
BEND = 0.5  # omega far from the money
STEEP = 1.15  # phase of the decay past which the contour bends,
FAR = 3.0  # or standard deviations past which it does,
FLAT = -0.6  # unless the phase is this far on the other side

TWO_OVER_PI = 0.6366197723675814
HALF_PI_HIGH = 1.5707963267341256  # 33 bits, so that its multiples are exact
HALF_PI_LOW = 6.077100506506192e-11


@njit(**ROUTINE)
def _nodes(p, tte, bend, scale, step, offset, cut, nearest, z, weighted):
    """Fill nodes `z` and the weighted phi and derivatives; return how many nodes count.

    Real and imaginary parts lie apart: z[0], z[1], and weighted[0], weighted[1] by rows.
    """
    values = np.empty(weighted.shape[1], np.complex128)
    sine, cosine = sin(bend), cos(bend)
    wave = 2.0 * pi / abs(p[6]) if p[5] > 0.0 and p[6] != 0.0 else 0.0  # jumps revive phi
    small, since = 0, 0.0
    for j in range(z.shape[1]):
        y = offset + j * step
        up = exp(y)
        sh, ch = 0.5 * (up - 1.0 / up), 0.5 * (up + 1.0 / up)
        node = complex(scale * sh * cosine, scale * (ch - 1.0) * sine)
        weight = complex(scale * ch * cosine, scale * sh * sine) * step
        if y == 0.0:
            weight *= 0.5
        evaluate(p, tte, node, values)
        weight *= inverse(node * node + 0.25)
        for g in range(values.size):
            value = values[g] * weight
            weighted[0, g, j], weighted[1, g, j] = value.real, value.imag
        z[0, j], z[1, j] = node.real, node.imag
        left = abs(weighted[0, 0, j]) + abs(weighted[1, 0, j])
        if left * exp(-node.imag * nearest) > cut:
            small, since = 0, node.real
        else:
            small += 1
        if small >= 2 and node.real - since > wave:
            return j + 1
    return z.shape[1]


@njit(**ROUTINE)
def _wave(re, im, n, x, cosine, sine):
    """Fill real and imaginary part of exp(izx); vectorised, so with sine and cosine of its own."""
    for j in range(n):
        t = re[j] * x
        shifted = t * TWO_OVER_PI + ROUNDING
        quarter = shifted - ROUNDING
        r = (t - quarter * HALF_PI_HIGH) - quarter * HALF_PI_LOW
        n4 = np.int64(quarter)
        r2 = r * r
        s = -2.5051823583393710e-08 + r2 * 1.5896230157218447e-10
        s = -0.00019841269841201856 + r2 * (2.7557319210152756e-06 + r2 * s)
        s = r + r * r2 * (-0.16666666666666666 + r2 * (0.008333333333333185 + r2 * s))
        c = -2.7557317272344187e-07 + r2 * (2.0876100764015e-09 - r2 * 1.1367817304626e-11)
        c = -0.0013888888888887398 + r2 * (2.48015872987670414e-05 + r2 * c)
        c = 0.041666666666666664 + r2 * c
        c = 1.0 - 0.5 * r2 + r2 * r2 * c
        odd = (n4 & 1) == 1
        sn, cs = (c if odd else s), (s if odd else c)
        size = fast_exp(-im[j] * x)
        sine[j] = size * (-sn if (n4 & 2) != 0 else sn)
        cosine[j] = size * (-cs if ((n4 + 1) & 2) != 0 else cs)


@njit(**SUMS)
def _dot(re, im, n, cosine, sine):
    total = 0.0
    for j in range(n):
        total += re[j] * cosine[j] - im[j] * sine[j]
    return total


@njit(**ROUTINE)
def _integrate(p, tte, x, bend, scale, first_step, tolerance, total, gap):
    """Fill `total` (rows of x, phi and derivatives) with the integrals, `gap` with the last gaps.

    The first pass takes the nodes 0, step, 2 step, ..; every later one takes those half-way
    between all nodes before it.
    """
    factor, largest, nearest = np.empty(x.size), 0.0, inf
    for i in range(x.size):
        factor[i] = exp(-0.5 * x[i]) / pi
        largest, nearest = max(largest, factor[i]), min(nearest, abs(x[i]))
    nearest = copysign(nearest, bend)
    cut = 1e-6 * tolerance / largest
    step = first_step
    for index in range(PASSES):
        if index > 1:
            step *= 0.5
        room = int(FARTHEST / step)
        z, weighted = np.empty((2, room)), np.empty((2, total.shape[1], room))
        offset = 0.5 * step if index > 0 else 0.0
        n = _nodes(p, tte, bend, scale, step, offset, cut, nearest, z, weighted)
        cosine, sine = np.empty(n), np.empty(n)
        for i in range(x.size):
            _wave(z[0], z[1], n, x[i], cosine, sine)
            for g in range(total.shape[1]):
                value = factor[i] * _dot(weighted[0, g], weighted[1, g], n, cosine, sine)
                if index == 0:
                    total[i, g] = value
                else:
                    if g == 0:
                        gap[i] = abs(value - total[i, g])
                    total[i, g] = 0.5 * (total[i, g] + value)
        widest = 0.0
        for i in range(x.size):
            widest = max(widest, gap[i])
        if index > 0 and widest < tolerance:
            break


@njit(**ROUTINE)
def _bend(p, tte, x):
    """Side to which the contour of one option bends, -1, 0 or 1.

    The integrand decays fastest at `phase`, while its exponential regime lasts, and beyond some
    standard deviations oscillates on the real line. Lognormal jumps grow off it.
    """
    if p[5] > 0.0:
        return 0
    reach = p[4] + p[0] * p[1] * tte
    phase = atan2(p[2] * x - reach * p[3], reach * sqrt(1.0 - p[3] * p[3]))
    side = 1 if x > 0.0 else -1
    is_far = x * x > FAR * FAR * mean_variance(p, tte)
    if side * phase > STEEP or (is_far and side * phase > FLAT):
        return side
    return 0


@njit(**ROUTINE)
def _price_group(
    p, forward, strike, tte, sign, rows, bend, scale, step, tolerance, price, gradient
):
    """Fill prices and gradient of `rows`, which share expiry and contour."""
    x = np.empty(rows.size)
    for j in range(rows.size):
        x[j] = log_ratio(forward[rows[j]], strike[rows[j]])
    total = np.empty((rows.size, 1 + gradient.shape[1]))
    gap = np.empty(rows.size)
    _integrate(p, tte, x, BEND * bend, scale, step, tolerance, total, gap)
    for j in range(rows.size):
        i = rows[j]
        intrinsic = max(sign[i] * (forward[i] - strike[i]), 0.0)
        most = forward[i] if sign[i] > 0.0 else strike[i]
        value = max(most - forward[i] * total[j, 0], intrinsic)
        price[i] = value if gap[j] < UNRESOLVED else nan
        for g in range(1, total.shape[1]):
            gradient[i, g - 1] = -forward[i] * total[j, g]


@njit(**ROUTINE)
def price_rows(p, forward, strike, tte, sign, order, scale, step, tolerance, price, gradient):
    """Fill undiscounted prices and their gradient; rows taken in `order`, equal `tte` together.

    A row whose inputs are not positive and finite is NaN, and so is the price of one whose rules
    never agree.
    """
    bends, rows = np.empty(order.size, np.int64), np.empty(order.size, np.int64)
    start = 0
    while start < order.size:
        t = tte[order[start]]
        stop = start + 1
        while stop < order.size and tte[order[stop]] == t:
            stop += 1
        for j in range(start, stop):
            i = order[j]
            if 0.0 < forward[i] < inf and 0.0 < strike[i] < inf and 0.0 < t < inf:
                bends[j] = _bend(p, t, log_ratio(forward[i], strike[i]))
            else:
                bends[j] = 2
                price[i] = nan
                gradient[i] = nan
        needed = tolerance
        if p[5] > 0.0:  # rare jumps oscillate as faintly as they are rare, frequent ones steeply
            jumps = p[5] * t
            needed *= min(sqrt(jumps), max(1.0 / (jumps * jumps), 0.01))
        for bend in range(-1, 2):
            n = 0
            for j in range(start, stop):
                if bends[j] == bend:
                    rows[n] = order[j]
                    n += 1
            if n > 0:
                _price_group(
                    p, forward, strike, t, sign, rows[:n], bend, scale, step, needed,
                    price, gradient,
                )  # fmt: skip
        start = stop
