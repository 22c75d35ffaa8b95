"""The commands `crypto fetch`, `crypto build`, `crypto graphs`: coins, from exchange to pictures.

Belongs here: one look at a market, and what is made of it without asking again. Not here: looking
round the clock (`collecting`).
"""

import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from volsurf_app.cli import graphs as pictures
from volsurf_app.cli.arguments import Model, symbol_of
from volsurf_app.cli.console import console
from volsurf_app.cli.stored import StoredDay, day_of
from volsurf_app.cli.working import carry_out, finish
from volsurf_resources.settings import Settings

if TYPE_CHECKING:
    from volsurf_resources.deribit import RecordedDeribit, Snapshot

crypto = typer.Typer(no_args_is_help=True, help="Options on coins: fetch, build, draw.")

HISTORY_DAYS = 92  # of hourly bars: the longest premium's window, and a margin
Coins = Annotated[
    list[str] | None,
    typer.Argument(help="Coins, as BTC ETH. [default: CRYPTO_SYMBOLS]", metavar="SYMBOL..."),
]
Coin = Annotated[
    str | None,
    typer.Argument(help="Coin, as BTC. [default: first of CRYPTO_SYMBOLS]", metavar="SYMBOL"),
]


class Prices(StrEnum):
    """What the price of an option may be taken from."""

    QUOTES = "quotes"
    MARKS = "marks"


def coin_settings(symbol: str | None, prices: Prices | None = None) -> tuple[Settings, str]:
    """Return the settings of the coins' market, and the coin asked for."""
    chosen: dict[str, Any] = {} if prices is None else {"price_source": prices.value}
    settings = Settings(**chosen).for_market("crypto")
    return settings, symbol_of(symbol, settings)


@crypto.command()
def fetch(
    symbols: Coins = None,
    every_ticker: Annotated[
        bool,
        typer.Option("--tickers", help="Ask for each instrument too: sizes, greeks; minutes."),
    ] = False,
    history: Annotated[
        int, typer.Option(help="Days of hourly bars to bring along.", min=0, max=3000)
    ] = HISTORY_DAYS,
) -> None:
    """Take one snapshot of each coin's options and keep it as a file; no account is needed."""
    from volsurf_jobs.collecting import exchange
    from volsurf_resources.deribit.taking import EVERY

    settings, _ = coin_settings(None)
    since = datetime.now(UTC) - timedelta(days=history) if history else None
    with exchange(settings) as source:
        for asked in symbols or settings.symbols:
            symbol = symbol_of(asked, settings)
            started, before = time.perf_counter(), sum(source.usage().values())
            with console.status(f"asking for {symbol}") as status:
                taken = source.record(
                    symbol,
                    tickers=EVERY if every_ticker else (),
                    history_since=since,
                    progress=lambda done, of, s=status: s.update(f"{done} of {of} tickers"),  # type: ignore[misc]
                )
            requests = sum(source.usage().values()) - before
            _tell_taken(taken, requests, time.perf_counter() - started)
    console.print(f"kept in {settings.recordings_path}; next: volsurf crypto build")


def _tell_taken(taken: "Snapshot", requests: int, elapsed: float) -> None:
    n = len(taken.summaries) or len(taken.tickers)
    at = f"{taken.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    console.print(
        f"[bold]{taken.symbol}[/bold]: {n} options at {at}, {requests} requests, {elapsed:.1f} s"
    )
    for part in taken.missing:
        console.print(f"  [yellow]partial[/yellow], without {escape(part)}")


