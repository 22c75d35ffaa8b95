r"""Raw SVI by variable projection: the five parameters seen as two hard ones and three easy ones.

With :math:`y = (k - m)/\sigma` and :math:`z = \sqrt{1 + y^2}` the smile is linear in (a, d, c),

.. math:: w = a + d\,y + c\,z, \qquad d = \rho b \sigma, \quad c = b \sigma,

so for given (m, sigma) the best (a, d, c) with :math:`|d| \le c` is a closed form, and only
(m, ln sigma) is searched. Of the derivatives in (m, ln sigma) only :math:`p = y/z` and
:math:`q = 1/z` lie outside span{1, y, z}; one pass over the quotes therefore gives the cost, its
gradient and its Gauss-Newton Hessian (Kaufman's form of variable projection).

Belongs here: compiled kernels of the unconstrained fit. Not here: arbitrage (`svi_conditions`),
robust weights and outcomes (`svi_fit`), the public class (`svi`).

References
----------
.. [1] Zeliade Systems (2009), "Quasi-explicit calibration of Gatheral's SVI model".
.. [2] Kaufman (1975), "A variable projection method for separable nonlinear least squares".
"""

import math

import numpy as np
from numba import njit

from volsurf_math.compile_options import ROUTINE, SUMS
from volsurf_math.small_arrays import assign, span

MAX_ABS_RHO = 0.9995  # a straight wing is reached in the limit; beyond it rho is not identified
N_STARTS = 3
COARSE_QUOTES = 32  # the start grid needs the shape, not every quote
MAX_EVALUATIONS = 60  # per start; the search is two-dimensional and takes about eight


@njit(**SUMS)
def _moments(k, w, weight, m, sigma, s):
    """Weighted central second moments of (y, z, p, q, w) into s[:15], means of y, z, w after."""
    s0 = sy = sz = sp = sq = sw = 0.0
    yy = yz = yp = yw = zz = zw = pp = pq = pw = qq = qw = ww = 0.0
    inverse = 1.0 / sigma
    for i in range(k.size):
        y = (k[i] - m) * inverse
        z = math.sqrt(1.0 + y * y)
        q = 1.0 / z
        p = y * q
        v = w[i]
        o = weight[i]
        oy, oz, op, oq = o * y, o * z, o * p, o * q
        s0 += o
        sy += oy
        sz += oz
        sp += op
        sq += oq
        sw += o * v
        yy += oy * y
        yz += oy * z
        yp += oy * p
        yw += oy * v
        zz += oz * z
        zw += oz * v
        pp += op * p
        pq += op * q
        pw += op * v
        qq += oq * q
        qw += oq * v
        ww += o * v * v
    i0 = 1.0 / s0
    s[0] = yy - sy * sy * i0
    s[1] = yz - sy * sz * i0
    s[2] = yp - sy * sp * i0
    s[3] = sp - sy * sq * i0  # y q = p
    s[4] = yw - sy * sw * i0
    s[5] = zz - sz * sz * i0
    s[6] = sy - sz * sp * i0  # z p = y
    s[7] = s0 - sz * sq * i0  # z q = 1
    s[8] = zw - sz * sw * i0
    s[9] = pp - sp * sp * i0
    s[10] = pq - sp * sq * i0
    s[11] = pw - sp * sw * i0
    s[12] = qq - sq * sq * i0
    s[13] = qw - sq * sw * i0
    s[14] = ww - sw * sw * i0
    s[15] = sy * i0
    s[16] = sz * i0
    s[17] = sw * i0


@njit(**ROUTINE)
def _on_the_edge(yy, yz, yw, zz, zw):
    """Best c > 0 with d = +-MAX_ABS_RHO c, where the free optimum breaks |d| <= c; else flat."""
    gain, best_c, best_r = 0.0, 1e-12, 0.0
    for r in (-MAX_ABS_RHO, MAX_ABS_RHO):
        norm = r * r * yy + 2.0 * r * yz + zz
        along = r * yw + zw
        if along > 0.0 and along * along > gain * norm:
            gain, best_c, best_r = along * along / norm, along / norm, r
    return best_r, best_c


