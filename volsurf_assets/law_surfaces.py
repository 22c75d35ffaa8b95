"""The surface of one law, read where quotes support it.

Belongs here: points of a model whose parameters hold for all expiries, in the words of a fitted
surface. Not here: its calibration (`stochastic_vol`), or which models have surfaces
(`surface_models`).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from volsurf_tables.stochastic_vol import HESTON_PARAMETERS

BISECTIONS = 28  # of a range of a few units: log-moneyness of a delta to 1e-8

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True)
class LawSurface:
    """Vols of `law`, at points where `quoted`, a surface through fitted smiles, has them too.

    There is no standard error: those of the parameters are stored, their correlations are not.
    """

    law: Any
    quoted: Any

    def implied_vol(self, tte: Array, *, k: Array | None = None, delta: Array | None = None) -> Any:
        """Return `SurfacePoints` at points given by one of `k` and `delta`."""
        if delta is not None:
            k = self._at_delta(tte, delta)
        points = self.quoted.implied_vol(tte, k=k)
        vol = self._vol(tte, points.k)
        return type(points)(
            implied_vol=vol,
            std_error=np.full_like(vol, np.nan),
            k=points.k,
            forward=points.forward,
            status=points.status,
        )

    def _vol(self, tte: Array, k: Array) -> Array:
        vol: Array = self.law.implied_vol(1.0, np.exp(k), tte)
        return vol

    def _at_delta(self, tte: Array, delta: Array) -> Array:
        """Log-moneyness of an undiscounted forward delta; the law's deltas fall as k rises."""
        from scipy.special import ndtri

        target = ndtri(np.where(delta > 0.0, delta, 1.0 + delta))
        # A delta that lies beyond the quotes is to end beyond them.
        low = np.full_like(target, np.min(self.quoted.k_min) - 1.0)
        high = np.full_like(target, np.max(self.quoted.k_max) + 1.0)
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            root = self._vol(tte, middle) * np.sqrt(tte)
            d1 = -middle / root + 0.5 * root
            # Without a vol the point lies far out: on the side where it lies, d1 is beyond.
            is_left = np.where(np.isfinite(d1), d1 > target, middle < 0.0)
            low, high = np.where(is_left, middle, low), np.where(is_left, high, middle)
        found: Array = 0.5 * (low + high)
        return found


def heston_surface(laws: pl.DataFrame, quoted: Any) -> LawSurface | None:
    """Return the surface of a row of `heston_surfaces`; None without parameters or quotes."""
    from volsurf_math.heston import Heston

    found = laws.filter(pl.col("status").is_in(["fitted", "carried"]))
    if found.is_empty() or quoted is None:
        return None
    row = found.row(0, named=True)
    return LawSurface(Heston(**{name: row[name] for name in HESTON_PARAMETERS}), quoted)
