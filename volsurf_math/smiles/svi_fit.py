r"""The fit of raw SVI slices: starts, robust weights, guard, polish, error bars.

The residual of a quote is :math:`r = (w_{model} - w) \sqrt{weight}`: with weight = 1/half-spread^2
(in total variance) it counts half-spreads. A robust loss is minimised by re-weighting:
soft-L1 multiplies the weight by :math:`1/\sqrt{1 + r^2}`, Huber by :math:`\min(1, 1/|r|)`.

Belongs here: what happens to one slice, and the loop over ragged slices, compiled. Not here: the
public classes (`svi`).
"""

import math
from enum import IntEnum

import numpy as np
from numba import njit

from volsurf_math.compile_options import ROUTINE
from volsurf_math.small_arrays import assign, mean, span
from volsurf_math.smiles.svi_conditions import min_g, shortfall
from volsurf_math.smiles.svi_guard import FAILED, repair
from volsurf_math.smiles.svi_least_squares import add_quotes, cholesky, raw, substitute
from volsurf_math.smiles.svi_projection import N_STARTS, coarse_starts, search, unproject

CONVERGED, TOO_FEW_POINTS, NOT_CONVERGED, NOT_REPAIRED = 0, 1, 2, 3
MIN_POINTS = 5  # one per parameter
N_OUT, N_COUNTS = 34, 5  # what is said of a slice: see `fit_ragged`
MAX_REWEIGHTS = 30
MULTI_STARTED = (0, 2)  # rounds of re-weighting that look at the whole start grid again


class Loss(IntEnum):
    """What a residual of many half-spreads costs. Stored with settings, so never renumber."""

    LINEAR = 0
    SOFT_L1 = 1
    HUBER = 2


@njit(**ROUTINE)
def _search_box(k):
    """Bounds on m and ln sigma from the quoted range.

    A vertex wider than the quotes is a parabola whatever sigma is: without the bound long
    expiries drift to sigma of several units with a of minus as much.
    """
    low, high = span(k)
    width = high - low
    widest = min(2.0 * width, max(width, 1.0))
    return (low - width, high + width, math.log(2e-3 * width), math.log(widest))


@njit(**ROUTINE)
def _reweigh(k, w, weight, p, loss, loss_scale, out):
    """Robust weights at p into `out`; returns the robust cost."""
    a, b, rho, m, sigma = raw(p)
    cost = 0.0
    for i in range(k.size):
        x = k[i] - m
        error = a + b * (rho * x + math.sqrt(x * x + sigma * sigma)) - w[i]
        square = weight[i] * error * error / (loss_scale * loss_scale)
        if loss == 1:
            root = math.sqrt(1.0 + square)
            out[i] = weight[i] / root
            cost += 2.0 * (root - 1.0)
        elif loss == 2 and square > 1.0:
            root = math.sqrt(square)
            out[i] = weight[i] / root
            cost += 2.0 * root - 1.0
        else:
            out[i] = weight[i]
            cost += square
    return cost * loss_scale * loss_scale


@njit(**ROUTINE)
def _unconstrained(k, w, weight, loss, loss_scale, limits, box, robust, p):
    """Best smile without conditions into p, robust weights into `robust`.

    limits = (most evaluations, relative decrease of the robust cost that ends it).

    Returns (evaluations, winning start, has converged).
    """
    sums, here, trial = np.empty(18), np.empty(9), np.empty(9)
    starts = np.empty((N_STARTS, 3))
    assign(robust, weight)
    evaluations, winner = 0, -1
    m, log_sigma, last = math.nan, math.nan, np.inf
    for turn in range(MAX_REWEIGHTS):
        best = np.inf
        if winner >= 0:
            m, log_sigma, used = search(k, w, robust, m, log_sigma, box, sums, here, trial)
            evaluations += used
            best = here[0]
            unproject(here, m, log_sigma, p)
        if turn in MULTI_STARTED:
            coarse_starts(k, w, robust, sums, here, starts)
            for i in range(N_STARTS):
                if not starts[i, 0] < np.inf:
                    continue
                m_i, s_i, used = search(
                    k, w, robust, starts[i, 1], starts[i, 2], box, sums, here, trial
                )
                evaluations += used
                same = abs(here[0] - best) <= 1e-6 * best
                if here[0] < best:
                    best, m, log_sigma, winner = here[0], m_i, s_i, i
                    unproject(here, m, log_sigma, p)
                if same:
                    break
        if winner < 0:
            return evaluations, winner, False
        if evaluations > limits[0]:
            return evaluations, winner, turn > 0
        cost = _reweigh(k, w, weight, p, loss, loss_scale, robust)
        if loss == 0 or (turn > 2 and abs(last - cost) <= limits[1] * cost):
            return evaluations, winner, True
        last = cost
    return evaluations, winner, True  # re-weighting creeps at the end; the smile has settled


@njit(**ROUTINE)
def _polish(k, w, weight, p, box):
    """Gauss-Newton steps on direct residuals: the moments cancel near a perfect fit."""
    hessian, factor = np.empty((5, 5)), np.empty((5, 5))
    descent, step, trial = np.empty(5), np.empty(5), np.empty(5)
    cost = add_quotes(k, w, weight, p, hessian, descent)
    for _ in range(4):
        if not cholesky(hessian, 1e-12, factor):
            break
        substitute(factor, descent, step)
        for i in range(5):
            trial[i] = p[i] + step[i]
        is_inside = box[0] <= trial[3] <= box[1] and box[2] <= trial[4] <= box[3]
        if not (is_inside and trial[1] > 0.0 and abs(trial[2]) < 30.0):
            break
        new = add_quotes(k, w, weight, trial, hessian, descent)
        if not new < cost:
            break
        assign(p, trial)
        is_settled = cost - new <= 1e-9 * cost
        cost = new
        if is_settled:
            break


