"""One smile: quotes with their bid-ask, the fitted curve, where it is extrapolated, its residuals.

Belongs here: the picture of one expiry. Not here: the surface of many.
"""

from collections.abc import Iterable
from typing import Any

import polars as pl

from volsurf_app.plots import style
from volsurf_app.plots.style import Figure, Trace
from volsurf_app.queries import SmilePicture
from volsurf_app.surface_answers import SurfacePoint

_SIDES = (("PUT", "puts", style.PUT), ("CALL", "calls", style.CALL))
_SHOWN_BEYOND = 0.15  # of the height of the fitted quotes, above and below them


def smile_figure(
    picture: SmilePicture, subtitle: str, price_unit: str = "USD", point: SurfacePoint | None = None
) -> Figure:
    """Draw one expiry over strikes: own implied vols above, residuals of the fit beneath.

    `price_unit` is that of bid and ask, `point` one of the smile that is to be marked.
    """
    smile = picture.smile
    title = f"{smile['root']} {smile['expiration_date']}, {picture.days} days"
    figure = style.new_strips(title, subtitle, (0.76, 0.24), height=560)
    figure.add(*_quotes(picture, price_unit), *_curve(picture.curve))
    if point is not None:
        figure.add(_marked(point))
    figure.add(*_residuals(picture.quotes), strip=2)
    if smile["forward"] is not None:
        figure.upright(smile["forward"], f"forward {smile['forward']:,.2f}")
    _frame(figure, picture)
    return figure


def _quotes(picture: SmilePicture, price_unit: str) -> Iterable[Trace]:
    seen = picture.quotes.filter(pl.col("iv_mid") > 0.0)
    for kind, name, colour in _SIDES:
        own = seen.filter(pl.col("option_type") == kind)
        parts = ((f"{name}, not fitted", False), (name, True))
        for told, is_used in parts:
            part = own.filter(pl.col("is_used") == is_used)
            yield _bars(part, told, colour, price_unit, is_used=is_used)


def _marked(point: SurfacePoint) -> Trace:
    return {
        "type": "scatter",
        "name": "asked",
        "x": [point.strike],
        "y": [point.implied_vol],
        "mode": "markers",
        "showlegend": False,
        "marker": {"color": style.GOOD, "symbol": "diamond", "size": 11},
        "hovertemplate": "strike %{x:,.2f}<br>model vol %{y:.4%}<extra></extra>",
    }


def _bars(quotes: pl.DataFrame, name: str, colour: str, price_unit: str, *, is_used: bool) -> Trace:
    digits = ".2f" if price_unit == "USD" else ".4f"
    told = quotes.select(
        "bid", "ask", "iv_bid", "iv_ask", why=pl.col("reject_reason").fill_null("fitted")
    )
    bars = {
        "type": "data",
        "symmetric": False,
        "array": (quotes["iv_ask"] - quotes["iv_mid"]).to_list(),
        "arrayminus": (quotes["iv_mid"] - quotes["iv_bid"]).to_list(),
        "color": colour,
        "thickness": 1,
        "width": 0,
        "visible": is_used,
    }
    return {
        "type": "scatter",
        "name": name,
        "x": quotes["strike"].to_list(),
        "y": quotes["iv_mid"].to_list(),
        "customdata": told.rows(),
        "mode": "markers",
        "legendrank": 1000 if is_used else 1002,
        "marker": {"color": colour, "size": 5 if is_used else 4},
        "opacity": 1.0 if is_used else 0.28,
        "error_y": bars,
        "visible": True if is_used else "legendonly",
        "hovertemplate": "strike %{x:,.2f}<br>mid vol %{y:.2%}<br>"
        f"bid-ask %{{customdata[0]:{digits}}}-%{{customdata[1]:{digits}}} {price_unit}<br>"
        "vols %{customdata[2]:.2%}-%{customdata[3]:.2%}<br>%{customdata[4]}",
    }


def _curve(curve: pl.DataFrame) -> Iterable[Trace]:
    inner = curve.filter(~pl.col("is_extrapolated"))
    if inner.is_empty():
        return
    band = inner.drop_nulls(("low", "high"))
    strikes = band["strike"].to_list()
    yield {
        "type": "scatter",
        "name": "± 1 standard error",
        "legendrank": 1001,
        "x": strikes + strikes[::-1],
        "y": band["high"].to_list() + band["low"].to_list()[::-1],
        "fill": "toself",
        "fillcolor": "rgba(31,42,55,0.12)",
        "mode": "lines",
        "line": {"width": 0},
        "hoverinfo": "skip",
    }
    low = curve.filter(pl.col("is_extrapolated") & (pl.col("strike") < inner["strike"][0]))
    high = curve.filter(pl.col("is_extrapolated") & (pl.col("strike") > inner["strike"][-1]))
    for n, part in enumerate((low, high)):
        yield _line("extrapolated", part, style.EXTRAPOLATED, "dot", showlegend=n == 0)
    yield _line("fitted", inner, style.FIT, "solid")


def _line(name: str, part: pl.DataFrame, colour: str, dash: str, **own: Any) -> Trace:
    return {
        "type": "scatter",
        "name": name,
        "legendgroup": name,
        "legendrank": 998 if name == "fitted" else 999,
        "x": part["strike"].to_list(),
        "y": part["implied_vol"].to_list(),
        "mode": "lines",
        "line": {"color": colour, "width": 2, "dash": dash},
        "hovertemplate": f"{name} %{{y:.2%}}<extra></extra>",
    } | own


def _residuals(quotes: pl.DataFrame) -> Iterable[Trace]:
    for kind, name, colour in _SIDES:
        own = quotes.filter("is_used", pl.col("option_type") == kind)
        yield {
            "type": "bar",
            "name": f"{name}, residual",
            "x": own["strike"].to_list(),
            "y": own["error_vol_points"].to_list(),
            "marker": {"color": colour, "line": {"width": 0}},
            "showlegend": False,
            "hovertemplate": "strike %{x:,.2f}<br>fit - mid %{y:.3f} vol points<extra></extra>",
        }


def _frame(figure: Figure, picture: SmilePicture) -> None:
    """Show what was fitted and its extrapolation; far quotes are there to be zoomed to."""
    figure.axis("y", title="implied vol, annual", tickformat=".1~%")
    figure.axis(
        "y", strip=2, title="fit − mid,<br>vol points", nticks=style.STRIP_TICKS,
        zeroline=True, zerolinecolor=style.EXTRAPOLATED,
    )  # fmt: skip
    figure.axis("x", title="strike, USD", tickformat=",")
    used, curve = picture.quotes.filter("is_used"), picture.curve
    if not curve.is_empty():
        figure.axis("x", range=[curve["strike"].min(), curve["strike"].max()])
    vols = pl.concat([used["iv_bid"], used["iv_ask"], curve["implied_vol"]]).drop_nulls()
    if not vols.is_empty():
        bottom, top = float(vols.min()), float(vols.max())  # type: ignore[arg-type]
        margin = _SHOWN_BEYOND * (top - bottom)
        figure.axis("y", range=[bottom - margin, top + margin])
