"""The command `collect`: snapshots of coins round the clock, without Dagster.

Belongs here: what a user sees of it. Not here: the rhythm (`volsurf_resources.deribit.collector`).
"""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from volsurf_app.cli.arguments import symbol_of
from volsurf_app.cli.console import console
from volsurf_app.cli.crypto import Coins, coin_settings
from volsurf_resources.logbook import keep_log

if TYPE_CHECKING:
    from volsurf_resources.deribit.collector import Collected

_DURATION = re.compile(r"(\d+)([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def duration_of(text: str, hint: str) -> timedelta:
    """Return a duration as 15m, 2h or 1d; exit code 2 if it is none."""
    if (found := _DURATION.fullmatch(text.strip().lower())) is None:
        raise typer.BadParameter(f"{text!r} is no duration: 15m, 2h, 1d", param_hint=hint)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def collect(
    symbols: Coins = None,
    every: Annotated[str, typer.Option(help="One snapshot in each slot of so long.")] = "15m",
    lasting: Annotated[
        str | None, typer.Option("--for", help="Stop after so long. [default: never]")
    ] = None,
) -> None:
    """Keep a snapshot of each coin in every slot of the day; started again, it goes on."""
    from volsurf_jobs.collecting import collector, exchange

    settings, _ = coin_settings(None)
    keep_log(settings)
    asked = [symbol_of(text, settings) for text in symbols or settings.symbols]
    begun = datetime.now(UTC)
    end = None if lasting is None else begun + duration_of(lasting, "--for")
    kept = 0
    with exchange(settings) as source:
        try:
            collecting = collector(source, asked, duration_of(every, "--every"))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--every") from None
        for symbol in asked:
            _tell_gaps(symbol, collecting.gaps(symbol, _midnight(begun)))
        console.print(f"every {every} into {settings.recordings_path}; Ctrl-C ends it")
        try:
            for one in collecting.run(end):
                kept += one.file is not None
                _tell(one)
        except KeyboardInterrupt:
            console.print("stopped")
    console.print(f"{kept} snapshots kept")


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def _tell(one: "Collected") -> None:
    what = f"{one.slot:%Y-%m-%d %H:%M} {one.symbol}"
    if one.error is not None:
        console.print(f"{what}: [red]not yet[/red], {escape(str(one.error))}", soft_wrap=True)
    elif one.file is None:
        console.print(f"{what}: was there already")
    else:
        partial = f" [yellow]partial[/yellow], without {escape('; '.join(one.missing))}"
        console.print(f"{what}: kept{partial if one.missing else ''}", soft_wrap=True)


def _tell_gaps(symbol: str, gaps: list[datetime]) -> None:
    if gaps:
        last = f"the last of them at {gaps[-1]:%H:%M} UTC"
        console.print(f"{symbol}: {len(gaps)} slots of today passed without a snapshot, {last}")
