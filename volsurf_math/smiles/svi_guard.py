r"""Raw SVI without arbitrage: Durrleman's condition on the whole line, and the repair of a fit.

In the smile's own coordinate :math:`l = (k - m)/\sigma`, with :math:`\alpha = a/\sigma`,
:math:`\mu = m/\sigma`, :math:`R = \sqrt{l^2 + 1}` and :math:`N = \alpha + b(\rho l + R)`,

.. math::
   g(l) = \Bigl(1 - \frac{(l + \mu) N'}{2N}\Bigr)^2 - \frac{N'^2}{16}
          + \frac{1}{2\sigma} \Bigl(N'' - \frac{N'^2}{2N}\Bigr),

which is read on a sinh grid that reaches far into both wings, where g tends to
:math:`1/4 - b^2(1 \pm \rho)^2/16`: Lee's bound on the slope is 2. A fit that breaks it (or
undercuts an earlier expiry, the `floor`) is moved by sequential quadratic programming in which the
minima of g and of the room above the floor are the conditions; if that fails, the best feasible
smile on a grid of vertices stands in.

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

from volsurf_math.smiles.svi_projection import project, unproject

_REACH = np.linspace(-1.0, 1.0, 121)
_L = np.sinh(8.0 * (0.55 * _REACH**3 + 0.45 * _REACH))
_N = _L.size
_GOLDEN = 0.6180339887498949
_SMALLEST_LEVEL = 1e-8  # of total variance, relative to b sigma: below it a smile touches zero

LEAST_VARIANCE = 1e-3  # of the mean quoted one: nearer to zero g has needles that no grid sees
NEAR = 0.1  # conditions closer than this to breaking are watched during a repair
MAX_EVALUATIONS = 250  # of a repair, per start
HOPELESS = 1.0  # broken by more than this, the unconstrained optimum is no place to start from
GOOD_ENOUGH = 1.02  # times the unconstrained cost: no further start is tried
_MARGIN = 1e-7  # asked of every condition, so that rounding does not break it
_ROUNDING = 1e-12  # of w / w
_MOST = 24  # conditions at once
_MOST_U = 30.0
_MOST_RHO = _MOST_U / math.sqrt(1.0 + _MOST_U**2)  # 0.99944

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


@njit(cache=True, error_model="numpy")
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
    before = here = scaled_g(_L[0], alpha, b, rho, mu, h)
    for i in range(_N):
        after = scaled_g(_L[i + 1], alpha, b, rho, mu, h) if i + 1 < _N else np.inf
        is_low = here < NEAR and here <= before and here <= after
        if is_low and 0 < i < _N - 1 and n < _MOST:
            _, ell = _refine_g(_L[i - 1], _L[i + 1], alpha, b, rho, mu, h)
            n = _add_g(ell, p, value, slopes, n)
        before, here = here, after
    return n


@njit(cache=True, error_model="numpy")
def _add_positive(p, level, value, slopes, n):
    """Append the condition that the smallest variance is positive, relative to `level`."""
    a, b, rho, _, sigma = raw(p)
    bar = math.sqrt(1.0 - rho * rho)
    value[n] = (a + b * sigma * bar) / level - LEAST_VARIANCE
    slopes[n, 0], slopes[n, 1] = 1.0 / level, sigma * bar / level
    slopes[n, 2] = -b * sigma * rho / bar / (1.0 + p[2] * p[2]) ** 1.5 / level
    slopes[n, 3], slopes[n, 4] = 0.0, b * sigma * bar / level
    return n + 1


@njit(cache=True, error_model="numpy")
def _room(k, p, floor):
    """Return w / floor - 1 at one log-moneyness."""
    a, b, rho, m, sigma = raw(p)
    under = variance(k, floor[0], floor[1], floor[2], floor[3], floor[4])
    return variance(k, a, b, rho, m, sigma) / under - 1.0 + _ROUNDING


@njit(cache=True, error_model="numpy")
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


@njit(cache=True, error_model="numpy")
def _add_room_minima(p, floor, value, slopes, n):
    """Append the room above the floor at its local minima on both smiles' grids, and the wings."""
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
            if is_low and 0 < i < _N - 1 and n < _MOST:
                lo, hi = centre + scale * _L[i - 1], centre + scale * _L[i + 1]
                n = _add_room(_lowest_room(lo, hi, p, floor), p, floor, value, slopes, n)
            before, here = here, after
    return n


