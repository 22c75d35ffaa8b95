"""Total variance of raw SVI slices with its derivatives in k, for arrays of slices.

Belongs here: w, w', w'' of slices and of their mixtures in time. Not here: what they mean.
"""

import numpy as np

from volsurf_math.smiles.base import FloatArray


def variance_derivatives(parameters: FloatArray, k: FloatArray) -> FloatArray:
    """Return (w, w', w'') at `k`, shape (3, *k.shape).

    `parameters`, shape (..., 5) in (a, b, rho, m, sigma), broadcasts against `k` without its last
    axis.
    """
    a, b, rho, m, sigma = np.moveaxis(parameters, -1, 0)
    x = k - m
    root = np.hypot(x, sigma)
    return np.stack((a + b * (rho * x + root), b * (rho + x / root), b * sigma**2 / root**3))
