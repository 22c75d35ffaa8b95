"""Fitted smiles: every model on the liquid quotes of every expiry, free of static arbitrage.

Belongs here: from quotes to one row per expiry and model. Not here: which quotes (`smile_points`),
the models (`smile_fits`), how good a fit is (`smile_quality`), or what stands where there is none
(`smile_outcomes`).
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import polars as pl

from volsurf_assets.pictures import sparkline
from volsurf_assets.session import Session
from volsurf_assets.smile_fits import MODELS, fit_model
from volsurf_assets.smile_outcomes import CARRY_SESSIONS, with_outcome
from volsurf_assets.smile_points import (
    HOLDOUT,
    SLICE,
    Points,
    every_fifth,
    points_of,
    points_to_fit,
)
from volsurf_assets.smile_quality import PARAMETERS, calendar, errors, events, shapes, variance
from volsurf_assets.table_asset import table_asset
from volsurf_resources.settings import Settings
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES
from volsurf_tables.surfaces import FITTED_SURFACES, IS_STANDARD

THREADS = 4  # over underlyings, and over models: the kernels run without the interpreter lock


@table_asset(
    FITTED_SURFACES,
    reads=[OPTION_QUOTES, IMPLIED_FORWARDS],
    code_version="6",
    picture=lambda rows: sparkline(_smile_near_30_days(rows)),
)
def fitted_surfaces(session: Session) -> pl.DataFrame:
    """Fit every expiry by every model; say why where there is no fit."""
    quotes = session.read(OPTION_QUOTES)
    past = session.before(FITTED_SURFACES, CARRY_SESSIONS).filter(pl.col("status") == "fitted")
    forwards = session.read(IMPLIED_FORWARDS)
    underlyings = quotes.partition_by("symbol", "snapshot", maintain_order=True)
    fit = partial(_fit_underlying, forwards=forwards, past=past, settings=session.settings)
    with ThreadPoolExecutor(THREADS) as threads:
        frames = list(threads.map(fit, underlyings))
    if not frames:
        return FITTED_SURFACES.schema.to_frame()
    return pl.concat(frames).select(FITTED_SURFACES.schema.names())


def _smile_near_30_days(rows: pl.DataFrame) -> pl.Series:
    """Fitted vols over the quoted strikes of the expiry nearest to 30 days, for the event log."""
    fitted = rows.filter(IS_STANDARD, pl.col("status") == "fitted")
    fitted = fitted.sort((pl.col("tte_years") - 30 / 365).abs())
    if fitted.is_empty():
        return pl.Series([], dtype=pl.Float64)
    smile = fitted.row(0, named=True)
    k = np.linspace(smile["k_min"], smile["k_max"], 24)
    w = variance(k, np.array([smile[name] for name in PARAMETERS]))
    return pl.Series(np.sqrt(w / smile["tte_years"]))


def _fit_underlying(
    rows: pl.DataFrame, forwards: pl.DataFrame, past: pl.DataFrame, settings: Settings
) -> pl.DataFrame:
    """Fit all expiries of one underlying by every model, all to the same quotes.

    They are one surface: the expiries of several roots stand in order of time, so that a morning
    and an evening settlement of one date do not cross either.
    """
    identity = rows.select("symbol", "quote_date", "snapshot").unique()
    expiries = forwards.join(identity, on=identity.columns).sort("tte_years", "root")
    points = points_of(points_to_fit(rows, settings), expiries, settings)
    described = pl.concat(
        [
            expiries.select(
                *identity.columns, *SLICE, "tte_years", "forward",
                forward_error=pl.col("forward_std_error") / pl.col("forward"),
            ),
            events(points),
        ],
        how="horizontal",
    ).with_columns(
        cap_std_devs=pl.lit(settings.fit_cap_std_devs),
        side=pl.lit(settings.fit_side),
        weighting=pl.lit(settings.fit_weighting),
        price_source=pl.lit(settings.price_source),
    )  # fmt: skip
    describe = partial(_described, described, points, settings=settings)
    with ThreadPoolExecutor(THREADS) as threads:
        models = pl.concat(threads.map(describe, MODELS))
    return with_outcome(models, rows, past, settings)


def _described(
    expiries: pl.DataFrame, points: Points, name: str, *, settings: Settings
) -> pl.DataFrame:
    """Say what one model makes of the quotes, one row per expiry."""
    model, least, is_out = MODELS[name], settings.min_strikes_per_fit, every_fifth(points)
    slices = fit_model(model, points, settings, least)
    blind = fit_model(model, points.without(is_out), settings, least * (HOLDOUT - 1) // HOLDOUT)
    tte = expiries["tte_years"].to_numpy()
    return pl.concat(
        [
            expiries,
            shapes(slices, tte, expiries["forward_error"].to_numpy()),
            errors(points, slices.parameters, blind.parameters, is_out),
            calendar(points, slices.parameters, tte),
        ],
        how="horizontal",
    ).with_columns(model_type=pl.lit(name), model_version=pl.lit(model.version))
