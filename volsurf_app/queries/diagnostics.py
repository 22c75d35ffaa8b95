"""How well smiles fit, and where they contain arbitrage.

Belongs here: fit quality through time, lists of violations, models side by side. Not here: quotes.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from volsurf_app.finding_surfaces import MODELS
from volsurf_app.queries.absence import NotStored
from volsurf_app.queries.models import model_rows
from volsurf_app.queries.pictures import smile_pictures
from volsurf_resources.lake import Lake
from volsurf_tables.surfaces import FITTED_SURFACES

ARBITRAGE_COLUMNS = (
    *("quote_date", "model_type", "root", "expiration_date", "butterfly_arbitrage_violations"),
    *("calendar_arbitrage_violations", "min_durrleman_g", "min_calendar_slope"),
    *("left_wing_slope", "right_wing_slope", "rmse", "status", "reason"),
)

_COUNTS = ("butterfly_arbitrage_violations", "calendar_arbitrage_violations")


def fit_history(lake: Lake, symbol: str, days: Sequence[date], model: str) -> pl.DataFrame:
    """Return a model's fit quality by session, over its fitted smiles.

    Columns: quote_date, median_rmse, worst_rmse, holdout_rmse (median), all in vol points,
    inside_spread_share (median), fitted, carried, skipped, failed (numbers of smiles; of Heston's
    model, of laws), violating (smiles with arbitrage). Null what the model's table does not tell.
    """
    fits = _completed(model_rows(lake, symbol, days, model))
    is_fitted = pl.col("status") == "fitted"
    return (
        fits.group_by("quote_date")
        .agg(
            median_rmse=pl.col("rmse").filter(is_fitted).median(),
            worst_rmse=pl.col("rmse").filter(is_fitted).max(),
            holdout_rmse=pl.col("holdout_rmse").filter(is_fitted).median(),
            inside_spread_share=pl.col("inside_spread_share").filter(is_fitted).median(),
            **{
                outcome: (pl.col("status") == outcome).sum()
                for outcome in ("fitted", "carried", "skipped", "failed")
            },
            violating=pl.when(_is_tested().any()).then(_is_violating().sum()),
        )
        .sort("quote_date")
    )


def arbitrage(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return every smile of some sessions that contains arbitrage, with what was found."""
    parts = [_completed(model_rows(lake, symbol, days, model)) for model in MODELS]
    found = pl.concat([part.filter(_is_violating()).select(ARBITRAGE_COLUMNS) for part in parts])
    return found.sort("quote_date", "expiration_date", descending=[True, False])


def residuals(
    lake: Lake, symbol: str, day: date, model: str, snapshot: str = "EOD"
) -> pl.DataFrame:
    """Return every fitted quote of a session: where it lies, and fit minus mid in vol points."""
    try:
        pictures = smile_pictures(
            lake, symbol, day, model_type=model, snapshot=snapshot, statuses=("fitted",)
        )
    except NotStored:
        pictures = []
    columns = ["strike", "option_type", "log_moneyness", "iv_mid", "error_vol_points"]
    parts = [
        one.quotes.filter("is_used").select(
            *columns, root=pl.lit(one.smile["root"]),
            expiration_date=pl.lit(one.smile["expiration_date"]),
            days=pl.lit(one.days, pl.Int64),
        )
        for one in pictures
    ]  # fmt: skip
    return pl.concat(parts) if parts else pl.DataFrame()


def _completed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows of a model with the columns of `fitted_surfaces`, null where it has none."""
    return pl.concat([FITTED_SURFACES.schema.to_frame(), rows], how="diagonal_relaxed")


def _is_violating() -> pl.Expr:
    return pl.sum_horizontal(_COUNTS) > 0


def _is_tested() -> pl.Expr:
    return pl.any_horizontal(pl.col(*_COUNTS).is_not_null())
