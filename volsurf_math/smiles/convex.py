r"""A smile without a model: the arbitrage-free price curve nearest to the quotes.

Prices are a mixture of lognormals on a fixed grid of means,
:math:`c(K) = \sum_j q_j B(F_j, K, v_j)` with :math:`q_j \ge 0`, :math:`\sum_j q_j = 1` and
:math:`\sum_j q_j F_j = F`. Any such curve is convex, decreasing and free of butterfly arbitrage on
the whole line, and narrow kernels come near to any smile. Distance to the quotes, in total variance
to first order, and roughness of the masses against those of the quoted smile are convex in q, so
that a quadratic programme finds the best one.

This is the benchmark curve that parametric smiles are compared with; a fit takes tens of
milliseconds. It needs cvxpy, which is imported when a smile is fitted, and compiled prices, which
are loaded when a smile is read.

Belongs here: the curve and its fit.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math.smiles.base import Fit, FitStatus, FloatArray, usable_quotes

MIN_POINTS = 5
ROUGHNESS = 1e-8  # price of second differences of masses, against relative squared errors
_SPACING = 0.15  # of narrow kernels, in standard deviations at the money
_WIDTH = 0.22
_MOST_KERNELS = 150
_PAD = 4.0  # standard deviations beyond the quotes
_WIDE = (1.0, 2.0)  # of the largest quoted variance: kernels that carry the far wings
_LEAST_WIDE = 1e-7
_LEAST_PRICE = 1e-250
_LEAST_QUOTE = 1e-12  # of the forward: below it neither a price nor its slope says anything


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvexSmile:
    """A mixture of lognormals: log means, total variances and masses, over a forward of 1."""

    log_mean: tuple[float, ...]
    variance: tuple[float, ...]
    mass: tuple[float, ...]

    def price(self, k: FloatArray) -> FloatArray:
        """Out-of-the-money price over the forward (put for k < 0, else call), undiscounted."""
        k = np.asarray(k, dtype=np.float64)
        kernels = _kernel_prices(k, np.array(self.log_mean), np.array(self.variance))
        return np.asarray(kernels @ np.array(self.mass))

    def density(self, k: FloatArray) -> FloatArray:
        """Risk-neutral density of the log-return at `k`; never negative."""
        spread = np.sqrt(np.array(self.variance))
        z = (np.asarray(k)[..., None] - np.array(self.log_mean)) / spread + 0.5 * spread
        return np.exp(-0.5 * z * z) / (spread * np.sqrt(2.0 * np.pi)) @ np.array(self.mass)

    def total_variance(self, k: FloatArray) -> FloatArray:
        """Total variance (vol^2 * years) at log-moneyness `k`; same shape as `k`.

        Level where prices fall below 1e-250 of the forward.
        """
        k = np.asarray(k, dtype=np.float64)
        price = self.price(k)
        reach = k
        for _ in range(60):
            if (price >= _LEAST_PRICE).all():
                break
            reach = np.where(price >= _LEAST_PRICE, reach, 0.9 * reach)
            price = self.price(reach)
        from volsurf_math.implied_vol import implied_vol

        vol, _ = implied_vol(price, 1.0, np.exp(reach), 1.0, 1.0, reach >= 0.0)
        return vol * vol

    @classmethod
    def fit(
        cls,
        k: FloatArray,
        w: FloatArray,
        weight: FloatArray,
        *,
        roughness: float = ROUGHNESS,
        inside_cost: float = 1.0,
    ) -> Fit:
        """Fit to quoted total variances `w` at `k`, all of shape (n_quotes,).

        Parameters
        ----------
        roughness : float
            Price of wiggles in the density.
        inside_cost : float
            With weight = 1/half-spread^2: cost of errors within the spread, of what they cost in
            least squares; 0 asks for the smoothest curve between bid and ask.
        """
        keep = usable_quotes(k, w, weight)
        k, w, weight = k[keep], w[keep], weight[keep]
        is_priced = _lognormal_price(1.0, np.exp(k), w, k >= 0.0) > _LEAST_QUOTE
        is_priced &= _price_slope(k, w) > _LEAST_QUOTE
        k, w, weight = k[is_priced], w[is_priced], weight[is_priced]
        if np.unique(k).size < MIN_POINTS:
            return Fit(smile=None, status=FitStatus.TOO_FEW_POINTS)
        log_mean, variance, prior = _kernels(k, w)
        mass = _quadratic_programme(k, w, weight, log_mean, variance, prior, roughness, inside_cost)
        if mass is None:
            return Fit(smile=None, status=FitStatus.NOT_CONVERGED)
        smile = cls(
            log_mean=tuple(log_mean.tolist()),
            variance=tuple(variance.tolist()),
            mass=tuple(mass.tolist()),
        )
        error = smile.total_variance(k) - w
        rmse = float(np.sqrt(np.sum(weight * error**2) / np.sum(weight)))
        if not np.isfinite(rmse):
            return Fit(smile=None, status=FitStatus.NOT_CONVERGED)
        return Fit(smile=smile, status=FitStatus.CONVERGED, rmse=rmse)


def _price_slope(k: FloatArray, w: FloatArray) -> FloatArray:
    """Derivative of the price over the forward in total variance."""
    root = np.sqrt(w)
    d1 = -k / root + 0.5 * root
    return np.exp(-0.5 * d1 * d1) / (2.0 * np.sqrt(2.0 * np.pi) * root)


def _lognormal_price(
    forward: ArrayLike, strike: ArrayLike, w: ArrayLike, is_call: ArrayLike
) -> FloatArray:
    """Undiscounted price; compiled kernels are loaded when the first one is asked for."""
    from volsurf_math.black import undiscounted_price

    return np.asarray(undiscounted_price(forward, strike, w, is_call))


def _kernel_prices(k: FloatArray, log_mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Out-of-the-money price of each kernel, shape (*k.shape, n_kernels)."""
    strike, is_call = np.exp(k)[..., None], (k >= 0.0)[..., None]
    return _lognormal_price(np.exp(log_mean), strike, variance, is_call)


