"""A session's surface as a sheet of points: every expiry over the strikes that were quoted.

Belongs here: the numbers of a picture in three dimensions. Not here: points between expiries.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from volsurf_app.queries.absence import NotStored
from volsurf_resources.lake import Lake
from volsurf_tables.surface_slices import surface_slices

_ACROSS = 41  # points from the lowest to the highest strike that was fitted

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


def surface_sheet(lake: Lake, symbol: str, day: date, model_type: str) -> SurfaceSheet:
    """Return the sheet of a session's smiles of one model; NotStored where there is none."""
    from volsurf_math.smiles.svi import RawSvi

    smiles = lake.read("fitted_surfaces", [day], symbols=[symbol])
    rows = surface_slices(smiles.filter(pl.col("model_type") == model_type))
    rows = rows.drop_nulls(("svi_a", "k_min", "k_max"))
    if rows.is_empty():
        raise NotStored(f"no {model_type} smile of {symbol} was fitted on {day}")
    low, high = rows["k_min"].to_numpy()[:, None], rows["k_max"].to_numpy()[:, None]
    k = low + (high - low) * np.linspace(0.0, 1.0, _ACROSS)
    names = ("a", "b", "rho", "m", "sigma")
    parameters = rows.select(f"svi_{name}" for name in names).iter_rows()
    w = np.array(
        [
            RawSvi(**dict(zip(names, own, strict=True))).total_variance(at)
            for own, at in zip(parameters, k, strict=True)
        ]
    )
    tte, forward = (rows[name].to_numpy()[:, None] for name in ("tte_years", "forward"))
    return SurfaceSheet(
        expirations=rows["expiration_date"].to_list(),
        days=[(expiry - day).days for expiry in rows["expiration_date"]],
        log_moneyness=k,
        strike=forward * np.exp(k),
        implied_vol=np.sqrt(np.where(w > 0.0, w, np.nan) / tte),
    )
