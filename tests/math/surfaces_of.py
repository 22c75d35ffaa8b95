"""Surfaces for tests from slices alone."""

import numpy as np

from volsurf_math.surfaces.interpolation import Surface


def surface_of(parameters, tte, forward=100.0, reach=2.0):
    """A surface of raw SVI rows quoted from -reach to reach."""
    ones = np.ones(tte.size)
    return Surface(
        tte=tte, forward=forward * ones, parameters=parameters, k_min=-reach * ones,
        k_max=reach * ones, std_error=0.001 * ones,
    )  # fmt: skip
