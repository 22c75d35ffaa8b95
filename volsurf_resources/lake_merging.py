"""New rows of a date put together with those that stay.

Belongs here: which stored rows survive a replacement. Not here: files and locks (`lake`).
"""

from collections.abc import Sequence

import polars as pl

from volsurf_tables.table import Table


def with_unchanged(
    new: pl.DataFrame, stored: pl.DataFrame, contract: Table, same: Sequence[str]
) -> pl.DataFrame:
    """Return the new rows, and the stored ones of those symbols that stay the same."""
    if not same:
        return new
    changed = new.filter(~pl.col("symbol").is_in(same))
    return pl.concat([changed, stored.filter(pl.col("symbol").is_in(same))]).sort(contract.key)


def with_other_snapshots(
    new: pl.DataFrame,
    stored: pl.DataFrame,
    contract: Table,
    symbols: Sequence[str] | None,
    snapshots: Sequence[str],
) -> pl.DataFrame:
    """Return the new rows, and the stored ones of the same symbols' other snapshots."""
    others = stored.filter(~pl.col("snapshot").is_in(list(snapshots)))
    if symbols is not None:
        others = others.filter(pl.col("symbol").is_in(list(symbols)))
    return pl.concat([new, others]).sort(contract.key)
