"""The whole pipeline without Dagster: a source into a lake, and every recipe over it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl

from volsurf_assets.graph import RECIPES
from volsurf_assets.intake import Intake
from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_resources.simulated import SimulatedMarket
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


def simulated_lake(
    home: Path,
    days: Sequence[date],
    *,
    seed: int = 7,
    dirt: float = 0.02,
    symbols: Sequence[str] = ("SPY",),
    only: Sequence[str] | None = None,
) -> tuple[Lake, SimulatedMarket]:
    """Sessions of the simulated market, and of the three years before them the ex-dates."""
    settings, source = settings_of(home), SimulatedMarket(seed, symbols, dirt)
    lake = Lake(settings.lake_root)
    past = [source.underlying(symbol, days[0] - timedelta(1100), days[-1]) for symbol in symbols]
    ex_dates = pl.concat(past).filter(pl.col("dividend") > 0.0)["quote_date"]
    intake = Intake(lake, source, settings, lambda: LATER, symbols)
    needed = sorted({*ex_dates, *days})
    for day in needed:
        intake.underlying(day, needed)
    fill(lake, source, settings, days, symbols)
    make(lake, settings, days, only)
    return lake, source
