"""SABR fitted to many slices at once, as arrays.

Belongs here: the loop over ragged slices and its outcome. Not here: one smile (`sabr`).
"""

import math
from dataclasses import dataclass

import numpy as np

from volsurf_math.broadcasting import float_columns
from volsurf_math.smiles import sabr_fit
from volsurf_math.smiles.base import FloatArray, IntArray
from volsurf_math.smiles.sabr import SabrFit, check_fit, outcome, units


@dataclass(frozen=True, slots=True, kw_only=True)
class SabrFits:
    """Many fitted smiles as arrays whose first axis is the slice; NaN where `status` is not 0."""

    parameters: FloatArray  # (n, 3) in (alpha, rho, nu)
    beta: float
    forward: FloatArray
    tte: FloatArray
    covariance: FloatArray  # (n, 3, 3)
    status: IntArray  # FitStatus
    rmse: FloatArray  # weighted, in total variance
    cost: FloatArray
    n_points: IntArray
    n_evaluations: IntArray

    def __len__(self) -> int:
        """Count the slices."""
        return self.status.size

    def __getitem__(self, i: int) -> SabrFit:
        """Return slice `i` with its smile."""
        return outcome(
            self.parameters[i],
            self.covariance[i],
            int(self.status[i]),
            np.array([self.cost[i], self.rmse[i]]),
            np.array([self.n_points[i], self.n_evaluations[i]]),
            beta=self.beta,
            forward=float(self.forward[i]),
            tte=float(self.tte[i]),
        )


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
    offsets = np.ascontiguousarray(offsets, dtype=np.int64)
    if offsets.size < 1 or offsets[0] < 0 or offsets[-1] > k.size or (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets need to rise from 0 to at most {k.size}, was {offsets}")
    n = offsets.size - 1
    if not (forward.shape == tte.shape == (n,) and (forward > 0.0).all() and (tte > 0.0).all()):
        raise ValueError(f"a fit needs {n} positive forward and tte, was {forward} and {tte}")
    parameters, covariance = np.full((n, 3), np.nan), np.full((n, 3, 3), np.nan)
    status, value = np.empty(n, np.int64), np.full((n, 2), np.nan)
    count = np.zeros((n, 2), np.int64)
    sabr_fit.fit_ragged(
        k, w, weight, offsets, float(beta), float(loss_scale),
        parameters, covariance, status, value, count,
    )  # fmt: skip
    pairs = [units(beta, *slice_) for slice_ in zip(forward.tolist(), tte.tolist(), strict=True)]
    unit = np.array([(to_alpha, 1.0, to_nu) for to_alpha, to_nu in pairs]).reshape(n, 3)
    return SabrFits(
        parameters=parameters * unit,
        beta=beta,
        forward=forward,
        tte=tte,
        covariance=covariance * unit[:, :, None] * unit[:, None, :],
        status=status,
        rmse=value[:, 1],
        cost=value[:, 0],
        n_points=count[:, 0],
        n_evaluations=count[:, 1],
    )