def _kernels(k: FloatArray, w: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log means, variances and prior masses: the narrow kernels by rising mean, then wide ones."""
    order = np.argsort(k)
    sd = float(np.sqrt(np.interp(0.0, k[order], w[order])))
    low, high = min(k.min(), 0.0) - _PAD * sd, max(k.max(), 0.0) + _PAD * sd
    n = min(int((high - low) / (_SPACING * sd)) + 2, _MOST_KERNELS)
    narrow = np.linspace(low, high, n)
    width = _WIDTH / _SPACING * (narrow[1] - narrow[0])
    level = np.interp(narrow, k[order], w[order])
    d2 = -narrow / np.sqrt(level) - 0.5 * np.sqrt(level)
    prior = np.exp(-0.5 * d2 * d2) / np.sqrt(level) + 1e-12
    wide = np.array(_WIDE) * float(w.max())
    return (
        np.concatenate((narrow, np.zeros(wide.size))),
        np.concatenate((np.full(n, width**2), wide)),
        np.concatenate((prior / prior.sum(), np.full(wide.size, 0.01))),
    )


def _quadratic_programme(
    k: FloatArray, w: FloatArray, weight: FloatArray, log_mean: FloatArray, variance: FloatArray,
    prior: FloatArray, roughness: float, inside_cost: float,
) -> FloatArray | None:  # fmt: skip
    """Masses of the kernels; None if the solver fails."""
    cp = _cvxpy()
    quoted = _lognormal_price(1.0, np.exp(k), w, k >= 0.0)
    scale = np.sqrt(weight) / _price_slope(k, w)
    relative = cp.Variable(prior.size, nonneg=True)  # masses over their prior: all of order one
    design = scale[:, None] * _kernel_prices(k, log_mean, variance) * prior
    error = design @ relative - scale * quoted
    total = float(np.sum(weight * w * w))
    cost = inside_cost * cp.sum_squares(error)
    if inside_cost < 1.0:
        cost += (1.0 - inside_cost) * cp.sum_squares(cp.pos(cp.abs(error) - 1.0))
    n = prior.size - len(_WIDE)
    wiggle = cp.sum_squares(cp.diff(relative[:n], 2))
    conditions = [
        prior @ relative == 1.0,
        (prior * np.exp(log_mean)) @ relative == 1.0,
        cp.multiply(prior[n:], relative[n:]) >= _LEAST_WIDE,
    ]
    problem = cp.Problem(cp.Minimize(cost / total + roughness * wiggle), conditions)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Solution may be inaccurate")  # the status says so too
        try:
            problem.solve(solver=cp.CLARABEL)
        except cp.SolverError:
            return None
    if problem.status != cp.OPTIMAL:
        return None
    mass = prior * np.maximum(relative.value, 0.0)
    return np.asarray(mass / mass.sum())


def _cvxpy() -> Any:
    try:
        import cvxpy
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the convex smile needs cvxpy, which is not installed: pip install cvxpy"
        ) from error
    return cvxpy
