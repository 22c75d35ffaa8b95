"""Fitted smiles: raw SVI on the liquid quotes of every expiry, free of static arbitrage.

Belongs here: from quotes to one row per expiry. Not here: which quotes (`smile_points`), how good a
fit is (`smile_quality`), what stands where there is none (`smile_outcomes`), or the fit itself.
"""

from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.pictures import sparkline
from volsurf_assets.session import Session
from volsurf_assets.smile_outcomes import CARRY_SESSIONS, with_outcome
from volsurf_assets.smile_points import HOLDOUT, Points, every_fifth, points_of, points_to_fit
from volsurf_assets.smile_quality import PARAMETERS, calendar, errors, shapes, variance
from volsurf_assets.table_asset import table_asset
from volsurf_resources.settings import Settings
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES
from volsurf_tables.surfaces import FITTED_SURFACES

MODEL_VERSION = "svi-1"


@table_asset(
    FITTED_SURFACES,
    reads=[OPTION_QUOTES, IMPLIED_FORWARDS],
    code_version="1",
    picture=lambda rows: sparkline(_smile_near_30_days(rows)),
)
def fitted_surfaces(session: Session) -> pl.DataFrame:
    """Fit every expiry; say why where there is no fit."""
    quotes = session.read(OPTION_QUOTES)
    past = session.before(FITTED_SURFACES, CARRY_SESSIONS).filter(pl.col("status") == "fitted")
    forwards = session.read(IMPLIED_FORWARDS)
    frames = [
        _fit_root(rows, forwards, past, session.settings)
        for rows in quotes.partition_by("symbol", "snapshot", "root", maintain_order=True)
    ]
    if not frames:
        return FITTED_SURFACES.schema.to_frame()
    return pl.concat(frames).select(FITTED_SURFACES.schema.names())


def _smile_near_30_days(rows: pl.DataFrame) -> pl.Series:
    """Fitted vols over the quoted strikes of the expiry nearest to 30 days, for the event log."""
    fitted = rows.filter(pl.col("status") == "fitted").sort((pl.col("tte_years") - 30 / 365).abs())
    if fitted.is_empty():
        return pl.Series([], dtype=pl.Float64)
    smile = fitted.row(0, named=True)
    k = np.linspace(smile["k_min"], smile["k_max"], 24)
    w = variance(k, np.array([smile[name] for name in PARAMETERS]))
    return pl.Series(np.sqrt(w / smile["tte_years"]))


def _fit_root(
    rows: pl.DataFrame, forwards: pl.DataFrame, past: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """Fit all expiries of one root together, so that none undercuts the one before."""
    from volsurf_math.smiles.svi import fit_slices
    from volsurf_math.smiles.svi_fit import Loss

    same_root = rows.select("symbol", "quote_date", "snapshot", "root").unique()
    expiries = forwards.join(same_root, on=same_root.columns).sort("expiration_date")
    chosen = points_to_fit(rows, settings)
    points = points_of(chosen, expiries["expiration_date"], settings)

    def fit(points: Points, min_points: int) -> Any:
        w = points.vol**2 * points.tte
        return fit_slices(
            points.k, w, points.weight, points.offsets,
            loss=Loss.SOFT_L1, is_calendar_free=True, min_points=min_points,
            max_iterations=settings.svi_max_iterations, tolerance=settings.svi_tolerance,
        )  # fmt: skip

    fits = fit(points, settings.min_strikes_per_fit)
    is_out = every_fifth(points)
    held_out = fit(points.without(is_out), settings.min_strikes_per_fit * (HOLDOUT - 1) // HOLDOUT)
    tte = expiries["tte_years"].to_numpy()
    described = pl.concat(
        [
            expiries.select(*same_root.columns, "expiration_date", "tte_years", "forward"),
            shapes(fits, tte, (expiries["forward_std_error"] / expiries["forward"]).to_numpy()),
            errors(points, fits.parameters, held_out.parameters, is_out),
            calendar(points, fits.parameters, tte),
        ],
        how="horizontal",
    ).with_columns(
        model_type=pl.lit("SVI"),
        cap_std_devs=pl.lit(settings.fit_cap_std_devs),
        side=pl.lit(settings.fit_side),
        weighting=pl.lit(settings.fit_weighting),
        model_version=pl.lit(MODEL_VERSION),
    )
    return with_outcome(described, rows, past, settings)
