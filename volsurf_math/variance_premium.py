"""Where the latest value of a series stands against its own past, and nothing after it.

Belongs here: standing of a premium. Not here: how implied and realised volatility are made.
"""

from dataclasses import dataclass

import numpy as np

from volsurf_math.broadcasting import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Standing of the last value; NaN where the past is too short or does not vary."""

    zscore: float
    percentile: float  # 0 to 100: share of past values below, ties counted half
    n_past: int


def standing(series: FloatArray, *, window: int = 252, min_count: int = 63) -> Standing:
    """Compare the last value of `series` with the `window` values before it.

    Parameters
    ----------
    series : array, shape (n_dates,)
        In order of date; NaN is a date without a value. The last value is judged against earlier
        ones only, so it takes no part in mean and deviation.
    window, min_count : int
        Dates looked back, and how many of them must have a value.
    """
    if not window >= min_count >= 2:
        raise ValueError(f"a standing needs window >= min_count >= 2, was {window} and {min_count}")
    past = series[max(0, series.size - 1 - window) : -1]
    past = past[np.isfinite(past)]
    if series.size == 0 or past.size < min_count or not np.isfinite(series[-1]):
        return Standing(zscore=np.nan, percentile=np.nan, n_past=int(past.size))
    last = float(series[-1])
    deviation = float(past.std(ddof=1))
    zscore = (last - float(past.mean())) / deviation if deviation > 0.0 else np.nan
    share = (past < last).mean() + 0.5 * (past == last).mean()
    return Standing(zscore=zscore, percentile=100.0 * float(share), n_past=int(past.size))
