"""Implied against realised volatility: series, scatter, distribution.

Belongs here: pictures of the variance risk premium, ex ante and ex post alike.
"""

from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
import polars as pl

from volsurf_app.plots import style

_MOST_BINS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Which columns of a frame are compared, and what they are called."""

    implied: str
    realised: str
    premium: str
    implied_name: str
    realised_name: str
    premium_name: str


def series_figure(rows: pl.DataFrame, names: Compared, subtitle: str) -> go.Figure:
    """Draw implied and realised volatility over sessions, and the premium beneath."""
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.62, 0.38], vertical_spacing=0.06
    )
    style.dress(figure, "Implied and realised", subtitle, height=460)
    style.style_axes(figure)
    days = rows["quote_date"].to_list()
    for column, name, colour in (
        (names.implied, names.implied_name, style.IMPLIED),
        (names.realised, names.realised_name, style.REALISED),
    ):
        trace = style.line(name, days, rows[column].to_list(), colour, ".2%")
        figure.add_trace(trace, row=1, col=1)
    premium = style.line(
        names.premium_name, days, rows[names.premium].to_list(), style.PREMIUM, ".2%",
        fill="tozeroy", fillcolor="rgba(122,91,168,0.15)",
    )  # fmt: skip
    figure.add_trace(premium, row=2, col=1)
    figure.update_yaxes(title_text="volatility, annual", tickformat=".0%", row=1, col=1)
    figure.update_yaxes(title_text="premium, vol", tickformat=".1%", row=2, col=1)
    figure.update_yaxes(zeroline=True, zerolinecolor=style.EXTRAPOLATED, row=2, col=1)
    figure.update_xaxes(title_text=style.SESSIONS["title"], row=2, col=1)
    figure.update_layout(hovermode="x")
    return figure


def scatter_figure(rows: pl.DataFrame, names: Compared, subtitle: str) -> go.Figure:
    """Draw each session at its realised and implied volatility; on the line both are equal."""
    percent = {"tickformat": ".0%"}
    axes: dict[str, Any] = {
        "x": percent | {"title": f"{names.realised_name}, annual"},
        "y": percent | {"title": f"{names.implied_name}, annual"},
    }
    figure = style.new_figure("Implied against realised", subtitle, height=400, **axes)
    known = rows.drop_nulls((names.implied, names.realised))
    if known.is_empty():
        return style.say(figure, "no session has both")
    implied, realised = known[names.implied], known[names.realised]
    ends = [min(implied.min(), realised.min()), max(implied.max(), realised.max())]  # type: ignore[type-var]
    figure.add_trace(
        style.line("equal", ends, ends, style.EXTRAPOLATED, ".1%", line={"dash": "dot", "width": 1})
    )
    days = known["quote_date"].to_list()
    for part, name, size, colour in (
        (slice(None, -1), "earlier sessions", 6, style.PREMIUM),
        (slice(-1, None), f"{days[-1]}", 11, style.PUT),
    ):
        figure.add_trace(
            go.Scatter(
                name=name,
                x=realised[part].to_list(),
                y=implied[part].to_list(),
                customdata=[str(day) for day in days[part]],
                mode="markers",
                marker={"color": colour, "size": size, "opacity": 0.75},
                hovertemplate="%{customdata}<br>realised %{x:.2%}<br>"
                "implied %{y:.2%}<extra></extra>",
            )
        )
    return figure


def distribution_figure(
    rows: pl.DataFrame, names: Compared, marks: dict[str, float], subtitle: str
) -> go.Figure:
    """Draw how often the premium was how large, with percentiles and the last value marked."""
    axes: dict[str, Any] = {"x": {"title": f"{names.premium_name}, vol", "tickformat": ".1%"}}
    axes["y"] = {"title": "sessions"}
    figure = style.new_figure("Distribution of the premium", subtitle, height=400, **axes)
    values = rows[names.premium].drop_nulls()
    if values.is_empty():
        return style.say(figure, "no session has a premium")
    figure.add_trace(
        go.Histogram(
            name="sessions",
            x=values.to_list(),
            nbinsx=_MOST_BINS,
            marker={"color": "rgba(122,91,168,0.45)", "line": {"width": 0}},
            hovertemplate="%{x}: %{y} sessions<extra></extra>",
            showlegend=False,
        )
    )
    for name, value in marks.items():
        is_last = name == "last"
        look = {"color": style.PUT if is_last else style.QUIET, "width": 2 if is_last else 1}
        figure.add_vline(
            x=value,
            line=look | {"dash": "solid" if is_last else "dot"},
            annotation={
                "text": name,
                "textangle": -90,
                "font": {"size": 11, "color": look["color"]},
                "yanchor": "top",
                "xanchor": "right",
            },
        )
    return figure
