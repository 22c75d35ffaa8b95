r"""When a raw SVI smile has no arbitrage: Durrleman's g and the floor, on the whole line.

In the smile's own coordinate :math:`l = (k - m)/\sigma`, with :math:`\alpha = a/\sigma`,
:math:`\mu = m/\sigma`, :math:`R = \sqrt{l^2 + 1}` and :math:`N = \alpha + b(\rho l + R)`,

.. math::
   g(l) = \Bigl(1 - \frac{(l + \mu) N'}{2N}\Bigr)^2 - \frac{N'^2}{16}
          + \frac{1}{2\sigma} \Bigl(N'' - \frac{N'^2}{2N}\Bigr),

which is read on a sinh grid that reaches far into both wings, where g tends to
:math:`1/4 - b^2(1 \pm \rho)^2/16`: Lee's bound on the slope is 2. A well that is narrower than the
grid lies where the first bracket changes its sign, so these places are looked at too. The `floor`,
(a, b, rho, m, sigma) of an earlier expiry or NaN, may not be undercut: the room above it is
w / floor - 1.

Belongs here: conditions on one slice, compiled, with their derivatives. Not here: what is done
about them (`svi_guard`).

References
----------
.. [1] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces".
.. [2] Martini, Mingone (2022), "No arbitrage SVI" (the normal form in l).
.. [3] Lee (2004), "The moment formula for implied volatility at extreme strikes".
"""

import math

import numpy as np
from numba import njit

from volsurf_math.compile_options import KERNEL, ROUTINE
from volsurf_math.small_arrays import least
from volsurf_math.smiles.svi_least_squares import raw, variance

LEAST_VARIANCE = 1e-3  # of the mean quoted one: nearer to zero g has needles that no grid sees
UNREADABLE = -0.999 * LEAST_VARIANCE  # of the first condition: w <= 0 somewhere, g is no number
NEAR = 0.1  # conditions closer than this to breaking are watched during a repair
MOST = 28  # conditions at once
_MOST_MINIMA = 24
_REACH = np.linspace(-1.0, 1.0, 121)
_L = np.sinh(8.0 * (0.55 * _REACH**3 + 0.45 * _REACH))
_ROOT = np.sqrt(1.0 + _L * _L)
_TILT, _BEND = _L / _ROOT, _ROOT**-3.0
_N = _L.size
_GOLDEN = 0.6180339887498949
_SMALLEST_LEVEL = 1e-8  # of total variance, relative to b sigma: below it a smile touches zero
_SAME_PLACE = 1e-4  # relative, of two minima that were found from two sides
_RANGE_STEPS = 64  # of the grid on which a floor is looked at over a range
_ROUNDING = 1e-12  # of w / w


@njit(**ROUTINE)
def scaled_g(ell, alpha, b, rho, mu, half_over_sigma):
    """Durrleman's g at l; -1 where total variance is not positive."""
    root = math.sqrt(1.0 + ell * ell)
    tilt, bend = ell / root, 1.0 / (root * root * root)
    return _g(ell, root, tilt, bend, alpha, b, rho, mu, half_over_sigma)


@njit(**KERNEL)
def _g(ell, root, tilt, bend, alpha, b, rho, mu, half_over_sigma):
    n = alpha + b * (rho * ell + root)
    n1 = b * (rho + tilt)
    pull = n1 / n
    t = 1.0 - 0.5 * (ell + mu) * pull
    g = t * t - 0.0625 * n1 * n1 + (b * bend - 0.5 * n1 * pull) * half_over_sigma
    return g if n > 0.0 else -1.0


@njit(**ROUTINE)
def _g_on_grid(alpha, b, rho, mu, half_over_sigma):
    """Durrleman's g on the whole grid of l."""
    g = np.empty(_N)
    for i in range(_N):
        g[i] = _g(_L[i], _ROOT[i], _TILT[i], _BEND[i], alpha, b, rho, mu, half_over_sigma)
    return g


@njit(**ROUTINE)
def _bracket_on_grid(alpha, b, rho, mu):
    """The bracket that g squares, 1 - (l + mu) N' / 2N, on the whole grid of l."""
    bracket = np.empty(_N)
    for i in range(_N):
        level = alpha + b * (rho * _L[i] + _ROOT[i])
        bracket[i] = 1.0 - 0.5 * (_L[i] + mu) * b * (rho + _TILT[i]) / level
    return bracket


@njit(**ROUTINE)
def _refine_g(lo, hi, alpha, b, rho, mu, half_over_sigma):
    """Golden-section search for the smallest g in (lo, hi): returns (g, l)."""
    x1, x2 = hi - _GOLDEN * (hi - lo), lo + _GOLDEN * (hi - lo)
    g1 = scaled_g(x1, alpha, b, rho, mu, half_over_sigma)
    g2 = scaled_g(x2, alpha, b, rho, mu, half_over_sigma)
    for _ in range(30):
        if g1 < g2:
            hi, x2, g2 = x2, x1, g1
            x1 = hi - _GOLDEN * (hi - lo)
            g1 = scaled_g(x1, alpha, b, rho, mu, half_over_sigma)
        else:
            lo, x1, g1 = x1, x2, g2
            x2 = lo + _GOLDEN * (hi - lo)
            g2 = scaled_g(x2, alpha, b, rho, mu, half_over_sigma)
    return (g1, x1) if g1 < g2 else (g2, x2)