@njit(**ROUTINE)
def project(k, w, weight, m, sigma, s, out):
    """Best (a, d, c) at (m, sigma) into out[1:4], cost in out[0], reduced system in out[4:9].

    out[4:7] is the Gauss-Newton Hessian in (m, ln sigma), out[7:9] the descent right-hand side.
    """
    _moments(k, w, weight, m, sigma, s)
    yy, yz, yp, yq, yw, zz, zp, zq, zw = s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8]
    det = yy * zz - yz * yz
    d = c = 0.0
    if det > 1e-15 * yy * zz:
        d = (yw * zz - zw * yz) / det
        c = (zw * yy - yw * yz) / det
    if c > 0.0 and abs(d) <= MAX_ABS_RHO * c:
        # what is left of p and q once 1, y and z have explained their part
        py, pz = (zz * yp - yz * zp) / det, (yy * zp - yz * yp) / det
        qy, qz = (zz * yq - yz * zq) / det, (yy * zq - yz * yq) / det
        pp = s[9] - yp * py - zp * pz
        pq = s[10] - yq * py - zq * pz
        qq = s[12] - yq * qy - zq * qz
        cost = s[14] - d * yw - c * zw
    else:
        r, c = _on_the_edge(yy, yz, yw, zz, zw)
        d = r * c
        norm = r * r * yy + 2.0 * r * yz + zz
        tp, tq = r * yp + zp, r * yq + zq
        pp = s[9] - tp * tp / norm
        pq = s[10] - tp * tq / norm
        qq = s[12] - tq * tq / norm
        cost = s[14] - 2.0 * c * (r * yw + zw) + c * c * norm
    out[0] = cost
    out[1] = s[17] - d * s[15] - c * s[16]
    out[2] = d
    out[3] = c
    by_m = -c / sigma
    out[4] = by_m * by_m * pp
    out[5] = by_m * c * pq
    out[6] = c * c * qq
    out[7] = by_m * (s[11] - yp * d - zp * c)
    out[8] = c * (s[13] - yq * d - zq * c)


@njit(**ROUTINE)
def unproject(here, m, log_sigma, p):
    """Fill free parameters from the inner solution (a, d, c) at (m, ln sigma)."""
    rho = here[2] / here[3]
    p[0], p[1], p[3], p[4] = here[1], here[3] / math.exp(log_sigma), m, log_sigma
    p[2] = rho / math.sqrt(1.0 - rho * rho)


@njit(**ROUTINE)
def search(k, w, weight, m, log_sigma, box, s, here, trial):
    """Levenberg-Marquardt in (m, ln sigma) inside `box` = (m_lo, m_hi, ln sigma_lo, ln sigma_hi).

    Leaves `here` as `project` does at the optimum; returns (m, ln sigma, evaluations).
    """
    project(k, w, weight, m, math.exp(log_sigma), s, here)
    damping = 1e-4
    evaluations = 1
    while evaluations < MAX_EVALUATIONS and damping < 1e8:
        h11 = here[4] * (1.0 + damping) + 1e-300
        h22 = here[6] * (1.0 + damping) + 1e-300
        det = h11 * h22 - here[5] * here[5]
        if det <= 0.0:
            damping = max(damping * 10.0, 1e-6)
            continue
        dm = (here[7] * h22 - here[8] * here[5]) / det
        ds = (here[8] * h11 - here[7] * here[5]) / det
        if abs(ds) > 1.0:  # a step in ln sigma beyond e leaves the quadratic model behind
            dm, ds = dm / abs(ds), math.copysign(1.0, ds)
        m_new = min(max(m + dm, box[0]), box[1])
        s_new = min(max(log_sigma + ds, box[2]), box[3])
        project(k, w, weight, m_new, math.exp(s_new), s, trial)
        evaluations += 1
        if trial[0] < here[0]:
            gain = (here[0] - trial[0]) / here[0]
            m, log_sigma = m_new, s_new
            assign(here, trial)
            damping = max(damping * 0.1, 1e-12)
            if gain < 1e-10:
                break
        else:
            if abs(dm) < 1e-9 * (box[1] - box[0]) and abs(ds) < 1e-9:
                break
            damping = max(damping * 8.0, 1e-5)
    return m, log_sigma, evaluations


@njit(**ROUTINE)
def _thinned(k, w, weight):
    """Every so many-th quote, as rows k, w and weight."""
    stride = max(1, k.size // COARSE_QUOTES)
    few = np.empty((3, (k.size + stride - 1) // stride))
    for i in range(few.shape[1]):
        few[0, i], few[1, i], few[2, i] = k[i * stride], w[i * stride], weight[i * stride]
    return few


@njit(**ROUTINE)
def coarse_starts(k, w, weight, s, out, starts):
    """Fill `starts` (N_STARTS, 3) with (cost, m, ln sigma), the cheapest points of a 8 x 4 grid."""
    low, high = span(k)
    width = high - low
    few = _thinned(k, w, weight)
    lowest = 0
    for i in range(k.size):
        if w[i] < w[lowest]:
            lowest = i
    starts[:, 0] = np.inf
    for i in range(8):
        m = low + width * (i - 0.5) / 6.0 if i < 7 else k[lowest]
        for j in range(4):
            sigma = 0.03 * 3.0**j * width
            project(few[0], few[1], few[2], m, sigma, s, out)
            if not out[0] < starts[N_STARTS - 1, 0]:
                continue
            place = N_STARTS - 1
            while place > 0 and out[0] < starts[place - 1, 0]:
                assign(starts[place], starts[place - 1])
                place -= 1
            starts[place, 0], starts[place, 1], starts[place, 2] = out[0], m, math.log(sigma)
