r"""The joint fit of all eSSVI slices by a primal-dual interior point method.

Every slice is :math:`x_i = (\theta_i, u_i, v_i)` with :math:`u = \psi(1+\rho)` and
:math:`v = \psi(1-\rho)`, twice the slopes of its right and left wing. In these variables what keeps
arbitrage out is smooth and nearly linear; with :math:`\psi = (u+v)/2` and :math:`x_0 = 0`,

.. math::
   \theta_i > \theta_{i-1}, \quad u_i > u_{i-1}, \quad v_i > v_{i-1}, \quad
   \psi_{i-1}\theta_i > \psi_i\theta_{i-1}, \quad
   4\theta_i > \psi_i u_i, \quad 4\theta_i > \psi_i v_i, \quad 4 > u_i, \quad 4 > v_i:

no calendar arbitrage (Hendriks-Martini) and no butterfly arbitrage (Gatheral-Jacquier). Iterates
stay strictly inside, so whatever comes out is free of arbitrage by construction. Conditions couple
neighbours only: the Newton matrix has six diagonals, and a step costs a few microseconds.

Belongs here: compiled kernels. Not here: the public classes (`essvi`).
"""

import math

import numpy as np
from numba import njit

from volsurf_math.compile_options import ROUTINE, SUMS
from volsurf_math.small_arrays import assign, dot

N_CONDITIONS = 8  # per slice
MAX_ITERATIONS = 100
_TO_THE_EDGE = 0.99  # share of the room to a condition that one step may use
_GAP = 1e-7  # distance to the optimum, of the cost
_ROUNDING = 1e-22  # cost of a perfect fit, of the sum of squares
_CLEARANCE = 1e-4  # between neighbours at the start


@njit(**ROUTINE)
def _variance(k, theta, u, v):
    """Total variance at one log-moneyness."""
    psi, skew = 0.5 * (u + v), 0.5 * (u - v)
    return 0.5 * (
        theta + skew * k + math.sqrt(psi * psi * k * k + (2.0 * skew * k + theta) * theta)
    )


@njit(**ROUTINE)
def _cost(k, w, weight, offsets, x):
    """Half the weighted sum of squares."""
    total = 0.0
    for i in range(offsets.size - 1):
        theta, u, v = x[3 * i], x[3 * i + 1], x[3 * i + 2]
        for j in range(offsets[i], offsets[i + 1]):
            miss = _variance(k[j], theta, u, v) - w[j]
            total += weight[j] * miss * miss
    return 0.5 * total


@njit(**SUMS)
def _slice_equations(k, w, weight, theta, u, v, out):
    """Gauss-Newton sums of one slice: gradient into out[:3], Hessian by rows into out[3:9]."""
    psi, skew = 0.5 * (u + v), 0.5 * (u - v)
    g0 = g1 = g2 = h00 = h01 = h02 = h11 = h12 = h22 = 0.0
    for j in range(k.size):
        x = k[j]
        lean = skew * x
        root = math.sqrt(psi * psi * x * x + (2.0 * lean + theta) * theta)
        inverse = 1.0 / root
        by_theta = 0.5 + 0.5 * (lean + theta) * inverse
        by_psi = 0.25 * psi * x * x * inverse
        by_skew = 0.25 * (x + theta * x * inverse)
        by_u, by_v = by_psi + by_skew, by_psi - by_skew
        o = weight[j]
        e = o * (0.5 * (theta + lean + root) - w[j])
        g0 += e * by_theta
        g1 += e * by_u
        g2 += e * by_v
        h00 += o * by_theta * by_theta
        h01 += o * by_theta * by_u
        h02 += o * by_theta * by_v
        h11 += o * by_u * by_u
        h12 += o * by_u * by_v
        h22 += o * by_v * by_v
    out[0], out[1], out[2] = g0, g1, g2
    out[3], out[4], out[5], out[6], out[7], out[8] = h00, h01, h02, h11, h12, h22


