"""Raw SVI as a least-squares problem in five free parameters: normal equations and their solution.

The free parameters are p = (a, b, u, m, ln sigma) with rho = u / sqrt(1 + u^2): of the bounds of
raw SVI only b >= 0 is left.

Belongs here: compiled pieces that the fit and the repair share. Not here: either of the two.
"""

import math

from numba import njit

from volsurf_math.compile_options import ROUTINE, SUMS


@njit(**ROUTINE)
def raw(p):
    """Return (a, b, rho, m, sigma) of the free parameters p = (a, b, u, m, ln sigma)."""
    return p[0], p[1], p[2] / math.sqrt(1.0 + p[2] * p[2]), p[3], math.exp(p[4])


@njit(**ROUTINE)
def fill_free(a, b, rho, m, sigma, p):
    """Fill p = (a, b, u, m, ln sigma) with rho = u / sqrt(1 + u^2): only b keeps a bound."""
    p[0], p[1], p[3], p[4] = a, b, m, math.log(sigma)
    p[2] = rho / math.sqrt(1.0 - rho * rho)


@njit(**ROUTINE)
def variance(k, a, b, rho, m, sigma):
    """Total variance at one log-moneyness."""
    x = k - m
    return a + b * (rho * x + math.sqrt(x * x + sigma * sigma))


@njit(**SUMS)
def add_quotes(k, w, weight, p, hessian, descent):
    """Weighted cost of p on the quotes; its normal equations replace `hessian`, `descent`.

    `descent` is minus half the gradient, the right side of a Newton step; of the Hessian the lower
    triangle is filled. The derivatives are 1, z, x, x/r and 1/r with r = sqrt(x^2 + sigma^2) and
    z = rho x + r, times what does not depend on the quote.
    """
    a, b, rho, m, sigma = raw(p)
    cost = s = sz = sx = st = sq = zz = zx = zt = zq = xx = xt = xq = tt = tq = qq = 0.0
    e = ez = ex = et = eq = 0.0
    for i in range(k.size):
        x = k[i] - m
        r = math.sqrt(x * x + sigma * sigma)
        z = rho * x + r
        q = 1.0 / r
        t = x * q
        error = a + b * z - w[i]
        o = weight[i]
        oz, ox, ot, oq, oe = o * z, o * x, o * t, o * q, o * error
        cost += oe * error
        e, ez, ex, et, eq = e + oe, ez + oe * z, ex + oe * x, et + oe * t, eq + oe * q
        s, sz, sx, st, sq = s + o, sz + oz, sx + ox, st + ot, sq + oq
        zz, zx, zt, zq = zz + oz * z, zx + oz * x, zt + oz * t, zq + oz * q
        xx, xt, xq = xx + ox * x, xt + ox * t, xq + ox * q
        tt, tq, qq = tt + ot * t, tq + ot * q, qq + oq * q
    u, v = b / (1.0 + p[2] * p[2]) ** 1.5, b * sigma * sigma
    descent[0], descent[1], descent[2] = -e, -ez, -u * ex
    descent[3], descent[4] = b * (rho * e + et), -v * eq
    hessian[0, 0] = s
    hessian[1, 0], hessian[1, 1] = sz, zz
    hessian[2, 0], hessian[2, 1], hessian[2, 2] = u * sx, u * zx, u * u * xx
    hessian[3, 0], hessian[3, 1] = -b * (rho * s + st), -b * (rho * sz + zt)
    hessian[3, 2] = -b * u * (rho * sx + xt)
    hessian[3, 3] = b * b * (rho * rho * s + 2.0 * rho * st + tt)
    hessian[4, 0], hessian[4, 1], hessian[4, 2] = v * sq, v * zq, v * u * xq
    hessian[4, 3], hessian[4, 4] = -v * b * (rho * sq + tq), v * v * qq
    return cost


@njit(**ROUTINE)
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


@njit(**ROUTINE)
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
