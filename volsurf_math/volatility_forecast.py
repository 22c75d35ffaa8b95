r"""Forecasts of realised volatility over the next days, made at the last date of the input.

One call is one date: whatever is not in the array cannot influence the forecast.

HAR regresses the mean variance of the next h days on its averages over 1, 5 and 22 days [1]_.
GARCH is :math:`s_{t+1} = \omega + \alpha r_t^2 + \beta s_t` with :math:`\omega` set by the sample
variance (variance targeting [2]_) and Gaussian quasi-likelihood; the sum of its forecasts over h
days is a closed form.

References
----------
.. [1] Corsi (2009), "A simple approximate long-memory model of realized volatility".
.. [2] Francq, Horvath, Zakoian (2011), "Merits and drawbacks of variance targeting in GARCH".
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit

from volsurf_math.broadcasting import FloatArray
from volsurf_math.compile_options import ROUTINE
from volsurf_math.realised import TRADING_DAYS

MIN_OBSERVATIONS = 252
_HAR_LAGS = (1, 5, 22)
_MAX_PERSISTENCE = 0.9995


class ForecastStatus(IntEnum):
    """How a forecast ended. Stored in the lake, so never renumber."""

    FORECAST = 0
    TOO_SHORT = 1
    MISSING_LAST = 2  # a day that today's forecast needs has no value
    NOT_CONVERGED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatilityForecast:
    """Annualised volatility expected over the next days; NaN unless `status` is FORECAST."""

    volatility: float
    status: ForecastStatus
    n_observations: int
    coefficients: tuple[float, ...] = ()  # HAR: 1, day, week, month; GARCH: omega, alpha, beta


def har_forecast(
    daily_variance: FloatArray,
    *,
    horizon: int = 21,
    periods_per_year: float = TRADING_DAYS,
    min_observations: int = MIN_OBSERVATIONS,
) -> VolatilityForecast:
    """Direct HAR forecast of the mean variance of the next `horizon` days.

    Parameters
    ----------
    daily_variance : array, shape (n_days,)
        Per day, not annualised (squared returns, or a range estimator plus the overnight square).
        A NaN day drops the origins that need it.
    horizon, min_observations : int
        Days ahead, and the fewest days with a value.

    Returns
    -------
    VolatilityForecast
        Held inside the range of what followed the training dates: a linear model of variance can
        leave it, even below zero, right after a shock.
    """
    n = int(np.isfinite(daily_variance).sum())
    if n < max(min_observations, _HAR_LAGS[-1] + horizon + 30):
        return _none(ForecastStatus.TOO_SHORT, n)
    design = np.column_stack(
        [np.ones(daily_variance.size), *(_trailing_mean(daily_variance, lag) for lag in _HAR_LAGS)]
    )
    if not np.isfinite(design[-1]).all():
        return _none(ForecastStatus.MISSING_LAST, n)
    origins = design[:-horizon]
    followed = _trailing_mean(daily_variance, horizon)[horizon:]
    usable = np.isfinite(origins).all(axis=1) & np.isfinite(followed)
    if usable.sum() < 30:
        return _none(ForecastStatus.TOO_SHORT, n)
    origins, followed = origins[usable], followed[usable]
    coefficients, *_ = np.linalg.lstsq(origins, followed, rcond=None)
    expected = float(np.clip(design[-1] @ coefficients, followed.min(), followed.max()))
    return VolatilityForecast(
        volatility=math.sqrt(expected * periods_per_year),
        status=ForecastStatus.FORECAST,
        n_observations=n,
        coefficients=tuple(coefficients.tolist()),
    )


def garch_forecast(
    returns: FloatArray,
    *,
    horizon: int = 21,
    periods_per_year: float = TRADING_DAYS,
    min_observations: int = MIN_OBSERVATIONS,
) -> VolatilityForecast:
    """GARCH(1,1) forecast of the mean variance of the next `horizon` days.

    Parameters
    ----------
    returns : array, shape (n_days,)
        Daily log returns; NaN days are left out. Their mean is taken out.
    horizon, min_observations : int
        Days ahead, and the fewest days with a value.
    """
    from scipy.optimize import minimize

    seen = returns[np.isfinite(returns)]
    if seen.size < min_observations:
        return _none(ForecastStatus.TOO_SHORT, seen.size)
    if not np.isfinite(returns[-1]):
        return _none(ForecastStatus.MISSING_LAST, seen.size)
    square = (seen - seen.mean()) ** 2
    target = float(square.mean())
    if not target > 0.0:
        return _none(ForecastStatus.NOT_CONVERGED, seen.size)
    square = np.ascontiguousarray(square / target)  # unit variance: the search is scale free
    found = minimize(
        lambda x: _garch_deviance(square, *_alpha_beta(x)),
        x0=np.array([math.log(0.97 / 0.03), math.log(0.08 / 0.92)]),
        method="Nelder-Mead",
        options={"xatol": 1e-5, "fatol": 1e-8, "maxfev": 500},
    )
    alpha, beta = _alpha_beta(found.x)
    if not (found.success and math.isfinite(found.fun)):
        return _none(ForecastStatus.NOT_CONVERGED, seen.size)
    next_variance = _garch_last(square, alpha, beta)
    decay = alpha + beta
    mean = 1.0 + (next_variance - 1.0) * (1.0 - decay**horizon) / ((1.0 - decay) * horizon)
    return VolatilityForecast(
        volatility=math.sqrt(mean * target * periods_per_year),
        status=ForecastStatus.FORECAST,
        n_observations=int(seen.size),
        coefficients=(target * (1.0 - decay), alpha, beta),
    )


def _alpha_beta(x: FloatArray) -> tuple[float, float]:
    """Persistence and the share of alpha in it, both logistic: every x is stationary."""
    decay = _MAX_PERSISTENCE / (1.0 + math.exp(-min(max(x[0], -30.0), 30.0)))
    alpha = decay / (1.0 + math.exp(-min(max(x[1], -30.0), 30.0)))
    return alpha, decay - alpha


@njit(**ROUTINE)
def _garch_deviance(square, alpha, beta):
    """Minus twice the mean Gaussian log-likelihood, for returns of unit variance."""
    omega = 1.0 - alpha - beta
    s = 1.0
    total = 0.0
    for x in square:
        total += math.log(s) + x / s
        s = omega + alpha * x + beta * s
    return total / square.size


@njit(**ROUTINE)
def _garch_last(square, alpha, beta):
    """Conditional variance of the day after the last."""
    omega = 1.0 - alpha - beta
    s = 1.0
    for x in square:
        s = omega + alpha * x + beta * s
    return s


def _trailing_mean(x: FloatArray, window: int) -> FloatArray:
    """Mean of the `window` values that end at each row; NaN where one is missing."""
    from numpy.lib.stride_tricks import sliding_window_view

    out = np.full(x.size, np.nan)
    out[window - 1 :] = sliding_window_view(x, window).mean(axis=1)
    return out


def _none(status: ForecastStatus, n: int) -> VolatilityForecast:
    return VolatilityForecast(volatility=math.nan, status=status, n_observations=int(n))
