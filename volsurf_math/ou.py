r"""The Ornstein-Uhlenbeck process: exact maximum likelihood, its error bars, and a verdict.

:math:`dX = \mu(\theta - X)\,dt + \sigma\,dB`, seen every :math:`\Delta` years, is exactly the
autoregression :math:`x_{i+1} = \theta(1 - b) + b\,x_i + s\,\varepsilon_i` with
:math:`b = e^{-\mu\Delta}` and :math:`s^2 = \sigma^2(1 - b^2)/(2\mu)`, so that least squares are
maximum likelihood, given the first point. An estimate :math:`b \ge 1` or :math:`b \le 0` is no
such process.

The estimate of b is biased towards zero, hence half-lives look too short: of 252 days of a process
with a half-life of 60 days, half show less than 26. `half_life_interval` inverts the distribution
of the estimate instead of trusting it.

Belongs here: one process and its estimation. Not here: what to trade on it.

References: Phillips (1972), Econometrica 40(6), for the exact discretisation; MacKinnon (2010),
"Critical values for cointegration tests", Queen's Economics Department Working Paper 1227, table 2;
Andrews (1993), "Exactly median-unbiased estimation of first order autoregressive/unit root models",
Econometrica 61(1).
"""

from dataclasses import dataclass
from enum import IntEnum
from math import expm1, inf, isfinite, log, nan, pi, sqrt

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from volsurf_math.broadcasting import FloatArray
from volsurf_math.compile_options import ROUTINE, SUMS

MIN_POINTS = 5
HALVINGS = 30


class Verdict(IntEnum):
    """What a series says about mean reversion. Stored in the lake, so never renumbered."""

    TRADABLE = 0
    NOT_MEAN_REVERTING = 1  # b >= 1
    TOO_UNCERTAIN = 2  # a random walk is not refused at 5 % (Dickey-Fuller)
    OVERSHOOTING = 3  # b <= 0: each point lands on the other side of the mean
    TOO_FEW_POINTS = 4
    BAD_INPUT = 5  # not finite, or constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Ou:
    """Mean theta, speed mu per year, and volatility sigma per square root of a year."""

    theta: float
    mu: float
    sigma: float

    def __post_init__(self) -> None:
        """Refuse what does not revert."""
        if not (isfinite(self.theta) and 0.0 < self.mu < inf and 0.0 < self.sigma < inf):
            raise ValueError(f"an Ornstein-Uhlenbeck process needs mu, sigma > 0, was {self}")

    @property
    def half_life(self) -> float:
        """Years in which an expected deviation halves."""
        return log(2.0) / self.mu

    @property
    def stationary_sd(self) -> float:
        """Standard deviation after a long time."""
        return self.sigma / sqrt(2.0 * self.mu)


@dataclass(frozen=True, slots=True, kw_only=True)
class OuFit:
    """Estimate and verdict; `process` is None where 0 < b < 1 does not hold."""

    process: Ou | None
    verdict: Verdict
    n_steps: int
    autoregression: float = nan  # b
    intercept: float = nan  # theta (1 - b)
    residual_variance: float = nan  # s^2, of maximum likelihood
    dickey_fuller: float = nan  # (b - 1) over its standard error
    theta_std_error: float = nan
    mu_std_error: float = nan
    sigma_std_error: float = nan
    half_life_std_error: float = nan  # to first order: see `half_life_interval`
    log_likelihood: float = nan  # of all steps, given the first point

    @property
    def aic(self) -> float:
        """Akaike's criterion, of three parameters."""
        return 6.0 - 2.0 * self.log_likelihood


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfLifeInterval:
    """Half-lives in years: unbiased in the median, and the ends of an interval; may be inf."""

    median: float
    lower: float
    upper: float
    coverage: float


@njit(**SUMS)
def _autoregress(x):
    """Return mean of x, b, sum of squares of x, and residual sum of squares."""
    n = x.size - 1
    at_x, at_y = 0.0, 0.0
    for i in range(n):
        at_x += x[i]
        at_y += x[i + 1]
    at_x /= n
    at_y /= n
    xx, xy, yy = 0.0, 0.0, 0.0
    for i in range(n):
        u, v = x[i] - at_x, x[i + 1] - at_y
        xx += u * u
        xy += u * v
        yy += v * v
    b = xy / xx
    return at_x, at_y, b, xx, yy - b * xy


