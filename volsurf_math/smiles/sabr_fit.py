r"""The fit of Hagan's SABR formula to slices: regression start, Levenberg-Marquardt, error bars.

The search runs in :math:`(\ln a, \rho/\sqrt{1-\rho^2}, \ln n)` of `sabr_formula`, which keeps no
bound but those of sanity, with analytic derivatives. The start is the quadratic regression of
total volatility on log-moneyness, turned into parameters by the short-time expansion

.. math::
   \sigma\sqrt T \approx a\Bigl[1 - \tfrac12\bigl(u - \tfrac{\rho n}{a}\bigr)k
     + \tfrac1{12}\bigl(u^2 + (2 - 3\rho^2)\tfrac{n^2}{a^2}\bigr)k^2\Bigr].

Belongs here: what happens to one slice, and the loop over ragged slices, compiled. Not here: the
public classes (`sabr`).
"""

import math

import numpy as np
from numba import njit

from volsurf_math.compile_options import ROUTINE, SUMS
from volsurf_math.small_arrays import assign
from volsurf_math.smiles.sabr_formula import fill_gradient
from volsurf_math.smiles.sabr_quotes import count, prepare

CONVERGED, TOO_FEW_POINTS, NOT_CONVERGED = 0, 1, 2
MIN_POINTS = 3  # one per parameter
N_OUT = 16  # a slice's row: alpha, rho, nu; their covariance (9); cost, rmse, points, evaluations
MAX_EVALUATIONS = 80  # per start; a smile takes about eight
MAX_REWEIGHTS = 15
_NEGLIGIBLE = 1e-17  # of the sum of squares: valleys without a floor are left at 3e-9 of volatility
_SLOW = 1e-3  # gain per step in a valley that ends at |rho| = 1: far below the standard error
_MOST_U = 20.0  # |rho| < 0.99875
_LOG_N = (-12.0, 4.0)
_LOG_A = (-20.0, 5.0)


@njit(**SUMS)
def _sums(columns, v, o, by_u, hessian, gradient):
    """Cost, and Gauss-Newton Hessian (upper triangle, by rows) and gradient into the others."""
    cost = g0 = g1 = g2 = h00 = h01 = h02 = h11 = h12 = h22 = 0.0
    for i in range(v.size):
        error = columns[0, i] - v[i]
        s0, s1, s2 = columns[1, i], columns[2, i] * by_u, columns[3, i]
        e, o0, o1 = o[i] * error, o[i] * s0, o[i] * s1
        cost += e * error
        g0 += e * s0
        g1 += e * s1
        g2 += e * s2
        h00 += o0 * s0
        h01 += o0 * s1
        h02 += o0 * s2
        h11 += o1 * s1
        h12 += o1 * s2
        h22 += o[i] * s2 * s2
    gradient[0], gradient[1], gradient[2] = g0, g1, g2
    hessian[0], hessian[1], hessian[2] = h00, h01, h02
    hessian[3], hessian[4], hessian[5] = h11, h12, h22
    return cost


@njit(**ROUTINE)
def _normal_equations(k, h, bracket, v, o, beta, p, hessian, gradient, columns):
    """Cost, Hessian and gradient at p; `columns`, shape (4, n), is left as `fill_gradient` does."""
    q = 1.0 / math.sqrt(1.0 + p[1] * p[1])
    fill_gradient(k, h, bracket, math.exp(p[0]), beta, p[1] * q, math.exp(p[2]), columns)
    return _sums(columns, v, o, q * q * q, hessian, gradient)


@njit(**ROUTINE)
def _inverse(hessian, damping, out):
    """Inverse (upper triangle) of the symmetric matrix whose diagonal is raised by `damping`."""
    a, d = hessian[0] * (1.0 + damping) + 1e-300, hessian[3] * (1.0 + damping) + 1e-300
    f = hessian[5] * (1.0 + damping) + 1e-300
    b, c, e = hessian[1], hessian[2], hessian[4]
    out[0], out[1], out[2] = d * f - e * e, c * e - b * f, b * e - c * d
    out[3], out[4], out[5] = a * f - c * c, b * c - a * e, a * d - b * b
    share = 1.0 / (a * out[0] + b * out[1] + c * out[2])
    for i in range(6):
        out[i] *= share


@njit(**SUMS)
def _moments(k, v, o, moments):
    """Normal equations of the regression: the matrix into `moments`, the right side returned."""
    m0 = m1 = m2 = m3 = m4 = r0 = r1 = r2 = 0.0
    for i in range(k.size):
        square, x = v[i] * v[i], k[i] * k[i]
        share = o[i] * square / (square + x)  # the expansion holds near the money
        m0 += share
        m1 += share * k[i]
        m2 += share * x
        m3 += share * x * k[i]
        m4 += share * x * x
        r0 += share * v[i]
        r1 += share * v[i] * k[i]
        r2 += share * v[i] * x
    moments[0], moments[1], moments[2] = m0, m1, m2
    moments[3], moments[4], moments[5] = m2, m3, m4
    return r0, r1, r2


