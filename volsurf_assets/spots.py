"""The underlying's price at the time of its options' quotes: as told, or as their forwards tell it.

Belongs here: choosing that price for one chain. Not here: the forwards, the dividends.

A price is often told of another minute than the quotes: a close beside quotes that went on for a
quarter of an hour, an index that stood still. Forwards of the next weeks, their dividends added
back, lie on a line in time; where it starts is the price on which the quotes were made. Left out of
the spot, the difference would be taken for carry: 5 basis points over a day are 18 % a year.
"""

from datetime import date
from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.dividends import Dividends

NEAR_YEARS = 45.0 / 365.0
LEAST_EXPIRIES = 5
CLEAR = 3.0  # standard errors: a smaller difference is none
ROUNDING = 1e-6  # relative: so is one below a hundredth of a basis point
MAD_TO_SD, OF_MEDIANS = 1.4826, 1.25  # standard error of a median over that of a mean

Row = dict[str, Any]


def told_spot(own: pl.DataFrame, history: pl.DataFrame, day: date) -> float | None:
    """Return the underlying price of a chain, else the close of its day; None without both."""
    known = own.select(price=pl.coalesce("index_price", "underlying_price"))
    quoted = known.filter(pl.col("price") > 0.0)["price"].median()
    if quoted is not None:
        return float(quoted)  # type: ignore[arg-type]
    bar = history.filter((pl.col("symbol") == own["symbol"][0]) & (pl.col("quote_date") == day))
    return None if bar.is_empty() else bar["close"][0]


def spot_of_quotes(told: float | None, rows: list[Row], dividends: Dividends) -> float | None:
    """Return the price told, moved to where the forwards start if that is clearly elsewhere.

    `rows` are the forwards by parity, with `tte_years`, `forward`, `discount_factor`. The line is
    that of repeated medians: few odd expiries do not bend it. What the dividends might be is part
    of its error.
    """
    near = [row for row in rows if 0.0 < row["tte_years"] <= NEAR_YEARS]
    if told is None or not told > 0.0 or len(near) < LEAST_EXPIRIES:
        return told
    tte = np.array([row["tte_years"] for row in near])
    grown = np.array([_with_dividends(row, dividends) for row in near])
    apart = np.log(grown / told)
    run = tte[:, None] - tte
    run[run == 0.0] = np.nan
    if np.isnan(run).all(axis=1).any():
        return told
    slope = np.median(np.nanmedian((apart[:, None] - apart) / run, axis=1))
    start = float(np.median(apart - slope * tte))
    sd = MAD_TO_SD * np.median(np.abs(apart - start - slope * tte))
    spread = np.sum((tte - tte.mean()) ** 2)
    of_line = OF_MEDIANS * sd * np.sqrt(1.0 / tte.size + tte.mean() ** 2 / spread)
    of_dividends = np.median([dividends.std_errors[dividends.times <= t].sum() for t in tte]) / told
    is_clear = abs(start) > max(CLEAR * np.hypot(of_line, of_dividends), ROUNDING)
    return told * float(np.exp(start)) if is_clear else told


def _with_dividends(row: Row, dividends: Dividends) -> float:
    """Return the forward of the underlying and of what it pays until then, put out at the rate."""
    tte = row["tte_years"]
    rate = -np.log(row["discount_factor"]) / tte
    paid = dividends.times <= tte
    later = np.exp(rate * (tte - dividends.times[paid]))
    return float(row["forward"] + dividends.amounts[paid] @ later)
