r"""Calibration of Heston's and Bates's models: quotes, start, least squares, and how good it is.

Levenberg-Marquardt with the analytic gradient in coordinates without bounds of their own: the
logarithm of what is positive, :math:`\rho/\sqrt{1 - \rho^2}`. Residuals are price differences
over vega, which are volatilities to first order, or over the quoted price. The optimum is priced
again on another contour: errors of a quadrature would otherwise hide in the parameters.

Belongs here: what all affine models share. Not here: a model's own parameters and start.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import Enum, IntEnum, auto
from math import inf, sqrt
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math.affine_model import AffineModel, price_columns
from volsurf_math.black import undiscounted_price
from volsurf_math.broadcasting import FloatArray, float_columns, payoff_sign
from volsurf_math.greeks import black_greeks
from volsurf_math.implied_vol import implied_vol

Model = TypeVar("Model", bound=AffineModel)
Residuals = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

AGREEMENT = 1e-6  # of the interleaved rules
OTHER_CONTOUR = {"agreement": 1e-8, "scale": 0.42, "step": 0.2}
LARGEST_DIFFERENCE = 1e-8  # between the contours, over the forward
SMALLEST_VEGA = 0.01  # of that at the money: past three deviations, prices are what is fitted
NEAREST = 8  # strikes of an expiry that its level and slope are read off
MAX_EVALUATIONS = 120
TYPICAL = (2.0, 0.04, 0.3, -0.7, 0.04)  # kappa, theta, sigma, rho, v0 of an equity index
LONGEST_STEP = 1.0  # in free coordinates: a factor of e


class CalibrationStatus(IntEnum):
    """Why a calibration ended. Stored in the lake, so never renumbered."""

    CONVERGED = 0
    TOO_FEW_QUOTES = 1
    NOT_CONVERGED = 2
    AT_BOUND = 3  # a parameter stands at its bound: the quotes do not determine it
    CONTOURS_DISAGREE = 4


class Quoted(Enum):
    """What quotes are: undiscounted prices, or Black's volatilities."""

    PRICE = auto()
    IMPLIED_VOL = auto()


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes:
    """Usable quotes, sorted by expiry, each of shape (n_quotes,)."""

    columns: list[FloatArray]  # forward, strike, tte, payoff sign
    price: FloatArray
    vol: FloatArray
    vega: FloatArray
    weight: FloatArray

    @property
    def n(self) -> int:
        """Count the quotes."""
        return self.price.size


