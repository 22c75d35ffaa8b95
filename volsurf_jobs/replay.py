"""Replaying a session: is what is stored what its inputs, code and settings give?

Belongs here: the question over one session. Not here: how it is computed again (`recomputing`).
"""

from datetime import date

from volsurf_assets.graph import RECIPES
from volsurf_jobs.definitions import lake_of
from volsurf_jobs.recomputing import Difference, recompute, scratch_lake
from volsurf_resources.settings import Settings


def replay(settings: Settings, day: date) -> list[Difference]:
    """Compute every table of a session again from its stored inputs; return what differs.

    LookupError if the lake has nothing computed for that day.
    """
    lake = lake_of(settings)
    if not any(lake.footer(recipe.table.name, day) for recipe in RECIPES):
        raise LookupError(f"nothing is computed for {day} in {lake.root}")
    with scratch_lake(lake) as scratch:
        return list(recompute(lake, scratch, RECIPES, settings, day))
