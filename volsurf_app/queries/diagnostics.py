"""How well smiles fit, and where they contain arbitrage.

Belongs here: fit quality through time, lists of violations, models side by side. Not here: quotes.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from volsurf_resources.lake import Lake

ARBITRAGE_COLUMNS = (
    *("quote_date", "model_type", "root", "expiration_date", "butterfly_arbitrage_violations"),
    *("calendar_arbitrage_violations", "min_durrleman_g", "min_calendar_slope"),
    *("left_wing_slope", "right_wing_slope", "rmse", "status", "reason"),
)


def model_types(lake: Lake, symbol: str, days: Sequence[date]) -> list[str]:
    """Return the models that smiles of some sessions were fitted with, SVI before others."""
    rows = lake.read("fitted_surfaces", days, symbols=[symbol], columns=["model_type"])
    return sorted(rows["model_type"].unique(), key=lambda name: (name != "SVI", name))


def fit_history(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return fit quality by session and model, over its fitted smiles.

    Columns: quote_date, model_type, median_rmse, worst_rmse, holdout_rmse (median), all in vol
    points, inside_spread_share (median), fitted, carried, skipped, failed (numbers of smiles),
    violating (smiles with arbitrage).
    """
    fits = lake.read("fitted_surfaces", days, symbols=[symbol])
    is_fitted = pl.col("status") == "fitted"
    return (
        fits.group_by("quote_date", "model_type")
        .agg(
            median_rmse=pl.col("rmse").filter(is_fitted).median(),
            worst_rmse=pl.col("rmse").filter(is_fitted).max(),
            holdout_rmse=pl.col("holdout_rmse").filter(is_fitted).median(),
            inside_spread_share=pl.col("inside_spread_share").filter(is_fitted).median(),
            **{
                outcome: (pl.col("status") == outcome).sum()
                for outcome in ("fitted", "carried", "skipped", "failed")
            },
            violating=_is_violating().sum(),
        )
        .sort("quote_date", "model_type")
    )


def arbitrage(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return every smile of some sessions that contains arbitrage, with what was found."""
    fits = lake.read("fitted_surfaces", days, symbols=[symbol])
    found = fits.filter(_is_violating()).select(ARBITRAGE_COLUMNS)
    return found.sort("quote_date", "expiration_date", descending=[True, False])


def _is_violating() -> pl.Expr:
    counts = ("butterfly_arbitrage_violations", "calendar_arbitrage_violations")
    return pl.sum_horizontal(counts) > 0
