"""Calibration of a parameter set to a surface: what Heston's and Bates's models share.

Belongs here: from quotes to a calibrated, judged model. Not here: where a model's search starts and
its bounds (`heston`, `bates`), least squares (`heston_fit`), the quotes (`heston_quotes`).
"""

from abc import abstractmethod
from math import inf, sqrt
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math.affine_model import AffineModel, price_columns
from volsurf_math.broadcasting import FloatArray
from volsurf_math.heston_fit import (
    Calibration,
    CalibrationStatus,
    Coordinate,
    Objective,
    Optimum,
    Problem,
    from_free,
)
from volsurf_math.heston_quotes import Quoted, usable_quotes

OTHER_CONTOUR = {"agreement": 1e-8, "scale": 0.42, "step": 0.2}
LARGEST_DIFFERENCE = 1e-8  # between the contours, over the forward


class CalibratedModel(AffineModel):
    """An affine model that knows how to be fitted."""

    __slots__ = ()

    coordinates: ClassVar[tuple[Coordinate, ...]]

    @classmethod
    @abstractmethod
    def default_bounds(cls) -> tuple[Self, Self]:
        """Return the smallest and the largest of each parameter."""

    @classmethod
    @abstractmethod
    def search_all(cls, problem: Problem) -> list[Optimum]:
        """Return where searches from this model's own starts end, at least one."""

    @classmethod
    def calibrate(
        cls,
        forward: ArrayLike,
        strike: ArrayLike,
        tte: ArrayLike,
        quote: ArrayLike,
        is_call: ArrayLike,
        weight: ArrayLike = 1.0,
        *,
        quoted: Quoted = Quoted.PRICE,
        objective: Objective = Objective.VOLATILITY,
        start: Self | None = None,
        bounds: tuple[Self, Self] | None = None,
        feller_penalty: float = 0.0,
        noise_floor: float = inf,
        rng: np.random.Generator | None = None,
    ) -> Calibration[Self]:
        """Fit a surface by weighted least squares; all arrays broadcast.

        Parameters
        ----------
        forward, strike, tte : array
        quote : array
            Undiscounted price or Black's volatility, as `quoted` says. Rows without an implied
            volatility, or whose weight is not positive, are left out.
        is_call : array of bool
        weight : array
            Of the squared residual; only ratios matter.
        objective : Objective
            Residuals in volatility (price over vega, by default) or relative to the price.
        start, bounds : parameter set, pair of parameter sets, optional
            Where to begin (read off the smiles by default), and the smallest and largest of each
            parameter.
        feller_penalty : float
            Times the squared logarithm of sigma^2 / (2 kappa theta), where that exceeds 1.
        noise_floor : float
            Root mean square residual above which differential evolution looks elsewhere.
        rng : Generator, optional
            Its randomness; a fixed seed by default.

        Raises
        ------
        ValueError
            If the penalty is negative, or shapes do not broadcast.
        """
        if not feller_penalty >= 0.0:
            raise ValueError(f"feller_penalty needs to be >= 0, was {feller_penalty}")
        lower, upper = bounds or cls.default_bounds()
        problem = Problem(
            quotes=usable_quotes(forward, strike, tte, quote, is_call, weight, quoted),
            coordinates=cls.coordinates,
            lower=lower.parameters,
            upper=upper.parameters,
            objective=objective,
            feller_penalty=feller_penalty,
        )
        n_parameters = len(cls.coordinates)
        if problem.quotes.n < n_parameters:
            return Calibration(
                model=None,
                status=CalibrationStatus.TOO_FEW_QUOTES,
                n_quotes=problem.quotes.n,
                standard_errors=np.full(n_parameters, np.nan),
            )
        found = cls.search_all(problem) if start is None else [problem.search(start.parameters)]
        is_global = sqrt(min(optimum.cost for optimum in found)) > noise_floor
        if is_global:
            found.append(problem.search_everywhere(rng or np.random.default_rng(0)))
        return cls._judge(problem, found, is_global)

    @classmethod
    def _judge(cls, problem: Problem, found: list[Optimum], is_global: bool) -> Calibration[Self]:
        """Say of the best of several optima how well it fits, and price it on another contour."""
        best = min(found, key=lambda optimum: optimum.cost)
        quotes, (p, slope) = problem.quotes, from_free(best.q, problem.coordinates)
        price = quotes.price + best.residual[: quotes.n] / problem.factor
        again, _ = price_columns(p, quotes.columns, 0, **OTHER_CONTOUR)
        difference = float(np.max(np.abs(price - again) / quotes.columns[0]))
        error = (price - quotes.price) / quotes.vega
        total = float(quotes.weight.sum())
        spread = quotes.vol - float(quotes.weight @ quotes.vol) / total
        mean_square = float(quotes.weight @ (error * error)) / total
        variance = float(quotes.weight @ (spread * spread)) / total
        within = np.abs(price - quotes.price) <= 0.02 * quotes.price
        return Calibration(
            model=cls.from_parameters(p),
            status=_status(best, problem, difference),
            n_quotes=quotes.n,
            rmse=sqrt(mean_square),
            r_squared=1.0 - mean_square / variance if variance > 0.0 else float("nan"),
            share_within_2_pct=float(np.mean(within)),
            standard_errors=_standard_errors(best, quotes.n) * slope,
            largest_difference=difference,
            n_evaluations=sum(optimum.n_evaluations for optimum in found),
            is_global=is_global,
        )


def _status(best: Optimum, problem: Problem, difference: float) -> CalibrationStatus:
    if not difference < LARGEST_DIFFERENCE:
        return CalibrationStatus.CONTOURS_DISAGREE
    if not best.has_converged:
        return CalibrationStatus.NOT_CONVERGED
    lower, upper = problem.box
    if ((best.q <= lower) | (best.q >= upper)).any():
        return CalibrationStatus.AT_BOUND
    return CalibrationStatus.CONVERGED


def _standard_errors(best: Optimum, n_quotes: int) -> FloatArray:
    """Return the standard errors of free coordinates if residuals were independent."""
    n = best.q.size
    if n_quotes <= n:
        return np.full(n, np.nan)
    _, size, axes = np.linalg.svd(best.jacobian, full_matrices=False)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        inverse = ((axes / size[:, None]) ** 2).sum(axis=0)
        return np.sqrt(inverse * best.cost / (n_quotes - n))
