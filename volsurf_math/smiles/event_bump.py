r"""Event smiles: quotes that bend downwards around the money, where ordinary smiles bend upwards.

Before news that will move the price one way or the other its density has two modes, and the smile
is a W: highest near the money, lower on either side, and high again in the wings. No SVI slice has
that shape; its total variance is convex everywhere. A parabola through the quotes near the money,

.. math:: w \approx c_0 + c_1 x + c_2 x^2, \qquad |x| \le r,

with x the log-moneyness in standard deviations, measures it: the bump :math:`-c_2 r^2` is how far
variance at the money stands above the mean of its shoulders at :math:`\pm r`. It is an event's if
it is larger than the half-spread of the quotes and many times its own standard error, which comes
from the scatter of the quotes: a lone wild quote makes the one large and the other larger.

Belongs here: a test of quotes. Not here: a model of such smiles (`convex` can follow them).
"""

from dataclasses import dataclass

import numpy as np

from volsurf_math.smiles.base import BoolArray, FloatArray, IntArray

REACH = 0.75  # standard deviations; density with two modes bends the smile that far at least
MIN_POINTS, MIN_EITHER_SIDE = 7, 3
LEAST_DETERMINANT = 1e-8  # of the moments: fewer than three different strikes have none
MIN_STD_ERRORS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBumps:
    """One per slice, in units of the variance given; NaN where too few quotes are near."""

    bump: FloatArray
    std_error: FloatArray
    half_spread: FloatArray  # mean of the quotes used
    n_points: IntArray

    @property
    def is_event(self) -> BoolArray:
        """Whether the bump is beyond both the spread and chance; False where unknown."""
        return (self.bump > self.half_spread) & (self.bump > MIN_STD_ERRORS * self.std_error)


def event_bumps(
    x: FloatArray, w: FloatArray, half_spread: FloatArray, offsets: IntArray
) -> EventBumps:
    """Measure the bump of every slice.

    Parameters
    ----------
    x : array, shape (n_quotes,)
        Log-moneyness over the standard deviation at the money, slice after slice.
    w, half_spread : array, shape (n_quotes,)
        Total variance, and half the quoted spread of it; rows where either is not finite or the
        spread not positive are left out.
    offsets : array of int, shape (n_slices + 1,)
        Slice i holds rows offsets[i] to offsets[i + 1].
    """
    n = offsets.size - 1
    is_near = (np.abs(x) <= REACH) & np.isfinite(w) & (half_spread > 0.0) & np.isfinite(half_spread)
    of = np.repeat(np.arange(n), np.diff(offsets))[is_near]
    z, w, spread = x[is_near] / REACH, w[is_near], half_spread[is_near]
    weight = spread**-2.0

    def total(values: FloatArray | BoolArray) -> FloatArray:
        return np.bincount(of, values.astype(np.float64), n).astype(np.float64)

    count = np.bincount(of, minlength=n)
    sides = np.minimum(total(z < 0.0), total(z > 0.0))
    moments = np.stack([total(weight * z**i) for i in range(5)])
    matrix = np.stack([moments[i : i + 3] for i in range(3)]).transpose(2, 0, 1)
    is_known = (count >= MIN_POINTS) & (sides >= MIN_EITHER_SIDE)
    is_known &= np.linalg.det(matrix) > LEAST_DETERMINANT * moments[0] ** 3
    matrix[~is_known] = np.eye(3)
    inverse = np.linalg.inv(matrix)
    right = np.stack([total(weight * w * z**i) for i in range(3)], axis=-1)
    c = np.einsum("nij,nj->ni", inverse, right)
    miss = w - (c[of, 0] + z * (c[of, 1] + z * c[of, 2]))
    scatter = total(weight * miss**2) / np.maximum(count - 3, 1)
    mean_spread = total(weight * spread) / np.maximum(moments[0], np.finfo(float).tiny)
    return EventBumps(
        bump=np.where(is_known, -c[:, 2], np.nan),
        std_error=np.where(is_known, np.sqrt(inverse[:, 2, 2] * scatter), np.nan),
        half_spread=np.where(is_known, mean_spread, np.nan),
        n_points=count,
    )
