"""Can the surface be believed: fit errors, residuals, arbitrage, models side by side.

Belongs here: the page. Not here: its pictures (`plots.fits`).
"""

from collections.abc import Sequence
from datetime import date

import polars as pl
import streamlit as st

from volsurf_app.pages.absence import tell_unfitted
from volsurf_app.pages.answers import ask
from volsurf_app.pages.choice import Choice
from volsurf_app.pages.origin_panel import why_table
from volsurf_app.pages.panels import (
    downloads,
    figures_of,
    heading,
    in_sessions,
    number,
    percent,
    picture,
    subtitle,
    table,
)
from volsurf_app.plots import fits as plots
from volsurf_app.queries import diagnostics
from volsurf_app.queries.evolution import with_gaps
from volsurf_app.queries.models import MODEL_TABLES
from volsurf_tables.models import table_of

_QUOTES = (*MODEL_TABLES, "option_quotes", "implied_forwards")
_LOOKED_FOR = (
    "Butterflies are looked for in every smile, calendar spreads between those of SVI and of SSVI. "
    "Heston's law admits neither, so that none is counted."
)
_ARBITRAGE = {
    "quote_date": ("session", None),
    "model_type": ("model", None),
    "root": ("root", None),
    "expiration_date": ("expiry", None),
    "butterfly_arbitrage_violations": ("butterfly, grid points", "%d"),
    "calendar_arbitrage_violations": ("calendar, grid points", "%d"),
    "min_durrleman_g": ("least density factor", "%.4f"),
    "min_calendar_slope": ("least calendar slope, vol²", "%.5f"),
    "rmse": ("RMSE, vol points", "%.3f"),
    "status": ("status", None),
}
_SCORES = {
    "model_type": ("model", None),
    "rank": ("place", "%d"),
    "num_expirations": ("expiries", "%d"),
    "num_points": ("quotes", "%,d"),
    "median_rmse": ("median RMSE, vol points", "%.3f"),
    "pooled_rmse": ("pooled RMSE, vol points", "%.3f"),
    "pooled_holdout_rmse": ("strikes left out, vol points", "%.3f"),
    "inside_spread_share": ("inside bid-ask", "percent"),
    "atm_vol_change": ("ATM moves, vol points", "%.3f"),
    "status": ("status", None),
}


def draw(choice: Choice) -> None:
    """Draw the page of diagnostics."""
    days = choice.past
    history, found, residuals = answers(choice)
    today = history.filter(pl.col("quote_date") == choice.day)
    heading("Diagnostics", subtitle(choice), f"{in_sessions(history.height)} fitted")
    history = with_gaps(history, days)
    if today.height:
        _numbers(today.row(0, named=True))
    else:
        missing = f"no {choice.model} surface of {choice.symbol} is stored for {choice.day}"
        tell_unfitted(choice, missing)
    left, right = st.columns(2, gap="medium")
    with left:
        figure = plots.error_figure(history, subtitle(choice))
        picture(choice, figure, history, "fit_error", "Fit errors session by session.")
    with right:
        figure = plots.outcome_figure(history, subtitle(choice))
        picture(choice, figure, history, "outcome", "Outcomes of fits by session.")
    figure = plots.residual_figure(residuals, subtitle(choice))
    alt = "Residual of every fitted quote of the session over its moneyness."
    picture(choice, figure, residuals, "residuals", alt)
    _arbitrage(choice, found, days)
    _scores(choice)
    why_table(choice, table_of(choice.model).name)


def answers(choice: Choice) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the history of fits, every violation, and the residuals of the session."""
    own = (table_of(choice.model).name,)
    return (
        choice.history(diagnostics.fit_history, choice.model, reads=own),
        choice.history(diagnostics.arbitrage, reads=MODEL_TABLES),
        ask(
            choice.lake, diagnostics.residuals, choice.symbol, choice.day, choice.model,
            choice.snapshot, reads=_QUOTES, days=[choice.day],
        ),
    )  # fmt: skip


def _numbers(row: dict[str, float | None]) -> None:
    share = row["inside_spread_share"]
    figures_of(
        {
            "Median RMSE": (number(row["median_rmse"], 3, " pts"), "Vol points, fitted smiles."),
            "Worst RMSE": (number(row["worst_rmse"], 3, " pts"), "Vol points, fitted smiles."),
            "Strikes left out": (
                number(row["holdout_rmse"], 3, " pts"),
                "Median error on every fifth strike when it was left out of the fit.",
            ),
            "Inside bid-ask": (percent(share, 1), "Median share of quotes whose fit is inside."),
            "With arbitrage": (number(row["violating"], 0), "Smiles with a violation."),
        }
    )


def _arbitrage(choice: Choice, found: pl.DataFrame, days: Sequence[date]) -> None:
    st.markdown("#### Arbitrage")
    models = sorted({choice.model, *found["model_type"]})
    left, right = st.columns([2, 1], gap="medium")
    span = left.date_input(
        "Sessions", (days[0], days[-1]), min_value=days[0], max_value=days[-1],
        format="YYYY-MM-DD", key="arbitrage_span",
    )  # fmt: skip
    chosen = right.multiselect(
        "Models", models, default=[choice.model], key=f"arbitrage_of_{choice.model}"
    )
    ends = span if isinstance(span, tuple) and len(span) == 2 else (days[0], days[-1])
    shown = found.filter(pl.col("quote_date").is_between(*ends), pl.col("model_type").is_in(chosen))
    if shown.is_empty():
        st.success(f"No violation from {ends[0]} to {ends[1]}.", icon=":material/check:")
        st.caption(_LOOKED_FOR)
        return
    st.caption(f"{shown.height:,} smiles with a violation from {ends[0]} to {ends[1]}.")
    table(shown, _ARBITRAGE, key="arbitrage_list")
    downloads(choice, shown, "arbitrage")


def _scores(choice: Choice) -> None:
    scores = choice.lake.read("model_scores", [choice.day], symbols=[choice.symbol])
    st.markdown("#### Models side by side")
    if scores.is_empty():
        st.caption(f"No scores of {choice.day} are stored.")
        return
    table(scores.sort("rank", nulls_last=True), _SCORES, key="model_scores")
    downloads(choice, scores, "model_scores")
