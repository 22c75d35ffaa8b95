"""Two surfaces of one symbol compared: of two sessions, or of two models.

Belongs here: the page. Not here: its pictures (`plots.difference`).
"""

from datetime import date

import polars as pl
import streamlit as st

from volsurf_app import queries
from volsurf_app.pages.absence import filling, tell_unfitted
from volsurf_app.pages.answers import ask
from volsurf_app.pages.choice import Choice, ask_models, ask_snapshots
from volsurf_app.pages.origin_panel import why_table
from volsurf_app.pages.panels import downloads, figures_of, heading, number, picture, table
from volsurf_app.plots import difference as plots
from volsurf_app.queries.differences import Side, moves, point_changes
from volsurf_app.queries.models import MODEL_TABLES
from volsurf_resources.calendars import END_OF_DAY

READS = (*MODEL_TABLES, "surface_points", "surface_changes")
_MOVES = {
    "tenor_days": ("days", "%d"),
    "change_atm_vol": ("ATM vol", "%.3f"),
    "change_skew_25delta": ("25Δ skew", "%.3f"),
    "change_butterfly_25delta": ("25Δ butterfly", "%.3f"),
    "grid_rmse": ("RMS", "%.3f"),
    **{name: (title, "%.3f") for name, (title, _) in plots.PARTS.items()},
}


def draw(choice: Choice) -> None:
    """Draw the page of the difference between the chosen surface and another one."""
    top = st.container()
    other = _other(choice)
    after = Side(choice.day, choice.model, choice.snapshot)
    if other is None or other == after:
        with top:
            heading("Difference", choice.symbol, "")
        st.info("There is no other surface to compare with; this adds the session before:")
        day = choice.lake.calendar.previous_session(choice.days[0])
        st.code(filling(choice.settings, choice.symbol, day, day), language="bash")
        return
    before, after = sorted((other, after), key=lambda side: (side.day, side != other))
    with top:
        heading("Difference", choice.symbol, f"{_named(before)} to {_named(after)}")
    days = sorted({before.day, after.day})
    try:
        change = ask(
            choice.lake, point_changes, choice.symbol, before, after, reads=READS, days=days
        )
        parts, is_stored = ask(
            choice.lake, moves, choice.symbol, before, after, reads=READS, days=days
        )
    except queries.NotStored as missing:
        tell_unfitted(choice, str(missing))
        return
    _numbers(parts)
    of = f"{choice.symbol} · {_named(before)} → {_named(after)}"
    left, right = st.columns(2, gap="medium")
    with left:
        alt = "Change of implied volatility by tenor and moneyness."
        picture(choice, plots.change_figure(change, of), change, "change", alt)
    with right:
        alt = "The move of each tenor taken apart into spot, level, term, skew and curvature."
        picture(choice, plots.attribution_figure(parts, of), parts, "moves", alt)
    _explain(is_stored=is_stored)
    table(parts, _MOVES, key="moves")
    downloads(choice, parts, "move_table")
    why_table(choice, "surface_changes", "surface_points")


def _explain(*, is_stored: bool) -> None:
    st.caption(
        "What is taken apart is the move of the strike that stood one standard deviation below "
        "the later forward: *spot* is what it gains by sliding along the old smile, *level* what "
        "all tenors share, *term* what this tenor adds, *skew* and *curvature* the odd and even "
        "change of the smile's shape. In vol points. "
        + ("Stored in `surface_changes`." if is_stored else "Compared for this page, not stored.")
    )


def _other(choice: Choice) -> Side | None:
    """Offer another session, model or snapshot to compare with; None if there is none."""
    names, official = ask_snapshots(choice.lake, choice.symbol, choice.day)
    models = ask_models(choice.lake, choice.symbol, choice.day, choice.snapshot)
    days = [day for day in choice.days[::-1] if day != choice.day]
    models = [model for model in models if model != choice.model]
    names = [name for name in names if name != choice.snapshot_name]
    rest = {"session": days, "model": models, "snapshot": names}
    ways = [way for way, others in rest.items() if others]
    if not ways:
        return None
    left, right = st.columns([1, 2], gap="medium", vertical_alignment="bottom")
    way = left.segmented_control(
        "Compare with another", ways, default=ways[0], key="difference_way", required=True
    )
    if way == "model":
        return Side(choice.day, right.selectbox("Model", models), choice.snapshot)
    if way == "snapshot":
        name = right.selectbox("Snapshot, UTC", names)
        return Side(choice.day, choice.model, END_OF_DAY if name == official else name)
    day = right.selectbox(
        "Session", days, index=_before(days, choice.day), key=f"difference_{choice.day}"
    )
    return Side(day, choice.model)


def _before(newest_first: list[date], day: date) -> int:
    """Return the place of the session before `day`, or of the one after."""
    return next((n for n, other in enumerate(newest_first) if other < day), len(newest_first) - 1)


def _named(side: Side) -> str:
    name = "" if side.snapshot == END_OF_DAY else f" {side.snapshot} UTC"
    return f"{side.day}{name} {side.model}"


def _numbers(parts: pl.DataFrame) -> None:
    tenors = parts.sort("tenor_days").rows(named=True)
    figures_of(
        {
            f"ATM vol, {row['tenor_days']} days": (
                number(row["change_atm_vol"], 2, " pts", "+"), "Change at the forward, vol points."
            )
            for row in tenors
        }
    )  # fmt: skip
