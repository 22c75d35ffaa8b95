r"""Two surfaces of one underlying compared at constant maturities, and the move explained.

What is explained, at each tenor T, is the move of the implied volatility of one strike: the one
standing one standard deviation below today's forward, :math:`\kappa = -\sigma_0(T, 0) \sqrt{T}`
in log-moneyness (:math:`\sigma_0` before, :math:`\sigma_1` after, f = ln(forward after / before)).
With :math:`R(k) = \sigma_1(T, k) - \sigma_0(T, k)`, the change at equal log-moneyness,

.. math::
   \sigma_1(\kappa) - \sigma_0(\kappa + f)
     = \underbrace{\sigma_0(\kappa) - \sigma_0(\kappa + f)}_{spot}
     + \underbrace{\overline{R(0)}}_{level}
     + \underbrace{R(0) - \overline{R(0)}}_{term}
     + \underbrace{\tfrac12 [R(\kappa) - R(-\kappa)]}_{skew}
     + \underbrace{\tfrac12 [R(\kappa) + R(-\kappa)] - R(0)}_{curvature},

where the bar is the mean over the tenors asked for that both surfaces support. The parts add up
exactly, whatever the smiles look like: spot is what the strike gains by sliding along yesterday's
smile, skew the odd and curvature the even change of the smile's shape.

Belongs here: change between two snapshots. Not here: forecasts of it.
"""

from dataclasses import dataclass

import numpy as np

from volsurf_math.smiles.base import FloatArray
from volsurf_math.surfaces.interpolation import Surface

GRID_SDS = np.linspace(-1.5, 1.5, 13)  # standard deviations of the earlier surface at the tenor


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceComparison:
    """Changes, later minus earlier, per tenor; NaN where one of the two has no value."""

    tte: FloatArray  # (n_tenors,)
    atm_vol_change: FloatArray
    skew_25delta_change: FloatArray
    butterfly_25delta_change: FloatArray
    parameter_change: FloatArray  # (n_tenors, 5), parameters read linearly in time
    rmse: FloatArray  # (n_tenors,) of implied volatility on the common grid
    grid_rmse: float  # over all tenors
    move: FloatArray  # of the strike one standard deviation down: the sum of the five parts
    spot_part: FloatArray
    level_part: FloatArray
    term_part: FloatArray
    skew_part: FloatArray
    curvature_part: FloatArray


def compare_surfaces(before: Surface, after: Surface, tte: FloatArray) -> SurfaceComparison:
    """Compare two surfaces at constant maturities `tte` (years, shape (n_tenors,)).

    The common grid is 13 points within one and a half standard deviations, by the mean of the two
    at-the-money volatilities, so that the RMSE does not depend on the order of the arguments.
    """
    atm_before = before.at_the_money(tte).implied_vol
    atm_after = after.at_the_money(tte).implied_vol
    grid = np.outer(0.5 * (atm_before + atm_after) * np.sqrt(tte), GRID_SDS)
    square = _at_k(after, tte, grid) - _at_k(before, tte, grid)
    square **= 2
    wings_before, wings_after = _wings(before, tte), _wings(after, tte)
    parts = _parts(before, after, tte, atm_before)
    return SurfaceComparison(
        tte=tte,
        atm_vol_change=atm_after - atm_before,
        skew_25delta_change=(wings_after[0] - wings_after[1]) - (wings_before[0] - wings_before[1]),
        butterfly_25delta_change=0.5 * (wings_after.sum(axis=0) - wings_before.sum(axis=0))
        - (atm_after - atm_before),
        parameter_change=_parameters(after, tte) - _parameters(before, tte),
        rmse=np.sqrt(_mean(square, axis=1)),
        grid_rmse=float(np.sqrt(_mean(square.ravel(), axis=0))),
        move=np.sum(list(parts.values()), axis=0),
        **parts,
    )


def _parts(
    before: Surface, after: Surface, tte: FloatArray, atm_before: FloatArray
) -> dict[str, FloatArray]:
    """Return the five parts of the move; the derivation stands on top of this module."""
    kappa = -atm_before * np.sqrt(tte)
    zero = np.zeros_like(kappa)
    roll = np.log(after.at_the_money(tte).forward / before.at_the_money(tte).forward)
    down, middle, up = (_at_k(after, tte, k) - _at_k(before, tte, k) for k in (kappa, zero, -kappa))
    level = np.where(np.isfinite(middle), _mean(middle, axis=0), np.nan)
    return {
        "spot_part": _at_k(before, tte, kappa) - _at_k(before, tte, kappa + roll),
        "level_part": level,
        "term_part": middle - level,
        "skew_part": 0.5 * (down - up),
        "curvature_part": 0.5 * (down + up) - middle,
    }


def _at_k(surface: Surface, tte: FloatArray, k: FloatArray) -> FloatArray:
    """Implied volatility at `k`, shape (n_tenors,) or (n_tenors, n_points)."""
    return surface.implied_vol(tte if k.ndim == 1 else tte[:, None], k=k).implied_vol


def _wings(surface: Surface, tte: FloatArray) -> FloatArray:
    """25-delta put and call volatility, shape (2, n_tenors)."""
    delta = np.array([[-0.25], [0.25]])
    return surface.implied_vol(tte[None, :], delta=delta).implied_vol


def _parameters(surface: Surface, tte: FloatArray) -> FloatArray:
    """Parameters read linearly in time, NaN outside the expiries; a surface may have none."""
    found = np.empty((tte.size, surface.parameters.shape[1]))
    for n, column in enumerate(surface.parameters.T):
        found[:, n] = np.interp(tte, surface.tte, column, left=np.nan, right=np.nan)
    return found


def _mean(x: FloatArray, axis: int) -> FloatArray:
    """Mean of what is finite; NaN where nothing is."""
    is_known = np.isfinite(x)
    n = is_known.sum(axis=axis)
    total = np.where(is_known, x, 0.0).sum(axis=axis)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)
