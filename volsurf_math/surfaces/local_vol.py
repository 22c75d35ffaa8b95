r"""Dupire's local volatility of a surface of smiles.

With w(k, T) the total variance and g Durrleman's density factor [1]_,

.. math:: \sigma_{loc}^2(k, T) = \frac{\partial_T w(k, T)}{g(k, T)},

T being time to expiry and k log-moneyness on the forward of T. Between expiries w is linear in time
at equal k (`interpolation`), so the numerator is a difference quotient: at a listed expiry that of
the interval that ends there, at the first expiry that of the interval that begins there.

Belongs here: local volatility at points that quotes support. Not here: simulation under it.

References
----------
.. [1] Gatheral (2006), "The Volatility Surface", eq. (1.10).
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from volsurf_math.arbitrage import durrleman_g
from volsurf_math.smiles.base import FloatArray, IntArray
from volsurf_math.surfaces.derivatives import variance_derivatives
from volsurf_math.surfaces.interpolation import Surface


class LocalVolStatus(IntEnum):
    """Whether there is a local volatility. Stored in the lake, so never renumber."""

    DEFINED = 0
    OUTSIDE_EXPIRIES = 1
    OUTSIDE_STRIKES = 2
    CALENDAR_ARBITRAGE = 3  # total variance falls with time
    BUTTERFLY_ARBITRAGE = 4  # no positive density
    ONE_EXPIRY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalVol:
    """Local volatility at points, all of one shape; NaN where `status` is not DEFINED."""

    local_vol: FloatArray
    density_factor: FloatArray  # g
    variance_slope: FloatArray  # dw/dT at equal k
    status: IntArray


def local_volatility(surface: Surface, tte: FloatArray, k: FloatArray) -> LocalVol:
    """Return Dupire's local volatility at `tte` years and log-moneyness `k`, which broadcast."""
    tte, k = np.broadcast_arrays(np.asarray(tte, float), np.asarray(k, float))
    n = surface.tte.size
    is_inside = (tte >= surface.tte[0]) & (tte <= surface.tte[-1])
    far = np.clip(np.searchsorted(surface.tte, tte), min(1, n - 1), n - 1)
    near = np.maximum(far - 1, 0)
    gap = surface.tte[far] - surface.tte[near]
    share = np.divide(tte - surface.tte[near], gap, out=np.ones(tte.shape), where=gap > 0.0)
    low = np.maximum(surface.k_min[near], surface.k_min[far])
    high = np.minimum(surface.k_max[near], surface.k_max[far])
    is_quoted = (k >= low) & (k <= high)
    here = np.where(is_inside & is_quoted, k, np.nan)
    before = variance_derivatives(surface.parameters[near], here)
    after = variance_derivatives(surface.parameters[far], here)
    w, slope, curvature = (1.0 - share) * before + share * after
    g = durrleman_g(here, w, slope, curvature)
    growth = np.divide(after[0] - before[0], gap, out=np.full(tte.shape, np.nan), where=gap > 0.0)
    status = np.select(
        [
            ~is_inside,
            np.full(tte.shape, n < 2),
            ~is_quoted,
            ~(g > 0.0),
            growth < 0.0,
        ],
        [
            LocalVolStatus.OUTSIDE_EXPIRIES,
            LocalVolStatus.ONE_EXPIRY,
            LocalVolStatus.OUTSIDE_STRIKES,
            LocalVolStatus.BUTTERFLY_ARBITRAGE,
            LocalVolStatus.CALENDAR_ARBITRAGE,
        ],
        LocalVolStatus.DEFINED,
    )
    is_defined = status == LocalVolStatus.DEFINED
    square = np.divide(growth, g, out=np.full(tte.shape, np.nan), where=is_defined)
    return LocalVol(
        local_vol=np.sqrt(square),
        density_factor=g,
        variance_slope=growth,
        status=status.astype(np.int64),
    )
