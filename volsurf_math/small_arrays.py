"""Small arrays inside kernels: what NumPy says in a word, as loops that compile quickly.

Numba compiles an expression of arrays, an assignment to a slice or a sort for every kernel anew,
with its error messages: up to a second for a line. Belongs here: loops that several kernels share.
"""

import numpy as np
from numba import njit

from volsurf_math.compile_options import ROUTINE


@njit(**ROUTINE)
def assign(target, values):
    """Copy the values."""
    for i in range(target.size):
        target[i] = values[i]


@njit(**ROUTINE)
def span(k):
    """Return the lowest and the highest k."""
    low, high = np.inf, -np.inf
    for x in k:
        low, high = min(low, x), max(high, x)
    return low, high


@njit(**ROUTINE)
def mean(x, weight):
    """Weighted mean."""
    total, weights = 0.0, 0.0
    for i in range(x.size):
        total += weight[i] * x[i]
        weights += weight[i]
    return total / weights


@njit(**ROUTINE)
def dot(x, y):
    """Sum of products, over as many as y has."""
    total = 0.0
    for i in range(y.size):
        total += x[i] * y[i]
    return total


@njit(**ROUTINE)
def least(value, n):
    """Return the smallest of the first n values."""
    smallest = np.inf
    for i in range(n):
        smallest = min(smallest, value[i])
    return smallest
