"""How the models compare, by session: fit, left-out strikes, stability.

Stability is measured as a desk would: at-the-money vol, 25-delta skew and butterfly of each expiry
against the same expiry of the session before. The last two are free of the level. The market moves
all models alike, so their differences are the models' own.

Belongs here: arithmetic on stored rows of fits. Not here: any fit.
"""

import polars as pl

from volsurf_assets.session import Session
from volsurf_assets.surfaces import LOOK_BACK
from volsurf_assets.table_asset import table_asset
from volsurf_tables.models import MODEL_SCORES, SABR_SMILES, SMILE_MODELS
from volsurf_tables.stochastic_vol import HESTON_SURFACES
from volsurf_tables.surfaces import FITTED_SURFACES

UNDERLYING = ["symbol", "snapshot"]
SHAPE = ("atm_vol", "skew_25delta", "butterfly_25delta")
LEAST_SHARE = 0.9  # of the expiries that any model fitted: with fewer a model has no rank
_SMILES = (FITTED_SURFACES, SABR_SMILES, SMILE_MODELS)


@table_asset(MODEL_SCORES, reads=[*_SMILES, HESTON_SURFACES], code_version="1")
def model_scores(session: Session) -> pl.DataFrame:
    """Score every model that has smiles in the lake, and rank those that fitted the expiries."""
    now = _smiles([session.read(table) for table in _SMILES])
    past = _smiles([session.before(table, LOOK_BACK) for table in _SMILES])
    by = [*UNDERLYING, "model_type"]
    scored = (
        now.group_by(by)
        .agg(
            num_expirations=pl.len().cast(pl.Int32),
            num_points=pl.col("num_points").sum().cast(pl.Int32),
            median_rmse=pl.col("rmse").median(),
            pooled_rmse=_pooled("rmse"),
            median_holdout_rmse=pl.col("holdout_rmse").median(),
            pooled_holdout_rmse=_pooled("holdout_rmse"),
            inside_spread_share=_over_quotes(pl.col("inside_spread_share")),
        )
        .join(_changes(now, past), on=by, how="left")
    )
    rows = pl.concat([scored, _heston(session)], how="diagonal_relaxed")
    judged = _ranked(rows).with_columns(quote_date=pl.lit(session.day))
    return judged.select(MODEL_SCORES.schema.names()).sort(MODEL_SCORES.key)


def _smiles(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Fitted smiles of all models below each other; a carried one says nothing of its session."""
    return pl.concat(
        [
            (rows if "model_type" in rows.columns else rows.with_columns(model_type=pl.lit("SABR")))
            .filter(pl.col("status") == "fitted")
            .select(
                *UNDERLYING, "quote_date", "root", "expiration_date", "model_type", *SHAPE,
                "rmse", "holdout_rmse", "inside_spread_share", "num_points",
            )
            for rows in tables
        ]
    )  # fmt: skip


def _over_quotes(value: pl.Expr) -> pl.Expr:
    """Mean over expiries by number of quotes; null where no expiry has the value."""
    quotes = pl.col("num_points")
    mean = (value * quotes).sum() / quotes.filter(value.is_not_null()).sum()
    return mean.fill_nan(None)


def _pooled(name: str) -> pl.Expr:
    return _over_quotes(pl.col(name) ** 2).sqrt()


def _changes(now: pl.DataFrame, past: pl.DataFrame) -> pl.DataFrame:
    """Median absolute changes of the expiries that were fitted in the session before as well."""
    by = ["symbol", "model_type"]
    before = past.filter(pl.col("quote_date") == pl.col("quote_date").max().over(by))
    both = now.join(before, on=[*by, "root", "expiration_date"], suffix="_before")
    return both.group_by(*UNDERLYING, "model_type").agg(
        previous_date=pl.col("quote_date_before").first(),
        **{
            f"{name}_change": 100.0 * (pl.col(name) - pl.col(f"{name}_before")).abs().median()
            for name in SHAPE
        },
    )


def _heston(session: Session) -> pl.DataFrame:
    """Heston's one fit to all expiries: errors over all quotes only."""
    rows = session.read(HESTON_SURFACES).filter(pl.col("status") == "fitted")
    return rows.select(
        *UNDERLYING,
        model_type=pl.lit("HESTON"),
        num_expirations="n_expiries",
        num_points="n_quotes",
        pooled_rmse="rmse",
        pooled_holdout_rmse="holdout_rmse",
    )


def _ranked(rows: pl.DataFrame) -> pl.DataFrame:
    # Heston takes in expiries with too few quotes for a smile of their own.
    by_expiry = pl.col("num_expirations").filter(pl.col("median_rmse").is_not_null())
    most = by_expiry.max().over(UNDERLYING).fill_null(0)
    error = pl.col("pooled_holdout_rmse")
    is_whole = (pl.col("num_expirations") >= LEAST_SHARE * most) & error.is_not_null()
    place = pl.when(is_whole).then(error).rank("min").over(UNDERLYING)
    return rows.with_columns(
        rank=place.cast(pl.Int32),
        status=pl.when(is_whole).then(pl.lit("scored")).otherwise(pl.lit("partial")),
        reason=pl.when(error.is_null())
        .then(pl.lit("no error on left-out strikes"))
        .when(~is_whole)
        .then(pl.format("{} of {} expiries fitted", "num_expirations", most)),
    )
