"""What every smile model offers.

A smile is one expiry's total implied variance w as a function of log-moneyness k.
Belongs here: the contract, and the outcome of a fit. Not here: any particular model.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from volsurf_math.broadcasting import FloatArray

__all__ = ["Fit", "FitStatus", "FloatArray", "IntArray", "Smile"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
LEAST_VARIANCE, MOST_VARIANCE = 1e-16, 1e6  # total; nothing outside was ever quoted
LEAST_WEIGHT, MOST_WEIGHT = 1e-60, 1e60  # beyond, sums of squares leave the numbers


class FitStatus(IntEnum):
    """Why a fit ended. Stored in the lake, so never renumber."""

    CONVERGED = 0
    TOO_FEW_POINTS = 1
    NOT_CONVERGED = 2
    NOT_REPAIRED = 3  # arbitrage was found and no arbitrage-free neighbour was


class Smile(Protocol):
    """Total variance at any log-moneyness, and how to fit it to quotes."""

    def total_variance(self, k: FloatArray) -> FloatArray:
        """Total variance (vol^2 * years) at log-moneyness `k`; same shape as `k`."""
        ...

    @classmethod
    def fit(cls, k: FloatArray, w: FloatArray, weight: FloatArray) -> "Fit":
        """Fit to quoted total variances `w` at `k`, all of shape (n_quotes,)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A smile and how well it fits; `smile` is None unless `status` is CONVERGED."""

    smile: Smile | None
    status: FitStatus
    rmse: float = float("nan")  # weighted, in total variance


def check_shapes(k: FloatArray, w: FloatArray, weight: FloatArray) -> None:
    """Refuse quotes that are not three arrays of one length."""
    if not (k.ndim == 1 and k.shape == w.shape == weight.shape):
        shapes = (k.shape, w.shape, weight.shape)
        raise ValueError(f"k, w and weight need one shape (n_quotes,), was {shapes}")


def usable_quotes(k: FloatArray, w: FloatArray, weight: FloatArray) -> BoolArray:
    """Whether a row can take part in a fit: a finite strike, a possible variance and weight."""
    check_shapes(k, w, weight)
    is_possible = (w >= LEAST_VARIANCE) & (w <= MOST_VARIANCE)
    return np.isfinite(k) & is_possible & (weight >= LEAST_WEIGHT) & (weight <= MOST_WEIGHT)


def slice_offsets(offsets: npt.ArrayLike, n_quotes: int) -> IntArray:
    """Return where ragged slices begin and end, or raise where that does not walk the quotes."""
    found = np.ascontiguousarray(offsets, dtype=np.int64)
    is_inside = found.size > 0 and found[0] >= 0 and found[-1] <= n_quotes
    if not is_inside or (found[1:] < found[:-1]).any():
        raise ValueError(f"offsets need to rise from 0 to at most {n_quotes}, was {found}")
    return found
