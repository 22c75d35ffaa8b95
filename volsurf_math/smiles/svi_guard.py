r"""The repair of a raw SVI fit that has arbitrage.

Sequential quadratic programming on the weighted least-squares cost: the minima of g and of the room
above the floor are the conditions, their derivatives those at fixed place. It starts from the
unconstrained optimum and from the best feasible smile on a grid of vertices, which also stands in
if neither run ends well.

Belongs here: compiled kernels that move a slice. Not here: the conditions (`svi_conditions`), the
fit without them (`svi_projection`).

References
----------
.. [1] Nocedal, Wright (2006), "Numerical Optimization", chapter 18 (merit function, second-order
   correction).
.. [2] Hildreth (1957), "A quadratic programming procedure".
"""

import math

import numpy as np
from numba import njit

from volsurf_math.compile_options import ROUTINE
from volsurf_math.small_arrays import assign, dot, least, mean, span
from volsurf_math.smiles.svi_conditions import MOST, UNREADABLE, conditions, shortfall
from volsurf_math.smiles.svi_least_squares import add_quotes, cholesky, fill_free, raw, substitute
from volsurf_math.smiles.svi_projection import project, unproject

NOT_NEEDED, REPAIRED, BACK_STOP, FAILED = 0, 1, 2, 3
MAX_EVALUATIONS = 250  # per start
HOPELESS = 1.0  # broken by more than this, the unconstrained optimum is no place to start from
GOOD_ENOUGH = 1.02  # times the unconstrained cost: no further start is tried
_MARGIN = 1e-7  # asked of every condition, so that rounding does not break it
_N_ROWS = MOST + 6  # conditions, and the bounds on u, m and ln sigma
_MOST_U = 30.0
_MOST_RHO = _MOST_U / math.sqrt(1.0 + _MOST_U**2)  # 0.99944


@njit(**ROUTINE)
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


@njit(**ROUTINE)
def _quadratic_step(factor, descent, value, slopes, n, step):
    """Minimise the quadratic model under value + slopes step >= 0; returns the sum of multipliers.

    Hildreth's method: coordinate ascent in the dual, which has one variable per condition.
    """
    moves = np.empty((n, 5))
    substitute(factor, descent, step)
    need, coupling, price = np.empty(n), np.empty((n, n)), np.zeros(n)
    for i in range(n):
        substitute(factor, slopes[i], moves[i])
        need[i] = -value[i] - dot(slopes[i], step)
    for i in range(n):
        for j in range(n):
            coupling[i, j] = dot(slopes[i], moves[j])
    for _ in range(200):
        change = longest = 0.0
        for i in range(n):
            if not coupling[i, i] > 0.0:
                continue
            new = max(0.0, price[i] + (need[i] - dot(coupling[i], price)) / coupling[i, i])
            change = max(change, abs(new - price[i]) * math.sqrt(coupling[i, i]))
            longest = max(longest, new * math.sqrt(coupling[i, i]))
            price[i] = new
        if change <= 1e-9 * longest:
            break
    prices = 0.0
    for i in range(n):
        prices += price[i]
        for j in range(5):
            step[j] += price[i] * moves[i, j]
    return prices


@njit(**ROUTINE)
def _take(p, step, centre, trial):
    """Step from p into `trial`, ln sigma by at most one.

    Level, slope and curvature at `centre` take the step, and (a, b, rho) follow from them at the
    new m and sigma: in these coordinates the valley in which a, b and sigma trade is straight.
    """
    a, b, rho, m, sigma = raw(p)
    share = 1.0 / max(1.0, abs(step[4]))
    x = centre - m
    root = math.sqrt(x * x + sigma * sigma)
    bar3 = 1.0 / (1.0 + p[2] * p[2]) ** 1.5
    da, db, du, dm = share * step[0], share * step[1], share * step[2], share * step[3]
    ds = share * step[4]
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
    fill_free(level - b * (rho * x + root), b, rho, m, sigma, trial)


@njit(**ROUTINE)
def _measure(k, w, weight, p, floor, level, hessian, descent, value, slopes):
    """Cost and normal equations of p, its conditions less the margin, and the worst of them."""
    cost = add_quotes(k, w, weight, p, hessian, descent)
    n = conditions(p, floor, level, value, slopes)
    for i in range(n):
        value[i] -= _MARGIN
    worst = max(0.0, -least(value, n))
    if value[0] <= UNREADABLE:
        worst += 1.0  # not a way out of a negative g
    return cost, n, worst


