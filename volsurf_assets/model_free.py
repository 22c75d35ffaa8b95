"""Model-free variance at a constant maturity: from strips of quotes, or else from the smiles.

Belongs here: which quotes of which two expiries, and which of the two methods. Not here: the sum
and the integral (volsurf_math), or the premium over realised variance (`variance`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.quality import chain_rules
from volsurf_assets.static_arbitrage import EXECUTABLE
from volsurf_assets.surfaces import DAYS_PER_YEAR
from volsurf_resources.settings import Settings
from volsurf_tables.surface_slices import surface_slices

FARTHEST_DAYS = 65  # of the later expiry: monthly listings have one within 30 and 60
SHORTEST_REACH = 2.0  # standard deviations: a strip that ends before falls short by vol points

Term = tuple[float, float]  # tte, annualised variance
Variance = Callable[[Any], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFree:
    """Annualised variance at one maturity; `reach` is the shortest wing of its strips."""

    variance: float | None = None
    method: str | None = None
    reach: float | None = None


def model_free(quotes: pl.DataFrame, smiles: pl.DataFrame, days: int) -> ModelFree:
    """Interpolate total variance of the two expiries around a maturity, linearly in time.

    Cboe's sum over the quotes stands where both expiries have strips that reach far enough, the
    integral over the fitted smiles where they do not, and nothing where there is neither.

    Parameters
    ----------
    quotes
        `strip_quotes` of one underlying and snapshot.
    smiles
        Rows of `fitted_surfaces` of the same, of one model.
    days
        Calendar days to the maturity.
    """
    from volsurf_math.smiles.svi import RawSvi
    from volsurf_math.variance_swap import smile_variance

    at = days / DAYS_PER_YEAR
    parts = quotes.sort("root").partition_by("root", "expiration_date", maintain_order=True)
    parts.sort(key=lambda rows: rows.height)  # of two roots that settle at once, the fuller one
    strips = {float(rows["tte_years"][0]): rows for rows in parts}
    reaches: list[float] = []

    def of_strip(tte: float) -> float | None:
        variance, reach = _strip(strips[tte], tte)
        if variance is not None:
            reaches.append(reach)
        return variance

    found = _interpolated(sorted(strips), at, of_strip)
    if found is not None:
        return ModelFree(variance=found, method="cboe_strip", reach=min(reaches))
    slices = {row["tte_years"]: row for row in surface_slices(smiles).iter_rows(named=True)}

    def of_smile(tte: float) -> float | None:
        names = ("a", "b", "rho", "m", "sigma")
        total = smile_variance(RawSvi(**{name: slices[tte][f"svi_{name}"] for name in names}))
        return total / tte if np.isfinite(total) else None

    found = _interpolated(sorted(slices), at, of_smile)
    return ModelFree(variance=found, method=None if found is None else "smile_integral")


def strip_quotes(quotes: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Return the quotes of the expiries around a month that may stand in a strip.

    A spread of any width may; what a rule calls wrong, or an arbitrage at the quoted prices, may
    not. An option without a bid stays, for it may end the strip.
    """
    rules = (rule.name for rule in chain_rules(settings) if rule.severity == "error")
    wrong = [*(name for name in rules if name != "spread_unusable"), EXECUTABLE]
    return quotes.filter(
        pl.col("tte_years").is_between(0.0, FARTHEST_DAYS / DAYS_PER_YEAR, closed="right"),
        pl.col("forward") > 0.0,
        ~pl.col("reject_reason").str.contains_any(wrong).fill_null(False),
    )


def _interpolated(expiries: list[float], at: float, variance: Variance) -> float | None:
    """Return annualised variance at `at` from the nearest expiries on both sides that have one."""
    before = (t for t in reversed(expiries) if t <= at)
    after = (t for t in expiries if t > at)
    terms = [
        next(((t, v) for t in side if (v := variance(t)) is not None), None)
        for side in (before, after)
    ]
    near, far = terms
    if near is None or far is None:
        return None
    share = (at - near[0]) / (far[0] - near[0])
    return ((1.0 - share) * near[0] * near[1] + share * far[0] * far[1]) / at


def _strip(rows: pl.DataFrame, tte: float) -> tuple[float | None, float]:
    """Return annualised variance of one expiry's strip and its reach in standard deviations.

    Prices are those of our own vols: European, and in USD whatever the quotes are in.
    """
    from volsurf_math.black import undiscounted_price
    from volsurf_math.variance_swap import StripStatus, model_free_variance

    forward, discount_factor = rows["forward"][0], rows["discount_factor"][0]
    strike, vol = rows["strike"].to_numpy(), rows["iv_mid"].to_numpy()
    is_call = (rows["option_type"] == "CALL").to_numpy()
    price = discount_factor * undiscounted_price(forward, strike, vol * vol * tte, is_call)
    k = np.unique(strike)
    put, call = (_by_strike(k, strike[side], price[side]) for side in (~is_call, is_call))
    split = np.flatnonzero((k <= forward) & np.isfinite(put) & np.isfinite(call))
    if not split.size:
        return None, np.nan
    is_quoted = np.isin(k, strike[is_call != (strike <= forward)])
    kept = is_quoted & ((k <= k[split[-1]]) | (k > forward))
    put, call = put[kept], call[kept]
    found = model_free_variance(k[kept], put, put, call, call, forward, tte, discount_factor)
    if found.status != StripStatus.OK or not found.variance > 0.0:
        return None, np.nan
    reach = min(found.put_reach, found.call_reach) / np.sqrt(found.variance * tte)
    return (found.variance if reach >= SHORTEST_REACH else None), float(reach)


def _by_strike(k: Any, strike: Any, price: Any) -> Any:
    column = np.full(k.size, np.nan)
    column[np.searchsorted(k, strike)] = price
    return column
