r"""Raw SVI without arbitrage: Durrleman's condition on the whole line, and the repair of a fit.

In the smile's own coordinate :math:`l = (k - m)/\sigma`, with :math:`\alpha = a/\sigma`,
:math:`\mu = m/\sigma`, :math:`R = \sqrt{l^2 + 1}` and :math:`N = \alpha + b(\rho l + R)`,

.. math::
   g(l) = \Bigl(1 - \frac{(l + \mu) N'}{2N}\Bigr)^2 - \frac{N'^2}{16}
          + \frac{1}{2\sigma} \Bigl(N'' - \frac{N'^2}{2N}\Bigr),

which is read on a sinh grid that reaches far into both wings, where g tends to
:math:`1/4 - b^2(1 \pm \rho)^2/16`: Lee's bound on the slope is 2. A fit that breaks it (or
undercuts an earlier expiry, the `floor`) is moved by Levenberg-Marquardt under an augmented
Lagrangian; if that fails, it is drawn along a line to a smile known to be feasible.

Belongs here: compiled kernels about one slice. Not here: the fit without conditions.

References
----------
.. [1] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces".
.. [2] Martini, Mingone (2022), "No arbitrage SVI" (the normal form in l).
.. [3] Lee (2004), "The moment formula for implied volatility at extreme strikes".
"""

import math

import numpy as np
from numba import njit

MAX_WING_SLOPE = 2.0
_REACH = np.linspace(-1.0, 1.0, 121)
_L = np.sinh(8.0 * (0.55 * _REACH**3 + 0.45 * _REACH))
_R = np.sqrt(1.0 + _L**2)
_N = _L.size
_N_FLOOR = 61
_N_CONDITIONS = _N + _N_FLOOR + 3  # g, the floor, Lee's bound, the floor's two wings
_GOLDEN = 0.6180339887498949
_ROUNDS = 24  # of the augmented Lagrangian, per start
_SMALLEST_LEVEL = 1e-8  # of total variance, relative to b sigma: below it a smile touches zero

NOT_NEEDED, REPAIRED, BACK_STOP, FAILED = 0, 1, 2, 3


@njit(cache=True, error_model="numpy")
def raw(p):
    """Return (a, b, rho, m, sigma) of the free parameters p = (a, b, u, m, ln sigma)."""
    return p[0], p[1], p[2] / math.sqrt(1.0 + p[2] * p[2]), p[3], math.exp(p[4])


@njit(cache=True, error_model="numpy")
def free(a, b, rho, m, sigma):
    """Return p = (a, b, u, m, ln sigma) with rho = u / sqrt(1 + u^2): only b keeps a bound."""
    return np.array([a, b, rho / math.sqrt(1.0 - rho * rho), m, math.log(sigma)])


@njit(cache=True, error_model="numpy")
def variance(k, a, b, rho, m, sigma):
    """Total variance at one log-moneyness."""
    x = k - m
    return a + b * (rho * x + math.sqrt(x * x + sigma * sigma))


@njit(cache=True, error_model="numpy")
def scaled_g(ell, alpha, b, rho, mu, half_over_sigma):
    """Durrleman's g at l; -1 where total variance is not positive."""
    root = math.sqrt(1.0 + ell * ell)
    n = alpha + b * (rho * ell + root)
    if n <= 0.0:
        return -1.0
    n1 = b * (rho + ell / root)
    t = 1.0 - 0.5 * (ell + mu) * n1 / n
    n2 = b / (root * root * root)
    return t * t - 0.0625 * n1 * n1 + (n2 - 0.5 * n1 * n1 / n) * half_over_sigma


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def min_g(a, b, rho, m, sigma, refine_below):
    """Smallest g on the whole line, and its k; grid minima under `refine_below` are refined."""
    alpha, mu, h = a / sigma, m / sigma, 0.5 / sigma
    if alpha + b * math.sqrt(1.0 - rho * rho) <= _SMALLEST_LEVEL * b:
        return -1.0, m - rho * sigma / math.sqrt(1.0 - rho * rho)
    left, right = b * (1.0 - rho), b * (1.0 + rho)
    worst = 0.25 - 0.0625 * max(left, right) ** 2
    at = -np.inf if left > right else np.inf
    before = here = scaled_g(_L[0], alpha, b, rho, mu, h)
    for i in range(_N):
        after = scaled_g(_L[i + 1], alpha, b, rho, mu, h) if i + 1 < _N else here
        if here < worst:
            worst, at = here, m + sigma * _L[i]
        if 0 < i < _N - 1 and here <= before and here <= after and here < refine_below:
            g, ell = _refine_g(_L[i - 1], _L[i + 1], alpha, b, rho, mu, h)
            if g < worst:
                worst, at = g, m + sigma * ell
        before, here = here, after
    return worst, at


