"""Frames drawn as text, for a terminal.

Belongs here: pictures made of characters. Not here: the queries behind them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

WIDTH, HEIGHT = 78, 18
_MARKERS = ("hd", "•", "x", "+")  # tell series apart without colours
_SEEN = {"hd": "▚"}  # what a marker's name looks like in a legend
_TENORS = (1, 2, 4, 7, 14, 30, 60, 90, 180, 365, 730, 1460)  # days that a term axis names
_LARGE, _GAPS = 1e4, 6  # from where ticks are written out, and how many gaps are between them

Numbers = Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Series:
    """Points of one kind; a null is a gap."""

    name: str
    x: Sequence[float]
    y: Numbers
    marker: str
    is_line: bool = True


@dataclass(frozen=True, slots=True)
class Size:
    """Columns and rows of a chart."""

    width: int = WIDTH
    height: int = HEIGHT


def line_chart(
    title: str,
    days: Sequence[date],
    series: Mapping[str, Numbers],
    *,
    size: Size | None = None,
    is_coloured: bool = True,
) -> str:
    """Draw up to four series over sessions, evenly spaced; a null is a gap."""
    places = list(range(len(days)))
    drawn = [
        Series(name, places, values, marker)
        for marker, (name, values) in zip(_MARKERS, series.items(), strict=False)
    ]
    size = size or Size()
    step = max(1, (len(days) - 1) // max(1, size.width // 15))
    ticks = {float(n): str(days[n]) for n in places[::step]}
    return chart(title, drawn, ticks=ticks, size=size, is_coloured=is_coloured)


def term_chart(
    title: str,
    series: Sequence[Series],
    *,
    size: Size | None = None,
    is_coloured: bool = True,
) -> str:
    """Draw series over days to expiry, on a logarithmic axis."""
    logs = [Series(s.name, [math.log(x) for x in s.x], s.y, s.marker, s.is_line) for s in series]
    ends = [x for s in series for x in s.x]
    ticks = {
        math.log(n): f"{n}d" for n in _TENORS if ends and 0.95 * min(ends) <= n <= 1.05 * max(ends)
    }
    return chart(title, logs, ticks=ticks, size=size, is_coloured=is_coloured)


def chart(
    title: str,
    series: Sequence[Series],
    *,
    ticks: Mapping[float, str] | None = None,
    upright: tuple[str, float] | None = None,
    size: Size | None = None,
    is_coloured: bool = True,
) -> str:
    """Draw series on one pair of axes, the later ones on top, the title naming each.

    `ticks` label the horizontal axis, `upright` names a vertical line and says where it stands.
    """
    import plotext

    size = size or Size()
    plotext.terminal.limit(False, False)  # a chart fills its own room, not the screen's
    figure = plotext.figure
    figure.clear()
    figure.plot_size(size.width, size.height)
    figure.theme("simple" if is_coloured else "colorless")
    figure.legend(False)
    if upright is not None:
        series = (_upright(*upright, series, size), *series)
    for one in series:
        _draw(figure, one)
    if not ticks:
        ticks = _thousands([x for one in series for x in one.x])
    if ticks:
        figure.ruler(0).ticks(list(ticks), list(ticks.values()))
    legend = "  ".join(f"{_SEEN.get(s.marker, s.marker)} {s.name}" for s in series)
    figure.title(f"{title}:  {legend}"[: size.width - 4])
    return str(figure.build().string(not is_coloured))


def _thousands(x: Sequence[float]) -> dict[float, str]:
    """Return ticks over large numbers, which plotext would write as 3.5e4; none over others."""
    if not x or max(x) < _LARGE:
        return {}
    low, step = min(x), (max(x) - min(x)) / _GAPS
    return {low + n * step: f"{low + n * step:.0f}" for n in range(_GAPS + 1)}


def _upright(name: str, x: float, series: Sequence[Series], size: Size) -> Series:
    """Return a vertical line, a point in each row, as high as the other series."""
    known = [y for one in series for y in one.y if y is not None]
    low, step = min(known), (max(known) - min(known)) / size.height
    heights = [low + n * step for n in range(size.height + 1)]
    return Series(name, [x] * len(heights), heights, "┊", False)


def _draw(figure: Any, series: Series) -> None:
    points = enumerate(zip(series.x, series.y, strict=True))
    known = [(n, x, y) for n, (x, y) in points if y is not None]
    if not known:
        return
    places, x, y = map(list, zip(*known, strict=True))
    signal = figure.signal(x, y, marker=series.marker)
    if series.is_line:
        signal.lines()
        for place, (before, n) in enumerate(pairwise(places)):
            if n - before > 1:
                signal.line(place + 1, False)
    figure.draw(signal)
