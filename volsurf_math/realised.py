r"""Realised volatility from daily bars: rolling, annualised estimators.

Every function returns one value per bar, in the unit of volatility (decimal per square root of a
year), computed from the `window` bars that end there. The value is NaN until the window is full and
wherever a bar inside it is missing or impossible (a price that is not positive, a high below a low,
open or close outside them): an estimate from fewer days than its name says would not be comparable.

Close-to-close is about zero by default, :math:`\sum r^2 / n`. That is what a variance swap pays,
which makes it comparable with implied variance; over 10 to 21 days the sample mean is noise and
taking it out removes variance that was realised. `is_demeaned` gives the textbook sample deviation.

Parkinson, Garman-Klass and Rogers-Satchell see the session only: they leave out the overnight gap
and lie below implied volatility for that reason alone. Yang-Zhang includes it.

References
----------
.. [1] Parkinson (1980); Garman, Klass (1980); Rogers, Satchell (1991); Yang, Zhang (2000).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from volsurf_math.broadcasting import FloatArray

TRADING_DAYS = 252


def close_to_close(
    close: FloatArray,
    window: int,
    *,
    periods_per_year: float = TRADING_DAYS,
    is_demeaned: bool = False,
) -> FloatArray:
    """Return volatility of log returns over `window` returns; `close` has shape (n_bars,)."""
    daily = _log_ratio(close[1:], close[:-1])
    variance = _rolling(daily, window, "variance" if is_demeaned else "mean_square")
    return _annualise(
        np.concatenate([np.full(min(close.size, 1), np.nan), variance]), periods_per_year
    )


def parkinson(
    high: FloatArray, low: FloatArray, window: int, *, periods_per_year: float = TRADING_DAYS
) -> FloatArray:
    """Return volatility from the daily range: ln(H/L)^2 / (4 ln 2)."""
    span = np.where(high >= low, _log_ratio(high, low), np.nan)
    return _annualise(_rolling(span**2 / (4.0 * np.log(2.0)), window), periods_per_year)


def garman_klass(
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    window: int,
    *,
    periods_per_year: float = TRADING_DAYS,
) -> FloatArray:
    """Return volatility from the bar: ln(H/L)^2 / 2 - (2 ln 2 - 1) ln(C/O)^2."""
    daily = garman_klass_variance(open_, high, low, close)
    return _annualise(_rolling(daily, window), periods_per_year)


def garman_klass_variance(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray
) -> FloatArray:
    """Return each session's own variance (per day, without the overnight gap)."""
    span, body = _log_ratio(high, low), _log_ratio(close, open_)
    daily = 0.5 * span**2 - (2.0 * np.log(2.0) - 1.0) * body**2
    return np.where(_is_bar(open_, high, low, close), daily, np.nan)


def rogers_satchell(
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    window: int,
    *,
    periods_per_year: float = TRADING_DAYS,
) -> FloatArray:
    """Return volatility free of drift: ln(H/C) ln(H/O) + ln(L/C) ln(L/O)."""
    daily = _rogers_satchell_variance(open_, high, low, close)
    return _annualise(_rolling(daily, window), periods_per_year)


def yang_zhang(
    open_: FloatArray,
    high: FloatArray,
    low: FloatArray,
    close: FloatArray,
    window: int,
    *,
    periods_per_year: float = TRADING_DAYS,
) -> FloatArray:
    """Return volatility free of drift and with the overnight gap; the first bar only opens it.

    Overnight variance + kappa open-to-close variance + (1 - kappa) Rogers-Satchell, with
    kappa = 0.34 / (1.34 + (n + 1)/(n - 1)).
    """
    overnight = _log_ratio(open_[1:], close[:-1])
    session = _log_ratio(close, open_)[1:]
    inner = _rogers_satchell_variance(open_, high, low, close)[1:]
    kappa = 0.34 / (1.34 + (window + 1.0) / (window - 1.0)) if window > 1 else np.nan
    variance = (
        _rolling(overnight, window, "variance")
        + kappa * _rolling(session, window, "variance")
        + (1.0 - kappa) * _rolling(inner, window)
    )
    return _annualise(
        np.concatenate([np.full(min(close.size, 1), np.nan), variance]), periods_per_year
    )


def _rogers_satchell_variance(
    open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray
) -> FloatArray:
    up = _log_ratio(high, close) * _log_ratio(high, open_)
    down = _log_ratio(low, close) * _log_ratio(low, open_)
    return np.where(_is_bar(open_, high, low, close), up + down, np.nan)


def _is_bar(open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray) -> np.ndarray:
    """Whether high and low enclose open and close; False for NaN."""
    return (high >= np.maximum(open_, close)) & (low <= np.minimum(open_, close)) & (low > 0.0)


def _log_ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """ln(above / below), NaN unless both are positive and finite."""
    is_price = (above > 0.0) & (below > 0.0) & np.isfinite(above) & np.isfinite(below)
    ratio = np.divide(above, below, out=np.full(above.shape, np.nan), where=is_price)
    return np.log(ratio)


def _rolling(daily: FloatArray, window: int, statistic: str = "mean") -> FloatArray:
    """Reduce each full window of `daily`; NaN before the first full one."""
    smallest = 2 if statistic == "variance" else 1
    if window < smallest:
        raise ValueError(f"{statistic} needs a window of at least {smallest} bars, was {window}")
    out = np.full(daily.size, np.nan)
    if daily.size < window:
        return out
    windows = sliding_window_view(daily, window)
    if statistic == "variance":
        out[window - 1 :] = windows.var(axis=1, ddof=1)
    elif statistic == "mean_square":
        out[window - 1 :] = (windows**2).mean(axis=1)
    else:
        out[window - 1 :] = windows.mean(axis=1)
    return out


def _annualise(daily_variance: FloatArray, periods_per_year: float) -> FloatArray:
    """Square root of a year's variance; a negative estimate (bad bars) is none."""
    return np.sqrt(np.where(daily_variance >= 0.0, daily_variance * periods_per_year, np.nan))
