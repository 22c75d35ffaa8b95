"""SABR fitted to many slices at once, as arrays.

Belongs here: the loop over ragged slices and its outcome. Not here: one smile (`sabr`).
"""

import math
from dataclasses import dataclass

import numpy as np

from volsurf_math.broadcasting import float_columns
from volsurf_math.smiles import sabr_fit
from volsurf_math.smiles.base import FloatArray, IntArray, slice_offsets
from volsurf_math.smiles.sabr import SabrFit, check_fit, outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SabrFits:
    """Many fitted smiles as arrays whose first axis is the slice; NaN where `status` is not 0."""

    rows: FloatArray  # (n, 16) as `sabr_fit.fit_slice` fills them
    beta: float
    forward: FloatArray
    tte: FloatArray
    status: IntArray  # FitStatus

    def __len__(self) -> int:
        """Count the slices."""
        return self.status.size

    def __getitem__(self, i: int) -> SabrFit:
        """Return slice `i` with its smile."""
        return outcome(
            int(self.status[i]),
            self.rows[i],
            beta=self.beta,
            forward=float(self.forward[i]),
            tte=float(self.tte[i]),
        )

    @property
    def parameters(self) -> FloatArray:
        """Parameters (alpha, rho, nu), shape (n, 3)."""
        return self.rows[:, :3]

    @property
    def covariance(self) -> FloatArray:
        """Their covariance, shape (n, 3, 3)."""
        return self.rows[:, 3:12].reshape(-1, 3, 3)

    @property
    def cost(self) -> FloatArray:
        """Weighted sum of squares, of total variance to first order."""
        return self.rows[:, 12]

    @property
    def rmse(self) -> FloatArray:
        """Weighted, in total variance."""
        return self.rows[:, 13]

    @property
    def n_points(self) -> IntArray:
        """Count the quotes that took part."""
        return self.rows[:, 14].astype(np.int64)

    @property
    def n_evaluations(self) -> IntArray:
        """Count the evaluations of the formula on a whole slice."""
        return self.rows[:, 15].astype(np.int64)


def fit_slices(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    offsets: IntArray,
    forward: FloatArray,
    tte: FloatArray,
    *,
    beta: float = 0.5,
    loss_scale: float = math.inf,
) -> SabrFits:
    """Fit Hagan's formula to ragged slices by weighted least squares, beta given.

    Parameters
    ----------
    k, w, weight : array, shape (n_quotes,)
        Log-moneyness, quoted total variance and weight, slice after slice. Rows that are not
        finite, or whose variance or weight is not positive, are left out.
    offsets : array of int, shape (n_slices + 1,)
        Slice i holds rows offsets[i] to offsets[i + 1].
    forward, tte : array, shape (n_slices,)
        Forward, and years to expiry.
    loss_scale : float
        Number of 1/sqrt(weight) where the soft-L1 loss leaves the parabola; plain least squares by
        default.

    Raises
    ------
    ValueError
        If shapes differ, `offsets` does not walk through the quotes, or beta or loss_scale is
        impossible.
    """
    check_fit(k, w, weight, beta, loss_scale)
    _, (k, w, weight) = float_columns(k, w, weight)
    offsets = slice_offsets(offsets, k.size)
    n = offsets.size - 1
    if not (forward.shape == tte.shape == (n,) and (forward > 0.0).all() and (tte > 0.0).all()):
        raise ValueError(f"a fit needs {n} positive forward and tte, was {forward} and {tte}")
    forward, tte = (np.require(x, np.float64, ("C", "W")) for x in (forward, tte))
    status, rows = np.empty(n, np.int64), np.empty((n, sabr_fit.N_OUT))
    sabr_fit.fit_ragged(
        k, w, weight, offsets, float(beta), float(loss_scale), forward, tte, status, rows
    )
    return SabrFits(rows=rows, beta=beta, forward=forward, tte=tte, status=status)
