"""Finding and remaking partitions whose inputs, code or settings have changed since.

Belongs here: the walk over the lake after a backfill. Sessions loaded out of order leave partitions
that were computed without their past; one walk, upstream tables first and older sessions first,
brings every stored partition to what it would be had all been computed in order.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from volsurf_assets.proofs import Contents
from volsurf_assets.recipe import Recipe
from volsurf_resources.lake import Lake, Written
from volsurf_resources.settings import Settings


@dataclass(frozen=True, slots=True)
class Settled:
    """One partition that was stale: what it became, or why it could not be made."""

    table: str
    day: date
    written: Written | None
    error: Exception | None = None


def stale_partitions(
    recipes: Iterable[Recipe], lake: Lake, settings: Settings
) -> Iterator[tuple[Recipe, date]]:
    """Yield the stored partitions that are not what their inputs would give now."""
    contents = Contents(lake)
    for recipe in recipes:
        for day in lake.days(recipe.table.name):
            if recipe.stale_symbols(lake, settings, day, contents) != ():
                yield recipe, day


def settle(
    recipes: Sequence[Recipe], lake: Lake, settings: Settings, run_id: str = ""
) -> Iterator[Settled]:
    """Make every stale partition again, `recipes` upstream first; yield what was made."""
    contents = Contents(lake)
    for recipe in recipes:
        name = recipe.table.name
        for day in lake.days(name):
            stale = recipe.stale_symbols(lake, settings, day, contents)
            if stale == ():
                continue
            try:
                session = recipe.session(lake, settings, day, stale or ())
                yield Settled(name, day, recipe.make(session, run_id))
            except Exception as error:  # one bad partition must not leave the others stale
                yield Settled(name, day, None, error)
            contents.forget(name, day)
