r"""A surface read between its expiries, and nowhere else.

Total variance is linear in time at equal log-moneyness [1]_,

.. math:: w(k, T) = (1 - \theta) w_1(k) + \theta w_2(k), \qquad \theta = (T - T_1)/(T_2 - T_1),

which keeps calendar arbitrage out where the slices have none. The forward between expiries is
log-linear in time. There is no value before the first expiry, after the last, or at a k that one of
the two bracketing expiries did not quote: such points carry a status instead.

References
----------
.. [1] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Lemma 5.1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

import numpy as np
from scipy.special import ndtri

from volsurf_math.smiles.base import FloatArray, IntArray

TotalVariance = Callable[[FloatArray], FloatArray]

_MOST_STEPS, _STEP = 60, 1e-15  # of the search for a delta, in log-moneyness
_ROUNDING = (
    1e-12  # a strike at the edge of the quotes is inside, whatever its logarithm's last bits
)


class PointStatus(IntEnum):
    """Whether quotes support a point. Stored in the lake, so never renumber."""

    SUPPORTED = 0
    OUTSIDE_EXPIRIES = 1
    OUTSIDE_STRIKES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfacePoints:
    """Answers of a surface, all of one shape; NaN where `status` is not SUPPORTED."""

    implied_vol: FloatArray
    std_error: FloatArray
    k: FloatArray
    forward: FloatArray
    status: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Raw SVI slices of one snapshot. Slices of other models: `model_surfaces`.

    Attributes
    ----------
    tte, forward : array, shape (n_slices,)
        Years, strictly increasing, and the forward of each expiry.
    parameters : array, shape (n_slices, 5)
        (a, b, rho, m, sigma).
    k_min, k_max : array, shape (n_slices,)
        Range of log-moneyness that was quoted.
    std_error : array, shape (n_slices,)
        Standard error of implied volatility, taken as that of the whole slice.
    """

    n_parameters: ClassVar[int] = 5

    tte: FloatArray
    forward: FloatArray
    parameters: FloatArray
    k_min: FloatArray
    k_max: FloatArray
    std_error: FloatArray

    def __post_init__(self) -> None:
        """Refuse slices that are unordered or of unequal number."""
        n = self.tte.size
        vectors = (self.tte, self.forward, self.k_min, self.k_max, self.std_error)
        shapes = [x.shape for x in vectors] + [self.parameters.shape]
        if shapes != [(n,)] * 5 + [(n, self.n_parameters)]:
            wanted = f"vectors of one length and (n, {self.n_parameters})"
            raise ValueError(f"a surface needs {wanted}, was {shapes}")
        if not (n > 0 and (np.diff(self.tte) > 0.0).all() and self.tte[0] > 0.0):
            raise ValueError(f"a surface needs positive, strictly rising tte, was {self.tte}")
        if not np.isfinite(self.parameters).all():
            raise ValueError(f"a surface needs finite parameters, was {self.parameters}")

    def implied_vol(
        self,
        tte: FloatArray,
        *,
        k: FloatArray | None = None,
        strike: FloatArray | None = None,
        delta: FloatArray | None = None,
    ) -> SurfacePoints:
        """Return implied volatility at points given by exactly one of `k`, `strike`, `delta`.

        Parameters
        ----------
        tte : array
            Years; broadcasts against the other argument.
        k, strike, delta : array
            Log-moneyness on the forward; strike; or undiscounted forward delta, positive for
            calls (N(d1)) and negative for puts (N(d1) - 1).
        """
        given = [x for x in (k, strike, delta) if x is not None]
        if len(given) != 1:
            raise ValueError(f"implied_vol needs one of k, strike, delta, was {len(given)} of them")
        tte, where = np.broadcast_arrays(np.asarray(tte, float), np.asarray(given[0], float))
        near, far, theta, is_inside = self._bracket(tte)
        forward = np.exp(
            (1.0 - theta) * np.log(self.forward[near]) + theta * np.log(self.forward[far])
        )
        low = np.maximum(self.k_min[near], self.k_min[far])
        high = np.minimum(self.k_max[near], self.k_max[far])
        if strike is not None:
            where = np.log(np.where(where > 0.0, where, np.nan) / forward)
        elif delta is not None:
            where = self._k_at_delta(where, near, far, theta, low, high)
        is_quoted = (where >= low - _ROUNDING) & (where <= high + _ROUNDING)
        status = np.where(is_quoted, PointStatus.SUPPORTED, PointStatus.OUTSIDE_STRIKES)
        status = np.where(is_inside, status, PointStatus.OUTSIDE_EXPIRIES)
        at = np.where(status == PointStatus.SUPPORTED, where, np.nan)
        implied_vol, std_error = self._read(at, tte, near, far, theta)
        return SurfacePoints(
            implied_vol=implied_vol,
            std_error=std_error,
            k=at,
            forward=np.where(is_inside, forward, np.nan),
            status=status.astype(np.int64),
        )

    def at_the_money(self, tte: FloatArray) -> SurfacePoints:
        """Return implied volatility at the forward, `tte` years ahead (constant maturity)."""
        return self.implied_vol(tte, k=np.zeros_like(tte))

    def _bracket(self, tte: FloatArray) -> tuple[IntArray, IntArray, FloatArray, np.ndarray]:
        """Indices of the expiries around `tte`, the weight of the later one, and if there are."""
        is_inside = (tte >= self.tte[0]) & (tte <= self.tte[-1])
        far = np.clip(np.searchsorted(self.tte, tte), 0, self.tte.size - 1)
        near = np.maximum(far - 1, 0)
        gap = np.where(far > near, self.tte[far] - self.tte[near], 1.0)
        theta = np.where(far > near, (tte - self.tte[near]) / gap, 1.0)
        return near, far, np.where(is_inside, theta, np.nan), is_inside

    def _smile(self, slices: IntArray) -> TotalVariance:
        """Total variance as a function of k, of slice slices[i] at k[i]."""
        a, b, rho, m, sigma = self.parameters.T[:, slices]

        def total_variance(k: FloatArray) -> FloatArray:
            x = k - m
            return np.asarray(a + b * (rho * x + np.hypot(x, sigma)))

        return total_variance

    def _read(
        self, k: FloatArray, tte: FloatArray, near: IntArray, far: IntArray, theta: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Implied volatility and its standard error; errors of the two slices are independent."""
        before, after = self._smile(near)(k), self._smile(far)(k)
        total = (1.0 - theta) * before + theta * after
        vol = np.sqrt(np.where(total > 0.0, total, np.nan) / tte)
        square = np.zeros_like(vol)
        for w, slices, share in ((before, near, 1.0 - theta), (after, far, theta)):
            # dw = 2 vol tte dvol = 2 sqrt(w tte) dvol
            part = share * 2.0 * np.sqrt(np.maximum(w, 0.0) * self.tte[slices])
            square += np.where(share > 0.0, part * self.std_error[slices], 0.0) ** 2
        return vol, np.sqrt(square) / (2.0 * vol * tte)

    def _k_at_delta(
        self,
        delta: FloatArray,
        near: IntArray,
        far: IntArray,
        theta: FloatArray,
        low: FloatArray,
        high: FloatArray,
    ) -> FloatArray:
        """Log-moneyness of a delta inside the quoted range; NaN if it is not there.

        False position that halves the value of an end kept twice (Illinois; Dowell and Jarratt,
        BIT 11, 1971): the function is nearly straight, so that a few steps reach the last bits.
        """
        is_delta = (np.abs(delta) > 0.0) & (np.abs(delta) < 1.0)
        target = ndtri(np.where(is_delta, np.where(delta > 0.0, delta, 1.0 + delta), np.nan))
        before, after = self._smile(near), self._smile(far)

        def miss(k: FloatArray) -> FloatArray:
            w = (1.0 - theta) * before(k) + theta * after(k)
            root = np.sqrt(np.where(w > 0.0, w, np.nan))
            return -k / root + 0.5 * root - target

        left, right = miss(low), miss(high)
        is_there = (left >= 0.0) & (right <= 0.0)
        lo, hi = np.where(is_there, low, np.nan), np.where(is_there, high, np.nan)
        k, was_left = lo, np.zeros(lo.shape, np.int64)
        for _ in range(_MOST_STEPS):
            rise = left - right
            last, k = (
                k,
                lo + (hi - lo) * np.where(rise > 0.0, left / np.where(rise > 0.0, rise, 1.0), 0.0),
            )
            found = miss(k)
            is_left = found > 0.0
            side = np.where(is_left, 1, -1)
            halved = np.where(side == was_left, 0.5, 1.0)
            left, right = (
                np.where(is_left, found, halved * left),
                np.where(is_left, halved * right, found),
            )
            lo, hi, was_left = np.where(is_left, k, lo), np.where(is_left, hi, k), side
            if np.fmax.reduce(np.abs(k - last), axis=None, initial=0.0) <= _STEP:
                break
        return np.asarray(k)
