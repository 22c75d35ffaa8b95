"""How good a smile of any model is: errors against its quotes, shape, density, outcome.

Belongs here: what is said of a model of which only total variance is known. Not here: raw SVI, of
which more can be said (`smile_quality`), or a comparison of models (`model_scores`).
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from volsurf_assets.model_quotes import RootQuotes
from volsurf_assets.smile_points import Array
from volsurf_math.smiles.base import Smile
from volsurf_resources.settings import Settings

POINT, TEN_BPS = 1.0, 0.1  # vol points
SHAPE = (
    *("atm_vol", "skew_25delta", "butterfly_25delta", "min_durrleman_g"),
    *("sound_k_min", "sound_k_max"),
)


def described(
    root: RootQuotes, smiles: Sequence[Smile | None], blind: Sequence[Smile | None]
) -> pl.DataFrame:
    """Describe the smiles of a root, one row per expiry; null where there is none.

    `blind` are the smiles fitted without the strikes held out, on which they are judged.
    """
    return pl.concat(
        [root.expiries, _errors(root, smiles, blind), _shapes(root, smiles)], how="horizontal"
    )


def with_outcome(
    rows: pl.DataFrame, failures: Sequence[str | None], settings: Settings
) -> pl.DataFrame:
    """Add status and reason; `failures` say of each expiry why its fit failed, if it did."""
    least = settings.min_strikes_per_fit
    is_thin = pl.col("num_points") < least
    failure = pl.Series("failure", failures, dtype=pl.String)
    return rows.with_columns(failure).with_columns(
        status=pl.when(is_thin)
        .then(pl.lit("skipped"))
        .when(pl.col("failure").is_null())
        .then(pl.lit("fitted"))
        .otherwise(pl.lit("failed")),
        reason=pl.when(is_thin)
        .then(pl.format("{} strikes to fit, needs {}", "num_points", pl.lit(least)))
        .otherwise("failure"),
    )


def curve(root: RootQuotes, smiles: Sequence[Smile | None]) -> Array:
    """Total variance of each expiry's smile at its own quotes; NaN where there is none."""
    w = np.full(root.points.k.size, np.nan)
    for part, smile in zip(root.slices, smiles, strict=True):
        if smile is not None:
            w[part] = smile.total_variance(root.points.k[part])
    return w


def _errors(
    root: RootQuotes, smiles: Sequence[Smile | None], blind: Sequence[Smile | None]
) -> pl.DataFrame:
    points = root.points
    model, unseen = (np.sqrt(curve(root, each) / points.tte) for each in (smiles, blind))
    is_inside = (model >= np.nan_to_num(points.low)) & (model <= points.high)
    sizes = np.diff(points.offsets)
    error, missed = pl.col("error"), pl.col("missed").filter("is_out")
    quotes = pl.DataFrame(
        {
            "slice": np.repeat(np.arange(sizes.size), sizes),
            "k": points.k,
            "error": 100.0 * (model - points.vol),
            "missed": 100.0 * (unseen - points.vol),
            "is_inside": is_inside,
            "is_out": root.is_out,
        }
    )
    found = (
        quotes.filter(error.is_finite())
        .group_by("slice")
        .agg(
            rmse=(error**2).mean().sqrt(),
            mae=error.abs().mean(),
            max_error=error.abs().max(),
            holdout_rmse=(missed**2).mean().sqrt(),
            inside_spread_share=pl.col("is_inside").mean(),
            within_1_point_share=(error.abs() <= POINT).mean(),
            within_10_bps_share=(error.abs() <= TEN_BPS).mean(),
            k_min=pl.col("k").min(),
            k_max=pl.col("k").max(),
        )
        .with_columns(pl.col("holdout_rmse").fill_nan(None))
    )
    every = pl.DataFrame({"slice": np.arange(sizes.size), "num_points": sizes.astype(np.int32)})
    return every.join(found, on="slice", how="left").sort("slice").drop("slice")


def _shapes(root: RootQuotes, smiles: Sequence[Smile | None]) -> pl.DataFrame:
    from volsurf_math.smiles.grid_shape import grid_shape

    rows: list[tuple[float | None, ...]] = []
    for smile, tte in zip(smiles, root.tte.tolist(), strict=True):
        if smile is None:
            rows.append((None,) * (len(SHAPE) + 1))
            continue
        shape = grid_shape(smile.total_variance, tte)
        numbers = (getattr(shape, name) for name in SHAPE)
        rows.append((*(x if np.isfinite(x) else None for x in numbers), shape.n_negative))
    schema = dict.fromkeys(SHAPE, pl.Float64) | {"butterfly_arbitrage_violations": pl.Int32}
    return pl.DataFrame(rows, schema=schema, orient="row")
