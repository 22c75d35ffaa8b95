"""Two surfaces compared: point by point, and as the parts of a move.

Belongs here: differences of what is stored. Where the lake holds the comparison itself, as it does
of neighbouring sessions, that is what is shown; any other pair is compared for the look and not
kept. Not here: pictures of it.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from volsurf_app.finding_surfaces import stored_surface
from volsurf_resources.lake import Lake
from volsurf_tables.surfaces import SLICE_MODELS

TENORS = (30, 60, 90, 180)  # calendar days
_CHANGES = {
    "change_atm_vol": "atm_vol_change",
    "change_skew_25delta": "skew_25delta_change",
    "change_butterfly_25delta": "butterfly_25delta_change",
    "grid_rmse": "rmse",
    "move_spot": "spot_part",
    "move_level": "level_part",
    "move_term": "term_part",
    "move_skew": "skew_part",
    "move_curvature": "curvature_part",
}


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two surfaces that are compared."""

    day: date
    model: str


def point_changes(lake: Lake, symbol: str, before: Side, after: Side) -> pl.DataFrame:
    """Return tenor_days, log_moneyness, before, after, change_vol_points on the stored grid."""
    place = ["tenor_days", "coordinate"]

    def grid(side: Side, name: str) -> pl.DataFrame:
        points = lake.read("surface_points", [side.day], symbols=[symbol])
        own = points.filter(pl.col("model_type") == side.model, pl.col("axis") == "log_moneyness")
        return own.select(*place, pl.col("implied_vol").alias(name))

    both = grid(before, "before").join(grid(after, "after"), on=place, how="inner")
    change = 100.0 * (pl.col("after") - pl.col("before"))
    return (
        both.with_columns(change_vol_points=change)
        .rename({"coordinate": "log_moneyness"})
        .sort("tenor_days", "log_moneyness")
    )


def moves(lake: Lake, symbol: str, before: Side, after: Side) -> tuple[pl.DataFrame, bool]:
    """Return the move of each tenor and its five parts in vol points, and whether it is stored.

    Columns: tenor_days, then changes, `grid_rmse` and `move_*` as in `surface_changes`; null where
    one of the two supports no value. NotStored where one of them is not there.
    """
    if before.model == after.model == SLICE_MODELS[0]:
        stored = lake.read("surface_changes", [after.day], symbols=[symbol])
        stored = stored.filter(pl.col("previous_date") == before.day)
        if not stored.is_empty():
            return stored.select("tenor_days", *_CHANGES), True
    return _compared(lake, symbol, before, after), False


def _compared(lake: Lake, symbol: str, before: Side, after: Side) -> pl.DataFrame:
    from volsurf_math.surfaces.comparison import compare_surfaces

    tenors = pl.DataFrame({"tenor_days": TENORS}, schema={"tenor_days": pl.Int32})
    first, second = (
        stored_surface(lake, symbol, side.day, model=side.model).surface for side in (before, after)
    )
    if first is None or second is None:
        return tenors.with_columns(pl.lit(None, pl.Float64).alias(name) for name in _CHANGES)
    found = compare_surfaces(first, second, np.array(TENORS) / 365.0)

    def in_points(values: Any) -> pl.Series:
        return pl.Series(100.0 * values).fill_nan(None)

    return tenors.with_columns(
        in_points(getattr(found, own)).alias(name) for name, own in _CHANGES.items()
    )