@njit(**ROUTINE)
def _regression_start(k, v, o, beta, p):
    """Fill p from the quadratic regression of v on k."""
    moments, inverse = np.empty(6), np.empty(6)
    r0, r1, r2 = _moments(k, v, o, moments)
    _inverse(moments, 1e-12, inverse)
    a = inverse[0] * r0 + inverse[1] * r1 + inverse[2] * r2
    slope = inverse[1] * r0 + inverse[3] * r1 + inverse[4] * r2
    bend = 2.0 * (inverse[2] * r0 + inverse[4] * r1 + inverse[5] * r2)
    lowest, highest = v[0], v[0]
    for i in range(v.size):
        lowest, highest = min(lowest, v[i]), max(highest, v[i])
    a = min(max(a, 0.5 * lowest), 2.0 * highest)
    u = 1.0 - beta
    rho_n = 2.0 * slope + u * a
    square = 0.5 * (6.0 * bend * a - u * u * a * a + 3.0 * rho_n * rho_n)
    n = math.sqrt(max(square, 1.05 * rho_n * rho_n, 0.01 * a * a))
    rho = min(max(rho_n / n, -0.97), 0.97)
    p[0], p[1], p[2] = math.log(a), rho / math.sqrt(1.0 - rho * rho), math.log(n)


@njit(**ROUTINE)
def _search(k, h, bracket, v, o, beta, p, hessian, gradient, columns):
    """Levenberg-Marquardt from p, which it moves: returns (cost, evaluations, has converged)."""
    scratch = np.empty((4, 6))
    trial, trial_gradient, trial_hessian = scratch[0, :3], scratch[1, :3], scratch[2]
    inverse = scratch[3]
    cost = _normal_equations(k, h, bracket, v, o, beta, p, hessian, gradient, columns)
    damping, evaluations, gain = 1e-3, 1, 1.0
    negligible = 0.0
    for i in range(v.size):
        negligible += _NEGLIGIBLE * o[i] * v[i] * v[i]
    while evaluations < MAX_EVALUATIONS:
        if abs(p[1]) >= _MOST_U and gradient[1] * p[1] < 0.0:  # pressed to the edge: rho stays
            hessian[1] = hessian[4] = gradient[1] = 0.0
        _inverse(hessian, damping, inverse)
        g0, g1, g2 = gradient[0], gradient[1], gradient[2]
        d0 = -(inverse[0] * g0 + inverse[1] * g1 + inverse[2] * g2)
        d1 = -(inverse[1] * g0 + inverse[3] * g1 + inverse[4] * g2)
        d2 = -(inverse[2] * g0 + inverse[4] * g1 + inverse[5] * g2)
        size = max(abs(d0), abs(d2))
        shorten = min(1.0, 1.5 / size) if size > 0.0 else 1.0
        trial[0] = min(max(p[0] + shorten * d0, _LOG_A[0]), _LOG_A[1])
        trial[1] = min(max(p[1] + shorten * d1, -_MOST_U), _MOST_U)
        trial[2] = min(max(p[2] + shorten * d2, _LOG_N[0]), _LOG_N[1])
        if -2.0 * shorten * (g0 * d0 + g1 * d1 + g2 * d2) < max(1e-8 * cost, negligible):
            assign(p, trial)  # all that is left to gain: taken without another look
            return cost, evaluations, True
        trial_cost = _normal_equations(
            k, h, bracket, v, o, beta, trial, trial_hessian, trial_gradient, columns
        )
        evaluations += 1
        is_still = size < 1e-10 and abs(d1) < 1e-9
        if trial_cost < cost:
            gain = (cost - trial_cost) / cost
            cost = trial_cost
            assign(p, trial)
            assign(hessian, trial_hessian)
            assign(gradient, trial_gradient)
            damping = max(0.1 * damping, 1e-14)
            if gain < 1e-8 or gain * cost < negligible or is_still:
                return cost, evaluations, True
        else:
            if is_still or damping > 1e8:
                return cost, evaluations, True
            damping = max(8.0 * damping, 1e-6)
    return cost, evaluations, gain < _SLOW


@njit(**ROUTINE)
def _covariance(p, hessian, variance, unit, out):
    """Covariance of (a, rho, n) times `unit` by rows, from the Hessian in the free parameters."""
    inverse, by = np.empty(6), np.empty(3)
    _inverse(hessian, 1e-12, inverse)
    by[0], by[1], by[2] = math.exp(p[0]), (1.0 + p[1] * p[1]) ** -1.5, math.exp(p[2])
    at = 0
    for i in range(3):
        for j in range(i, 3):
            share = variance * by[i] * by[j] * unit[i] * unit[j] * inverse[at]
            out[3 * i + j] = out[3 * j + i] = share
            at += 1


