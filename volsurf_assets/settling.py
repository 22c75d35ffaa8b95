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
from volsurf_tables.market import RAW_OPTIONS_CHAINS


@dataclass(frozen=True, slots=True)
class Settled:
    """One partition that was stale: what it became, or why it could not be made."""

    table: str
    day: date
    written: Written | None
    error: Exception | None = None


def stale_partitions(
    recipes: Iterable[Recipe], lake: Lake, settings: Settings, *, missing_too: bool = False
) -> Iterator[tuple[Recipe, date]]:
    """Yield the partitions that are not what their inputs would give now.

    With `missing_too`, also those that are not stored though their session's chain is.
    """
    contents = Contents(lake)
    for recipe in recipes:
        for day in _days(recipe, lake, missing_too):
            if recipe.stale_symbols(lake, settings, day, contents) != ():
                yield recipe, day


def settle(
    recipes: Sequence[Recipe],
    lake: Lake,
    settings: Settings,
    *,
    missing_too: bool = False,
    run_id: str = "",
) -> Iterator[Settled]:
    """Make every stale partition again, `recipes` upstream first; yield what was made."""
    contents = Contents(lake)
    for recipe in recipes:
        name = recipe.table.name
        for day in _days(recipe, lake, missing_too):
            stale = recipe.stale_symbols(lake, settings, day, contents)
            if stale == ():
                continue
            try:
                session = recipe.session(lake, settings, day, stale or ())
                yield Settled(name, day, recipe.make(session, run_id))
            except Exception as error:  # one bad partition must not leave the others stale
                yield Settled(name, day, None, error)
            contents.forget(name, day)


def _days(recipe: Recipe, lake: Lake, missing_too: bool) -> list[date]:
    stored = lake.days(recipe.table.name)
    return sorted({*stored, *lake.days(RAW_OPTIONS_CHAINS.name)}) if missing_too else stored