@njit(**ROUTINE)
def min_g(a, b, rho, m, sigma, refine_below):
    """Smallest g on the whole line, and its k; grid minima under `refine_below` are refined."""
    alpha, mu, h = a / sigma, m / sigma, 0.5 / sigma
    if alpha + b * math.sqrt(1.0 - rho * rho) <= _SMALLEST_LEVEL * b:
        return -1.0, m - rho * sigma / math.sqrt(1.0 - rho * rho)
    left, right = b * (1.0 - rho), b * (1.0 + rho)
    worst = 0.25 - 0.0625 * max(left, right) ** 2
    at = -np.inf if left > right else np.inf
    on_grid, bracket = _g_on_grid(alpha, b, rho, mu, h), _bracket_on_grid(alpha, b, rho, mu)
    for i in range(_N):
        here = on_grid[i]
        if here < worst:
            worst, at = here, m + sigma * _L[i]
        if 0 < i < _N - 1 and here <= min(on_grid[i - 1], on_grid[i + 1], refine_below):
            g, ell = _refine_g(_L[i - 1], _L[i + 1], alpha, b, rho, mu, h)
            if g < worst:
                worst, at = g, m + sigma * ell
        if i > 0 and bracket[i - 1] * bracket[i] < 0.0:
            g, ell = _refine_g(_L[i - 1], _L[i], alpha, b, rho, mu, h)
            if g < worst:
                worst, at = g, m + sigma * ell
    return worst, at


@njit(**ROUTINE)
def _add_g(ell, p, value, slopes, n):
    """Append the condition g(l) >= 0: its value and its derivatives in p at fixed l."""
    a, b, rho, m, sigma = raw(p)
    alpha, mu, h = a / sigma, m / sigma, 0.5 / sigma
    by_u = b / (1.0 + p[2] * p[2]) ** 1.5
    root = math.sqrt(1.0 + ell * ell)
    basis, basis1, basis2 = rho * ell + root, rho + ell / root, 1.0 / (root * root * root)
    level, n1 = alpha + b * basis, b * basis1
    t = 1.0 - 0.5 * (ell + mu) * n1 / level
    by_level = n1 / (level * level) * (t * (ell + mu) + 0.5 * h * n1)
    by_n1 = -(t * (ell + mu) + h * n1) / level - 0.125 * n1
    by_mu = -t * n1 / level
    by_h = b * basis2 - 0.5 * n1 * n1 / level
    value[n] = t * t - 0.0625 * n1 * n1 + by_h * h
    slopes[n, 0] = by_level / sigma
    slopes[n, 1] = by_level * basis + by_n1 * basis1 + h * basis2
    slopes[n, 2] = (by_level * ell + by_n1) * by_u
    slopes[n, 3] = by_mu / sigma
    slopes[n, 4] = -alpha * by_level - mu * by_mu - h * by_h
    return n + 1


@njit(**ROUTINE)
def _add_g_minima(p, value, slopes, n):
    """Append g at its local minima and in both wings, where it is negative or nearly so."""
    a, b, rho, m, sigma = raw(p)
    alpha, mu, h = a / sigma, m / sigma, 0.5 / sigma
    by_u = b / (1.0 + p[2] * p[2]) ** 1.5
    for sign in (-1.0, 1.0):
        slope = b * (1.0 + sign * rho)
        if 0.25 - 0.0625 * slope * slope < NEAR:
            value[n] = 0.25 - 0.0625 * slope * slope
            slopes[n, :] = 0.0
            slopes[n, 1], slopes[n, 2] = (
                -0.125 * slope * (1 + sign * rho),
                -0.125 * slope * sign * by_u,
            )
            n += 1
    g, bracket = _g_on_grid(alpha, b, rho, mu, h), _bracket_on_grid(alpha, b, rho, mu)
    last = -np.inf
    for i in range(1, _N - 1):
        is_low = g[i] < NEAR and g[i] <= min(g[i - 1], g[i + 1])
        is_crossed = bracket[i - 1] * bracket[i] < 0.0
        for first, end in ((i - 1, i), (i - 1, i + 1)):
            if not (is_crossed if end == i else is_low) or n >= _MOST_MINIMA:
                continue
            least_g, ell = _refine_g(_L[first], _L[end], alpha, b, rho, mu, h)
            if least_g < NEAR and abs(ell - last) > _SAME_PLACE * (1.0 + abs(ell)):
                n, last = _add_g(ell, p, value, slopes, n), ell
    return n


@njit(**ROUTINE)
def _add_positive(p, level, value, slopes, n):
    """Append the condition that the smallest variance is positive, relative to `level`."""
    a, b, rho, _, sigma = raw(p)
    bar = math.sqrt(1.0 - rho * rho)
    value[n] = (a + b * sigma * bar) / level - LEAST_VARIANCE
    slopes[n, 0], slopes[n, 1] = 1.0 / level, sigma * bar / level
    slopes[n, 2] = -b * sigma * rho / bar / (1.0 + p[2] * p[2]) ** 1.5 / level
    slopes[n, 3], slopes[n, 4] = 0.0, b * sigma * bar / level
    return n + 1