@crypto.command()
def build(
    symbol: Coin = None,
    date: Annotated[
        str | None,
        typer.Option("--date", help="Day of UTC. [default: newest recorded]", metavar="DATE"),
    ] = None,
    prices: Annotated[
        Prices | None,
        typer.Option(help="Mids of quotes, or the exchange's marks. [default: PRICE_SOURCE]"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also redo what is up to date.")] = False,
    trace: Annotated[
        Path | None,
        typer.Option(help="Folder for the path of every fit's search.", file_okay=False),
    ] = None,
) -> None:
    """Fit a day's recorded snapshots, each valued at its own time; nobody is asked."""
    from volsurf_app import queries
    from volsurf_app.cli.analytics import show_smiles
    from volsurf_jobs.collecting import recorded

    settings, asked = coin_settings(symbol, prices)
    if trace is not None:
        _make_ready(trace)
    source = recorded(settings)
    day = _recorded_day(source, asked, date)
    _tell_age(source, asked, day)
    summary = carry_out(
        settings,
        asked,
        [day],
        source=source,
        force=force,
        refetch_chains=has_news(settings, source, asked, [day]),
        bars_before=_days_of_bars(source, asked, day),
    )
    if settings.price_source != Settings().price_source:
        told = f"made of {settings.price_source}; PRICE_SOURCE={settings.price_source} keeps it so"
        console.print(told + ", else the next run makes it of " + Settings().price_source)
    lake = queries.open_lake(settings)
    show_smiles(lake, asked, day, "SVI")
    if trace is not None:
        from volsurf_jobs.tracing import trace_fits

        files = trace_fits(settings, asked, day, trace)
        console.print(f"{len(files)} paths of search in {trace}")
    finish(summary)


@crypto.command("graphs")
def draw(
    symbol: Coin = None,
    date: StoredDay = None,
    model: Model = "svi",
    out: pictures.Folder = None,
) -> None:
    """Draw one PNG per fitted expiry of a day's official snapshot; old graphs are replaced."""
    settings, asked = coin_settings(symbol)
    pictures.draw(settings, asked, date, model, out)


def _make_ready(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        told = f"{folder} cannot be made: {error.strerror}"
        raise typer.BadParameter(told, param_hint="--trace") from None


def _recorded_day(source: "RecordedDeribit", symbol: str, text: str | None) -> date:
    """Return the day asked for, the newest recorded one by default; NoData if there is none."""
    from volsurf_resources.source import NoData

    days = sorted({at.date() for at in source.recordings.instants(symbol)})
    if not days:
        raise NoData(
            f"no snapshot of {symbol} is recorded yet: volsurf crypto fetch {symbol}, "
            f"or without a network volsurf crypto demo {symbol}"
        )
    if text is None:
        return days[-1]
    if (day := day_of(text)) not in days:
        near = ", ".join(map(str, sorted(days, key=lambda d: abs((d - day).days))[:2]))
        raise NoData(f"nobody recorded {symbol} on {day}; the nearest days are {near}")
    return day


def _newest(source: "RecordedDeribit", symbol: str, day: date) -> "Snapshot":
    return source.recordings.snapshot(symbol, source.recordings.instants(symbol, day)[-1])


def _tell_age(source: "RecordedDeribit", symbol: str, day: date) -> None:
    from volsurf_resources.deribit.findings import staleness

    if told := staleness(_newest(source, symbol, day), datetime.now(UTC)):
        console.print(f"[yellow]stale[/yellow]: {escape(told)}", soft_wrap=True)


def has_news(
    settings: Settings, source: "RecordedDeribit", symbol: str, days: Sequence[date]
) -> bool:
    """Whether the recordings of some days hold a snapshot that the lake does not."""
    from volsurf_app import queries

    chains = queries.open_lake(settings).read(
        "raw_options_chains",
        days,
        symbols=[symbol],
        columns=["quote_date", "snapshot"],
        snapshot=None,
    )
    told = {(day, snapshot) for day in days for snapshot in source.snapshots(symbol, day)}
    return not told <= set(chains.unique().iter_rows())


def _days_of_bars(source: "RecordedDeribit", symbol: str, day: date) -> int:
    """Count the days before of which the snapshots brought bars along."""
    candles = _newest(source, symbol, day).candles
    if not candles:
        return 0
    return (day - datetime.fromtimestamp(candles[0][0] / 1000.0, UTC).date()).days