@njit(**ROUTINE)
def _covariance(k, w, weight, p, covariance):
    """Residual-scaled inverse Gauss-Newton Hessian in (a, b, rho, m, sigma)."""
    hessian, factor = np.empty((5, 5)), np.empty((5, 5))
    unit, column, scale = np.empty(5), np.empty(5), np.empty(5)
    cost = add_quotes(k, w, weight, p, hessian, unit)
    covariance[:] = math.nan
    freedom = k.size - 5
    for i in range(5):
        scale[i] = 1.0 / math.sqrt(hessian[i, i] + 1e-300)
    for i in range(5):
        for j in range(i + 1):
            hessian[i, j] *= scale[i] * scale[j]
    # a ridge of 1e-12: directions the quotes do not see get a large, finite variance
    if freedom < 1 or not cholesky(hessian, 1e-12, factor):
        return
    scale[2] /= (1.0 + p[2] * p[2]) ** 1.5  # from u to rho, and from ln sigma to sigma
    scale[4] *= math.exp(p[4])
    for i in range(5):
        unit[:] = 0.0
        unit[i] = cost / freedom * scale[i]
        substitute(factor, unit, column)
        for j in range(5):
            covariance[i, j] = column[j] * scale[j]


@njit(**ROUTINE)
def _usable(k, w, weight):
    """Quotes that can take part, as rows: finite, positive variance, positive weight."""
    kept, n = np.empty((3, k.size)), 0
    for i in range(k.size):
        if abs(k[i]) < np.inf and 0.0 < w[i] < np.inf and 0.0 < weight[i] < np.inf:
            kept[0, n], kept[1, n], kept[2, n] = k[i], w[i], weight[i]
            n += 1
    return kept[0, :n], kept[1, :n], kept[2, :n]


@njit(**ROUTINE)
def _has_different(k, least):
    """Whether at least so many values differ from each other."""
    found = 0
    for i in range(k.size):
        is_new = True
        for j in range(i):
            is_new = is_new and k[j] != k[i]
        found += is_new
        if found >= least:
            return True
    return False


@njit(**ROUTINE)
def _fit_slice(
    k, w, weight, loss, loss_scale, limits, is_guarded, floor, min_points, p, out, count
):
    """Fit one slice: p gets the smile, `out` and `count` its diagnostics. Returns the status."""
    k, w, weight = _usable(k, w, weight)
    count[0] = k.size
    if not _has_different(k, max(min_points, MIN_POINTS)):
        return TOO_FEW_POINTS
    box = _search_box(k)
    robust = np.empty(k.size)
    count[1], count[2], has_converged = _unconstrained(
        k, w, weight, loss, loss_scale, limits, box, robust, p
    )
    if not has_converged:
        return NOT_CONVERGED
    _polish(k, w, robust, p, box)
    hessian, descent = np.empty((5, 5)), np.empty(5)
    out[31] = out[30] = add_quotes(k, w, robust, p, hessian, descent)
    if is_guarded and shortfall(p, floor, mean(w, robust)) > 0.0:
        count[3], used = repair(k, w, robust, p, out[31], floor, box)
        count[1] += used
        out[30] = add_quotes(k, w, robust, p, hessian, descent)
    if not math.isfinite(p[0] + p[1] + p[2] + p[3] + p[4] + out[30]):
        return NOT_CONVERGED
    _covariance(k, w, robust, p, out[5:30].reshape(5, 5))
    a, b, rho, m, sigma = raw(p)
    out[32], _ = min_g(a, b, rho, m, sigma, np.inf)
    out[33] = math.sqrt(add_quotes(k, w, weight, p, hessian, descent) / weight.sum())
    return NOT_REPAIRED if count[3] == FAILED else CONVERGED


@njit(**ROUTINE)
def _where_both(floor, k, is_stacked):
    """Narrow the floor's range to what these quotes span too; without overlap there is none."""
    if not is_stacked or k.size == 0 or not floor[5] > -np.inf:
        return floor
    narrowed = floor.copy()
    low, high = span(k)
    narrowed[5], narrowed[6] = max(floor[5], low), min(floor[6], high)
    if not narrowed[5] < narrowed[6]:
        narrowed[:] = np.nan
    return narrowed


@njit(**ROUTINE)
def fit_ragged(
    quotes, offsets, loss, loss_scale, limits, is_guarded, is_stacked, floor, min_points, out, count
):
    """Fit every slice offsets[i] to offsets[i + 1] of the quotes, whose rows are k, w and weight.

    out[i] = (a, b, rho, m, sigma; their covariance; cost, cost without the guard, min g, rmse) and
    count[i] = (points, evaluations, start, repair, status). Stacked: each smile is the next one's
    floor, where both are quoted: floor[5] and floor[6] bound the range.
    """
    p = np.empty(5)
    out[:] = math.nan
    count[:] = 0
    for i in range(offsets.size - 1):
        rows = slice(offsets[i], offsets[i + 1])
        k, found = quotes[0, rows], out[i]
        count[i, 4] = _fit_slice(
            k, quotes[1, rows], quotes[2, rows], loss, loss_scale, limits, is_guarded,
            _where_both(floor, k, is_stacked), min_points, p, found, count[i],
        )  # fmt: skip
        if count[i, 4] != CONVERGED:
            continue
        found[0], found[1], found[2], found[3], found[4] = raw(p)
        if is_stacked:
            floor = np.empty(7)
            assign(floor[:5], found)
            floor[5], floor[6] = span(k)
