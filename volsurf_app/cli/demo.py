"""The command `demo`: the simulated market through every table, and what came of it.

Belongs here: what a newcomer sees first.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from volsurf_app.cli.arguments import FULL_WINDOWS, TODAY, Day, History, session_of
from volsurf_app.cli.console import console, hundredths, percent, points, show_frame
from volsurf_app.cli.working import carry_out, finish
from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.settings import Settings

if TYPE_CHECKING:
    import polars as pl

_FURTHER = """
Look further:
  volsurf ui                          Dagster's pages: lineage, partitions, runs (make ui)
  volsurf status                      what is stored, and the gaps
  volsurf fit surfaces --date {day}
                                      the smiles of a session
  volsurf analyze vrp --date {day}
                                      implied against realised
  {path}
                                      every table, for any DuckDB client
"""


def demo(
    sessions: Annotated[int, typer.Option(help="How many sessions.", min=1, max=2000)] = 60,
    date: Day = TODAY,
    history: History = FULL_WINDOWS,
) -> None:
    """Take the last sessions of the simulated market through every table and show the result."""
    from volsurf_app import queries

    settings = Settings()
    if settings.volsurf_source != "simulated":
        raise typer.BadParameter(
            f"the demo is of the simulated market, VOLSURF_SOURCE is {settings.volsurf_source}; "
            "give it a home of its own: VOLSURF_SOURCE=simulated VOLSURF_HOME=demo volsurf demo"
        )
    days = last_sessions(session_of(date), sessions)
    summary = carry_out(settings, settings.default_symbol, days, bars_before=history)
    overview = queries.overview(queries.open_lake(settings), settings.default_symbol, days)
    show_overview(settings.default_symbol, overview)
    _draw(settings.default_symbol, overview)
    console.print(_FURTHER.format(day=days[-1], path=settings.published_path), soft_wrap=True)
    finish(summary)


def show_overview(symbol: str, overview: "pl.DataFrame") -> None:
    """Print one row per session of what came of it, as `queries.overview` tells."""
    show_frame(
        f"{symbol}, simulated: implied and realised in %, fit error in vol points",
        overview,
        {
            "quote_date": ("session", None),
            "atm_vol_30d": ("ATM 30d", percent),
            "skew_30d": ("skew 30d", percent),
            "rv_21d": ("RV 21d", percent),
            "vrp_30d": ("VRP 30d", percent),
            "vrp_zscore": ("z-score", hundredths),
            "fit_error": ("fit error", points),
            "fitted": ("fitted", None),
            "skipped": ("skipped", None),
            "status": ("status", None),
        },
    )


def _draw(symbol: str, overview: "pl.DataFrame") -> None:
    from volsurf_app.charts import line_chart

    series = {
        "implied 30 days": (100 * overview["atm_vol_30d"]).to_list(),
        "realised 21 sessions": (100 * overview["rv_21d"]).to_list(),
    }
    days = overview["quote_date"].to_list()
    typer.echo(
        line_chart(f"{symbol} volatility in %", days, series, is_coloured=console.is_terminal)
    )
