"""Small pictures for the event log: a line that fits into one materialisation's metadata.

Belongs here: drawing numbers as a tiny SVG in Markdown. Dagster shows Markdown of up to 400
characters in place and hides longer ones behind a link, so a picture keeps at most 24 points. It
states its size: without one the page gives it none.
"""

from base64 import b64encode

import polars as pl

MAX_POINTS = 24
_WIDTH, _HEIGHT = 92, 30


def sparkline(values: pl.Series) -> str:
    """Return Markdown of a line through the values, thinned evenly; a dash if there is no line."""
    known = values.drop_nulls().cast(pl.Float64)
    known = known.filter(known.is_finite())
    if known.len() < 2:
        return "-"
    if known.len() > MAX_POINTS:
        last = known.len() - 1
        known = known.gather([round(i * last / (MAX_POINTS - 1)) for i in range(MAX_POINTS)])
    low, high = float(known.min()), float(known.max())  # type: ignore[arg-type]
    span = high - low or 1.0
    step = _WIDTH / (known.len() - 1)
    points = " ".join(
        f"{i * step:.0f},{(high - value) / span * _HEIGHT:.0f}" for i, value in enumerate(known)
    )
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{2 * _WIDTH}' height='{2 * _HEIGHT}' "
        f"viewBox='0 0 {_WIDTH} {_HEIGHT}'>"
        f"<path fill='none' stroke='teal' d='M{points}'/></svg>"
    )
    return f"![](data:image/svg+xml;base64,{b64encode(svg.encode()).decode()})"
