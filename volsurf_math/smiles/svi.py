r"""Raw SVI: w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)).

Belongs here: the parameter set, what it answers, and the fit of one slice. Many at once are fitted
by `svi_slices`. The kernels behind them are `svi_projection` (least squares), `svi_conditions` and
`svi_guard` (no arbitrage), `svi_fit` (one slice from quotes to error bars) and `svi_quantities`
(delta volatilities).

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
from volsurf_math.smiles.base import Fit, FitStatus, FloatArray, IntArray, check_shapes
from volsurf_math.smiles.svi_fit import MIN_POINTS, N_COUNTS, N_OUT, Loss, fit_ragged
from volsurf_math.smiles.svi_forms import (
    JumpWings,
    NaturalSvi,
    natural_of,
    raw_of_jump_wings,
    raw_of_natural,
)
from volsurf_math.smiles.svi_quantities import SmileQuantities, smile_quantities

NO_FLOOR = np.full(7, np.nan)  # parameters, and the range of k on which they bind
MAX_ITERATIONS = 1000
TOLERANCE = 1e-7
_LIMITS = np.array([MAX_ITERATIONS, TOLERANCE])


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
        """Fit one slice; `svi_slices.fit_slices` does the same to many, and says more."""
        quotes = quote_rows(k, w, weight, loss_scale)
        row, count = np.empty((1, N_OUT)), np.empty((1, N_COUNTS), np.int64)
        fit_ragged(
            quotes, np.array([0, k.size]), int(loss), float(loss_scale), _LIMITS,
            is_guarded or floor is not None, False, floor_row(floor), min_points, row, count,
        )  # fmt: skip
        return outcome(row[0], count[0])


def quote_rows(k: FloatArray, w: FloatArray, weight: FloatArray, loss_scale: float) -> FloatArray:
    """Return k, w and weight as rows, or raise where a fit of them cannot be meant."""
    check_shapes(k, w, weight)
    if not loss_scale > 0.0:
        raise ValueError(f"loss_scale needs to be positive, was {loss_scale}")
    quotes = np.empty((3, k.size))
    quotes[0], quotes[1], quotes[2] = k, w, weight
    return quotes


def floor_row(floor: RawSvi | None) -> FloatArray:
    """Return a floor that holds on the whole line as the kernels take it."""
    return NO_FLOOR if floor is None else np.array([*astuple(floor), -np.inf, np.inf])


@dataclass(frozen=True, slots=True, kw_only=True)
class SviFit(Fit):
    """One fitted slice with its diagnostics."""

    smile: RawSvi | None
    row: FloatArray  # (34,) and (5,) as `svi_fit.fit_ragged` fills them
    count: IntArray

    @property
    def covariance(self) -> FloatArray:
        """Covariance of (a, b, rho, m, sigma), shape (5, 5)."""
        return self.row[5:30].reshape(5, 5)

    @property
    def cost(self) -> float:
        """Weighted sum of squares, robust weights."""
        return float(self.row[30])

    @property
    def free_cost(self) -> float:
        """The same before the arbitrage guard."""
        return float(self.row[31])

    @property
    def min_durrleman_g(self) -> float:
        """Smallest density factor on the whole line."""
        return float(self.row[32])

    @property
    def repair(self) -> Repair:
        """What the arbitrage guard did."""
        return Repair(int(self.count[3]))

    @property
    def n_points(self) -> int:
        """Count the quotes that took part."""
        return int(self.count[0])

    @property
    def n_evaluations(self) -> int:
        """Count the evaluations of the slice."""
        return int(self.count[1])

    @property
    def start(self) -> int:
        """Place of the start that won; -1 where none did."""
        return int(self.count[2])


def outcome(row: FloatArray, count: IntArray) -> SviFit:
    """Gather what `svi_fit.fit_ragged` says of one slice."""
    status, smile = FitStatus(int(count[4])), None
    if status is FitStatus.CONVERGED:
        a, b, rho, m, sigma = row[:5].tolist()
        smile = RawSvi(a=a, b=b, rho=rho, m=m, sigma=sigma)
    return SviFit(smile=smile, status=status, rmse=float(row[33]), row=row, count=count)
