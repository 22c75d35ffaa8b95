"""How every interactive picture looks: one colour per thing, one layout, units on the axes.

Belongs here: colours, fonts, empty figures. Not here: any particular picture.
"""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

PUT, CALL = "#c8553d", "#2f6db5"
FIT, EXTRAPOLATED = "#1f2a37", "#8a94a3"
IMPLIED, REALISED, PREMIUM = "#1f2a37", "#2e8b6a", "#7a5ba8"
GOOD, WARNING, BAD = "#2e8b6a", "#d9942b", "#b3352b"
INK, QUIET, GRID, PAPER = "#1f2a37", "#6b7684", "#e9ecf0", "#ffffff"
SERIES = ("#1f2a37", "#2f6db5", "#2e8b6a", "#d9942b", "#7a5ba8", "#c8553d")  # up to six lines
RISING = ["#f2f5f9", "#bfd3e8", "#7ba6d0", "#3f76b3", "#1f4a80", "#142c4f"]  # low to high
DIVERGING = [[0.0, "#2f6db5"], [0.5, "#f7f7f5"], [1.0, "#c8553d"]]  # fell, same, rose

FONT = '"Source Sans 3", "Source Sans Pro", "Source Sans", "Helvetica Neue", Arial, sans-serif'
SESSIONS = {"title": "session"}
_HEIGHT = 380


def new_figure(title: str, subtitle: str, *, height: int = _HEIGHT, **axes: Any) -> go.Figure:
    """Return an empty figure under its title; `subtitle` says of what and when the picture is."""
    figure = go.Figure()
    dress(figure, title, subtitle, height=height)
    figure.update_xaxes(**_axis(**axes.get("x", {})))
    figure.update_yaxes(**_axis(**axes.get("y", {})))
    return figure


def dress(figure: go.Figure, title: str, subtitle: str, *, height: int = _HEIGHT) -> None:
    """Give a figure our title, fonts, margins and legend."""
    figure.update_layout(
        template="none",
        title={
            "text": title,
            "subtitle": {"text": subtitle, "font": {"size": 12, "color": QUIET}},
            "font": {"size": 15, "color": INK},
            "x": 0.0,
            "xref": "container",
            "y": 1.0,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 8, "l": 4},
        },
        height=height,
        margin={"l": 62, "r": 14, "t": 64, "b": 48},
        paper_bgcolor=PAPER,
        plot_bgcolor=PAPER,
        font={"family": FONT, "size": 13, "color": INK},
        hoverlabel={"font": {"family": FONT, "size": 12}, "namelength": -1},
        legend={
            "orientation": "h",
            "x": 0.0,
            "xref": "container",
            "xanchor": "left",
            "y": 0.0,
            "yref": "container",
            "yanchor": "bottom",
            "font": {"size": 12, "color": QUIET},
            "bgcolor": "rgba(0,0,0,0)",
        },
    )


def style_axes(figure: go.Figure, **place: int) -> None:
    """Draw the axes of a subplot in our manner."""
    figure.update_xaxes(**_axis(), **place)
    figure.update_yaxes(**_axis(), **place)


def _axis(**own: Any) -> dict[str, Any]:
    return {
        "gridcolor": GRID,
        "linecolor": GRID,
        "zeroline": False,
        "ticks": "",
        "title": {"font": {"size": 12, "color": QUIET}, "standoff": 8}
        | ({"text": own.pop("title")} if "title" in own else {}),
        "tickfont": {"size": 12, "color": QUIET},
        "automargin": True,
    } | own


def say(figure: go.Figure, words: str) -> go.Figure:
    """Say in the middle of a figure why it is empty."""
    figure.add_annotation(
        text=words,
        xref="paper",
        yref="paper",
        x=0.5,
        y=0.5,
        showarrow=False,
        font={"size": 13, "color": QUIET},
    )
    return figure


def line(
    name: str, x: Sequence[Any], y: Sequence[Any], colour: str, unit: str, **own: Any
) -> go.Scatter:
    """Return a thin line; a null is a gap. `unit` is how the hover shows values, as `.1%`."""
    look = {"color": colour, "width": 1.8} | own.pop("line", {})
    return go.Scatter(
        name=name,
        x=x,
        y=y,
        mode=own.pop("mode", "lines"),
        line=look,
        connectgaps=False,
        hovertemplate=f"%{{y:{unit}}}",
        **own,
    )
