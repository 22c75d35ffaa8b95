"""The whole pipeline without Dagster: a source into a lake, and every recipe over it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from volsurf_assets.graph import RECIPES
from volsurf_assets.intake import Intake
from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_resources.source import MarketSource

LATER = datetime(2100, 1, 1, tzinfo=UTC)


def settings_of(home: Path, **named: object) -> Settings:
    """Settings of a home, deaf to the environment's .env file."""
    return Settings(_env_file=None, volsurf_home=home, ingestion_start_date="2010-01-01", **named)


def fill(
    lake: Lake,
    source: MarketSource,
    settings: Settings,
    days: Sequence[date],
    symbols: Sequence[str],
    history: int = 0,
) -> None:
    """Fetch sessions, and the bars of `history` sessions up to the last one."""
    intake = Intake(lake, source, settings, lambda: LATER, symbols)
    bars = last_sessions(days[-1], history) if history else list(days)
    for day in bars:
        intake.underlying(day, bars)
    for day in days:
        intake.chains(day)
        intake.rates(day)
        intake.indices(day, days)


def make(
    lake: Lake, settings: Settings, days: Sequence[date], only: Sequence[str] | None = None
) -> None:
    """Run the recipes of all tables, or of those named, in order."""
    for recipe in RECIPES:
        if only is None or recipe.table.name in only:
            for day in days:
                recipe.refresh(lake, settings, day)
