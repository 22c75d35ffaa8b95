"""Raw SVI fitted to many slices at once, as arrays.

Belongs here: the loop over ragged slices and its outcome. Not here: one smile (`svi`).
"""

from dataclasses import dataclass

import numpy as np

from volsurf_math.smiles.base import FloatArray, IntArray, slice_offsets
from volsurf_math.smiles.svi import (
    MAX_ITERATIONS,
    TOLERANCE,
    RawSvi,
    SviFit,
    floor_row,
    outcome,
    quote_rows,
)
from volsurf_math.smiles.svi_fit import MIN_POINTS, N_COUNTS, N_OUT, Loss, fit_ragged
from volsurf_math.smiles.svi_quantities import SmileQuantities, smile_quantities


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFits:
    """Many fitted slices as arrays whose first axis is the slice; NaN where `status` is not 0."""

    rows: FloatArray  # (n, 34) and (n, 5) as `svi_fit.fit_ragged` fills them
    counts: IntArray

    def __len__(self) -> int:
        """Count the slices."""
        return len(self.rows)

    def __getitem__(self, i: int) -> SviFit:
        """Return slice `i` with its smile."""
        return outcome(self.rows[i], self.counts[i])

    @property
    def parameters(self) -> FloatArray:
        """Parameters (a, b, rho, m, sigma), shape (n, 5)."""
        return self.rows[:, :5]

    @property
    def covariance(self) -> FloatArray:
        """Their covariance, shape (n, 5, 5)."""
        return self.rows[:, 5:30].reshape(-1, 5, 5)

    @property
    def cost(self) -> FloatArray:
        """Weighted sum of squares, robust weights."""
        return self.rows[:, 30]

    @property
    def free_cost(self) -> FloatArray:
        """The same before the arbitrage guard."""
        return self.rows[:, 31]

    @property
    def min_durrleman_g(self) -> FloatArray:
        """Smallest density factor on the whole line."""
        return self.rows[:, 32]

    @property
    def rmse(self) -> FloatArray:
        """Weighted, in total variance."""
        return self.rows[:, 33]

    @property
    def n_points(self) -> IntArray:
        """Count the quotes that took part."""
        return self.counts[:, 0]

    @property
    def n_evaluations(self) -> IntArray:
        """Count the evaluations of each slice."""
        return self.counts[:, 1]

    @property
    def start(self) -> IntArray:
        """Place of the start that won; -1 where none did."""
        return self.counts[:, 2]

    @property
    def repair(self) -> IntArray:
        """What the arbitrage guard did, a `Repair`."""
        return self.counts[:, 3]

    @property
    def status(self) -> IntArray:
        """How each fit ended, a `FitStatus`."""
        return self.counts[:, 4]

    def quantities(self, tte: FloatArray) -> SmileQuantities:
        """Volatility at the money and at 25 delta with standard errors; `tte` (n,) in years."""
        return smile_quantities(self.parameters, self.covariance, tte)


def fit_slices(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    offsets: IntArray,
    *,
    loss: Loss = Loss.LINEAR,
    loss_scale: float = 1.0,
    is_guarded: bool = True,
    is_calendar_free: bool = False,
    floor: RawSvi | None = None,
    min_points: int = MIN_POINTS,
    max_iterations: int = MAX_ITERATIONS,
    tolerance: float = TOLERANCE,
) -> SliceFits:
    """Fit raw SVI to ragged slices by weighted least squares in total variance.

    Parameters
    ----------
    k, w, weight : array, shape (n_quotes,)
        Log-moneyness, quoted total variance and weight, slice after slice. With weight
        1 / half-spread^2 (of total variance) residuals count half-spreads. Rows that are not
        finite, or whose variance or weight is not positive, are left out.
    offsets : array of int, shape (n_slices + 1,)
        Slice i holds rows offsets[i] to offsets[i + 1].
    loss, loss_scale : Loss, float
        Robust loss, and the number of 1/sqrt(weight) where it leaves the parabola.
    is_guarded : bool
        Repair butterfly arbitrage, judged on the whole line.
    is_calendar_free : bool
        Slices stand in order of expiry and none may undercut the one before, where both are quoted.
        Beyond the quotes neither is known, and a bound there would bend the fit to a guess.
    floor : RawSvi, optional
        Smile that the first (calendar-free) or every slice may not undercut, on the whole line.
    min_points : int
        Fewer distinct usable strikes than this (or than five) are TOO_FEW_POINTS.
    max_iterations : int
        A slice that needs more evaluations of its reduced problem before its quotes are first
        weighed anew is NOT_CONVERGED; later ones end the re-weighting.
    tolerance : float
        Relative decrease of the robust cost that ends its re-weighting.

    Raises
    ------
    ValueError
        If shapes differ or `offsets` does not walk through the quotes.
    """
    quotes = quote_rows(k, w, weight, loss_scale)
    offsets = slice_offsets(offsets, k.size)
    n = offsets.size - 1
    rows, counts = np.empty((n, N_OUT)), np.empty((n, N_COUNTS), np.int64)
    limits = np.array([max_iterations, tolerance])
    is_guarded = is_guarded or is_calendar_free or floor is not None
    fit_ragged(
        quotes, offsets, int(loss), float(loss_scale), limits, is_guarded, is_calendar_free,
        floor_row(floor), min_points, rows, counts,
    )  # fmt: skip
    return SliceFits(rows=rows, counts=counts)
