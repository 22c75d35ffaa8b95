r"""Shape and density of any smile, read off a grid: all that is asked of it is total variance.

Derivatives are central differences, and vols at a delta are read linearly between grid points a
twentieth of a standard deviation apart: good to about 1e-5 of volatility for smiles as smooth as
quoted ones.

Belongs here: what can be said of a smile without knowing its formula. Not here: models that say it
exactly (`svi_quantities`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from volsurf_math.arbitrage import durrleman_g
from volsurf_math.smiles.base import FloatArray

REACH_SDS = 6.0  # of the volatility at the forward, to either side
_Z = np.linspace(-REACH_SDS, REACH_SDS, 241)
_MIDDLE = _Z.size // 2
_D1_AT_25_DELTA = 0.6744897501960817


@dataclass(frozen=True, slots=True, kw_only=True)
class GridShape:
    """Volatilities, and the density factor within six standard deviations of the forward.

    `skew_25delta` is put minus call, at undiscounted forward deltas; NaN where the smile has no
    such delta. `sound_k_min` and `sound_k_max` bound the strikes around the forward without
    negative density: minus and plus infinity where none was found.
    """

    atm_vol: float
    skew_25delta: float
    butterfly_25delta: float
    min_durrleman_g: float
    n_negative: int
    sound_k_min: float
    sound_k_max: float


def grid_shape(total_variance: Callable[[FloatArray], FloatArray], tte: float) -> GridShape:
    """Measure a smile of `tte` years, given as total variance of log-moneyness.

    Raises
    ------
    ValueError
        If total variance at the forward or tte is not positive.
    """
    level = float(total_variance(np.zeros(1))[0])
    if not (0.0 < level < math.inf and tte > 0.0):
        raise ValueError(f"a smile needs w(0) > 0 and tte > 0, was {level} and {tte}")
    k = math.sqrt(level) * _Z
    w = total_variance(k)
    h = k[1] - k[0]
    slope, curvature = (w[2:] - w[:-2]) / (2.0 * h), (w[2:] - 2.0 * w[1:-1] + w[:-2]) / (h * h)
    g = durrleman_g(k[1:-1], w[1:-1], slope, curvature)
    is_negative = ~(g >= 0.0)
    vol = np.sqrt(np.where(w > 0.0, w, np.nan) / tte)
    d1 = vol * math.sqrt(tte) / 2.0 - k / (vol * math.sqrt(tte))
    put = _first_crossing(_D1_AT_25_DELTA - d1[_MIDDLE::-1], vol[_MIDDLE::-1])
    call = _first_crossing(d1[_MIDDLE:] + _D1_AT_25_DELTA, vol[_MIDDLE:])
    atm = math.sqrt(level / tte)
    inner, here = k[1:-1], _MIDDLE - 1
    return GridShape(
        atm_vol=atm,
        skew_25delta=put - call,
        butterfly_25delta=0.5 * (put + call) - atm,
        min_durrleman_g=float(np.nanmin(g)) if np.isfinite(g).any() else math.nan,
        n_negative=int(is_negative.sum()),
        sound_k_min=_first_crossing(g[here::-1], inner[here::-1], -math.inf),
        sound_k_max=_first_crossing(g[here:], inner[here:], math.inf),
    )


def _first_crossing(x: FloatArray, y: FloatArray, otherwise: float = math.nan) -> float:
    """Return y where x first falls below zero; the first y if x begins there."""
    is_below = ~(x >= 0.0)
    if not is_below.any():
        return otherwise
    i = int(np.argmax(is_below))
    if i == 0 or not math.isfinite(x[i]):
        return float(y[max(i - 1, 0)])
    share = x[i - 1] / (x[i - 1] - x[i])
    return float(y[i - 1] + share * (y[i] - y[i - 1]))
