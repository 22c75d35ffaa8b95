"""Fitted smiles and what follows from them, by session.

Belongs here: smiles, term structure, the overview of sessions. Not here: single points.
"""

from collections.abc import Sequence
from datetime import date
from statistics import median

import polars as pl

from volsurf_app.queries.variance import premium
from volsurf_resources.lake import Lake
from volsurf_tables.models import table_of
from volsurf_tables.surfaces import IS_STANDARD, SLICE_MODELS

SMILE_COLUMNS = (
    *("root", "expiration_date", "tte_years", "atm_vol", "skew_25delta", "rmse", "max_error"),
    *("inside_spread_share", "num_points", "violations", "status", "reason"),
)
VIOLATIONS = ("butterfly_arbitrage_violations", "calendar_arbitrage_violations")


def smiles(lake: Lake, symbol: str, day: date, *, model: str = SLICE_MODELS[0]) -> pl.DataFrame:
    """Return a session's smiles of one model, a row per root and expiry, with errors and outcome.

    `violations` counts butterfly and calendar arbitrage together, as far as they are stored.
    """
    table = table_of(model)
    rows = lake.read(table.name, [day], symbols=[symbol])
    if "model_type" in table.schema:
        rows = rows.filter(pl.col("model_type") == model)
    counts = [name for name in VIOLATIONS if name in table.schema]
    rows = rows.with_columns(violations=pl.sum_horizontal(counts))
    return rows.sort("expiration_date", "root").select(SMILE_COLUMNS)


def fit_summary(fits: pl.DataFrame) -> str:
    """Say in a line how many smiles were fitted and how well."""
    errors = fits.filter(pl.col("status") == "fitted")["rmse"].drop_nulls().to_list()
    counts = fits["status"].value_counts().sort("status").rows()
    told = ", ".join(f"{n} {status}" for status, n in counts) or "no smiles"
    return f"{told}; median RMSE {median(errors):.3f} vol points" if errors else told


def term_structure(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return the power laws of a session."""
    return lake.read("term_structure_params", [day], symbols=[symbol])


def overview(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return one row per session: level, skew, realised, premium, fit error, outcome.

    Columns: quote_date, atm_vol_30d, skew_30d, rv_21d, vrp_30d, vrp_zscore (decimals but for the
    z-score), fit_error (median rmse of the smiles, vol points), fitted, carried, skipped, failed
    (numbers of smiles), status.
    """
    asked = pl.DataFrame({"quote_date": list(days)}, schema={"quote_date": pl.Date})
    vrp = premium(lake, symbol, days).select(
        "quote_date", "vrp_30d", "vrp_zscore", atm_vol_30d="implied_vol_30d", vrp_status="status"
    )
    realised = lake.read("realized_volatility", days, symbols=[symbol])
    joined = asked.join(vrp, on="quote_date", how="left")
    joined = joined.join(realised.select("quote_date", "rv_21d"), on="quote_date", how="left")
    joined = joined.join(_skews(lake, symbol, days), on="quote_date", how="left")
    joined = joined.join(_fits(lake, symbol, days), on="quote_date", how="left")
    return joined.select(
        *("quote_date", "atm_vol_30d", "skew_30d", "rv_21d", "vrp_30d", "vrp_zscore", "fit_error"),
        *(pl.col(outcome).fill_null(0) for outcome in ("fitted", "carried", "skipped", "failed")),
        status=pl.when(pl.col("fit_error").is_null())
        .then(pl.lit("no surface"))
        .otherwise(pl.col("vrp_status").fill_null("no premium")),
    )


def _skews(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    points = lake.read("surface_points", days, symbols=[symbol])
    points = points.filter(IS_STANDARD, pl.col("tenor_days") == 30, pl.col("axis") == "delta")
    put = pl.col("implied_vol").filter(pl.col("coordinate") == -0.25).first()
    call = pl.col("implied_vol").filter(pl.col("coordinate") == 0.25).first()
    return points.group_by("quote_date").agg(skew_30d=put - call)


def _fits(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    fits = lake.read("fitted_surfaces", days, symbols=[symbol]).filter(IS_STANDARD)
    outcomes = ("fitted", "carried", "skipped", "failed")
    return fits.group_by("quote_date").agg(
        pl.col("rmse").filter(pl.col("status") == "fitted").median().alias("fit_error"),
        *((pl.col("status") == outcome).sum().alias(outcome) for outcome in outcomes),
    )
