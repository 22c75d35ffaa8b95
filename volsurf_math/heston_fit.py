r"""Least squares for Heston's and Bates's models.

Levenberg-Marquardt with the analytic gradient in coordinates without bounds of their own: the
logarithm of what is positive, :math:`\rho/\sqrt{1 - \rho^2}`. Residuals are price differences
over vega, which are volatilities to first order, or over the quoted price.

Belongs here: the search, and how its outcome is told. Not here: a model's own parameters; quotes
and what is read off them before any fit (`heston_quotes`); from the one to the other
(`affine_calibration`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from functools import cached_property
from math import inf, isfinite, sqrt
from typing import Generic, TypeVar

import numpy as np

from volsurf_math.affine_model import AffineModel, price_columns
from volsurf_math.broadcasting import FloatArray
from volsurf_math.heston_quotes import Quotes

Model = TypeVar("Model", bound=AffineModel)
Residuals = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

AGREEMENT = 1e-6  # of the interleaved rules
MAX_EVALUATIONS = 120
LONGEST_STEP = 1.0  # in free coordinates: a factor of e


class CalibrationStatus(IntEnum):
    """Why a calibration ended. Stored in the lake, so never renumbered."""

    CONVERGED = 0
    TOO_FEW_QUOTES = 1
    NOT_CONVERGED = 2
    AT_BOUND = 3  # a parameter stands at its bound: the quotes do not determine it
    CONTOURS_DISAGREE = 4


class Objective(Enum):
    """What is made small: differences in volatility, or in price over the quoted price."""

    VOLATILITY = auto()
    RELATIVE_PRICE = auto()


class Coordinate(Enum):
    """How a parameter is made free of its bounds."""

    LOGARITHM = auto()
    CORRELATION = auto()
    PLAIN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration(Generic[Model]):
    """A calibrated model and how well it fits.

    `model` is None with TOO_FEW_QUOTES only. `rmse` is weighted, in volatility (price difference
    over vega); `r_squared` compares it with the spread of the quoted volatilities.
    """

    model: Model | None
    status: CalibrationStatus
    n_quotes: int
    rmse: float = float("nan")
    r_squared: float = float("nan")
    share_within_2_pct: float = float("nan")  # of the quoted price
    standard_errors: FloatArray
    largest_difference: float = float("nan")  # between two contours, over the forward
    n_evaluations: int = 0
    is_global: bool = False  # whether differential evolution was asked


def to_free(p: FloatArray, coordinates: tuple[Coordinate, ...]) -> FloatArray:
    """Return the free coordinates of parameters."""
    q = p.copy()
    for i, coordinate in enumerate(coordinates):
        if coordinate is Coordinate.LOGARITHM:
            q[i] = np.log(p[i])
        elif coordinate is Coordinate.CORRELATION:
            q[i] = p[i] / sqrt(1.0 - p[i] ** 2)
    return q


def from_free(q: FloatArray, coordinates: tuple[Coordinate, ...]) -> tuple[FloatArray, FloatArray]:
    """Return parameters and their derivatives by their free coordinates."""
    p, slope = q.copy(), np.ones_like(q)
    for i, coordinate in enumerate(coordinates):
        if coordinate is Coordinate.LOGARITHM:
            p[i] = slope[i] = np.exp(q[i])
        elif coordinate is Coordinate.CORRELATION:
            shrink = 1.0 / sqrt(1.0 + q[i] ** 2)
            p[i], slope[i] = q[i] * shrink, shrink**3
    return p, slope


@dataclass(slots=True)
class Optimum:
    """End of a least-squares search."""

    q: FloatArray
    residual: FloatArray
    jacobian: FloatArray
    n_evaluations: int
    has_converged: bool

    @property
    def cost(self) -> float:
        """Sum of squared residuals."""
        return float(self.residual @ self.residual)


def levenberg_marquardt(
    residuals: Residuals, start: FloatArray, lower: FloatArray, upper: FloatArray
) -> Optimum:
    """Minimise the sum of squares in a box; coordinates pressed against it are held.

    Damping follows the gain over the predicted one (Nielsen 1999, IMM-REP-1999-05).
    """
    best = Optimum(np.clip(start, lower, upper), *residuals(np.clip(start, lower, upper)), 1, False)
    damping, growth = 1e-2, 2.0
    while best.n_evaluations < MAX_EVALUATIONS and not best.has_converged:
        step, predicted = _damped_step(best, lower, upper, damping)
        q = np.clip(best.q + step, lower, upper)
        residual, jacobian = residuals(q)
        best.n_evaluations += 1
        cost, gain = best.cost, best.cost - float(residual @ residual)
        if gain > 0.0:
            best = Optimum(q, residual, jacobian, best.n_evaluations, False)
            share = min(gain / max(predicted, 1e-300), 1.0)
            damping *= max(0.1, 1.0 - (2.0 * share - 1.0) ** 3)
            damping, growth = max(damping, 1e-10), 2.0
        else:
            damping, growth = damping * growth, 2.0 * growth
        is_still = float(np.max(np.abs(step), initial=0.0)) < 1e-9
        best.has_converged = is_still or 0.0 <= gain < 1e-9 * cost or best.cost < 1e-22
    return best


def _damped_step(
    at: Optimum, lower: FloatArray, upper: FloatArray, damping: float
) -> tuple[FloatArray, float]:
    """Return the step, of limited length, and the decrease of cost that the linear model sees."""
    gradient = at.jacobian.T @ at.residual
    pressed = ((at.q <= lower) & (gradient > 0.0)) | ((at.q >= upper) & (gradient < 0.0))
    free = np.flatnonzero(~pressed)
    jacobian = at.jacobian[:, free]
    hessian = jacobian.T @ jacobian
    diagonal = hessian.reshape(-1)[:: free.size + 1]
    diagonal *= 1.0 + damping
    diagonal += 1e-300  # a parameter without effect stays where it is
    step = np.zeros_like(at.q)
    step[free] = -np.linalg.solve(hessian, gradient[free])
    step *= min(1.0, LONGEST_STEP / max(float(np.max(np.abs(step), initial=0.0)), 1e-300))
    linear = at.residual + at.jacobian @ step
    return step, at.cost - float(linear @ linear)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Quotes and how they are fitted; parameters in the order of the model's dataclass."""

    quotes: Quotes
    coordinates: tuple[Coordinate, ...]
    lower: FloatArray
    upper: FloatArray
    objective: Objective
    feller_penalty: float

    @cached_property
    def factor(self) -> FloatArray:
        """From a price difference to its residual: residuals are weighted and over sqrt(n)."""
        is_relative = self.objective is Objective.RELATIVE_PRICE
        unit = self.quotes.price if is_relative else self.quotes.vega
        return np.sqrt(self.quotes.weight / self.quotes.n) / unit

    @cached_property
    def box(self) -> tuple[FloatArray, FloatArray]:
        """Smallest and largest free coordinates."""
        return to_free(self.lower, self.coordinates), to_free(self.upper, self.coordinates)

    def residuals(self, q: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the residuals and their Jacobian in free coordinates."""
        p, slope = from_free(q, self.coordinates)
        quotes = self.quotes
        price, gradient = price_columns(p, quotes.columns, p.size, AGREEMENT)
        residual = self.factor * (price - quotes.price)
        gradient *= self.factor[:, None]
        jacobian = gradient * slope
        if self.feller_penalty == 0.0:
            return residual, jacobian
        lack = 2.0 * q[2] - q[0] - q[1] - np.log(2.0)  # ln(sigma^2 / (2 kappa theta))
        row = np.zeros((1, q.size))
        if lack > 0.0:
            row[0, :3] = sqrt(self.feller_penalty) * np.array([-1.0, -1.0, 2.0])
        penalty = sqrt(self.feller_penalty) * max(lack, 0.0)
        return np.append(residual, penalty), np.concatenate((jacobian, row))

    def search(self, start: FloatArray) -> Optimum:
        """Least squares from parameters `start`."""
        return levenberg_marquardt(self.residuals, to_free(start, self.coordinates), *self.box)

    def search_everywhere(self, rng: np.random.Generator) -> Optimum:
        """Differential evolution over the box, then least squares."""
        from scipy.optimize import differential_evolution

        def cost(q: FloatArray) -> float:
            residual, _ = self.residuals(q)
            total = float(residual @ residual)
            return total if isfinite(total) else inf

        found = differential_evolution(
            cost, list(zip(*self.box, strict=True)), maxiter=60, popsize=8, polish=False, rng=rng
        )
        return self.search(from_free(found.x, self.coordinates)[0])
