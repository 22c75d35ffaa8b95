"""Implied against realised volatility: series, scatter, distribution.

Belongs here: pictures of the variance risk premium, ex ante and ex post alike.
"""

from dataclasses import dataclass

import polars as pl

from volsurf_app.plots import style
from volsurf_app.plots.style import Figure

_FEW = 8
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


def series_figure(rows: pl.DataFrame, names: Compared, subtitle: str) -> Figure:
    """Draw implied and realised volatility over sessions, and the premium beneath."""
    figure = style.new_strips("Implied and realised", subtitle, (0.62, 0.38), height=460)
    days = rows["quote_date"].to_list()
    for column, name, colour in (
        (names.implied, names.implied_name, style.IMPLIED),
        (names.realised, names.realised_name, style.REALISED),
    ):
        trace = style.line(name, days, rows[column].to_list(), colour, ".2%")
        figure.add(trace)
    premium = style.line(
        names.premium_name, days, rows[names.premium].to_list(), style.PREMIUM, ".2%",
    )  # fmt: skip
    figure.add(premium, strip=2)
    figure.axis("y", title="volatility, annual", tickformat=".1~%", rangemode="nonnegative")
    figure.axis("y", strip=2, title="premium, vol", tickformat=".1%")
    figure.axis("y", strip=2, zeroline=True, zerolinecolor=style.EXTRAPOLATED)
    if rows[names.premium].is_null().all():
        figure.axis("y", strip=2, showticklabels=False)
    figure.axis("x", **style.sessions(days))
    figure.layout["hovermode"] = "x"
    if rows[names.implied].is_null().all() and rows[names.realised].is_null().all():
        return figure.say("no session is known yet")
    return figure


def scatter_figure(rows: pl.DataFrame, names: Compared, subtitle: str) -> Figure:
    """Draw each session at its realised and implied volatility; on the line both are equal."""
    percent = {"tickformat": ".1~%"}
    figure = style.new_figure(
        "Implied against realised",
        subtitle,
        height=400,
        x=percent | {"title": f"{names.realised_name}, annual"},
        y=percent | {"title": f"{names.implied_name}, annual"},
    )
    known = rows.drop_nulls((names.implied, names.realised))
    if known.is_empty():
        return figure.say("no session has both")
    implied, realised = known[names.implied], known[names.realised]
    ends = [min(implied.min(), realised.min()), max(implied.max(), realised.max())]  # type: ignore[type-var]
    figure.add(
        style.line(
            "equal",
            ends,
            ends,
            style.EXTRAPOLATED,
            ".1%",
            mode="lines",
            line={"dash": "dot", "width": 1},
        )
    )
    days = known["quote_date"].to_list()
    for part, name, size, colour in (
        (slice(None, -1), "earlier sessions", 6, style.PREMIUM),
        (slice(-1, None), f"{days[-1]}", 11, style.PUT),
    ):
        figure.add(
            {
                "type": "scatter",
                "name": name,
                "x": realised[part].to_list(),
                "y": implied[part].to_list(),
                "customdata": [str(day) for day in days[part]],
                "mode": "markers",
                "marker": {"color": colour, "size": size, "opacity": 0.75},
                "hovertemplate": "%{customdata}<br>realised %{x:.2%}<br>"
                "implied %{y:.2%}<extra></extra>",
            }
        )
    return figure


def distribution_figure(
    rows: pl.DataFrame, names: Compared, marks: dict[str, float], subtitle: str
) -> Figure:
    """Draw how often the premium was how large, with percentiles and the last value marked."""
    figure = style.new_figure(
        "Distribution of the premium",
        subtitle,
        height=400,
        x={"title": f"{names.premium_name}, vol", "tickformat": ".1%"},
        y={"title": "sessions", "rangemode": "tozero"},
    )
    values = rows[names.premium].drop_nulls()
    if values.len() < _FEW:
        figure.axis("y", dtick=1)
    if values.is_empty():
        return figure.say("no session has a premium")
    figure.add(
        {
            "type": "histogram",
            "name": "sessions",
            "x": values.to_list(),
            "nbinsx": _MOST_BINS,
            "marker": {"color": "rgba(122,91,168,0.45)", "line": {"width": 0}},
            "hovertemplate": "%{x}: %{y} sessions<extra></extra>",
            "showlegend": False,
        }
    )
    middle = 0.5 * (min(values) + max(values))
    for name, value in marks.items():
        is_last = name == "last"
        look = {"color": style.PUT if is_last else style.QUIET, "width": 2 if is_last else 1}
        figure.upright(
            value,
            name,
            0.84 if is_last else 0.93,
            is_before=value > middle,  # so that none leaves the frame
            dash="solid" if is_last else "dot",
            **look,
        )
    return figure
