"""The command `crypto demo`: a simulated exchange of coins through every table, with no network.

Belongs here: what somebody sees first who wants to try the coins. Not here: real ones (`crypto`).
"""

from datetime import UTC, datetime, time
from typing import Annotated

import typer

from volsurf_app.cli.analytics import show_smiles
from volsurf_app.cli.arguments import TODAY, Day, session_of
from volsurf_app.cli.console import console
from volsurf_app.cli.crypto import HISTORY_DAYS, Coin, coin_settings, has_news
from volsurf_app.cli.demo import show_overview
from volsurf_app.cli.working import carry_out, finish

OFFICIAL, EARLIER = time(7, 45), time(1, 45)  # in UTC; the earlier one on the last day

_FURTHER = """
All of it is simulated, and the vols told with the quotes are the true ones. Look further:
  volsurf crypto graphs {symbol}            one PNG per fitted expiry
  volsurf surface at {symbol} --tenor 30d --delta -0.25
                                      the surface anywhere, with its error
  volsurf surface at {symbol} --tenor 30d --delta -0.25 --snapshot {label}
                                      the same six hours before: a day may hold many
  volsurf analyze vendor {symbol} --date {day}
                                      our vols and greeks against those told
  volsurf status                      what is stored
  {path}
                                      the recorded answers, one file each
The exchange itself needs a network, and a home of its own:
  VOLSURF_HOME=coins volsurf crypto fetch {symbol}
"""


def demo(
    symbol: Coin = None,
    days: Annotated[int, typer.Option(help="How many days.", min=1, max=365)] = 3,
    date: Day = TODAY,
) -> None:
    """Record some days of a simulated exchange and take them through every table; no network."""
    from volsurf_app import queries
    from volsurf_jobs.collecting import recorded
    from volsurf_jobs.simulating import record_simulated

    settings, asked = coin_settings(symbol)
    wanted = settings.calendar.last_sessions(session_of(date, calendar=settings.calendar), days)
    early = datetime.combine(wanted[-1], EARLIER, UTC)
    moments = sorted([early, *(datetime.combine(day, OFFICIAL, UTC) for day in wanted)])
    hours = 24 * (HISTORY_DAYS + days - 1)
    for taken in record_simulated(settings, asked, moments, history_hours=hours):
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
    own = {"symbol": asked, "day": wanted[-1], "label": f"{EARLIER:%H%M}"}
    console.print(_FURTHER.format(path=settings.recordings_path, **own), soft_wrap=True)
    finish(summary)
