r"""Raw SVI: w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)).

Belongs here: the parameter set, what it answers, and the fit of one or many slices. The kernels
behind them are `svi_projection` (least squares), `svi_conditions` and `svi_guard` (no arbitrage),
`svi_fit` (one slice from quotes to error bars) and `svi_quantities` (delta volatilities).

References
----------
.. [GJ14] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces",
   Quantitative Finance 14(1), 59-71. Eq. (3.1), (3.2), (3.5), Lemma 3.2.
"""

import math
from dataclasses import asdict, astuple, dataclass
from enum import IntEnum

import numpy as np

from volsurf_math.smiles import svi_conditions, svi_guard
from volsurf_math.smiles.base import (
    Fit,
    FitStatus,
    FloatArray,
    IntArray,
    check_shapes,
    slice_offsets,
)
from volsurf_math.smiles.svi_fit import MIN_POINTS, Loss, fit_ragged
from volsurf_math.smiles.svi_forms import (
    JumpWings,
    NaturalSvi,
    natural_of,
    raw_of_jump_wings,
    raw_of_natural,
)
from volsurf_math.smiles.svi_quantities import SmileQuantities, smile_quantities

_NO_FLOOR = np.full(7, np.nan)  # parameters, and the range of k on which they bind
MAX_ITERATIONS = 1000
TOLERANCE = 1e-7


