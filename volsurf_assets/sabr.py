"""SABR smiles by Hagan's formula, expiry by expiry, and the smooth curves through their parameters.

Belongs here: from quotes to one row per expiry. Not here: the formula, its fit and the curves
(maths), or how a stored term structure is read between expiries (`sabr_curves`).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from volsurf_assets.model_quality import described, with_outcome
from volsurf_assets.model_quotes import RootQuotes, roots_of
from volsurf_assets.pictures import sparkline
from volsurf_assets.session import Session
from volsurf_assets.smile_outcomes import CARRY_SESSIONS
from volsurf_assets.smile_points import Array, Mask
from volsurf_assets.table_asset import table_asset
from volsurf_resources.settings import Settings
from volsurf_tables.models import SABR_SMILES
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES

if TYPE_CHECKING:
    from volsurf_math.smiles.sabr import SabrSmile
    from volsurf_math.smiles.sabr_slices import SabrFits

IDENTITY = ["symbol", "snapshot", "root", "expiration_date"]
SAME = ["symbol", "root", "expiration_date"]  # as in the official snapshots of other days
PARAMETERS = ("alpha", "rho", "nu")
TERM = (*(f"term_{name}" for name in PARAMETERS), "term_rmse")
NUMBERS = (*PARAMETERS, *(f"{name}_std_error" for name in PARAMETERS), *TERM)
HALF_SPREADS = 1.0  # beyond so many of them an error counts less, as in SVI fits


@table_asset(
    SABR_SMILES,
    reads=[OPTION_QUOTES, IMPLIED_FORWARDS],
    code_version="1",
    picture=lambda rows: sparkline(rows.sort("tte_years")["atm_vol"]),
)
def sabr_smiles(session: Session) -> pl.DataFrame:
    """Fit every expiry; the last fit stands in, marked, where today's failed."""
    frames = [_fit_root(root, session.settings) for root in roots_of(session)]
    if not frames:
        return SABR_SMILES.schema.to_frame()
    past = session.before(SABR_SMILES, CARRY_SESSIONS).filter(pl.col("status") == "fitted")
    return _carry(pl.concat(frames), past)


@dataclass(frozen=True, slots=True)
class _Fits:
    """What came of a root: smiles with and without the strikes held out, and why some failed."""

    smiles: list["SabrSmile | None"]
    blind: list["SabrSmile | None"]
    failures: list[str | None]
    columns: pl.DataFrame


def _fit_root(root: RootQuotes, settings: Settings) -> pl.DataFrame:
    try:
        fits = _fit(root, settings)
    except (ArithmeticError, RuntimeError, ValueError) as error:
        fits = _all_failed(root, f"no convergence: {type(error).__name__}: {error}")
    rows = described(root, fits.smiles, fits.blind)
    judged = with_outcome(
        pl.concat([rows, fits.columns], how="horizontal"), fits.failures, settings
    )
    low, high = pl.col("sound_k_min"), pl.col("sound_k_max")
    is_fitted = pl.col("status") == "fitted"
    complete = judged.with_columns(
        beta=pl.lit(settings.sabr_beta),
        is_sound_at_quotes=(low.is_null() | (low <= pl.col("k_min")))
        & (high.is_null() | (high >= pl.col("k_max"))),
        parameters_date="quote_date",
    ).with_columns(
        pl.when(is_fitted).then(name).alias(name)
        for name in ("beta", "is_sound_at_quotes", "parameters_date")
    )
    return complete.select(SABR_SMILES.schema.names()).cast(SABR_SMILES.schema)


def _fit(root: RootQuotes, settings: Settings) -> _Fits:
    from volsurf_math.smiles.base import FitStatus
    from volsurf_math.smiles.sabr_slices import fit_slices

    points = root.points
    # An expiry without forward or time has no quotes either: its unit numbers are not used.
    forward, tte = (
        np.where(values > 0.0, values, 1.0)
        for values in (root.expiries["forward"].to_numpy(), root.tte)
    )
    is_left = np.repeat(root.is_thin, np.diff(points.offsets))

    def fit(is_out: Mask) -> "SabrFits":
        weight = points.without(is_out).weight
        return fit_slices(
            points.k, root.w, weight, points.offsets, forward, tte,
            beta=settings.sabr_beta, loss_scale=HALF_SPREADS,
        )  # fmt: skip

    fits, blind = fit(is_left), fit(is_left | root.is_out)
    said = [FitStatus(status) for status in fits.status.tolist()]
    return _Fits(
        smiles=[fits[i].smile for i in range(len(fits))],
        blind=[blind[i].smile for i in range(len(blind))],
        failures=[
            None if status is FitStatus.CONVERGED else f"no convergence: {status.name.lower()}"
            for status in said
        ],
        columns=_columns(root, fits),
    )


def _columns(root: RootQuotes, fits: "SabrFits") -> pl.DataFrame:
    """Parameters with standard errors, and the smooth curves where an expiry was fitted."""
    from volsurf_math.smiles.sabr_term_structure import fit_term_structure

    std_error = np.sqrt(np.diagonal(fits.covariance, axis1=1, axis2=2))
    term, miss = np.full_like(fits.parameters, np.nan), np.full(len(fits), np.nan)
    curves = fit_term_structure(fits).curves
    if curves is not None:
        is_fitted = np.isfinite(fits.parameters[:, 0])
        term[is_fitted] = curves.parameters(fits.tte[is_fitted])
        points = root.points
        each = np.repeat(np.arange(len(fits)), np.diff(points.offsets))
        strike = fits.forward[each] * np.exp(points.k)
        error = curves.implied_vol(strike, fits.forward[each], fits.tte[each]) - points.vol
        for i, part in enumerate(root.slices):
            if is_fitted[i]:
                miss[i] = 100.0 * np.sqrt(np.mean(error[part] ** 2))
    return _nullable(np.column_stack((fits.parameters, std_error, term, miss)))


def _nullable(values: Array) -> pl.DataFrame:
    return pl.DataFrame(values, schema=list(NUMBERS), orient="row").fill_nan(None)


def _all_failed(root: RootQuotes, why: str) -> _Fits:
    n = root.expiries.height
    nothing: list[SabrSmile | None] = [None] * n
    return _Fits(nothing, nothing, [why] * n, _nullable(np.full((n, len(NUMBERS)), np.nan)))


def _carry(judged: pl.DataFrame, past: pl.DataFrame) -> pl.DataFrame:
    """Replace failed smiles by the last fit of the same expiry; its curves were of that day."""
    last = past.sort("quote_date").unique(SAME, keep="last")
    lost = judged.filter(pl.col("status") == "failed")
    carried = (
        lost.select(*IDENTITY, "quote_date", "reason")
        .join(last.drop("quote_date", "snapshot", "reason"), on=SAME)
        .with_columns(status=pl.lit("carried"), **dict.fromkeys(TERM, None))
        .select(judged.columns)
        .cast(SABR_SMILES.schema)
    )
    others = judged.join(carried.select(IDENTITY), on=IDENTITY, how="anti")
    reason = pl.when(pl.col("status") == "failed").then(pl.col("reason") + "; nothing to carry")
    return pl.concat([others.with_columns(reason=reason.otherwise("reason")), carried])
