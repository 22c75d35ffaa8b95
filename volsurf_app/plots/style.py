"""How every interactive picture looks: one colour per thing, one layout, units on the axes.

Belongs here: colours, fonts, empty figures. Not here: any particular picture.

A figure is plain data in Plotly's own words. Plotly's Python objects check each attribute when it
is set, which takes longer than all else that a step of the date asks for; the tests check every
figure that a page shows instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

PUT, CALL = "#c8553d", "#2f6db5"
FIT, EXTRAPOLATED = "#1f2a37", "#8a94a3"
IMPLIED, REALISED, PREMIUM = "#1f2a37", "#2e8b6a", "#7a5ba8"
GOOD, WARNING, BAD = "#2e8b6a", "#d9942b", "#b3352b"
INK, QUIET, GRID, PAPER = "#1f2a37", "#6b7684", "#e9ecf0", "#ffffff"
SERIES = ("#1f2a37", "#2f6db5", "#2e8b6a", "#d9942b", "#7a5ba8", "#c8553d")  # up to six lines
_BLUES = ("#f2f5f9", "#bfd3e8", "#7ba6d0", "#3f76b3", "#1f4a80", "#142c4f")
RISING = [[n / 5, colour] for n, colour in enumerate(_BLUES)]  # low to high
DIVERGING = [[0.0, "#2f6db5"], [0.5, "#f7f7f5"], [1.0, "#c8553d"]]  # fell, same, rose

FONT = '"Source Sans 3", "Source Sans Pro", "Source Sans", "Helvetica Neue", Arial, sans-serif'
_HEIGHT = 380
_FEW_POINTS = 60
STRIP_TICKS = 6  # of a low axis; of fewer, a coarse step can leave one, which is no scale
_FEW_SESSIONS = 4
_GAP = 0.045  # between strips, share of the height

Trace = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A Plotly figure: traces and layout."""

    layout: dict[str, Any]
    data: list[Trace] = field(default_factory=list)

    def add(self, *traces: Trace, strip: int = 1) -> None:
        """Add traces, to the n-th strip from above."""
        self.data.extend(trace | ({"yaxis": _name("y", strip)} if strip > 1 else {})
                         for trace in traces)  # fmt: skip

    def axis(self, letter: str, strip: int = 1, **words: Any) -> None:
        """Say more of an axis: its title, format, range."""
        axis = self.layout[f"{letter}axis{strip if strip > 1 else ''}"]
        if "title" in words:
            words["title"] = axis["title"] | {"text": words["title"]}
        axis.update(words)

    def upright(
        self, x: float, words: str, place: float = 0.02, *, is_before: bool = False, **line: Any
    ) -> None:
        """Draw a vertical line through all strips, with words at a share of the first's height.

        The words stand behind the line, or before it.
        """
        look = {"color": QUIET, "width": 1, "dash": "dash"} | line
        shape = {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "paper", "line": look}
        self.layout.setdefault("shapes", []).append(shape)
        self._words(
            text=words, x=x, xref="x", y=place, yref="y domain",
            xanchor="right" if is_before else "left", xshift=-4 if is_before else 4,
            font={"size": 11, "color": look["color"]},
        )  # fmt: skip

    def say(self, words: str) -> "Figure":
        """Say in the middle why there is nothing to see, instead of numbers on the axes."""
        for name in self.layout:
            if name.startswith(("xaxis", "yaxis")):
                self.layout[name]["showticklabels"] = False
        font = {"size": 13, "color": QUIET}
        self._words(text=words, x=0.5, xref="paper", y=0.5, yref="paper", font=font)
        return self

    def _words(self, **words: Any) -> None:
        self.layout.setdefault("annotations", []).append({"showarrow": False} | words)

    def json(self) -> str:
        """Return the figure as Plotly reads it."""
        from plotly.io.json import to_json_plotly

        return str(to_json_plotly({"data": self.data, "layout": self.layout}))

    def html(self) -> str:
        """Return a page that shows the figure without any server."""
        import plotly.graph_objects as go

        figure = go.Figure({"data": self.data, "layout": self.layout})
        return str(figure.to_html(include_plotlyjs=True))


def new_figure(
    title: str,
    subtitle: str,
    *,
    height: int = _HEIGHT,
    x: dict[str, Any] | None = None,
    y: dict[str, Any] | None = None,
) -> Figure:
    """Return an empty figure under its title; `subtitle` says of what and when the picture is."""
    figure = Figure(_layout(title, subtitle, height) | {"xaxis": axis_look(), "yaxis": axis_look()})
    figure.axis("x", **(x or {}))
    figure.axis("y", **(y or {}))
    return figure


def new_strips(title: str, subtitle: str, shares: Sequence[float], *, height: int) -> Figure:
    """Return a figure of strips over one x axis, from above, with shares of the height."""
    axes: dict[str, Any] = {"xaxis": axis_look() | {"anchor": _name("y", len(shares))}}
    room = (1.0 - _GAP * (len(shares) - 1)) / sum(shares)
    top = 1.0
    for n, share in enumerate(shares, start=1):
        bottom = max(top - room * share, 0.0)
        axes[f"yaxis{n if n > 1 else ''}"] = axis_look() | {"domain": [bottom, top]}
        top = bottom - _GAP
    return Figure(_layout(title, subtitle, height) | axes)


def sessions(days: Sequence[date]) -> dict[str, Any]:
    """Return an axis of sessions; of a few, each is named, for else Plotly counts milliseconds."""
    named = {"title": "session"}
    if not 0 < len(days) <= _FEW_SESSIONS:
        return named
    first, last = (datetime.combine(day, time()) for day in (min(days), max(days)))
    margin = timedelta(hours=12)
    return named | {
        "tickvals": [str(day) for day in days],
        "tickformat": "%b %-d<br>%Y",
        "range": [str(first - margin), str(last + margin)],
    }


def axis_look() -> dict[str, Any]:
    """Return the look of an axis."""
    return {
        "gridcolor": GRID,
        "linecolor": GRID,
        "zeroline": False,
        "ticks": "",
        "title": {"font": {"size": 12, "color": QUIET}, "standoff": 8},
        "tickfont": {"size": 12, "color": QUIET},
        "automargin": True,
    }


def line(
    name: str, x: Sequence[Any], y: Sequence[Any], colour: str, unit: str, **own: Any
) -> Trace:
    """Return a thin line; a null is a gap. `unit` is how the hover shows values, as `.1%`.

    Few points are marked, so that one between two gaps can be seen.
    """
    look = {"color": colour, "width": 1.8} | own.pop("line", {})
    is_short = len(x) <= _FEW_POINTS
    return {
        "type": "scatter",
        "name": name,
        "x": x,
        "y": y,
        "mode": "lines+markers" if is_short else "lines",
        "marker": {"size": 4, "color": colour},
        "line": look,
        "connectgaps": False,
        "hovertemplate": f"%{{y:{unit}}}",
    } | own


def _name(letter: str, n: int) -> str:
    return f"{letter}{n if n > 1 else ''}"


def _layout(title: str, subtitle: str, height: int) -> dict[str, Any]:
    return {
        "title": {
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
        "height": height,
        "margin": {"l": 62, "r": 14, "t": 64, "b": 48},
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"family": FONT, "size": 13, "color": INK},
        "hoverlabel": {"font": {"family": FONT, "size": 12}, "namelength": -1},
        "hovermode": "closest",
        "legend": {
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
    }
