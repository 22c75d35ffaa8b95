"""Raw SVI as a least-squares problem in five free parameters: normal equations and their solution.

The free parameters are p = (a, b, u, m, ln sigma) with rho = u / sqrt(1 + u^2): of the bounds of
raw SVI only b >= 0 is left.

Belongs here: compiled pieces that the fit and the repair share. Not here: either of the two.
"""

import math

import numpy as np
from numba import njit


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