@njit(cache=True, error_model="numpy")
def _lowest_room(lo, hi, p, floor):
    """Golden-section search for the k in (lo, hi) with the least room."""
    for _ in range(40):
        x1, x2 = hi - _GOLDEN * (hi - lo), lo + _GOLDEN * (hi - lo)
        if _room(x1, p, floor) < _room(x2, p, floor):
            hi = x2
        else:
            lo = x1
    return 0.5 * (lo + hi)


@njit(cache=True, error_model="numpy")
def conditions(p, floor, level, value, slopes):
    """List the conditions that p breaks or nearly breaks; returns how many.

    value[:n] is non-negative where they hold, slopes[:n] its derivatives in p. Minima of g and of
    the room above the floor stand for the whole line: at a minimum the derivative in p is the one
    at fixed place.
    """
    n = _add_positive(p, level, value, slopes, 0)
    if value[0] > 0.0:
        n = _add_g_minima(p, value, slopes, n)
    if not np.isnan(floor[0]):
        n = _add_room_minima(p, floor, value, slopes, n)
    return n


@njit(cache=True, error_model="numpy")
def shortfall(p, floor, level):
    """How far p is from having no arbitrage, in units of g or of room; 0 when it has none."""
    value, slopes = np.empty(_MOST + 4), np.empty((_MOST + 4, 5))
    n = conditions(p, floor, level, value, slopes)
    return max(0.0, -value[:n].min())


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
def cholesky(hessian, damping, factor):
    """Factor H + damping diag H; False if it is not positive definite."""
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
    return True


@njit(cache=True, error_model="numpy")
def substitute(factor, right, x):
    """Solve L L' x = right."""
    for i in range(5):
        s = right[i]
        for n in range(i):
            s -= factor[i, n] * x[n]
        x[i] = s / factor[i, i]
    for i in range(4, -1, -1):
        s = x[i]
        for n in range(i + 1, 5):
            s -= factor[n, i] * x[n]
        x[i] = s / factor[i, i]


@njit(cache=True, error_model="numpy")
def _add_box(p, box, value, slopes, n):
    """Append the bounds on m, ln sigma and u as conditions."""
    low, high = (-_MOST_U, box[0], box[2]), (_MOST_U, box[1], box[3])
    for i in range(3):
        for sign in (-1.0, 1.0):
            slopes[n, :] = 0.0
            slopes[n, 2 + i] = sign
            value[n] = p[2 + i] - low[i] if sign > 0.0 else high[i] - p[2 + i]
            n += 1
    return n


@njit(cache=True, error_model="numpy")
def _quadratic_step(factor, gradient, value, slopes, n, step):
    """Minimise the quadratic model under value + slopes step >= 0; returns the sum of multipliers.

    Hildreth's method: coordinate ascent in the dual, which has one variable per condition.
    """
    moves = np.empty((n, 5))
    substitute(factor, -gradient, step)
    need, coupling, price = np.empty(n), np.empty((n, n)), np.zeros(n)
    for i in range(n):
        substitute(factor, slopes[i], moves[i])
        need[i] = -value[i] - np.dot(slopes[i], step)
    for i in range(n):
        for j in range(n):
            coupling[i, j] = np.dot(slopes[i], moves[j])
    for _ in range(200):
        change = longest = 0.0
        for i in range(n):
            if not coupling[i, i] > 0.0:
                continue
            new = max(0.0, price[i] + (need[i] - np.dot(coupling[i], price)) / coupling[i, i])
            change = max(change, abs(new - price[i]) * math.sqrt(coupling[i, i]))
            longest = max(longest, new * math.sqrt(coupling[i, i]))
            price[i] = new
        if change <= 1e-9 * longest:
            break
    for i in range(n):
        step += price[i] * moves[i]
    return price.sum()


