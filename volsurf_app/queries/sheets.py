"""A session's surface of any model: a sheet of points, a row per expiry, its shape at a tenor.

Belongs here: what is read of a stored surface to be looked at. Not here: one smile (`pictures`), or
any point that is asked for (`volsurf_app.surface`).
"""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from volsurf_app.finding_surfaces import stored_surface
from volsurf_app.queries.absence import NotStored
from volsurf_app.questions import When, Where
from volsurf_app.stored_surface import StoredSurface
from volsurf_resources.lake import Lake

_ACROSS = 41  # points from the lowest to the highest strike that was fitted
_SHAPE = dict.fromkeys(
    ("atm_vol", "atm_vol_std_error", "skew_25delta", "skew_25delta_std_error"), pl.Float64
)

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceSheet:
    """Smiles in order of time, each read from its lowest to its highest fitted strike.

    Attributes
    ----------
    expirations, days : list
        Expiry dates and calendar days to them, one per slice.
    log_moneyness, strike, implied_vol : array, shape (n_slices, n_points)
        Of the forward; USD; decimals.
    """

    expirations: list[date]
    days: list[int]
    log_moneyness: Array
    strike: Array
    implied_vol: Array

    def frame(self) -> pl.DataFrame:
        """Return the sheet as rows of expiration_date, days, log_moneyness, strike, implied_vol."""
        n = self.strike.shape[1]
        columns = {
            "expiration_date": np.repeat(np.array(self.expirations, "datetime64[D]"), n),
            "days": np.repeat(self.days, n),
            "log_moneyness": self.log_moneyness.ravel(),
            "strike": self.strike.ravel(),
            "implied_vol": self.implied_vol.ravel(),
        }
        return pl.DataFrame(columns)


def surface_sheet(
    lake: Lake, symbol: str, day: date, model: str, snapshot: str = "EOD"
) -> SurfaceSheet:
    """Return the sheet of a session's smiles of one model; NotStored where there is none."""
    stored = stored_surface(lake, symbol, day, model=model, snapshot=snapshot)
    rows = [row for row in stored.slices if row["k_min"] is not None]
    if not rows:
        raise NotStored(f"no {model} smile of {symbol} on {day}: {stored.absence}")
    low, high, forward = (
        np.array([row[name] for row in rows])[:, None] for name in ("k_min", "k_max", "forward")
    )
    k = low + (high - low) * np.linspace(0.0, 1.0, _ACROSS)
    return SurfaceSheet(
        expirations=[row["expiration_date"] for row in rows],
        days=[(row["expiration_date"] - day).days for row in rows],
        log_moneyness=k,
        strike=forward * np.exp(k),
        implied_vol=np.array([stored.curve(row, at) for row, at in zip(rows, k, strict=True)]),
    )


def shape_at(
    lake: Lake, symbol: str, day: date, model: str, tenor_days: int, snapshot: str = "EOD"
) -> dict[str, float | None]:
    """Return atm_vol, skew_25delta and their std_error of a tenor; None where not supported."""
    stored = stored_surface(lake, symbol, day, model=model, snapshot=snapshot)
    return _shape(stored, When(tte=tenor_days / 365.0))


def term_of(lake: Lake, symbol: str, day: date, model: str, snapshot: str = "EOD") -> pl.DataFrame:
    """Return a session's expiries in order: a row for each that has an ATM vol.

    Columns: root, expiration_date, days, tte_years, num_points, status, atm_vol, skew_25delta and
    both `_std_error`, null where not stored. Of a law for all expiries, which stores no vols, they
    are read of it.
    """
    stored = stored_surface(lake, symbol, day, model=model, snapshot=snapshot)
    rows = stored.rows
    if "atm_vol" not in rows.columns:
        found = [_shape(stored, When(expiry=row["expiration_date"], root=row["root"]))
                 for row in rows.iter_rows(named=True)]  # fmt: skip
        rows = rows.hstack(pl.DataFrame(found, schema=_SHAPE))
    absent = [name for name in _SHAPE if name not in rows.columns]
    rows = rows.with_columns(pl.lit(None, pl.Float64).alias(name) for name in absent)
    days = (pl.col("expiration_date") - pl.lit(day)).dt.total_days()
    return (
        rows.select(
            "root", "expiration_date", "tte_years", "num_points", "status", *_SHAPE, days=days
        )
        .filter(pl.col("atm_vol").is_not_null(), pl.col("days") > 0)
        .sort("expiration_date", "root")
    )


def _shape(stored: StoredSurface, time: When) -> dict[str, float | None]:
    level = stored.read(time, Where("log_moneyness", (0.0,)))
    sides = stored.read(time, Where("delta", (-0.25, 0.25)))
    put, call = sides.implied_vol.tolist()
    found = {
        "atm_vol": float(level.implied_vol[0]),
        "atm_vol_std_error": float(level.std_error[0]),
        "skew_25delta": put - call,
    }
    return {name: x if math.isfinite(x) else None for name, x in found.items()}