@njit(**ROUTINE)
def conditions(x, out):
    """Room in every condition of the module's docstring, N_CONDITIONS per slice."""
    theta0, u0, v0 = 0.0, 0.0, 0.0
    for i in range(x.size // 3):
        theta, u, v = x[3 * i], x[3 * i + 1], x[3 * i + 2]
        psi, at = 0.5 * (u + v), N_CONDITIONS * i
        out[at], out[at + 1], out[at + 2] = theta - theta0, u - u0, v - v0
        out[at + 3] = 0.5 * (u0 + v0) * theta - psi * theta0 if i > 0 else 1.0
        out[at + 4], out[at + 5] = 4.0 * theta - psi * u, 4.0 * theta - psi * v
        out[at + 6], out[at + 7] = 4.0 - u, 4.0 - v
        theta0, u0, v0 = theta, u, v


@njit(**ROUTINE)
def _slopes(x, out):
    """Derivatives of every condition in (x_{i-1}, x_i), shape (n_conditions, 6)."""
    out[:] = 0.0
    for i in range(x.size // 3):
        theta, u, v = x[3 * i], x[3 * i + 1], x[3 * i + 2]
        psi, at = 0.5 * (u + v), N_CONDITIONS * i
        for j in range(3):
            out[at + j, j], out[at + j, 3 + j] = -1.0, 1.0
        if i > 0:
            theta0, psi0 = x[3 * i - 3], 0.5 * (x[3 * i - 2] + x[3 * i - 1])
            row = out[at + 3]
            row[0], row[1], row[2] = -psi, 0.5 * theta, 0.5 * theta
            row[3], row[4], row[5] = psi0, -0.5 * theta0, -0.5 * theta0
        out[at + 4, 3], out[at + 4, 4], out[at + 4, 5] = 4.0, -psi - 0.5 * u, -0.5 * u
        out[at + 5, 3], out[at + 5, 4], out[at + 5, 5] = 4.0, -0.5 * v, -psi - 0.5 * v
        out[at + 6, 4] = out[at + 7, 5] = -1.0


@njit(**ROUTINE)
def _assemble(k, w, weight, offsets, x, room, slope, price, barrier, band, right):
    """Fill the Newton matrix (band[j, d] = element (j + d, j)) and minus the merit's gradient."""
    sums = np.empty(9)
    band[:], right[:] = 0.0, 0.0
    for i in range(offsets.size - 1):
        rows, at = slice(offsets[i], offsets[i + 1]), 3 * i
        _slice_equations(k[rows], w[rows], weight[rows], x[at], x[at + 1], x[at + 2], sums)
        for j in range(3):
            right[at + j] -= sums[j]
        band[at, 0] += sums[3]
        band[at, 1] += sums[4]
        band[at, 2] += sums[5]
        band[at + 1, 0] += sums[6]
        band[at + 1, 1] += sums[7]
        band[at + 2, 0] += sums[8]
        for j in range(N_CONDITIONS):
            row = N_CONDITIONS * i + j
            stiffness, push = price[row] / room[row], barrier / room[row]
            for m in range(0 if i > 0 else 3, 6):
                if slope[row, m] == 0.0:
                    continue
                right[at - 3 + m] += push * slope[row, m]
                for n in range(m, 6):
                    band[at - 3 + m, n - m] += stiffness * slope[row, m] * slope[row, n]
        # the conditions on psi u and psi v bend inwards: a positive bound on their curvature
        by_u, by_v = price[N_CONDITIONS * i + 4], price[N_CONDITIONS * i + 5]
        band[at + 1, 0] += by_u + 0.25 * by_v
        band[at + 1, 1] += 0.5 * (by_u + by_v)
        band[at + 2, 0] += 0.25 * by_u + by_v


@njit(**ROUTINE)
def _solve(band, damping, right, step):
    """Solve the banded system by Cholesky, in place; the diagonal is raised by `damping`."""
    n = right.size
    for j in range(n):
        pivot = band[j, 0] * (1.0 + damping) + 1e-300
        for m in range(1, min(5, j) + 1):
            pivot -= band[j - m, m] ** 2
        if not pivot > 0.0:
            return False
        root = math.sqrt(pivot)
        band[j, 0] = root
        for d in range(1, min(5, n - 1 - j) + 1):
            element = band[j, d]
            for m in range(1, min(5 - d, j) + 1):
                element -= band[j - m, m] * band[j - m, m + d]
            band[j, d] = element / root
        element = right[j]
        for m in range(1, min(5, j) + 1):
            element -= band[j - m, m] * step[j - m]
        step[j] = element / root
    for j in range(n - 1, -1, -1):
        element = step[j]
        for d in range(1, min(5, n - 1 - j) + 1):
            element -= band[j, d] * step[j + d]
        step[j] = element / band[j, 0]
    return True


@njit(**ROUTINE)
def _start(k, w, offsets, x):
    """Fill x with a strictly feasible SSVI surface whose at-the-money variances are the quotes'."""
    n = offsets.size - 1
    before = 0.0
    for i in range(n):
        near = offsets[i]
        for j in range(offsets[i], offsets[i + 1]):
            if abs(k[j]) < abs(k[near]):
                near = j
        before = x[3 * i] = max(w[near], before * (1.0 + 10.0 * _CLEARANCE))
    scale = min(0.8, 2.0 / math.sqrt(before))
    for i in range(n):
        psi = scale * math.sqrt(x[3 * i])
        x[3 * i + 1], x[3 * i + 2] = 0.6 * psi, 1.4 * psi


@njit(**ROUTINE)
def _go(x, length, step, trial, trial_room):
    """Fill `trial` with x + length step, and its room in every condition."""
    for i in range(x.size):
        trial[i] = x[i] + length * step[i]
    conditions(trial, trial_room)


@njit(**ROUTINE)
def _log_sum(room):
    total = 0.0
    for x in room:
        total += math.log(x)
    return total


@njit(**ROUTINE)
def _longest_step(x, step, room, trial, trial_room):
    """Halve the step until it keeps a share of the room in every condition; its length."""
    length = 1.0
    for _ in range(60):
        _go(x, length, step, trial, trial_room)
        share = np.inf
        for i in range(room.size):
            share = min(share, trial_room[i] / room[i])
        if share >= 1.0 - _TO_THE_EDGE:
            break
        # to where the worst condition is met, were it linear
        length *= max(0.3, min(0.95, 0.95 * _TO_THE_EDGE / (1.0 - share)))
    return length


@njit(**ROUTINE)
def _line_search(k, w, weight, offsets, x, step, room, cost, barrier, descent, trial, trial_room):
    """Shorten the step until cost and barrier together fall: returns (length, cost there)."""
    length = _longest_step(x, step, room, trial, trial_room)
    merit = cost - barrier * _log_sum(room)
    trial_cost = cost
    for _ in range(30):
        trial_cost = _cost(k, w, weight, offsets, trial)
        trial_merit = trial_cost - barrier * _log_sum(trial_room)
        if trial_merit <= merit - 1e-4 * length * descent + 1e-15 * abs(merit):
            break
        length *= 0.4
        _go(x, length, step, trial, trial_room)
    return length, trial_cost


@njit(**ROUTINE)
def _move_prices(step, room, slope, barrier, price, change):
    """Newton step of the multipliers, cut where one would turn negative."""
    length = 1.0
    for j in range(price.size):
        at = 3 * (j // N_CONDITIONS) - 3
        along = 0.0
        for i in range(0 if at >= 0 else 3, 6):
            along += slope[j, i] * step[at + i]
        change[j] = (barrier - price[j] * along) / room[j] - price[j]
        if change[j] < 0.0:
            length = min(length, -_TO_THE_EDGE * price[j] / change[j])
    for j in range(price.size):
        price[j] += length * change[j]


@njit(**ROUTINE)
def fit_surface(k, w, weight, offsets, x):
    """Fit the slices jointly into x = (theta, u, v) slice by slice.

    Returns (half the weighted sum of squares, iterations, whether converged). Weights must be
    scaled so that the sum of weight w^2 is about one.
    """
    n = x.size
    m = N_CONDITIONS * (n // 3)
    room, trial_room, slope, change = np.empty(m), np.empty(m), np.empty((m, 6)), np.empty(m)
    band, right, step, trial = np.empty((n, 6)), np.empty(n), np.empty(n), np.empty(n)
    _start(k, w, offsets, x)
    conditions(x, room)
    cost = _cost(k, w, weight, offsets, x)
    barrier = max(1e-3 * cost / m, _ROUNDING)
    price = np.empty(m)
    for j in range(m):
        price[j] = barrier / room[j]
    damping = 1e-9
    for iteration in range(MAX_ITERATIONS):
        _slopes(x, slope)
        _assemble(k, w, weight, offsets, x, room, slope, price, barrier, band, right)
        if not _solve(band, damping, right, step):
            damping *= 100.0
            continue
        descent = dot(right, step)
        length, cost = _line_search(
            k, w, weight, offsets, x, step, room, cost, barrier, descent, trial, trial_room
        )
        _move_prices(step, room, slope, barrier, price, change)
        assign(x, trial)
        assign(room, trial_room)
        for j in range(m):
            central = barrier / room[j]  # prices far from it would spoil the Newton matrix
            price[j] = min(max(price[j], 1e-6 * central), 1e6 * central)
        negligible = max(_GAP * cost, _ROUNDING)
        if m * barrier <= negligible and descent <= negligible:
            return cost, iteration + 1, True
        if descent <= 10.0 * m * barrier or length > 0.9:
            barrier = max(0.15 * barrier, 0.1 * negligible / m)
    return cost, MAX_ITERATIONS, False