@njit(cache=True, error_model="numpy")
def _take(p, step, centre, trial):
    """Step from p into `trial`, ln sigma by at most one.

    Level, slope and curvature at `centre` take the step, and (a, b, rho) follow from them at the
    new m and sigma: in these coordinates the valley in which a, b and sigma trade is straight.
    """
    a, b, rho, m, sigma = raw(p)
    longest = max(1.0, abs(step[4]))
    x = centre - m
    root = math.sqrt(x * x + sigma * sigma)
    bar3 = 1.0 / (1.0 + p[2] * p[2]) ** 1.5
    da, db, du, dm, ds = step / longest
    db_rho = rho * db + b * bar3 * du
    dx, droot = -dm, (-x * dm + sigma * sigma * ds) / root
    level = a + da + b * (rho * x + root) + db * root + b * droot + db_rho * x + b * rho * dx
    tilt = x / root
    slope = b * (rho + tilt) + db_rho + db * tilt + b * (dx - tilt * droot) / root
    bend = b * sigma * sigma / root**3
    bend *= math.exp(min(max(db / b + 2.0 * ds - 3.0 * droot / root, -2.0), 2.0))
    m += dm
    sigma *= math.exp(ds)
    x = centre - m
    root = math.sqrt(x * x + sigma * sigma)
    b = bend * root**3 / (sigma * sigma)
    rho = min(max(slope / b - x / root, -_MOST_RHO), _MOST_RHO)
    trial[:] = free(level - b * (rho * x + root), b, rho, m, sigma)


@njit(cache=True, error_model="numpy")
def _measure(k, w, weight, p, floor, level, hessian, gradient, value, slopes):
    """Cost and normal equations of p, its conditions less the margin, and the worst of them."""
    cost = add_quotes(k, w, weight, p, hessian, gradient)
    n = conditions(p, floor, level, value, slopes)
    value[:n] -= _MARGIN
    return cost, n, max(0.0, -value[:n].min())


@njit(cache=True, error_model="numpy")
def _constrained(k, w, weight, p, safe, floor, level, box):
    """Sequential quadratic programming from p; returns evaluations.

    p may end slightly infeasible; the cheapest feasible smile on the way replaces `safe`.

    Progress is judged by cost + price x worst violation, the price above the multipliers' sum. A
    step refused because the conditions bend is bent back onto them once before it is shortened.
    """
    value, slopes = np.empty(_MOST + 10), np.empty((_MOST + 10, 5))
    hessian, factor = np.empty((5, 5)), np.empty((5, 5))
    gradient, step, trial = np.empty(5), np.empty(5), np.empty(5)
    centre = np.sum(weight * k) / np.sum(weight)
    damping, price, safe_cost = 1e-3, 0.0, np.inf
    cost, n, worst = _measure(k, w, weight, p, floor, level, hessian, gradient, value, slopes)
    evaluations = 1
    while evaluations < MAX_EVALUATIONS and damping < 1e12:
        n = _add_box(p, box, value, slopes, n)
        cholesky(hessian, damping, factor)
        now = _quadratic_step(factor, gradient, value, slopes, n, step)
        price = max(1.5 * now, 0.2 * price)  # far out multipliers are huge: let them be forgotten
        merit = 0.5 * cost + price * worst
        _take(p, step, centre, trial)
        for correction in range(2):
            trial_cost, n, trial_worst = _measure(
                k, w, weight, trial, floor, level, hessian, gradient, value, slopes
            )
            evaluations += 1
            gain = merit - 0.5 * trial_cost - price * trial_worst
            if gain > 0.0 or correction == 1 or trial_worst == 0.0:
                break
            n = _add_box(trial, box, value, slopes, n)
            _quadratic_step(factor, np.zeros(5), value, slopes, n, step)
            _take(trial, step, centre, trial)
        if gain > 0.0:
            p[:] = trial
            cost, worst = trial_cost, trial_worst
            if worst == 0.0 and cost < safe_cost:
                safe[:] = p
                safe_cost = cost
            damping = max(0.2 * damping, 1e-10)
            if gain <= 1e-7 * merit and damping < 1e-2:
                break
        else:
            damping *= 6.0
            cost, n, worst = _measure(
                k, w, weight, p, floor, level, hessian, gradient, value, slopes
            )
    return evaluations


