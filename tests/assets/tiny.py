"""A lake of two small tables: levels as received, and what is computed from them and their past."""

from datetime import date
from pathlib import Path

import polars as pl

from volsurf_assets.recipe import Recipe
from volsurf_assets.session import Session
from volsurf_assets.table_asset import table_asset
from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_tables.columns import DAY, names, number, word
from volsurf_tables.table import Table

DAYS = sessions(date(2026, 11, 2), date(2026, 11, 13))

LEVELS = Table(
    name="levels", group="market", meaning="A level.", key=names(DAY),
    columns=(*DAY, number("level", "USD", "The level.", 0.0, 100.0), word("side", "Side.", "A")),
)  # fmt: skip
MEANS = Table(
    name="means", group="variance", meaning="Means of levels.", key=names(DAY),
    columns=(
        *DAY, number("mean", "USD", "Mean of three.", 0.0), number("chained", "USD", "With past.")
    ),
)  # fmt: skip


@table_asset(MEANS, reads=[LEVELS], code_version="1")
def means(session: Session) -> pl.DataFrame:
    """Three-session mean, and the running sum over its own past: order matters in the lake."""
    recent = session.window(LEVELS, 3).group_by("symbol").agg(mean=pl.mean("level"))
    past = session.before(MEANS, 1).select("symbol", before="chained")
    today = session.read(LEVELS).select("symbol", "quote_date", "snapshot")
    both = today.join(recent, on="symbol").join(past, on="symbol", how="left")
    chained = pl.col("mean") + pl.col("before").fill_null(0.0)
    return both.with_columns(chained=chained).select(MEANS.schema.names())


RECIPES: tuple[Recipe, ...] = (means,)


def tiny_lake(folder: Path) -> Lake:
    return Lake(folder / "lake", history=folder / "history", tables=(LEVELS, MEANS))


def tiny_settings(folder: Path, **changed: object) -> Settings:
    return Settings(_env_file=None, volsurf_home=folder, **changed)  # type: ignore[arg-type]


def put(lake: Lake, day: date, **levels: float) -> None:
    """Store levels of some symbols on a day."""
    rows = pl.DataFrame(
        [(symbol, day, "EOD", level, "A") for symbol, level in levels.items()],
        schema=LEVELS.schema,
        orient="row",
    )
    lake.replace("levels", day, rows, symbols=list(levels))
