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
from volsurf_app.questions import When, Where
from volsurf_app.stored_surface import StoredSurface
from volsurf_resources.calendars import END_OF_DAY
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
    snapshot: str = END_OF_DAY

    def surface(self, lake: Lake, symbol: str) -> StoredSurface:
        """Return the stored surface; NotStored if there is none."""
        return stored_surface(lake, symbol, self.day, model=self.model, snapshot=self.snapshot)


def point_changes(lake: Lake, symbol: str, before: Side, after: Side) -> pl.DataFrame:
    """Return tenor_days, log_moneyness, before, after, change_vol_points on the stored grid.

    A model whose points are not stored is read there.
    """
    place = ["tenor_days", "coordinate"]
    one, other = (
        _points(lake, symbol, side).select(*place, pl.col("implied_vol").alias(name))
        for side, name in ((before, "before"), (after, "after"))
    )
    both = one.join(other, on=place, how="inner")
    change = 100.0 * (pl.col("after") - pl.col("before"))
    return (
        both.with_columns(change_vol_points=change)
        .rename({"coordinate": "log_moneyness"})
        .sort("tenor_days", "log_moneyness")
    )


def _points(lake: Lake, symbol: str, side: Side) -> pl.DataFrame:
    points = lake.read("surface_points", [side.day], symbols=[symbol], snapshot=side.snapshot)
    points = points.filter(pl.col("axis") == "log_moneyness")
    own = points.filter(pl.col("model_type") == side.model)
    if not own.is_empty() or points.is_empty():
        return own
    tenors, places = (points[name].unique().sort() for name in ("tenor_days", "coordinate"))
    times = [When(tte=days / 365.0) for days in tenors]
    readings = side.surface(lake, symbol).read_all(times, Where("log_moneyness", tuple(places)))
    read = [
        pl.DataFrame({"coordinate": places, "implied_vol": reading.implied_vol}).select(
            pl.lit(days, points.schema["tenor_days"]).alias("tenor_days"),
            "coordinate", pl.col("implied_vol").fill_nan(None),
        )
        for days, reading in zip(tenors, readings, strict=True)
    ]  # fmt: skip
    return pl.concat(read)


def moves(lake: Lake, symbol: str, before: Side, after: Side) -> tuple[pl.DataFrame, bool]:
    """Return the move of each tenor and its five parts in vol points, and whether it is stored.

    Columns: tenor_days, then changes, `grid_rmse` and `move_*` as in `surface_changes`; null where
    one of the two supports no value. NotStored where one of them is not there.
    """
    is_stored = {before.snapshot, after.snapshot} == {END_OF_DAY}
    if is_stored and before.model == after.model == SLICE_MODELS[0]:
        stored = lake.read("surface_changes", [after.day], symbols=[symbol])
        stored = stored.filter(pl.col("previous_date") == before.day)
        if not stored.is_empty():
            return stored.select("tenor_days", *_CHANGES), True
    return _compared(lake, symbol, before, after), False


def _compared(lake: Lake, symbol: str, before: Side, after: Side) -> pl.DataFrame:
    from volsurf_math.surfaces.comparison import compare_surfaces

    tenors = pl.DataFrame({"tenor_days": TENORS}, schema={"tenor_days": pl.Int32})
    first, second = (side.surface(lake, symbol).surface for side in (before, after))
    if first is None or second is None:
        return tenors.with_columns(pl.lit(None, pl.Float64).alias(name) for name in _CHANGES)
    found = compare_surfaces(first, second, np.array(TENORS) / 365.0)

    def in_points(values: Any) -> pl.Series:
        return pl.Series(100.0 * values).fill_nan(None)

    return tenors.with_columns(
        in_points(getattr(found, own)).alias(name) for name, own in _CHANGES.items()
    )
