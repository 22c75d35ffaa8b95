"""Quotes as the search for SABR's parameters wants them: usable ones, as volatilities.

Belongs here: compiled loops before the fit. Not here: the fit (`sabr_fit`).
"""

import math

import numpy as np
from numba import njit

from volsurf_math.compile_options import ROUTINE
from volsurf_math.normal import fast_exp
from volsurf_math.smiles.base import (
    LEAST_VARIANCE,
    LEAST_WEIGHT,
    MOST_VARIANCE,
    MOST_WEIGHT,
)


@njit(**ROUTINE)
def _is_usable(k, w, weight):
    is_possible = math.isfinite(k) and LEAST_VARIANCE <= w <= MOST_VARIANCE
    return is_possible and LEAST_WEIGHT <= weight <= MOST_WEIGHT


@njit(**ROUTINE)
def count(k, w, weight):
    """How many quotes can take part, and how many different strikes they have, up to three."""
    n, distinct, first, second = 0, 0, np.nan, np.nan
    for i in range(k.size):
        if not _is_usable(k[i], w[i], weight[i]):
            continue
        n += 1
        if distinct == 0:
            distinct, first = 1, k[i]
        elif distinct == 1 and k[i] != first:
            distinct, second = 2, k[i]
        elif distinct == 2 and k[i] != first and k[i] != second:
            distinct = 3
    return n, distinct


@njit(**ROUTINE)
def prepare(k, w, weight, u, x, v, o, h, bracket):
    """Usable quotes as the search wants them: k, total volatility, weights of it, and by k alone.

    Returns the sum by which the weights were divided.
    """
    at, total = 0, 0.0
    for i in range(k.size):
        if _is_usable(k[i], w[i], weight[i]):
            x[at], v[at], o[at] = k[i], w[i], 4.0 * w[i] * weight[i]
            total += o[at]
            at += 1
    share = 1.0 / total
    for i in range(x.size):
        v[i] = math.sqrt(v[i])
        o[i] *= share
        h[i] = fast_exp(0.5 * u * x[i])
        square = (u * x[i]) ** 2
        bracket[i] = 1.0 + square * (1.0 / 24.0 + square / 1920.0)
    return total
