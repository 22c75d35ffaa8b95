"""How a function of one session becomes the recipe of a table.

Belongs here: the decorator of computed tables. Not here: what any table computes (its family's
module), how a partition is made (`recipe`), or Dagster (`computed_assets`).
"""

from collections.abc import Callable, Sequence

from volsurf_assets.recipe import Compute, Picture, Recipe
from volsurf_tables.table import Table


def table_asset(
    table: Table,
    *,
    reads: Sequence[Table],
    code_version: str,
    picture: Picture | None = None,
    kinds: Sequence[str] = ("polars", "parquet"),
) -> Callable[[Compute], Recipe]:
    """Make the recipe of a computed table from a function of one session.

    Parameters
    ----------
    table
        What is made.
    reads
        Upstream tables; reading any other is refused. The table's own past needs no mention.
    code_version
        Grows whenever the function would give other numbers.
    picture
        Draws a small Markdown picture of the last partition of a run.
    """

    def decorate(compute: Compute) -> Recipe:
        return Recipe(table, compute, tuple(reads), code_version, picture, tuple(kinds))

    return decorate