class Repair(IntEnum):
    """What the arbitrage guard did to a fit. Stored in the lake, so never renumber."""

    NOT_NEEDED = svi_guard.NOT_NEEDED
    REPAIRED = svi_guard.REPAIRED  # constrained least squares
    BACK_STOP = svi_guard.BACK_STOP  # cheapest feasible smile on a coarse grid
    FAILED = svi_guard.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class RawSvi:
    """Five named numbers. Keyword-only: libraries disagree on their order."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float

    def __post_init__(self) -> None:
        """Refuse what is no raw SVI."""
        if not (self.b >= 0.0 and self.sigma > 0.0 and abs(self.rho) < 1.0):
            raise ValueError(f"raw SVI needs b >= 0, sigma > 0 and |rho| < 1, was {asdict(self)}")

    def total_variance(self, k: FloatArray) -> FloatArray:
        """Total variance (vol^2 * years) at log-moneyness `k`; same shape as `k`."""
        x = k - self.m
        return self.a + self.b * (self.rho * x + np.hypot(x, self.sigma))

    def slope(self, k: FloatArray) -> FloatArray:
        """First derivative of total variance in `k`."""
        x = k - self.m
        return self.b * (self.rho + x / np.hypot(x, self.sigma))

    def curvature(self, k: FloatArray) -> FloatArray:
        """Second derivative of total variance in `k`."""
        return self.b * self.sigma**2 / np.hypot(k - self.m, self.sigma) ** 3

    @property
    def min_total_variance(self) -> float:
        """Smallest total variance on the whole line."""
        return self.a + self.b * self.sigma * math.sqrt(1.0 - self.rho**2)

    @property
    def left_slope(self) -> float:
        """Limit of -dw/dk for k to minus infinity; above 2 the wing has arbitrage (Lee 2004)."""
        return self.b * (1.0 - self.rho)

    @property
    def right_slope(self) -> float:
        """Limit of dw/dk for k to infinity; above 2 the wing has arbitrage (Lee 2004)."""
        return self.b * (1.0 + self.rho)

    def durrleman_g(self, k: FloatArray) -> FloatArray:
        """Density factor at `k`; negative means butterfly arbitrage, NaN where w <= 0."""
        from volsurf_math.arbitrage import durrleman_g

        return durrleman_g(k, self.total_variance(k), self.slope(k), self.curvature(k))

    def min_durrleman_g(self) -> float:
        """Infimum of the density factor on the whole line; -1 if total variance reaches zero."""
        g, _ = svi_conditions.min_g(self.a, self.b, self.rho, self.m, self.sigma, math.inf)
        return float(g)

    @property
    def is_butterfly_free(self) -> bool:
        """Whether density is non-negative on the whole line and the wings obey Lee's bound."""
        return max(self.left_slope, self.right_slope) <= 2.0 and self.min_durrleman_g() >= 0.0

    def to_natural(self) -> NaturalSvi:
        """Return natural parameters; needs b > 0."""
        return natural_of(self.a, self.b, self.rho, self.m, self.sigma)

    @classmethod
    def from_natural(cls, natural: NaturalSvi) -> "RawSvi":
        """Inverse of `to_natural`."""
        a, b, rho, m, sigma = raw_of_natural(natural)
        return cls(a=a, b=b, rho=rho, m=m, sigma=sigma)

    def to_jump_wings(self, tte: float) -> JumpWings:
        """Return jump-wing parameters at `tte` years; needs w(0) > 0."""
        at_money = float(self.total_variance(np.array(0.0)))
        if not (at_money > 0.0 and tte > 0.0):
            raise ValueError(f"jump wings need w(0) > 0 and tte > 0, was {at_money} and {tte}")
        root = math.sqrt(at_money)
        return JumpWings(
            v=at_money / tte,
            psi=0.5 * self.b / root * (self.rho - self.m / math.hypot(self.m, self.sigma)),
            p=self.left_slope / root,
            c=self.right_slope / root,
            v_tilde=self.min_total_variance / tte,
            tte=tte,
        )

    @classmethod
    def from_jump_wings(cls, wings: JumpWings) -> "RawSvi":
        """Inverse of `to_jump_wings`.

        The level of sigma comes from v - v_tilde, at m = 0 by a formula of its own. Wings whose
        minimum lies at the money (v = v_tilde) leave sigma open, and raise.
        """
        a, b, rho, m, sigma = raw_of_jump_wings(wings)
        return cls(a=a, b=b, rho=rho, m=m, sigma=sigma)

    def quantities(self, tte: float) -> SmileQuantities:
        """Volatility at the money and at 25 delta, `tte` years before expiry (arrays of one)."""
        unknown = np.full((1, 5, 5), np.nan)
        return smile_quantities(np.array([astuple(self)]), unknown, np.array([tte]))

    @classmethod
    def fit(
        cls,
        k: FloatArray,
        w: FloatArray,
        weight: FloatArray,
        *,
        loss: Loss = Loss.LINEAR,
        loss_scale: float = 1.0,
        is_guarded: bool = True,
        floor: "RawSvi | None" = None,
        min_points: int = MIN_POINTS,
    ) -> "SviFit":
        """Fit one slice; see `fit_slices`, of which this is the case of one slice."""
        fits = fit_slices(
            k, w, weight, np.array([0, k.size]), loss=loss, loss_scale=loss_scale,
            is_guarded=is_guarded, floor=floor, min_points=min_points,
        )  # fmt: skip
        return fits[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class SviFit(Fit):
    """One fitted slice with its diagnostics."""

    smile: RawSvi | None
    covariance: FloatArray  # (5, 5) in (a, b, rho, m, sigma)
    cost: float  # weighted sum of squares, robust weights
    free_cost: float  # the same before the arbitrage guard
    min_durrleman_g: float
    repair: Repair
    n_points: int
    n_evaluations: int
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFits:
    """Many fitted slices as arrays whose first axis is the slice; NaN where `status` is not 0."""

    parameters: FloatArray  # (n, 5) in (a, b, rho, m, sigma)
    covariance: FloatArray  # (n, 5, 5)
    status: IntArray  # FitStatus
    rmse: FloatArray  # weighted, in total variance
    cost: FloatArray
    free_cost: FloatArray
    min_durrleman_g: FloatArray
    repair: IntArray
    n_points: IntArray
    n_evaluations: IntArray
    start: IntArray

    def __len__(self) -> int:
        """Count the slices."""
        return self.status.size

    def __getitem__(self, i: int) -> SviFit:
        """Return slice `i` with its smile."""
        status = FitStatus(self.status[i])
        smile = None
        if status is FitStatus.CONVERGED:
            a, b, rho, m, sigma = self.parameters[i].tolist()
            smile = RawSvi(a=a, b=b, rho=rho, m=m, sigma=sigma)
        return SviFit(
            smile=smile,
            status=status,
            rmse=float(self.rmse[i]),
            covariance=self.covariance[i],
            cost=float(self.cost[i]),
            free_cost=float(self.free_cost[i]),
            min_durrleman_g=float(self.min_durrleman_g[i]),
            repair=Repair(self.repair[i]),
            n_points=int(self.n_points[i]),
            n_evaluations=int(self.n_evaluations[i]),
            start=int(self.start[i]),
        )

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
    check_shapes(k, w, weight)
    if not loss_scale > 0.0:
        raise ValueError(f"loss_scale needs to be positive, was {loss_scale}")
    quotes = np.empty((3, k.size))
    quotes[0], quotes[1], quotes[2] = k, w, weight
    offsets = slice_offsets(offsets, k.size)
    n = offsets.size - 1
    parameters, covariance = np.full((n, 5), np.nan), np.full((n, 5, 5), np.nan)
    status, value = np.empty(n, np.int64), np.full((n, 4), np.nan)
    count = np.zeros((n, 4), np.int64)
    bounds = _NO_FLOOR if floor is None else np.array([*astuple(floor), -np.inf, np.inf])
    limits = np.array([max_iterations, tolerance])
    is_guarded = is_guarded or is_calendar_free or floor is not None
    fit_ragged(
        quotes[0], quotes[1], quotes[2], offsets, int(loss), float(loss_scale), limits, is_guarded,
        is_calendar_free, bounds, min_points, parameters, covariance, status, value, count,
    )  # fmt: skip
    return SliceFits(
        parameters=parameters,
        covariance=covariance,
        status=status,
        rmse=value[:, 3],
        cost=value[:, 0],
        free_cost=value[:, 1],
        min_durrleman_g=value[:, 2],
        repair=count[:, 3],
        n_points=count[:, 0],
        n_evaluations=count[:, 1],
        start=count[:, 2],
    )