def fit(x: ArrayLike, dt: float) -> OuFit:
    """Fit by exact maximum likelihood, in closed form.

    Parameters
    ----------
    x : array, shape (n_points,)
        Equally spaced observations; fewer than five, or one that is not finite, give a verdict.
    dt : float
        Years between two of them, positive.

    Returns
    -------
    OuFit
        With standard errors to first order (delta method).
    """
    if not 0.0 < dt < inf:
        raise ValueError(f"dt needs to be positive and finite, was {dt}")
    series = np.ascontiguousarray(x, dtype=np.float64)
    if series.ndim != 1:
        raise ValueError(f"x needs one axis, was of shape {series.shape}")
    n = series.size - 1
    if n < MIN_POINTS - 1:
        return OuFit(process=None, verdict=Verdict.TOO_FEW_POINTS, n_steps=max(n, 0))
    mean, following, b, spread, squares = _autoregress(series)
    if not (isfinite(b) and squares > 0.0):
        return OuFit(process=None, verdict=Verdict.BAD_INPUT, n_steps=n)
    s2 = squares / n
    unbiased = squares / (n - 2)
    b_error = sqrt(unbiased / spread)
    dickey_fuller = (b - 1.0) / b_error
    log_likelihood = -0.5 * n * (log(2.0 * pi * s2) + 1.0)
    intercept = following - b * mean
    if not 0.0 < b < 1.0:
        return OuFit(
            process=None,
            verdict=Verdict.OVERSHOOTING if b <= 0.0 else Verdict.NOT_MEAN_REVERTING,
            n_steps=n,
            autoregression=b,
            intercept=intercept,
            residual_variance=s2,
            dickey_fuller=dickey_fuller,
            log_likelihood=log_likelihood,
        )
    mu = -log(b) / dt
    theta = intercept / (1.0 - b)
    sigma = sqrt(s2 * 2.0 * mu / (1.0 - b * b))
    mu_error = b_error / (b * dt)
    bend = (1.0 / (b * log(b)) + 2.0 * b / (1.0 - b * b)) * b_error
    refused = dickey_fuller < _critical_value(n)
    return OuFit(
        process=Ou(theta=theta, mu=mu, sigma=sigma),
        verdict=Verdict.TRADABLE if refused else Verdict.TOO_UNCERTAIN,
        n_steps=n,
        autoregression=b,
        intercept=intercept,
        residual_variance=s2,
        dickey_fuller=dickey_fuller,
        theta_std_error=sqrt(unbiased * (1.0 / n + (theta - mean) ** 2 / spread)) / (1.0 - b),
        mu_std_error=mu_error,
        sigma_std_error=0.5 * sigma * sqrt(2.0 / n + bend * bend),
        half_life_std_error=log(2.0) / mu**2 * mu_error,
        log_likelihood=log_likelihood,
    )


def _critical_value(n: int) -> float:
    """Dickey-Fuller's 5 % critical value with a constant (MacKinnon 2010, N = 1)."""
    return -2.86154 - 2.8903 / n - 4.234 / n**2 - 40.04 / n**3


def log_likelihood(x: ArrayLike, dt: float, process: Ou) -> float:
    """Exact log-likelihood of all steps of `x` under a process, given the first point."""
    series = np.asarray(x, dtype=np.float64)
    b = np.exp(-process.mu * dt)
    variance = -(process.sigma**2) * expm1(-2.0 * process.mu * dt) / (2.0 * process.mu)
    error = series[1:] - process.theta - b * (series[:-1] - process.theta)
    n = error.size
    return float(-0.5 * (n * log(2.0 * pi * variance) + error @ error / variance))


@njit(**ROUTINE)
def _estimates(b, shocks, out):
    """Fill `out` with the estimates of b from one series per row of standard normal `shocks`."""
    series = np.empty(shocks.shape[1])
    for r in range(shocks.shape[0]):
        series[0] = shocks[r, 0] / sqrt(1.0 - b * b) if b < 1.0 else 0.0
        for i in range(1, series.size):
            series[i] = b * series[i - 1] + shocks[r, i]
        out[r] = _autoregress(series)[2]


def _b_with_quantile(estimate: float, level: float, shocks: FloatArray) -> float:
    """Return the b whose estimates have `estimate` as their quantile `level`; 1 if none below."""
    out = np.empty(shocks.shape[0])
    low, high = 0.0, 1.0
    _estimates(high, shocks, out)
    if np.quantile(out, level) <= estimate:
        return 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        _estimates(middle, shocks, out)
        low, high = (middle, high) if np.quantile(out, level) < estimate else (low, middle)
    return 0.5 * (low + high)


def half_life_interval(
    fitted: OuFit,
    dt: float,
    rng: np.random.Generator,
    *,
    coverage: float = 0.9,
    n_resamples: int = 999,
) -> HalfLifeInterval:
    """Return a half-life unbiased in the median and an interval, by inverting the estimate.

    An end is the half-life of that process which puts the estimate of b at a tail of its
    distribution, as `n_resamples` simulated series of the same length show it; infinite where a
    random walk would do so too, zero where the estimate is not positive.
    """
    if not 0.0 < coverage < 1.0:
        raise ValueError(f"coverage needs to be between 0 and 1, was {coverage}")
    b = fitted.autoregression
    if not isfinite(b):
        return HalfLifeInterval(median=nan, lower=nan, upper=nan, coverage=coverage)
    shocks = rng.standard_normal((n_resamples, fitted.n_steps + 1))
    tail = 0.5 * (1.0 - coverage)
    found = [_b_with_quantile(b, level, shocks) for level in (0.5, 1.0 - tail, tail)]
    median, lower, upper = (
        inf if value >= 1.0 else log(2.0) * dt / -log(max(value, 1e-300)) for value in found
    )
    return HalfLifeInterval(median=median, lower=lower, upper=upper, coverage=coverage)
