"""Term structure of at-the-money volatility and of skew: the power law a T^b.

The fit is a weighted straight line of ln|y| on ln T, so an error counts in proportion; the root
mean square error is reported in the unit of y. Skew may be negative: its sign goes into `a`, and a
term structure that changes sign is no power law.

Belongs here: curves over tenors. Not here: interpolation of a surface (`surfaces.interpolation`).
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from volsurf_math.broadcasting import FloatArray

MIN_POINTS = 3  # two parameters and something left to judge them by


class TermStatus(IntEnum):
    """How a term structure fit ended. Stored in the lake, so never renumber."""

    FITTED = 0
    TOO_FEW_POINTS = 1
    MIXED_SIGN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """y(T) = a T^b with T in years; NaN unless `status` is FITTED."""

    a: float
    b: float
    a_std_error: float
    b_std_error: float
    rmse: float  # weighted, in the unit of y
    n_points: int
    status: TermStatus

    def value(self, tte: FloatArray) -> FloatArray:
        """Value at `tte` years (positive); same shape."""
        return self.a * tte**self.b


def fit_power_law(tte: FloatArray, y: FloatArray, weight: FloatArray | None = None) -> PowerLaw:
    """Fit y(T) = a T^b to one point per expiry.

    Parameters
    ----------
    tte, y : array, shape (n_expiries,)
        Years, and at-the-money volatility or skew. Points that are not finite, have no positive
        time or weight, or are exactly zero are left out.
    weight : array, shape (n_expiries,), optional
        Relative precision of ln|y|: 1 / (std_error / y)^2. Equal weights by default.

    Returns
    -------
    PowerLaw
        With TOO_FEW_POINTS under three distinct expiries, MIXED_SIGN if y changes sign.
    """
    weight = np.ones_like(tte) if weight is None else weight
    if not tte.shape == y.shape == weight.shape:
        shapes = (tte.shape, y.shape, weight.shape)
        raise ValueError(f"tte, y and weight need one shape, was {shapes}")
    keep = np.isfinite(tte) & np.isfinite(y) & np.isfinite(weight)
    keep &= (tte > 0.0) & (y != 0.0) & (weight > 0.0)
    tte, y, weight = tte[keep], y[keep], weight[keep]
    if np.unique(tte).size < MIN_POINTS:
        return _no_law(TermStatus.TOO_FEW_POINTS, y.size)
    sign = float(np.sign(y[0]))
    if (y * sign <= 0.0).any():
        return _no_law(TermStatus.MIXED_SIGN, y.size)
    return _line(np.log(tte), np.log(y * sign), weight / weight.sum(), sign)


def _line(x: FloatArray, z: FloatArray, share: FloatArray, sign: float) -> PowerLaw:
    """Weighted line z = ln|a| + b x, shares summing to one."""
    centre, height = float(share @ x), float(share @ z)
    spread = float(share @ (x - centre) ** 2)
    b = float(share @ ((x - centre) * (z - height))) / spread
    log_a = height - b * centre
    error = z - log_a - b * x
    freedom = x.size - 2
    noise = float(share @ error**2) / freedom
    in_unit = np.exp(log_a + b * x) - np.exp(z)
    return PowerLaw(
        a=sign * float(np.exp(log_a)),
        b=b,
        a_std_error=float(np.exp(log_a)) * float(np.sqrt(noise * (1.0 + centre**2 / spread))),
        b_std_error=float(np.sqrt(noise / spread)),
        rmse=float(np.sqrt(share @ in_unit**2)),
        n_points=int(x.size),
        status=TermStatus.FITTED,
    )


def _no_law(status: TermStatus, n_points: int) -> PowerLaw:
    nan = float("nan")
    return PowerLaw(
        a=nan, b=nan, a_std_error=nan, b_std_error=nan, rmse=nan, n_points=n_points, status=status
    )