@njit(**ROUTINE)
def _room(k, p, floor):
    """Return w / floor - 1 at one log-moneyness."""
    a, b, rho, m, sigma = raw(p)
    under = variance(k, floor[0], floor[1], floor[2], floor[3], floor[4])
    return variance(k, a, b, rho, m, sigma) / under - 1.0 + _ROUNDING


@njit(**ROUTINE)
def _add_room(k, p, floor, value, slopes, n):
    """Append the condition w(k) >= floor(k), relative to the floor."""
    _, b, rho, m, sigma = raw(p)
    under = variance(k, floor[0], floor[1], floor[2], floor[3], floor[4])
    x = k - m
    root = math.sqrt(x * x + sigma * sigma)
    value[n] = _room(k, p, floor)
    slopes[n, 0], slopes[n, 1] = 1.0 / under, (rho * x + root) / under
    slopes[n, 2] = b * x / (1.0 + p[2] * p[2]) ** 1.5 / under
    slopes[n, 3] = -b * (rho + x / root) / under
    slopes[n, 4] = b * sigma * sigma / root / under
    return n + 1


@njit(**ROUTINE)
def _add_room_minima(p, floor, value, slopes, n):
    """Append the room above the floor at its local minima on both smiles' grids, and the wings.

    A floor that holds on a range only, floor[5] to floor[6], is looked at there alone.
    """
    if floor[5] > -np.inf:
        return _add_room_on_range(p, floor, value, slopes, n)
    _, b, rho, m, sigma = raw(p)
    by_u = b / (1.0 + p[2] * p[2]) ** 1.5
    for sign in (-1.0, 1.0):
        under = floor[1] * (1.0 + sign * floor[2])
        room = b * (1.0 + sign * rho) / under - 1.0 + _ROUNDING
        if room < NEAR:
            value[n] = room
            slopes[n, :] = 0.0
            slopes[n, 1], slopes[n, 2] = (1.0 + sign * rho) / under, sign * by_u / under
            n += 1
    for centre, scale in ((m, sigma), (floor[3], floor[4])):
        before = here = _room(centre + scale * _L[0], p, floor)
        for i in range(_N):
            after = _room(centre + scale * _L[i + 1], p, floor) if i + 1 < _N else np.inf
            is_low = here < NEAR and here <= before and here <= after
            if is_low and 0 < i < _N - 1 and n < _MOST_MINIMA:
                lo, hi = centre + scale * _L[i - 1], centre + scale * _L[i + 1]
                n = _add_room(_lowest_room(lo, hi, p, floor), p, floor, value, slopes, n)
            before, here = here, after
    return n


@njit(**ROUTINE)
def _add_room_on_range(p, floor, value, slopes, n):
    """Append the room at its local minima between floor[5] and floor[6], the ends included."""
    low, step = floor[5], (floor[6] - floor[5]) / _RANGE_STEPS
    before, here = np.inf, _room(low, p, floor)
    for i in range(_RANGE_STEPS + 1):
        k = low + i * step
        after = _room(k + step, p, floor) if i < _RANGE_STEPS else np.inf
        if here < NEAR and here <= before and here <= after and n < _MOST_MINIMA:
            lo, hi = max(k - step, low), min(k + step, floor[6])
            lowest = _lowest_room(lo, hi, p, floor)
            if _room(k, p, floor) < _room(lowest, p, floor):
                lowest = k
            n = _add_room(lowest, p, floor, value, slopes, n)
        before, here = here, after
    return n


@njit(**ROUTINE)
def _lowest_room(lo, hi, p, floor):
    """Golden-section search for the k in (lo, hi) with the least room."""
    for _ in range(40):
        x1, x2 = hi - _GOLDEN * (hi - lo), lo + _GOLDEN * (hi - lo)
        if _room(x1, p, floor) < _room(x2, p, floor):
            hi = x2
        else:
            lo = x1
    return 0.5 * (lo + hi)


@njit(**ROUTINE)
def conditions(p, floor, level, value, slopes):
    """List the conditions that p breaks or nearly breaks; returns how many.

    value[:n] is non-negative where they hold, slopes[:n] its derivatives in p. Minima of g and of
    the room above the floor stand for the whole line: at a minimum the derivative in p is the one
    at fixed place.
    """
    n = _add_positive(p, level, value, slopes, 0)
    if value[0] > UNREADABLE:
        n = _add_g_minima(p, value, slopes, n)
    if not math.isnan(floor[0]):
        n = _add_room_minima(p, floor, value, slopes, n)
    return n


@njit(**ROUTINE)
def shortfall(p, floor, level):
    """How far p is from having no arbitrage, in units of g or of room; 0 when it has none."""
    value, slopes = np.empty(MOST), np.empty((MOST, 5))
    n = conditions(p, floor, level, value, slopes)
    return max(0.0, -least(value, n))
