"""The variance risk premium: as it was known on the day, and as it turned out.

Belongs here: the page. Not here: its pictures (`plots.premium`).
"""

import polars as pl
import streamlit as st

from volsurf_app import queries
from volsurf_app.pages.absence import computing
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
    table,
)
from volsurf_app.plots import premium as plots
from volsurf_app.queries.afterwards import premium_ex_post
from volsurf_app.queries.evolution import with_gaps

_PERCENTILES = (5, 25, 50, 75, 95)
_TENORS = (30, 60, 90)  # calendar days


def draw(choice: Choice) -> None:
    """Draw the page of the premium."""
    rows = choice.history(queries.premium, reads=("vrp_metrics",))
    last = rows.filter(pl.col("quote_date") == choice.day)
    told = "no premium of this session"
    if last.height:
        status, reason = last.select("status", "reason").row(0)
        told = f"premium {status}" + (f" ({reason})" if reason else "")
    heading(
        "Variance risk premium",
        f"{choice.symbol} · {choice.day} · {choice.time}",
        f"{told}, {in_sessions(rows.height)}",
    )
    if rows.is_empty():
        st.warning(f"No premium of {choice.symbol} is stored up to {choice.day}.")
        st.code(computing(choice.settings, choice.symbol, choice.day), language="bash")
        return
    if last.height:
        _numbers(choice, last.row(0, named=True))
    ante, post = st.tabs(
        ["Ex ante: known on the day", "Ex post: known afterwards"],
        key="premium_tab", on_change="rerun",
    )  # fmt: skip
    if post.open:
        with post:
            _afterwards(choice)
        why_table(choice, "vrp_metrics", "realized_volatility")
        return
    with ante:
        tenor = st.segmented_control(
            "Tenor", _TENORS, default=30, key="premium_tenor", required=True,
            format_func=lambda n: f"{n} days", label_visibility="collapsed",
        )  # fmt: skip
        _pictures(choice, rows, _known_then(choice, tenor or 30), "ex_ante")
    why_table(choice, "vrp_metrics")


def _afterwards(choice: Choice) -> None:
    """Draw the premium as it turned out, as far as the chosen session could know."""
    reads = ("vrp_metrics", "realized_volatility")
    last = choice.days[-1]
    rows = ask(
        choice.lake, premium_ex_post, choice.symbol, last, reads=reads, days=choice.days
    ).filter(pl.col("known_on") <= choice.day)
    span = choice.lake.calendar.sessions_per_month
    st.caption(
        f"Each session against the {span} that followed; {rows.height:,} sessions were known by "
        f"{choice.day}. Nothing here could be known on the session itself."
    )
    compared = plots.Compared(
        implied="implied_vol_30d",
        realised="realized_vol_next_30d",
        premium="ex_post_vrp_30d",
        implied_name="implied, 30 days",
        realised_name=f"realised, next {span} sessions",
        premium_name="implied − realised afterwards",
    )
    _pictures(choice, rows, compared, "ex_post")


def _numbers(choice: Choice, row: dict[str, float | None]) -> None:
    history = f"Against the {row['num_history'] or 0} sessions before."
    percentile, span = row["vrp_percentile"], choice.lake.calendar.sessions_per_month
    figures_of(
        {
            "Implied, 30 days": (percent(row["implied_vol_30d"]), "ATM, constant maturity."),
            f"Realised, {span} sessions": (
                percent(row["realized_vol_30d"]),
                "Close to close, before.",
            ),
            "Premium": (percent(row["vrp_30d"]), "Implied minus realised volatility."),
            "z-score": (number(row["vrp_zscore"]), history),
            "Percentile": (
                "–" if percentile is None else f"{100 * percentile:.0f}",
                f"{history} Share of them below, in percent.",
            ),
        }
    )  # fmt: skip


def _known_then(choice: Choice, tenor: int) -> plots.Compared:
    sessions = tenor // 30 * choice.lake.calendar.sessions_per_month
    return plots.Compared(
        implied=f"implied_vol_{tenor}d",
        realised=f"realized_vol_{tenor}d",
        premium=f"vrp_{tenor}d",
        implied_name=f"implied, {tenor} days",
        realised_name=f"realised, {sessions} sessions before",
        premium_name="implied − realised",
    )


def _pictures(choice: Choice, rows: pl.DataFrame, names: plots.Compared, which: str) -> None:
    shown = rows.select("quote_date", names.implied, names.realised, names.premium)
    there = shown["quote_date"].to_list()
    known = [day for day in choice.past if there and there[0] <= day <= there[-1]]
    shown = with_gaps(shown, known)
    of = f"{choice.symbol} · to {choice.day} · {choice.time}"
    alt = "Implied and realised volatility, and the premium between them, by session."
    picture(choice, plots.series_figure(shown, names, of), shown, f"{which}_series", alt)
    marks = percentiles(shown[names.premium])
    left, right = st.columns(2, gap="medium")
    with left:
        figure = plots.scatter_figure(shown, names, of)
        alt = "Implied against realised volatility, a point per session."
        picture(choice, figure, shown, f"{which}_scatter", alt)
    with right:
        lines = {name: value for name, value in marks.items() if name in ("5 %", "50 %", "95 %")}
        if (last := shown[names.premium].drop_nulls()).len():
            lines["last"] = float(last[-1])
        figure = plots.distribution_figure(shown, names, lines, of)
        picture(choice, figure, shown, f"{which}_distribution", "How large premiums were.")
    _percentiles(choice, marks, f"{which}_percentiles")


def percentiles(values: pl.Series) -> dict[str, float]:
    """Return percentiles of a series by their names, `5 %` and so on; none of an empty one."""
    known = values.drop_nulls()
    if known.is_empty():
        return {}
    found = {f"{n} %": known.quantile(n / 100, "linear") for n in _PERCENTILES}
    return {name: value for name, value in found.items() if value is not None}


def _percentiles(choice: Choice, marks: dict[str, float], name: str) -> None:
    if not marks:
        return
    frame = pl.DataFrame([marks])
    st.markdown("**Percentiles of the premium**")
    table(frame, {mark: (mark, "percent") for mark in marks}, name)
    downloads(choice, frame, name)