def usable_quotes(
    forward: ArrayLike,
    strike: ArrayLike,
    tte: ArrayLike,
    quote: ArrayLike,
    is_call: ArrayLike,
    weight: ArrayLike,
    quoted: Quoted,
) -> Quotes:
    """Return the rows that have a positive weight and an implied volatility."""
    _, columns = float_columns(forward, strike, tte, payoff_sign(is_call), quote, weight)
    f, k, t, sign, value, w = columns
    if quoted is Quoted.PRICE:
        price, vol = value, implied_vol(value, f, k, t, 1.0, sign > 0.0)[0]
    else:
        vol = np.where((value > 0.0) & (t > 0.0), value, np.nan)
        price = undiscounted_price(f, k, vol * vol * t, sign > 0.0)
    is_usable = np.isfinite(vol) & np.isfinite(price) & (price > 0.0) & (w > 0.0) & (w < inf)
    rows = np.flatnonzero(is_usable)
    rows = rows[np.argsort(t[rows], kind="stable")]
    f, k, t, sign, price, vol, w = (x[rows] for x in (f, k, t, sign, price, vol, w))
    vega = black_greeks(f, k, t, vol, 1.0, sign > 0.0).vega
    least = SMALLEST_VEGA * f * np.sqrt(t / (2.0 * np.pi))
    return Quotes(
        columns=[f, k, t, sign],
        price=price,
        vol=vol,
        vega=np.maximum(vega, least),
        weight=w / np.mean(w) if w.size else w,
    )


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
            damping *= max(0.1, 1.0 - (2.0 * gain / max(predicted, 1e-300) - 1.0) ** 3)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Quotes and how they are fitted; parameters in the order of the model's dataclass."""

    quotes: Quotes
    coordinates: tuple[Coordinate, ...]
    lower: FloatArray
    upper: FloatArray
    objective: Objective
    feller_penalty: float

    @property
    def factor(self) -> FloatArray:
        """From a price difference to its residual: residuals are weighted and over sqrt(n)."""
        is_relative = self.objective is Objective.RELATIVE_PRICE
        unit = self.quotes.price if is_relative else self.quotes.vega
        return np.sqrt(self.quotes.weight / self.quotes.n) / unit

    def residuals(self, q: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the residuals and their Jacobian in free coordinates."""
        p, slope = from_free(q, self.coordinates)
        quotes = self.quotes
        price, gradient = price_columns(p, quotes.columns, p.size, AGREEMENT)
        factor = self.factor
        residual = factor * (price - quotes.price)
        jacobian = factor[:, None] * gradient * slope
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
        bounds = (to_free(bound, self.coordinates) for bound in (self.lower, self.upper))
        return levenberg_marquardt(self.residuals, to_free(start, self.coordinates), *bounds)

    def search_everywhere(self, rng: np.random.Generator) -> Optimum:
        """Differential evolution over the box, then least squares."""
        from scipy.optimize import differential_evolution

        def cost(q: FloatArray) -> float:
            residual, _ = self.residuals(q)
            return float(residual @ residual)

        lower, upper = (to_free(bound, self.coordinates) for bound in (self.lower, self.upper))
        found = differential_evolution(
            cost, list(zip(lower, upper, strict=True)), maxiter=60, popsize=8, polish=False, rng=rng
        )
        return self.search(from_free(found.x, self.coordinates)[0])


def calibrate_model(
    kind: type[Model],
    problem: Problem,
    starts: list[FloatArray],
    noise_floor: float,
    rng: np.random.Generator | None,
) -> Calibration[Model]:
    """Search from `starts`, elsewhere if that ends above the noise floor, and judge the best."""
    quotes, names = problem.quotes, [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if quotes.n < len(names):
        return Calibration(
            model=None,
            status=CalibrationStatus.TOO_FEW_QUOTES,
            n_quotes=quotes.n,
            standard_errors=np.full(len(names), np.nan),
        )
    found = [problem.search(start) for start in starts]
    is_global = sqrt(min(optimum.cost for optimum in found)) > noise_floor
    if is_global:
        found.append(problem.search_everywhere(rng or np.random.default_rng(0)))
    best = min(found, key=lambda optimum: optimum.cost)
    p, slope = from_free(best.q, problem.coordinates)
    price = quotes.price + best.residual[: quotes.n] / problem.factor
    again, _ = price_columns(p, quotes.columns, 0, **OTHER_CONTOUR)
    difference = float(np.max(np.abs(price - again) / quotes.columns[0]))
    error = (price - quotes.price) / quotes.vega
    spread = quotes.vol - np.average(quotes.vol, weights=quotes.weight)
    mean_square = float(np.average(error * error, weights=quotes.weight))
    variance = float(np.average(spread * spread, weights=quotes.weight))
    within = np.abs(price - quotes.price) <= 0.02 * quotes.price
    return Calibration(
        model=kind(**dict(zip(names, p.tolist(), strict=True))),
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
    lower, upper = (to_free(bound, problem.coordinates) for bound in (problem.lower, problem.upper))
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


def start_from_smiles(quotes: Quotes) -> FloatArray:
    """Guess Heston's parameters from level and slope of the quoted smiles.

    Mean variance to T is theta + (v0 - theta) h and the slope of implied variance at the money
    rho sigma (1 - h) / (kappa T), with h = (1 - exp(-kappa T)) / (kappa T); kappa is the best of a
    few, and the correlation -0.6 or 0.6.
    """
    if quotes.n == 0:
        return np.array(TYPICAL)
    forward, strike, tte, _ = quotes.columns
    k = np.log(strike / forward)
    expiries = np.unique(tte)
    level, slope = np.empty(expiries.size), np.empty(expiries.size)
    for i, t in enumerate(expiries):
        rows = tte == t
        near = np.argsort(np.abs(k[rows]))[:NEAREST]
        x, variance = k[rows][near], quotes.vol[rows][near] ** 2
        from_mean, mean = x - np.mean(x), np.mean(variance)
        spread = float(from_mean @ from_mean)
        slope[i] = from_mean @ variance / spread if spread > 0.0 else np.nan
        at_money = mean - slope[i] * np.mean(x)
        level[i] = at_money if at_money > 0.0 else mean
    kappa, theta, v0 = _term_structure(expiries, level)
    fade = (1.0 - _mean_reversion(kappa, expiries)) / (kappa * expiries)
    product = float(np.nanmedian(slope / fade)) if np.isfinite(slope).any() else -0.3
    sigma = min(max(abs(product) / 0.6, 0.2), 1.5)
    rho = min(max(product / sigma, -0.8), 0.8)
    return np.array([kappa, theta, sigma, rho, v0])


def _mean_reversion(kappa: FloatArray | float, tte: FloatArray) -> FloatArray:
    return -np.expm1(-kappa * tte) / (kappa * tte)


def _term_structure(tte: FloatArray, variance: FloatArray) -> tuple[float, float, float]:
    """Return the kappa, theta and v0 that fit mean variances best."""
    mean = float(np.mean(variance))
    if tte.size < 3:
        return 2.0, float(variance[-1]), float(variance[0])
    kappa = np.array([[0.5], [1.0], [2.0], [4.0], [8.0]])
    h = _mean_reversion(kappa, tte)
    spread = h - h.mean(axis=1, keepdims=True)
    slope = np.sum(spread * variance, axis=1) / np.sum(spread * spread, axis=1)
    theta = np.clip(mean - slope * h.mean(axis=1), 0.2 * mean, 5.0 * mean)
    v0 = np.clip(theta + slope, 0.2 * mean, 5.0 * mean)
    misfit = theta[:, None] + (v0 - theta)[:, None] * h - variance
    best = int(np.argmin(np.sum(misfit * misfit, axis=1)))
    return float(kappa[best, 0]), float(theta[best]), float(v0[best])
