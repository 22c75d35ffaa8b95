"""Commands that fetch and compute whole sessions: `ingest`, `eod`, `backfill`.

Belongs here: which sessions and symbols are asked for. Not here: how they are run (`working`).
"""

from collections.abc import Sequence
from datetime import date
from typing import Annotated

import typer

from volsurf_app.cli.arguments import (
    FULL_WINDOWS,
    TODAY,
    Day,
    End,
    Force,
    History,
    Start,
    Symbol,
    range_of,
    session_of,
    settings_of,
    symbol_of,
)
from volsurf_app.cli.working import carry_out, finish, quiet_dagster
from volsurf_resources.settings import Settings

ingest = typer.Typer(no_args_is_help=True, help="Fetch what the market said.")


@ingest.command()
def daily(symbol: Symbol = None, date: Day = TODAY, force: Force = False) -> None:
    """Fetch one session: the chain, the bar of the underlying, the rates, the indices."""
    settings = settings_of(symbol)
    day = session_of(date, calendar=settings.calendar)
    asked = served_symbol(symbol, [day], settings)
    finish(carry_out(settings, asked, [day], compute=False, force=force))


@ingest.command("backfill")
def ingest_backfill(
    start: Start, symbol: Symbol = None, end: End = TODAY, force: Force = False
) -> None:
    """Fetch the sessions of a range that are not in the lake yet."""
    settings = settings_of(symbol)
    days = range_of(start, end, settings)
    asked = served_symbol(symbol, days, settings)
    finish(carry_out(settings, asked, days, compute=False, force=force))


def eod(
    date: Day = TODAY,
    symbol: Annotated[str | None, typer.Option(help="One symbol. [default: all]")] = None,
    history: History = FULL_WINDOWS,
    force: Force = False,
) -> None:
    """Take one session through every table: fetch, fit, compute, publish."""
    settings = settings_of(symbol)
    day = session_of(date, calendar=settings.calendar)
    asked = served_symbol(symbol, [day], settings) if symbol else None
    finish(carry_out(settings, asked, [day], bars_before=history, force=force))


def backfill(
    start: Start,
    symbol: Symbol = None,
    end: End = TODAY,
    history: History = FULL_WINDOWS,
    force: Force = False,
) -> None:
    """Take every session of a range through every table; only what is missing is done."""
    settings = settings_of(symbol)
    days = range_of(start, end, settings)
    asked = served_symbol(symbol, days, settings) if symbol else None
    finish(carry_out(settings, asked, days, bars_before=history, force=force))


def served_symbol(text: str | None, days: Sequence[date], settings: Settings) -> str:
    """Return the symbol; one that is neither configured nor served by the source is refused."""
    symbol = symbol_of(text, settings)
    if symbol in (*settings.symbols, settings.default_symbol):
        return symbol
    from volsurf_resources.source import NoData

    with quiet_dagster(settings):
        from volsurf_jobs.definitions import source_of

    source = source_of(settings)
    try:
        served = source.sessions(symbol, days[0], days[-1])
    except NoData:
        served = ()
    if not served:
        raise typer.BadParameter(
            f"{source.name} has no sessions of {symbol} from {days[0]} to {days[-1]}",
            param_hint="SYMBOL",
        )
    return symbol
