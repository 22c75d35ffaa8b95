"""The options that a model of the whole surface is fitted to, and the strikes that judge it.

Belongs here: choosing among thousands of liquid quotes, always the same ones from the same quotes.
Not here: which quotes are liquid (`quality`), or what one smile is fitted to (`smile_points`).
"""

import polars as pl

from volsurf_assets.smile_points import HOLDOUT, points_to_fit
from volsurf_resources.settings import Settings

FEWEST_PER_EXPIRY = 5  # a smile's level, slope and curvature, and what contradicts them
_EXPIRY = ("root", "expiration_date")
_COLUMNS = (
    *("contract_id", "option_type", "strike", "forward", "tte_years", "log_moneyness", "iv_mid"),
    *_EXPIRY,
)


def options_to_fit(quotes: pl.DataFrame, settings: Settings) -> pl.DataFrame:
    """Return the quotes that smiles are fitted to, of every root of one underlying.

    Those of one expiry have one time left, so that it is priced at once, however long it took to
    gather its quotes.
    """
    parts = [
        points_to_fit(rows, settings).select(_COLUMNS)
        for rows in quotes.partition_by("root", maintain_order=True)
    ]
    one = pl.col("tte_years").median().over(_EXPIRY)
    return (
        pl.concat(parts)
        .with_columns(tte_years=one)
        .sort("tte_years", *_EXPIRY, "log_moneyness", "contract_id")
    )


def spread_out(options: pl.DataFrame, most: int) -> pl.DataFrame:
    """Choose up to about `most` options, spread over expiries and over log-moneyness.

    Of too many expiries some are left out, evenly; the span of each is cut into equal parts, of
    which each gives its middle option.
    """
    kept = options.join(_expiries(options, most), on=_EXPIRY)
    if kept.is_empty():
        return options.clear()
    share = max(most // kept.select(_EXPIRY).n_unique(), FEWEST_PER_EXPIRY)
    k = pl.col("log_moneyness")
    low, high = k.min().over(_EXPIRY), k.max().over(_EXPIRY)
    part = (share * (k - low) / (high - low)).fill_nan(0.0).floor().clip(0, share - 1)
    place = pl.int_range(pl.len()).over(*_EXPIRY, "part")
    size = pl.len().over(*_EXPIRY, "part")
    return kept.with_columns(part=part).filter(place == size // 2).select(options.columns)


def held_out(options: pl.DataFrame) -> pl.Series:
    """Mark every fifth strike of each expiry, never the outermost ones."""
    place, size = pl.int_range(pl.len()).over(_EXPIRY), pl.len().over(_EXPIRY)
    is_inside = (place > 0) & (place < size - 1)
    return options.select((place % HOLDOUT == HOLDOUT // 2) & is_inside).to_series()


def _expiries(options: pl.DataFrame, most: int) -> pl.DataFrame:
    every = options.select("tte_years", *_EXPIRY).unique(_EXPIRY, keep="first").sort("tte_years")
    n = min(every.height, max(most // FEWEST_PER_EXPIRY, 1))
    rank = pl.int_range(pl.len())
    is_kept = (rank * n // every.height) != ((rank - 1) * n // every.height)
    return every.filter(is_kept).select(_EXPIRY)