@njit(**ROUTINE)
def _constrained(k, w, weight, p, safe, floor, level, box):
    """Sequential quadratic programming from p; returns evaluations.

    p may end slightly infeasible; the cheapest feasible smile on the way replaces `safe`.

    Progress is judged by cost + price x worst violation, the price above the multipliers' sum. A
    step refused because the conditions bend is bent back onto them once before it is shortened.
    """
    value, slopes = np.empty(_N_ROWS), np.empty((_N_ROWS, 5))
    hessian, factor = np.empty((5, 5)), np.empty((5, 5))
    descent, step, trial = np.empty(5), np.empty(5), np.empty(5)
    nowhere = np.zeros(5)
    centre = mean(k, weight)
    damping, price, safe_cost = 1e-3, 0.0, np.inf
    cost, n, worst = _measure(k, w, weight, p, floor, level, hessian, descent, value, slopes)
    evaluations = 1
    while evaluations < MAX_EVALUATIONS and damping < 1e12:
        n = _add_box(p, box, value, slopes, n)
        cholesky(hessian, damping, factor)
        now = _quadratic_step(factor, descent, value, slopes, n, step)
        price = max(1.5 * now, 0.2 * price)  # far out multipliers are huge: let them be forgotten
        merit = 0.5 * cost + price * worst
        _take(p, step, centre, trial)
        for correction in range(2):
            trial_cost, n, trial_worst = _measure(
                k, w, weight, trial, floor, level, hessian, descent, value, slopes
            )
            evaluations += 1
            gain = merit - 0.5 * trial_cost - price * trial_worst
            if gain > 0.0 or correction == 1 or trial_worst == 0.0:
                break
            n = _add_box(trial, box, value, slopes, n)
            _quadratic_step(factor, nowhere, value, slopes, n, step)
            _take(trial, step, centre, trial)
        if gain > 0.0:
            assign(p, trial)
            cost, worst = trial_cost, trial_worst
            if worst == 0.0 and cost < safe_cost:
                assign(safe, p)
                safe_cost = cost
            damping = max(0.2 * damping, 1e-10)
            if gain <= 1e-7 * merit and damping < 1e-2:
                break
        else:
            damping *= 6.0
            cost, n, worst = _measure(
                k, w, weight, p, floor, level, hessian, descent, value, slopes
            )
    return evaluations


@njit(**ROUTINE)
def _restore(k, w, weight, p, floor, level, box):
    """Move p by least cost until every condition holds; False, and p stays, if they never do."""
    value, slopes = np.empty(_N_ROWS), np.empty((_N_ROWS, 5))
    hessian, factor = np.empty((5, 5)), np.empty((5, 5))
    descent, step, trial = np.zeros(5), np.empty(5), p.copy()
    nowhere, margin = np.zeros(5), 0.0
    for _ in range(15):
        n = conditions(trial, floor, level, value, slopes)
        if least(value, n) >= 0.0:
            assign(p, trial)
            return True
        margin = 2.0 * margin + 0.1 * _MARGIN
        for i in range(n):
            value[i] -= margin
        n = _add_box(trial, box, value, slopes, n)
        add_quotes(k, w, weight, trial, hessian, descent)
        cholesky(hessian, 1e-3, factor)
        _quadratic_step(factor, nowhere, value, slopes, n, step)
        for i in range(5):
            trial[i] += step[i]
        trial[1] = max(trial[1], 0.5 * p[1])
    return False


@njit(**ROUTINE)
def _anchor(level, k, floor, anchor):
    """Fill a smile that should be feasible: the floor, lifted, or a nearly flat smile."""
    if not math.isnan(floor[0]):
        fill_free(floor[0], floor[1], floor[2], floor[3], floor[4], anchor)
        lift = 1e-9 * level
        while shortfall(anchor, floor, level) > 0.0 and lift < level:
            anchor[0] = floor[0] + lift
            lift *= 4.0
        return
    low, high = span(k)
    width = high - low
    fill_free(level, 0.1 * level / width, 0.0, 0.5 * (low + high), width, anchor)
    for _ in range(40):
        if shortfall(anchor, floor, level) <= 0.0:
            break
        anchor[1] *= 0.5


@njit(**ROUTINE)
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
                assign(p, trial)
    return cheapest < np.inf


@njit(**ROUTINE)
def repair(k, w, weight, p, cost, floor, box):
    """Move p to a nearby smile without arbitrage: returns (how it ended, evaluations).

    The unconstrained optimum is the first start, the cheapest feasible smile on a grid the second:
    where wings are far too steep, the way back from the first may end anywhere.
    """
    level = mean(w, weight)
    hessian, descent = np.empty((5, 5)), np.empty(5)
    inside = p.copy()
    if not _feasible_start(k, w, weight, floor, level, box, inside):
        _anchor(level, k, floor, inside)
    if shortfall(inside, floor, level) > 0.0:
        return FAILED, 0
    best = inside.copy()
    best_cost = add_quotes(k, w, weight, best, hessian, descent)
    end, evaluations = BACK_STOP, 0
    for start in range(2):
        if start == 0 and shortfall(p, floor, level) > HOPELESS:
            continue
        trial = p.copy() if start == 0 else inside.copy()
        safe = inside.copy()
        evaluations += _constrained(k, w, weight, trial, safe, floor, level, box)
        if not _restore(k, w, weight, trial, floor, level, box):
            assign(trial, safe)
        for candidate in (trial, safe):
            candidate_cost = add_quotes(k, w, weight, candidate, hessian, descent)
            if candidate_cost < best_cost:
                best, best_cost, end = candidate, candidate_cost, REPAIRED
        if best_cost < GOOD_ENOUGH * cost:
            break
    assign(p, best)
    return end, evaluations
