"""Commands that only look: `status` and `settings`. They load no Dagster and write nothing.

Belongs here: printing what the store and the settings hold.
"""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import SecretStr
from rich.table import Table
from rich.text import Text

from volsurf_app.cli.arguments import TODAY, Symbol, range_of, session_of, settings_of, symbol_of
from volsurf_app.cli.console import (
    PROSE_WIDTH,
    Shown,
    console,
    new_table,
    show_frame,
    show_table,
    spans,
)
from volsurf_resources.calendars import CALENDARS
from volsurf_resources.settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from volsurf_resources.lake import Lake

_MONTHS_SHOWN = 13
_WRITES: Shown = {
    "table": ("table", None),
    "quote_date": ("session", None),
    "rows": ("rows", None),
    "known_at": ("written", lambda at: f"{at:%Y-%m-%d %H:%M:%S} UTC"),
    "source": ("source", None),
    "run_id": ("run", lambda run: run[:8]),
}


def status(
    symbol: Symbol = None,
    start: Annotated[str | None, typer.Option(help="First day. [default: first stored]")] = None,
    end: Annotated[
        str | None, typer.Option(help="Last day, or today. [default: last stored]")
    ] = None,
) -> None:
    """Show what is stored: coverage, gaps, the last run, last writes, calls to the vendor."""
    from volsurf_app import queries

    settings = settings_of(symbol)
    markets = [settings]
    if symbol is None:
        others = [
            settings.for_market(other) for other in CALENDARS if other != settings.volsurf_market
        ]
        markets += [other for other in others if queries.symbols(queries.open_lake(other))]
    for n, market in enumerate(markets):
        _show_market(market, symbol_of(symbol, market), start, end, is_first=n == 0)
    if (run := queries.last_run(settings.log_path)) is not None:
        console.print(f"last run: {run[0]} UTC, {run[1]}", markup=False)
    calls = queries.api_calls(settings.log_path)
    if not calls.is_empty():
        shown = {name: (name.replace("_", " "), None) for name in calls.columns}
        show_frame("calls to the vendor, by the log", calls, shown)


def _show_market(
    settings: Settings, asked: str, start: str | None, end: str | None, *, is_first: bool
) -> None:
    """Show what is stored of one market, one symbol of it in detail."""
    from volsurf_app import queries

    lake = queries.open_lake(settings)
    if not is_first:
        console.rule(f"market {settings.volsurf_market}: {', '.join(queries.symbols(lake))}")
    known = queries.first_and_last(lake, asked)
    if known is None:
        there = ", ".join(queries.symbols(lake)) or "nothing yet: try `volsurf demo`"
        console.print(f"{settings.lake_root} holds no chain of {asked}; it holds {there}")
    else:
        first, last = start or str(known[0]), end or str(known[1])
        _show_coverage(lake, asked, range_of(first, last, settings, is_stored=True))
        latest = session_of(TODAY, calendar=settings.calendar)
        told = "stored" if known[1] == latest else "not stored"
        console.print(f"\nlatest closed session: {latest}, {told}")
    writes = queries.last_writes(lake)
    if not writes.is_empty():
        show_frame("newest date of each table", writes, _WRITES)


def _show_coverage(lake: "Lake", symbol: str, days: Sequence[date]) -> None:
    from volsurf_app import queries

    covered = queries.coverage(lake, symbol, days[0], days[-1])
    span = "%Y-%m" if len({f"{day:%Y-%m}" for day in days}) <= _MONTHS_SHOWN else "%Y"
    show_table(f"{symbol}: sessions stored, of those there were", _calendar(covered, span))
    gaps = {
        table: [day for _, day, is_present in rows if not is_present]
        for table, rows in covered.rows_by_key("table", include_key=True).items()
    }
    for table, missing in gaps.items():
        if 0 < len(missing) < len(days):
            console.print(f"gaps in {table}: {spans(missing, days)}")


def _calendar(covered: "pl.DataFrame", span: str) -> Table:
    import polars as pl

    counted = covered.group_by(
        "table", pl.col("quote_date").dt.strftime(span).alias("span"), maintain_order=True
    ).agg(found=pl.col("is_present").sum(), asked=pl.len())
    spans = counted["span"].unique(maintain_order=True).to_list()
    table = new_table()
    for name in ("table", *spans):
        table.add_column(name, justify="left" if name == "table" else "right")
    for name, rows in counted.rows_by_key("table").items():
        table.add_row(str(name), *(_share(found, asked) for _, found, asked in rows))
    return table


def _share(found: int, asked: int) -> Text:
    colour = "green" if found == asked else "yellow" if found else "red"
    return Text(f"{found}/{asked}", style=colour)


def settings() -> None:
    """Show every setting: its value, where it comes from, what it means. Secrets are masked."""
    in_force = Settings()
    table = new_table()
    for name in ("name", "value", "from", "meaning"):
        may_fold = name in ("value", "meaning")
        table.add_column(name, overflow="fold", min_width=PROSE_WIDTH if may_fold else None)
    for name, field in Settings.model_fields.items():
        origin = in_force.origin(name)
        style = "" if origin == "default" else "bold"
        value = Text(_shown(getattr(in_force, name)), style=style)
        table.add_row(name.upper(), value, Text(origin, style=style), field.description)
    show_table("settings", table)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, SecretStr):
        return "********"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