@njit(**ROUTINE)
def _best(k, h, bracket, v, o, beta, p, hessian, columns):
    """Optimum from the regression start, from a second start where the first ends at an edge.

    Returns (cost, evaluations, has converged).
    """
    gradient = np.empty(3)
    _regression_start(k, v, o, beta, p)
    cost, evaluations, is_done = _search(k, h, bracket, v, o, beta, p, hessian, gradient, columns)
    if is_done and abs(p[1]) < 10.0 and p[2] > p[0] + math.log(0.05):
        return cost, evaluations, True
    at_money = 0
    for i in range(k.size):
        if abs(k[i]) < abs(k[at_money]):
            at_money = i
    other, other_hessian = np.empty(3), np.empty(6)
    other[0], other[1], other[2] = math.log(v[at_money]), -0.3, 0.0
    other_cost, used, other_done = _search(
        k, h, bracket, v, o, beta, other, other_hessian, gradient, columns
    )
    if other_cost < cost:
        cost, is_done = other_cost, other_done
        assign(p, other)
        assign(hessian, other_hessian)
    return cost, evaluations + used, is_done


@njit(**ROUTINE)
def _volatility(k, h, bracket, beta, p, columns):
    """Total volatilities at free parameters p, the first row of `columns`."""
    rho = p[1] / math.sqrt(1.0 + p[1] * p[1])
    fill_gradient(k, h, bracket, math.exp(p[0]), beta, rho, math.exp(p[2]), columns)
    return columns[0]


@njit(**ROUTINE)
def fit_slice(k, w, weight, beta, loss_scale, forward, tte, out):
    """Fit one slice into `out`, a row of `N_OUT`; NaN what there is not. Returns the status.

    The cost counts errors of volatility, weighted as errors of w are: dw = 2 sqrt(w) dv.
    """
    out[:] = np.nan
    n, distinct = count(k, w, weight)
    out[14], out[15] = n, 0.0
    if distinct < MIN_POINTS:
        return TOO_FEW_POINTS
    work, small = np.empty((10, n)), np.empty((3, 6))
    x, v, o, h, bracket = work[0], work[1], work[2], work[3], work[4]
    robust, columns = work[5], work[6:]
    total = prepare(k, w, weight, 1.0 - beta, x, v, o, h, bracket)
    free, hessian, gradient = small[0, :3], small[1], small[2, :3]
    cost, evaluations, is_done = _best(x, h, bracket, v, o, beta, free, hessian, columns)
    for _ in range(MAX_REWEIGHTS if loss_scale < np.inf else 0):
        before = cost
        found = _volatility(x, h, bracket, beta, free, columns)
        for i in range(n):
            square = total * o[i] * (found[i] - v[i]) ** 2
            robust[i] = o[i] / math.sqrt(1.0 + square / (loss_scale * loss_scale))
        cost, used, is_done = _search(
            x, h, bracket, v, robust, beta, free, hessian, gradient, columns
        )
        evaluations += used
        if abs(before - cost) <= 1e-6 * cost:
            break
    out[15] = evaluations
    if not (is_done and math.isfinite(cost + free[0] + free[1] + free[2])):
        return NOT_CONVERGED
    root = math.sqrt(tte)
    unit = (forward ** (1.0 - beta) / root, 1.0, 1.0 / root)
    out[0], out[2] = unit[0] * math.exp(free[0]), unit[2] * math.exp(free[2])
    out[1] = free[1] / math.sqrt(1.0 + free[1] * free[1])
    if n > 3:
        _covariance(free, hessian, cost / (n - 3), unit, out[3:12])
    out[12] = cost * total
    found, missed, weights = _volatility(x, h, bracket, beta, free, columns), 0.0, 0.0
    for i in range(n):
        share, miss = o[i] / (v[i] * v[i]), found[i] * found[i] - v[i] * v[i]
        missed += share * miss * miss
        weights += share
    out[13] = math.sqrt(missed / weights)
    return CONVERGED


@njit(**ROUTINE)
def fit_one(quotes, beta, loss_scale, forward, tte, out):
    """Fit the slice whose rows are k, w and weight: few arguments, which Python hands over fast."""
    return fit_slice(quotes[0], quotes[1], quotes[2], beta, loss_scale, forward, tte, out)


@njit(**ROUTINE)
def fit_ragged(k, w, weight, offsets, beta, loss_scale, forward, tte, status, out):
    """Fit every slice k[offsets[i]:offsets[i + 1]]."""
    for i in range(offsets.size - 1):
        rows = slice(offsets[i], offsets[i + 1])
        status[i] = fit_slice(
            k[rows], w[rows], weight[rows], beta, loss_scale, forward[i], tte[i], out[i]
        )