@njit(cache=True, error_model="numpy")
def _restore(k, w, weight, p, floor, level, box):
    """Move p by least cost until every condition holds; False, and p stays, if they never do."""
    value, slopes = np.empty(_MOST + 10), np.empty((_MOST + 10, 5))
    hessian, factor = np.empty((5, 5)), np.empty((5, 5))
    gradient, step, trial = np.empty(5), np.empty(5), p.copy()
    margin = 0.0
    for _ in range(15):
        n = conditions(trial, floor, level, value, slopes)
        if value[:n].min() >= 0.0:
            p[:] = trial
            return True
        margin = 2.0 * margin + 0.1 * _MARGIN
        value[:n] -= margin
        n = _add_box(trial, box, value, slopes, n)
        add_quotes(k, w, weight, trial, hessian, gradient)
        cholesky(hessian, 1e-3, factor)
        _quadratic_step(factor, np.zeros(5), value, slopes, n, step)
        trial += step
        trial[1] = max(trial[1], 0.5 * p[1])
    return False


@njit(cache=True, error_model="numpy")
def _anchor(level, width, middle, floor):
    """Return a smile that should be feasible: the floor, lifted, or a nearly flat smile."""
    if not np.isnan(floor[0]):
        anchor = free(floor[0], floor[1], floor[2], floor[3], floor[4])
        lift = 1e-9 * level
        while shortfall(anchor, floor, level) > 0.0 and lift < level:
            anchor[0] = floor[0] + lift
            lift *= 4.0
        return anchor
    anchor = free(level, 0.1 * level / width, 0.0, middle, width)
    for _ in range(40):
        if shortfall(anchor, floor, level) <= 0.0:
            break
        anchor[1] *= 0.5
    return anchor


@njit(cache=True, error_model="numpy")
def _feasible_start(k, w, weight, floor, level, box, p):
    """Cheapest smile without arbitrage on a grid of (m, ln sigma) into p; False if none."""
    sums, inner, trial = np.empty(18), np.empty(9), np.empty(5)
    cheapest = np.inf
    for i in range(9):
        m = box[0] + (box[1] - box[0]) * (i + 1.0) / 10.0
        for j in range(6):
            log_sigma = box[3] - 0.55 * j
            project(k, w, weight, m, math.exp(log_sigma), sums, inner)
            if not inner[0] < cheapest:
                continue
            unproject(inner, m, log_sigma, trial)
            if shortfall(trial, floor, level) <= 0.0:
                cheapest = inner[0]
                p[:] = trial
    return cheapest < np.inf


@njit(cache=True, error_model="numpy")
def repair(k, w, weight, p, cost, floor, box):
    """Move p to a nearby smile without arbitrage: returns (how it ended, evaluations).

    The unconstrained optimum is the first start, the cheapest feasible smile on a grid the second:
    where wings are far too steep, the way back from the first may end anywhere.
    """
    level = np.sum(weight * w) / np.sum(weight)
    hessian, gradient = np.empty((5, 5)), np.empty(5)
    inside = p.copy()
    if not _feasible_start(k, w, weight, floor, level, box, inside):
        inside[:] = _anchor(level, k.max() - k.min(), 0.5 * (k.max() + k.min()), floor)
    if shortfall(inside, floor, level) > 0.0:
        return FAILED, 0
    best = inside.copy()
    best_cost = add_quotes(k, w, weight, best, hessian, gradient)
    end, evaluations = BACK_STOP, 0
    for start in range(2):
        if start == 0 and shortfall(p, floor, level) > HOPELESS:
            continue
        trial = p.copy() if start == 0 else inside.copy()
        safe = inside.copy()
        evaluations += _constrained(k, w, weight, trial, safe, floor, level, box)
        if not _restore(k, w, weight, trial, floor, level, box):
            trial[:] = safe
        for candidate in (trial, safe):
            candidate_cost = add_quotes(k, w, weight, candidate, hessian, gradient)
            if candidate_cost < best_cost:
                best, best_cost, end = candidate, candidate_cost, REPAIRED
        if best_cost < GOOD_ENOUGH * cost:
            break
    p[:] = best
    return end, evaluations