@njit(cache=True, error_model="numpy")
def _room(k, a, b, rho, m, sigma, floor):
    """Return w / floor - 1 at one log-moneyness."""
    under = variance(k, floor[0], floor[1], floor[2], floor[3], floor[4])
    return variance(k, a, b, rho, m, sigma) / under - 1.0


@njit(cache=True, error_model="numpy")
def _floor_k(floor, i):
    """Point i of the floor's grid: its own sinh grid, kept inside the range it speaks for."""
    return min(max(floor[3] + floor[4] * _L[2 * i], floor[5]), floor[6])


@njit(cache=True, error_model="numpy")
def min_room(a, b, rho, m, sigma, floor):
    """Smallest w / floor - 1 where the floor speaks: both smiles' grids, refined, and the wings."""
    worst = np.inf
    if floor[5] == -np.inf:
        worst = min(worst, b * (1.0 - rho) / (floor[1] * (1.0 - floor[2])) - 1.0)
    if floor[6] == np.inf:
        worst = min(worst, b * (1.0 + rho) / (floor[1] * (1.0 + floor[2])) - 1.0)
    for centre, scale in ((m, sigma), (floor[3], floor[4])):
        for i in range(_N):
            k = min(max(centre + scale * _L[i], floor[5]), floor[6])
            here = _room(k, a, b, rho, m, sigma, floor)
            if here >= worst + 0.05 or i == 0 or i == _N - 1:
                worst = min(worst, here)
                continue
            lo = min(max(centre + scale * _L[i - 1], floor[5]), floor[6])
            hi = min(max(centre + scale * _L[i + 1], floor[5]), floor[6])
            before = _room(lo, a, b, rho, m, sigma, floor)
            after = _room(hi, a, b, rho, m, sigma, floor)
            bend = before - 2.0 * here + after
            if bend > 0.0 and here <= before and here <= after and lo < k < hi:
                step = 0.25 * (before - after) / bend * (hi - lo)  # vertex of the parabola
                k = min(max(k + step, lo), hi)
                here = min(here, _room(k, a, b, rho, m, sigma, floor))
            worst = min(worst, here)
    return worst


@njit(cache=True, error_model="numpy")
def shortfall(p, floor):
    """How far p is from having no arbitrage, in units of g or of room; 0 when it has none."""
    a, b, rho, m, sigma = raw(p)
    g, _ = min_g(a, b, rho, m, sigma, 0.02)
    worst = min(g, MAX_WING_SLOPE - b * (1.0 + abs(rho)))
    if not np.isnan(floor[0]):
        worst = min(worst, min_room(a, b, rho, m, sigma, floor) + 1e-12)  # rounding of w / w
    return max(0.0, -worst)


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def add_quotes(k, w, weight, p, hessian, gradient):
    """Weighted cost of p on the quotes; its normal equations replace `hessian`, `gradient`."""
    a, b, rho, m, sigma = raw(p)
    by_u = b / (1.0 + p[2] * p[2]) ** 1.5
    hessian[:] = 0.0
    gradient[:] = 0.0
    cost = 0.0
    j = np.empty(5)
    for i in range(k.size):
        x = k[i] - m
        root = math.sqrt(x * x + sigma * sigma)
        basis = rho * x + root
        error = a + b * basis - w[i]
        j[0], j[1], j[2] = 1.0, basis, by_u * x
        j[3], j[4] = -b * (rho + x / root), b * sigma * sigma / root
        cost += weight[i] * error * error
        for r in range(5):
            weighted = weight[i] * j[r]
            gradient[r] += weighted * error
            for c in range(r + 1):
                hessian[r, c] += weighted * j[c]
    return cost


@njit(cache=True, error_model="numpy")
def _g_and_slopes(i, p, level, j):
    """Condition g >= 0 at grid point i, and its derivatives in p into j."""
    a, b, rho, m, sigma = raw(p)
    alpha, mu, h = a / sigma, m / sigma, 0.5 / sigma
    by_u = 1.0 / (1.0 + p[2] * p[2]) ** 1.5
    ell, root = _L[i], _R[i]
    basis, basis1, basis2 = rho * ell + root, rho + ell / root, 1.0 / (root * root * root)
    n, n1, n2 = alpha + b * basis, b * basis1, b * basis2
    if n * sigma <= 1e-3 * level:  # push total variance up before g can be read
        j[0], j[1], j[2], j[3], j[4] = 1.0 / sigma, basis, b * ell * by_u, 0.0, -alpha
        j /= level / sigma
        return n * sigma / level - 1.0
    t = 1.0 - 0.5 * (ell + mu) * n1 / n
    by_n = n1 / (n * n) * (t * (ell + mu) + 0.5 * h * n1)
    by_n1 = -(t * (ell + mu) + h * n1) / n - 0.125 * n1
    by_mu = -t * n1 / n
    by_h = n2 - 0.5 * n1 * n1 / n
    j[0] = by_n / sigma
    j[1] = by_n * basis + by_n1 * basis1 + h * basis2
    j[2] = (by_n * b * ell + by_n1 * b) * by_u
    j[3] = by_mu / sigma
    j[4] = -alpha * by_n - mu * by_mu - h * by_h
    return t * t - 0.0625 * n1 * n1 + by_h * h


