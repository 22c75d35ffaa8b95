"""Frames drawn as text, for a terminal.

Belongs here: pictures made of characters. Not here: the queries behind them.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise

WIDTH, HEIGHT = 78, 18
_MARKERS = ("hd", "•", "x", "+")  # tell series apart without colours


def line_chart(
    title: str,
    days: Sequence[date],
    series: Mapping[str, Sequence[float | None]],
    *,
    is_coloured: bool = True,
) -> str:
    """Draw up to four series over sessions, evenly spaced; a null is a gap."""
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(WIDTH, HEIGHT)
    figure.theme("simple" if is_coloured else "colorless")
    figure.legend(False)
    for marker, values in zip(_MARKERS, series.values(), strict=False):
        known = [(n, value) for n, value in enumerate(values) if value is not None]
        if known:
            signal = figure.signal(*map(list, zip(*known, strict=True)), marker=marker)
            signal.lines()
            for place, ((before, _), (n, _)) in enumerate(pairwise(known)):
                if n - before > 1:
                    signal.line(place + 1, False)
            figure.draw(signal)
    step = max(1, (len(days) - 1) // 5)
    figure.ruler(0).ticks(list(range(0, len(days), step)), [str(day) for day in days[::step]])
    names = zip(_MARKERS, series, strict=False)
    legend = "   ".join(f"{'▚' if marker == 'hd' else marker} {name}" for marker, name in names)
    figure.title(f"{title}:  {legend}")
    return str(figure.build().string(not is_coloured))
