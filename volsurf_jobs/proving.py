"""Proving that no table looks ahead: with the future hidden, the same numbers come out.

Belongs here: the question over some sessions. If, for every session t, the tables computed from
what is dated up to t equal the stored ones, then nothing stored has seen anything later.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from volsurf_assets.graph import RECIPES
from volsurf_assets.recipe import Recipe
from volsurf_jobs.recomputing import Difference, recompute, scratch_lake
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings


def look_ahead(
    lake: Lake,
    settings: Settings,
    days: Iterable[date],
    recipes: Sequence[Recipe] = RECIPES,
) -> Iterator[Difference]:
    """Yield every stored value of some sessions that needs data dated after its session."""
    for day in days:
        with scratch_lake(lake, until=day) as scratch:
            yield from recompute(lake, scratch, recipes, settings, day)