@njit(cache=True, error_model="numpy")
def _room_and_slopes(i, p, floor, j):
    """Condition w >= floor at point i of the floor's grid, relative to the floor."""
    a, b, rho, m, sigma = raw(p)
    k = _floor_k(floor, i)
    under = variance(k, floor[0], floor[1], floor[2], floor[3], floor[4])
    x = k - m
    root = math.sqrt(x * x + sigma * sigma)
    j[0], j[1], j[2] = 1.0, rho * x + root, b * x / (1.0 + p[2] * p[2]) ** 1.5
    j[3], j[4] = -b * (rho + x / root), b * sigma * sigma / root
    j /= under
    return variance(k, a, b, rho, m, sigma) / under - 1.0


@njit(cache=True, error_model="numpy")
def _wing_and_slopes(i, p, floor, j):
    """Conditions on the wings: 0 Lee's bound, 1 and 2 the floor's left and right slope."""
    b, rho = p[1], p[2] / math.sqrt(1.0 + p[2] * p[2])
    by_u = b / (1.0 + p[2] * p[2]) ** 1.5
    j[:] = 0.0
    if i == 0:
        sign = 1.0 if rho >= 0.0 else -1.0
        j[1], j[2] = -(1.0 + abs(rho)), -sign * by_u
        return MAX_WING_SLOPE - b * (1.0 + abs(rho))
    sign = -1.0 if i == 1 else 1.0
    if np.isnan(floor[0]) or not np.isinf(floor[4 + i]):
        return np.inf
    under = floor[1] * (1.0 + sign * floor[2])
    j[1], j[2] = (1.0 + sign * rho) / under, sign * by_u / under
    return b * (1.0 + sign * rho) / under - 1.0


@njit(cache=True, error_model="numpy")
def add_conditions(p, floor, level, price, target, hessian, gradient, value):
    """Add price * max(0, target - condition)^2 over all conditions; leaves them in `value`."""
    cost = 0.0
    j = np.empty(5)
    for i in range(_N_CONDITIONS):
        if i < _N:
            value[i] = _g_and_slopes(i, p, level, j)
        elif i < _N + _N_FLOOR:
            value[i] = np.inf
            if not np.isnan(floor[0]):
                value[i] = _room_and_slopes(i - _N, p, floor, j)
        else:
            value[i] = _wing_and_slopes(i - _N - _N_FLOOR, p, floor, j)
        over = target[i] - value[i]
        if not over > 0.0:
            continue
        cost += price * over * over
        for r in range(5):
            gradient[r] -= price * over * j[r]
            for c in range(r + 1):
                hessian[r, c] += price * j[r] * j[c]
    return cost


@njit(cache=True, error_model="numpy")
def solve(hessian, gradient, damping, step, factor):
    """Solve (H + damping diag H) step = -gradient by Cholesky; False if H is not definite."""
    for i in range(5):
        for j in range(i + 1):
            s = hessian[i, j]
            if i == j:
                s = s * (1.0 + damping) + 1e-300
            for n in range(j):
                s -= factor[i, n] * factor[j, n]
            if i > j:
                factor[i, j] = s / factor[j, j]
            elif s > 0.0:
                factor[i, i] = math.sqrt(s)
            else:
                return False
    for i in range(5):
        s = -gradient[i]
        for n in range(i):
            s -= factor[i, n] * step[n]
        step[i] = s / factor[i, i]
    for i in range(4, -1, -1):
        s = step[i]
        for n in range(i + 1, 5):
            s -= factor[n, i] * step[n]
        step[i] = s / factor[i, i]
    return True


