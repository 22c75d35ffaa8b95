"""The quotes that a smile is fitted to: which, and with what weight.

Belongs here: choosing liquid quotes, the cap, the weights; frame to arrays. Not here: the limits of
a liquid quote (`quality`), or the fit.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from volsurf_resources.settings import Settings

MIN_HALF_SPREAD = 2.5e-4  # of vol: closer quotes are not better known than this
SLICE = ["root", "expiration_date"]
HOLDOUT = 5  # every fifth strike is left out to judge the fit

Array = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Points:
    """Quotes to fit, slice after slice in order of expiry, each sorted by k."""

    k: Array
    vol: Array
    low: Array
    high: Array
    tte: Array  # one per quote
    weight: Array  # of squared errors in total variance
    offsets: Counts
    half_spread: Array  # of vol
    atm_guess: Array  # vol near the money, one per quote

    @property
    def total_variance(self) -> Array:
        """Quoted total variance, shape (n_quotes,)."""
        return self.vol**2 * self.tte

    @property
    def slice_of(self) -> Counts:
        """Slice of each quote, shape (n_quotes,)."""
        return np.repeat(np.arange(self.offsets.size - 1), np.diff(self.offsets))

    def without(self, is_out: Mask) -> "Points":
        """Leave some quotes out by giving them no weight."""
        return replace(self, weight=np.where(is_out, 0.0, self.weight))


def points_to_fit(rows: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Choose the quotes of one underlying's fits: liquid, on the wanted side, within the cap.

    Adds `atm_guess`, the vol of the quotes nearest the forward, which sets the cap's scale.
    """
    side = {
        "OTM": pl.col("is_out_of_the_money"),
        "CALLS": pl.col("option_type") == "CALL",
        "PUTS": pl.col("option_type") == "PUT",
    }[settings.fit_side]
    solved = rows.filter("is_liquid", side, pl.col("iv_mid") > 0.0)
    nearest = pl.col("iv_mid").sort_by(pl.col("log_moneyness").abs()).head(4).median()
    scaled = solved.with_columns(atm_guess=nearest.over(SLICE))
    reach = settings.fit_cap_std_devs * pl.col("atm_guess") * pl.col("tte_years").sqrt()
    return scaled.filter(pl.col("log_moneyness").abs() <= reach)


def points_of(chosen: pl.DataFrame, expiries: pl.DataFrame, settings: Settings) -> Points:
    """Arrays of the chosen quotes: a slice per row of `expiries`, empty where it has no quotes."""
    ordered = expiries.select(SLICE).with_row_index("slice")
    chosen = chosen.join(ordered, on=SLICE).sort("slice", "log_moneyness", maintain_order=True)
    k, vol, low, high, tte, interest, atm_guess = (
        chosen[name].cast(pl.Float64).to_numpy()
        for name in (
            "log_moneyness", "iv_mid", "iv_bid", "iv_ask", "tte_years", "open_interest",
            "atm_guess",
        )
    )  # fmt: skip
    slope = 2.0 * vol * tte  # d total variance / d vol
    half = np.maximum(
        0.5 * np.abs(high - np.where(np.isfinite(low), low, 2.0 * vol - high)), MIN_HALF_SPREAD
    )
    in_vol = {
        "vega": 1.0 / half**2,
        "equal": np.full(k.size, 1e6),
        "open_interest": np.nan_to_num(interest, nan=1.0) * 1e3,
    }[settings.fit_weighting]
    sizes = np.bincount(chosen["slice"].to_numpy(), minlength=expiries.height)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Points(
        k, vol, low, high, tte, in_vol / slope**2, offsets,
        half_spread=half, atm_guess=atm_guess,
    )  # fmt: skip


def every_fifth(points: Points) -> Mask:
    """Mark every fifth strike of each slice, never the outermost ones."""
    starts, ends = np.repeat(points.offsets[:-1], np.diff(points.offsets)), points.offsets[1:]
    place = np.arange(points.k.size) - starts
    last = np.repeat(ends - points.offsets[:-1] - 1, np.diff(points.offsets))
    return np.asarray((place % HOLDOUT == HOLDOUT // 2) & (place > 0) & (place < last))
