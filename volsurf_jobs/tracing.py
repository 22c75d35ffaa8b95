"""The diary of a day's fits, written on request: no run of Dagster, for nothing is stored.

Belongs here: what a command may ask to be told of stored fits. Not here: what is told
(`volsurf_assets.search_paths`).
"""

from datetime import date
from pathlib import Path

from volsurf_assets.search_paths import write_search_paths
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings


def trace_fits(settings: Settings, symbol: str, day: date, folder: Path) -> list[Path]:
    """Write how each smile of a day's official snapshot was searched for; return the files."""
    lake = Lake(settings.lake_root, calendar=settings.calendar)
    return write_search_paths(lake, settings, symbol, day, folder)
