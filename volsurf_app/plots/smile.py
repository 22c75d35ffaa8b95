"""One smile: quotes with their bid-ask, the fitted curve, where it is extrapolated, its residuals.

Belongs here: the picture of one expiry. Not here: the surface of many.
"""

from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go
import polars as pl

from volsurf_app.plots import style
from volsurf_app.queries import SmilePicture

_SIDES = (("PUT", "puts", style.PUT), ("CALL", "calls", style.CALL))
_SHOWN_BEYOND = 0.15  # of the height of the fitted quotes, above and below them


def smile_figure(picture: SmilePicture, subtitle: str) -> go.Figure:
    """Draw one expiry over strikes: own implied vols above, residuals of the fit beneath."""
    from plotly.subplots import make_subplots

    smile = picture.smile
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.76, 0.24], vertical_spacing=0.05
    )
    title = f"{smile['root']} {smile['expiration_date']}, {picture.days} days"
    style.dress(figure, title, subtitle, height=560)
    style.style_axes(figure)
    for trace in (*_quotes(picture), *_curve(picture.curve)):
        figure.add_trace(trace, row=1, col=1)
    for trace in _residuals(picture.quotes):
        figure.add_trace(trace, row=2, col=1)
    _mark_forward(figure, smile["forward"])
    _frame(figure, picture)
    return figure


def _quotes(picture: SmilePicture) -> Iterable[go.Scatter]:
    seen = picture.quotes.filter(pl.col("iv_mid") > 0.0)
    for kind, name, colour in _SIDES:
        own = seen.filter(pl.col("option_type") == kind)
        yield _bars(own.filter(~pl.col("is_used")), f"{name}, not fitted", colour, is_used=False)
        yield _bars(own.filter("is_used"), name, colour, is_used=True)


def _bars(quotes: pl.DataFrame, name: str, colour: str, *, is_used: bool) -> go.Scatter:
    up = (quotes["iv_ask"] - quotes["iv_mid"]).to_list()
    down = (quotes["iv_mid"] - quotes["iv_bid"]).to_list()
    told = quotes.select(
        "bid", "ask", "iv_bid", "iv_ask", why=pl.col("reject_reason").fill_null("fitted")
    )
    bars = {"type": "data", "symmetric": False, "array": up, "arrayminus": down}
    return go.Scatter(
        name=name,
        x=quotes["strike"].to_list(),
        y=quotes["iv_mid"].to_list(),
        customdata=told.rows(),
        mode="markers",
        legendrank=1000 if is_used else 1002,
        marker={"color": colour, "size": 5 if is_used else 4},
        opacity=1.0 if is_used else 0.28,
        error_y=bars | {"color": colour, "thickness": 1, "width": 0} if is_used else None,
        visible=True if is_used else "legendonly",
        hovertemplate="strike %{x:,.2f}<br>mid vol %{y:.2%}<br>"
        "bid-ask %{customdata[0]:.2f}-%{customdata[1]:.2f} USD<br>"
        "vols %{customdata[2]:.2%}-%{customdata[3]:.2%}<br>%{customdata[4]}",
    )


def _curve(curve: pl.DataFrame) -> Iterable[go.Scatter]:
    inner = curve.filter(~pl.col("is_extrapolated"))
    if inner.is_empty():
        return
    band = inner.drop_nulls(("low", "high"))
    strikes = band["strike"].to_list()
    yield go.Scatter(
        name="± 1 standard error",
        legendrank=1001,
        x=strikes + strikes[::-1],
        y=band["high"].to_list() + band["low"].to_list()[::-1],
        fill="toself",
        fillcolor="rgba(31,42,55,0.12)",
        line={"width": 0},
        hoverinfo="skip",
    )
    low = curve.filter(pl.col("is_extrapolated") & (pl.col("strike") < inner["strike"][0]))
    high = curve.filter(pl.col("is_extrapolated") & (pl.col("strike") > inner["strike"][-1]))
    for n, part in enumerate((low, high)):
        yield _line("extrapolated", part, style.EXTRAPOLATED, "dot", showlegend=n == 0)
    yield _line("fitted", inner, style.FIT, "solid")


def _line(name: str, part: pl.DataFrame, colour: str, dash: str, **own: Any) -> go.Scatter:
    return go.Scatter(
        name=name,
        legendgroup=name,
        legendrank=998 if name == "fitted" else 999,
        x=part["strike"].to_list(),
        y=part["implied_vol"].to_list(),
        mode="lines",
        line={"color": colour, "width": 2, "dash": dash},
        hovertemplate=f"{name} %{{y:.2%}}<extra></extra>",
        **own,
    )


def _residuals(quotes: pl.DataFrame) -> Iterable[go.Bar]:
    for kind, name, colour in _SIDES:
        own = quotes.filter("is_used", pl.col("option_type") == kind)
        yield go.Bar(
            name=f"{name}, residual",
            x=own["strike"].to_list(),
            y=own["error_vol_points"].to_list(),
            marker={"color": colour, "line": {"width": 0}},
            showlegend=False,
            hovertemplate="strike %{x:,.2f}<br>fit - mid %{y:.3f} vol points<extra></extra>",
        )


def _mark_forward(figure: go.Figure, forward: float | None) -> None:
    if forward is None:
        return
    figure.add_vline(x=forward, line={"color": style.QUIET, "width": 1, "dash": "dash"})
    figure.add_annotation(
        text=f"forward {forward:,.2f}",
        x=forward,
        xref="x",
        y=0.02,
        yref="y domain",
        xanchor="left",
        xshift=5,
        showarrow=False,
        font={"size": 11, "color": style.QUIET},
    )


def _frame(figure: go.Figure, picture: SmilePicture) -> None:
    """Show what was fitted and its extrapolation; far quotes are there to be zoomed to."""
    figure.update_yaxes(title_text="implied vol, annual", tickformat=".0%", row=1, col=1)
    figure.update_yaxes(
        title_text="fit − mid,<br>vol points",
        zeroline=True,
        zerolinecolor=style.EXTRAPOLATED,
        nticks=4,
        row=2,
        col=1,
    )
    figure.update_xaxes(title_text="strike, USD", tickformat=",", row=2, col=1)
    used, curve = picture.quotes.filter("is_used"), picture.curve
    if not curve.is_empty():
        low, high = curve["strike"].min(), curve["strike"].max()
        figure.update_xaxes(range=[low, high])
    vols = pl.concat([used["iv_bid"], used["iv_ask"], curve["implied_vol"]]).drop_nulls()
    if not vols.is_empty():
        bottom, top = float(vols.min()), float(vols.max())  # type: ignore[arg-type]
        margin = _SHOWN_BEYOND * (top - bottom)
        figure.update_yaxes(range=[bottom - margin, top + margin], row=1, col=1)
