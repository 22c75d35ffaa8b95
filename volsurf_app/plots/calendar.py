"""Which sessions are stored: table by table, and one table as a calendar.

Belongs here: pictures of coverage. Not here: the commands that fill a gap.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from volsurf_app.plots import style
from volsurf_app.plots.style import Figure, Trace

_FEW_WEEKS = 8
_MOST_SEPARATE = 120  # columns wider than the line between them
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NEVER, _MISSING, _STORED = 0, 1, 2
_SHADES = ("#e4e8ed", "#e39a90", "#7fb8a2")
_COLOURS = [[(n + end) / 3, shade] for n, shade in enumerate(_SHADES) for end in (0, 1)]


def tables_figure(covered: pl.DataFrame, subtitle: str) -> Figure:
    """Draw tables over sessions: green is stored, red missing, grey a table without any row."""
    grid = covered.pivot("quote_date", index="table", values="is_present", maintain_order=True)
    days = grid.columns[1:]
    figure = style.new_figure(
        "Sessions stored, by table", subtitle, height=110 + 26 * grid.height,
        x={"title": "session", "type": "category", "nticks": 3, "tickangle": 0, "showgrid": False},
        y={"autorange": "reversed", "showgrid": False},
    )  # fmt: skip
    stored = [
        [(_STORED if is_there else _MISSING) if any(row) else _NEVER for is_there in row]
        for row in grid.select(days).iter_rows()
    ]
    words = ("no row at all", "missing", "stored")
    told = [
        [f"{table}<br>{day}: {words[state]}" for day, state in zip(days, row, strict=True)]
        for table, row in zip(grid["table"], stored, strict=True)
    ]
    figure.add(_cells(days, grid["table"].to_list(), stored, told))
    return figure


def calendar_figure(covered: pl.DataFrame, table: str, subtitle: str) -> Figure:
    """Draw one table as a calendar, a column per week; days without a session stay empty."""
    own = covered.filter(pl.col("table") == table)
    there: dict[date, bool] = dict(own.select("quote_date", "is_present").iter_rows())
    days = sorted(there)
    first = days[0] - timedelta(days=days[0].weekday())
    weeks = [first + timedelta(weeks=n) for n in range((days[-1] - first).days // 7 + 1)]
    of_months = {"tickformat": "%b %Y", "dtick": "M1"}
    of_weeks = {"tickformat": "%b %-d", "tickvals": [str(week) for week in weeks]}
    figure = style.new_figure(
        table, subtitle, height=250,
        x={"title": "week", "showgrid": False}
        | (of_months if len(weeks) > _FEW_WEEKS else of_weeks),
        y={"autorange": "reversed", "showgrid": False},
    )  # fmt: skip
    stored, told = [], []
    names = _WEEKDAYS if any(day.weekday() > 4 for day in days) else _WEEKDAYS[:5]
    for weekday in range(len(names)):
        row = [week + timedelta(days=weekday) for week in weeks]
        stored.append([_state(there.get(day), is_used=any(there.values())) for day in row])
        told.append([f"{day}: {_word(there.get(day))}" for day in row])
    figure.add(_cells(weeks, list(names), stored, told))
    return figure


def _state(is_there: bool | None, *, is_used: bool) -> int | None:
    if is_there is None:
        return None
    return _STORED if is_there else _MISSING if is_used else _NEVER


def _word(is_there: bool | None) -> str:
    return "no session" if is_there is None else "stored" if is_there else "missing"


def _cells(x: Sequence[object], y: list[str], stored: object, told: object) -> Trace:
    return {
        "type": "heatmap",
        "x": x,
        "y": y,
        "z": stored,
        "zmin": 0,
        "zmax": 2,
        "colorscale": _COLOURS,
        "showscale": False,
        "xgap": 1 if len(x) <= _MOST_SEPARATE else 0,
        "ygap": 2,
        "customdata": told,
        "hovertemplate": "%{customdata}<extra></extra>",
    }
