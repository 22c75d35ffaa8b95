"""What is stored and what is missing, with the command that fills a gap.

Belongs here: the page. Not here: its pictures (`plots.calendar`).
"""

from collections.abc import Sequence
from datetime import date

import polars as pl
import streamlit as st

from volsurf_app import queries
from volsurf_app.pages.absence import filling
from volsurf_app.pages.answers import ask
from volsurf_app.pages.choice import Choice
from volsurf_app.pages.origin_panel import why_table
from volsurf_app.pages.panels import downloads, figures_of, heading, in_sessions, picture, table
from volsurf_app.plots import calendar as plots

_MOST_COMMANDS = 8
_WRITES = {
    "table": ("table", None),
    "quote_date": ("newest session", None),
    "rows": ("rows", "%,d"),
    "known_at": ("written, UTC", None),
    "source": ("source", None),
    "run_id": ("run", None),
}


def draw(choice: Choice) -> None:
    """Draw the page of coverage, from the first stored session to the last."""
    first, last = choice.days[0], choice.days[-1]
    tables = tuple(one.name for one in choice.lake.tables)
    covered = ask_coverage(choice)
    gaps = gaps_of(covered)
    sessions = covered["quote_date"].n_unique()
    heading("Coverage", choice.symbol, f"{in_sessions(sessions)} from {first} to {last}")
    figures_of(
        {
            "Sessions": (f"{sessions:,}", "Of the exchange, between the first and last stored."),
            "Complete": (f"{sessions - len(gaps):,}", "Every table has rows of the symbol."),
            "With gaps": (f"{len(gaps):,}", "At least one table that is otherwise used has none."),
        }
    )
    of = f"{choice.symbol} · {first} to {last}"
    alt = "Tables over sessions: green stored, red missing, grey without any row."
    picture(choice, plots.tables_figure(covered, of), covered, "coverage", alt)
    chosen = st.selectbox("Table", tables, key="coverage_table", label_visibility="collapsed")
    figure = plots.calendar_figure(covered, chosen, of)
    own = covered.filter(pl.col("table") == chosen)
    picture(choice, figure, own, "calendar", f"Calendar of {chosen}.")
    st.caption("Green is stored, red missing, grey a table that has no row at all.")
    _fill(choice, covered, gaps)
    st.markdown("#### Newest writes")
    writes = queries.last_writes(choice.lake)
    table(writes.with_columns(pl.col("run_id").str.slice(0, 8)), _WRITES, key="last_writes")
    downloads(choice, writes, "writes")
    why_table(choice, "raw_options_chains")


def ask_coverage(choice: Choice) -> pl.DataFrame:
    """Return which tables hold which sessions."""
    tables = tuple(one.name for one in choice.lake.tables)
    return ask(
        choice.lake, queries.coverage, choice.symbol, choice.days[0], choice.days[-1],
        reads=tables, days=stored_days(choice, tables),
    )  # fmt: skip


def stored_days(choice: Choice, tables: Sequence[str]) -> list[date]:
    """Return every date that any table holds."""
    return sorted({day for name in tables for day in choice.lake.days(name)})


def gaps_of(covered: pl.DataFrame) -> list[date]:
    """Return sessions that lack rows of a table which other sessions have."""
    used = covered.filter(pl.col("is_present").any().over("table"))
    return used.filter(~pl.col("is_present"))["quote_date"].unique().sort().to_list()


def spans_of(gaps: Sequence[date], sessions: Sequence[date]) -> list[tuple[date, date]]:
    """Return gaps as spans of neighbouring sessions."""
    place = {day: n for n, day in enumerate(sessions)}
    spans: list[tuple[date, date]] = []
    for day in gaps:
        if spans and place[day] == place[spans[-1][1]] + 1:
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    return spans


def _fill(choice: Choice, covered: pl.DataFrame, gaps: Sequence[date]) -> None:
    st.markdown("#### Filling gaps")
    sessions = covered["quote_date"].unique().sort().to_list()
    counted = covered.group_by("table", maintain_order=True).agg(pl.col("is_present").any())
    never = counted.filter(~pl.col("is_present"))["table"].to_list()
    if never:
        st.caption(f"Without any row of {choice.symbol}: {', '.join(never)}.")
    if not gaps and not never:
        st.success("There is no gap.", icon=":material/check:")
        return
    spans = spans_of(gaps or sessions, sessions)
    st.caption("Only what is missing is fetched and computed:")
    if len(spans) > _MOST_COMMANDS:
        spans = [(spans[0][0], spans[-1][1])]
    commands = [filling(choice.settings, choice.symbol, *span) for span in spans]
    st.code("\n".join(commands), language="bash")