@njit(cache=True, error_model="numpy")
def _constrained_search(k, w, weight, p, floor, level, price, target, box, value):
    """Levenberg-Marquardt in all five parameters with the conditions priced; moves p."""
    hessian, trial_hessian, factor = np.empty((5, 5)), np.empty((5, 5)), np.empty((5, 5))
    gradient, trial_gradient, step = np.empty(5), np.empty(5), np.empty(5)
    cost = add_quotes(k, w, weight, p, hessian, gradient)
    cost += add_conditions(p, floor, level, price, target, hessian, gradient, value)
    damping = 1e-3
    evaluations = 1
    while evaluations < 40 and damping < 1e10:
        if not solve(hessian, gradient, damping, step, factor):
            damping *= 10.0
            continue
        trial = p + step
        trial[1] = max(trial[1], 0.2 * p[1])
        trial[2] = min(max(trial[2], -30.0), 30.0)  # |rho| <= 0.99945
        trial[3] = min(max(trial[3], box[0]), box[1])
        trial[4] = min(max(trial[4], p[4] - 1.0, box[2]), p[4] + 1.0, box[3])
        new = add_quotes(k, w, weight, trial, trial_hessian, trial_gradient)
        new += add_conditions(
            trial, floor, level, price, target, trial_hessian, trial_gradient, value
        )
        evaluations += 1
        if new < cost:
            gain = (cost - new) / cost
            p[:] = trial
            cost = new
            hessian[:] = trial_hessian
            gradient[:] = trial_gradient
            damping = max(damping * 0.2, 1e-14)
            if gain < 1e-9:
                break
        else:
            damping *= 5.0
    add_conditions(p, floor, level, 0.0, target, trial_hessian, trial_gradient, value)
    return evaluations


@njit(cache=True, error_model="numpy")
def _augmented(k, w, weight, p, floor, level, price, box):
    """Method of multipliers: a condition's overshoot is added to what is asked of it next time.

    Returns (is feasible, evaluations); p is moved.
    """
    value = np.empty(_N_CONDITIONS)
    shift = np.zeros(_N_CONDITIONS)
    margin = 1e-6
    last = np.inf
    evaluations = 0
    for _ in range(_ROUNDS):
        target = shift + margin
        evaluations += _constrained_search(k, w, weight, p, floor, level, price, target, box, value)
        missing = shortfall(p, floor)
        if missing <= 0.0:
            return True, evaluations
        worst = 0.0
        for i in range(_N_CONDITIONS):
            worst = max(worst, margin - value[i])
            shift[i] = max(0.0, shift[i] + margin - value[i])
        if worst < 0.5 * missing:  # met on the grid, broken between its points
            margin = min(2.0 * margin + missing, 0.05)
        if worst > 0.3 * last:
            price *= 10.0
            shift *= 0.1
        last = worst
    return False, evaluations


@njit(cache=True, error_model="numpy")
def _draw_to(p, anchor, floor):
    """Move p along the line to the feasible `anchor` until it is feasible itself."""
    lo, hi = 0.0, 1.0
    for _ in range(45):
        middle = 0.5 * (lo + hi)
        if shortfall(p + middle * (anchor - p), floor) <= 0.0:
            hi = middle
        else:
            lo = middle
    p += hi * (anchor - p)


@njit(cache=True, error_model="numpy")
def _anchor(level, width, middle, floor):
    """Return a smile known to be feasible: the floor itself, or a nearly flat one."""
    if not np.isnan(floor[0]):
        return free(floor[0], floor[1], floor[2], floor[3], floor[4])
    anchor = free(level, 0.1 * level / width, 0.0, middle, width)
    for _ in range(40):
        if shortfall(anchor, floor) <= 0.0:
            break
        anchor[1] *= 0.5
    return anchor


@njit(cache=True, error_model="numpy")
def repair(k, w, weight, p, cost, floor, box):
    """Move p to a nearby smile without arbitrage: returns (how it ended, evaluations).

    The unconstrained optimum is the first start; wider vertices follow if it fails or if the
    result costs much more than the unconstrained `cost`.
    """
    level = np.sum(weight * w) / np.sum(weight)
    width = k.max() - k.min()
    middle = 0.5 * (k.max() + k.min())
    price = 100.0 * max(cost / k.size, 1e-9 * np.sum(weight * w * w) / k.size)
    hessian, gradient = np.empty((5, 5)), np.empty(5)
    best = p.copy()
    best_cost = np.inf
    evaluations = 0
    for start in range(4):
        trial = p.copy()
        if start > 0:
            widths = (0.25, 0.6, 1.2)
            trial[1] = min(trial[1], 1.0)
            trial[3] = middle
            trial[4] = min(max(math.log(widths[start - 1] * width), box[2]), box[3])
            trial[0] = level - trial[1] * math.exp(trial[4])
        done, used = _augmented(k, w, weight, trial, floor, level, price, box)
        evaluations += used
        if done:
            trial_cost = add_quotes(k, w, weight, trial, hessian, gradient)
            if trial_cost < best_cost:
                best_cost = trial_cost
                best = trial
            if best_cost < 1.3 * cost:
                break
    if best_cost < np.inf:
        p[:] = best
        return REPAIRED, evaluations
    anchor = _anchor(level, width, middle, floor)
    if shortfall(anchor, floor) > 0.0:
        return FAILED, evaluations
    _draw_to(p, anchor, floor)
    return BACK_STOP, evaluations
