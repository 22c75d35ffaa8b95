"""The command `crypto demo`: a simulated exchange of coins through every table, with no network.

Belongs here: what somebody sees first who wants to try the coins. Not here: real ones (`crypto`).
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

import typer

from volsurf_app.cli.analytics import show_smiles
from volsurf_app.cli.console import console
from volsurf_app.cli.crypto import HISTORY_DAYS, Coin, coin_settings, has_news
from volsurf_app.cli.demo import show_overview
from volsurf_app.cli.stored import day_of
from volsurf_app.cli.working import carry_out, finish

MORNING, NOON = time(7, 45), time(13, 0)  # the official snapshot, and one more of the last day

_FURTHER = """
All of it is simulated; the exchange's vols in it are the true ones. Look further:
  volsurf crypto graphs {symbol}            one PNG per fitted expiry
  volsurf surface at {symbol} --tenor 30 --moneyness 1.1
                                      the surface anywhere, and where it comes from
  volsurf show {symbol} --snapshot 1300     the other snapshot of {day}
  volsurf analyze vendor {symbol}           our vols and greeks against the exchange's
  volsurf status                      what is stored
  {path}
                                      the recorded answers of the exchange
Real ones need a network and a home of their own: VOLSURF_HOME=coins volsurf crypto fetch {symbol}
"""


def demo(
    symbol: Coin = None,
    days: Annotated[int, typer.Option(help="How many days.", min=1, max=365)] = 3,
    date: Annotated[
        str | None,
        typer.Option("--date", help="The last day of UTC. [default: yesterday]", metavar="DATE"),
    ] = None,
) -> None:
    """Record some days of a simulated exchange and take them through every table; no network."""
    from volsurf_app import queries
    from volsurf_jobs.collecting import recorded
    from volsurf_jobs.simulating import record_simulated

    settings, asked = coin_settings(symbol)
    wanted = _days(date, days)
    moments = [datetime.combine(day, MORNING, UTC) for day in wanted]
    moments.append(datetime.combine(wanted[-1], NOON, UTC))
    for taken in record_simulated(settings, asked, moments, history_hours=24 * HISTORY_DAYS):
        n, index = len(taken.summaries), taken.index_price
        console.print(f"{taken.taken_at:%Y-%m-%d %H:%M}: {n} options, {asked} at {index} dollars")
    source = recorded(settings)
    summary = carry_out(
        settings,
        asked,
        wanted,
        source=source,
        refetch_chains=has_news(settings, source, asked, wanted),
        bars_before=HISTORY_DAYS,
    )
    lake = queries.open_lake(settings)
    show_smiles(lake, asked, wanted[-1], "SVI")
    show_overview(asked, queries.overview(lake, asked, wanted))
    told = _FURTHER.format(symbol=asked, day=wanted[-1], path=settings.recordings_path)
    console.print(told, soft_wrap=True)
    finish(summary)


def _days(text: str | None, n: int) -> Sequence[date]:
    """Return the last n days up to one that has ended."""
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    last = yesterday if text is None else day_of(text)
    if last > yesterday:
        raise typer.BadParameter(
            f"{last} has not ended in UTC; the last day that has is {yesterday}",
            param_hint="--date",
        )
    return [last - timedelta(days=back) for back in reversed(range(n))]
