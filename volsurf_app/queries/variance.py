"""Implied against realised volatility, by session and tenor."""

from collections.abc import Sequence
from datetime import date

import polars as pl

from volsurf_resources.lake import Lake


def premium(lake: Lake, symbol: str, days: Sequence[date] | None = None) -> pl.DataFrame:
    """Return implied against realised volatility by session."""
    return lake.read("vrp_metrics", days, symbols=[symbol])


def premium_by_tenor(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the premium of sessions as rows of quote_date, days, implied, realised, premium."""
    tenors = [
        rows.select(
            "quote_date",
            days=pl.lit(n),
            implied=f"implied_vol_{n}d",
            realised=f"realized_vol_{n}d",
            premium=f"vrp_{n}d",
        )
        for n in (30, 60, 90)
    ]
    return pl.concat(tenors).sort("quote_date", "days")
