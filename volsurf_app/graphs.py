"""Smiles drawn as PNG files: one per fitted expiry, without a browser.

Belongs here: how a smile's picture looks on paper. Not here: the numbers in it
(`queries.smile_picture`), or pictures of pages. Only the command that draws loads this module.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from volsurf_app.plots import style
from volsurf_app.queries.pictures import SmilePicture

SIZE, DPI = (11.0, 7.6), 110  # inches: 1210 x 836 pixels
UPPER, LOWER = (0.075, 0.365, 0.9, 0.5), (0.075, 0.15, 0.9, 0.19)  # of the figure
CURVE, FORWARD, UNUSED, BAND = "#111827", "#6b7280", "#9ca3af", "#10b981"
SIDES = {"PUT": (style.PUT, "v", "put"), "CALL": (style.CALL, "^", "call")}
GRID, OUTSIDE = "#e5e7eb", "#f3f4f6"
_LINES = ((15, "bold", 0.952), (9.5, "normal", 0.918), (9.5, "normal", 0.887))  # of the caption
_QUICK = {"compress_level": 1}  # of PNG: larger files in a third of the time

rcParams["text.hinting"] = "none"  # letters as they are designed, in half the time


def write_graphs(
    pictures: Sequence[SmilePicture], symbol: str, day: date, folder: Path
) -> Iterator[Path]:
    """Draw every picture of a session into `folder`, yielding each file once it is written.

    Graphs that are there of the same symbol and session, of whatever model, are removed first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in graphs_in(folder, symbol, day):
        old.unlink()
    figure = new_figure()
    for picture in pictures:
        draw_smile(figure, picture)
        path = folder / file_name(picture)
        hidden = path.with_name(f".{path.name}.tmp")
        figure.savefig(hidden, format="png", pil_kwargs=_QUICK)
        hidden.replace(path)
        yield path


def graphs_in(folder: Path, symbol: str, day: date) -> list[Path]:
    """Return the graphs of a symbol and session in a folder, in order of their names."""
    return sorted(folder.glob(f"{symbol}_{day}_*.png"))


def file_name(picture: SmilePicture) -> str:
    """Name a graph by symbol, session, root, expiry and model: SPY_2026-11-19_SPY_...svi.png."""
    smile = picture.smile
    root = re.sub(r"[^A-Za-z0-9.]+", "-", smile["root"])
    parts = (smile["symbol"], smile["quote_date"], root, smile["expiration_date"])
    return f"{'_'.join(map(str, parts))}_{smile['model_type'].lower()}.png"


def new_figure() -> Figure:
    """Return an empty sheet with two axes: the smile, and below it the errors of its fit.

    Making axes and their ticks takes as long as drawing on them, so one sheet serves many smiles.
    """
    figure = Figure(figsize=SIZE, dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    smile, errors = figure.add_axes(UPPER), figure.add_axes(LOWER)
    smile.set_ylabel("implied volatility (% per year)")
    smile.tick_params(labelbottom=False)
    errors.set_ylabel("curve - quote\n(vol points)", fontsize=9)
    errors.set_xlabel("strike (USD)")
    for axes in (smile, errors):
        axes.yaxis.set_label_coords(-0.045, 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(12))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:.10g}"))
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_smile(figure: Figure, picture: SmilePicture) -> None:
    """Draw one smile on a sheet of `new_figure`; what was drawn there before is wiped off."""
    smile, errors = figure.axes
    for axes in (smile, errors):
        for artist in (*axes.lines, *axes.collections, *axes.patches, *axes.texts):
            artist.remove()
    for own in (*figure.texts, *figure.legends):
        own.remove()
    low, high = _frame(picture)
    _draw_curve(smile, picture)
    beyond = _draw_quotes(smile, picture, low, high)
    smile.set_ylim(low, high)
    _draw_errors(errors, picture)
    for axes in (smile, errors):
        _draw_limits(axes, picture)
    figure.legend(
        *smile.get_legend_handles_labels(),
        loc="lower center", ncols=4, fontsize=8.5, frameon=False, columnspacing=2.5,
    )  # fmt: skip
    if beyond:
        told = f"{beyond} other quotes with a vol lie out of the frame"
        smile.text(0.006, 0.02, told, transform=smile.transAxes, fontsize=8, color=FORWARD)
    for line, (size, weight, height) in zip(caption(picture), _LINES, strict=True):
        figure.text(UPPER[0], height, line, fontsize=size, fontweight=weight, color=CURVE)


def caption(picture: SmilePicture) -> tuple[str, str, str]:
    """Return the three lines above a graph: what it shows, of when, how good it is."""
    smile = picture.smile
    expiry = f"{smile['expiration_date']:%d %b %Y}"
    title = f"{smile['symbol']}  {expiry}, {picture.days} day{'' if picture.days == 1 else 's'}"
    if smile["root"] != smile["symbol"]:
        title += f"  (root {smile['root']})"
    prices = smile["price_source"] or "quotes"
    when = (
        f"session {smile['quote_date']}, snapshot {smile['snapshot']}: {prices} of "
        f"{picture.quote_time:%Y-%m-%d %H:%M} UTC  ·  {smile['model_type']}: {smile['status']}"
    )
    if smile["status"] == "carried":
        when += f" from {smile['parameters_date']}"
    spreads = picture.rmse_half_spreads
    quality = (
        f"{smile['num_points']} {prices} fitted  ·  RMSE {smile['rmse']:.3f} vol points"
        + ("" if spreads is None else f" = {spreads:.2f} half-spreads")
        + f"  ·  largest {smile['max_error']:.3f}"
        + f"  ·  {100 * smile['inside_spread_share']:.0f} % inside bid-ask"
        + f"  ·  ATM {100 * smile['atm_vol']:.2f} %"
    )
    return title, when, quality


def _frame(picture: SmilePicture) -> tuple[float, float]:
    """Lowest and highest vol shown, in %: the curve and the fitted quotes, with some air."""
    used = picture.quotes.filter("is_used")
    vols = [picture.curve["implied_vol"], used["iv_bid"], used["iv_ask"]]
    shown = 100.0 * pl.concat([v.rename("") for v in vols]).drop_nulls().to_numpy()
    air = 0.06 * max(float(np.ptp(shown)), 1.0)
    return max(float(shown.min()) - air, 0.0), float(shown.max()) + air


def _draw_limits(axes: Axes, picture: SmilePicture) -> None:
    """Give both parts the same strikes, shade where no quote was fitted, mark the forward."""
    smile, strikes = picture.smile, picture.curve["strike"]
    first, last = (smile["forward"] * np.exp(smile[end]) for end in ("k_min", "k_max"))
    for start, end in ((strikes[0], first), (last, strikes[-1])):
        axes.axvspan(start, end, color=OUTSIDE, linewidth=0, zorder=0)
    axes.axvline(
        smile["forward"], color=FORWARD, linewidth=1.1, linestyle=(0, (6, 3)), zorder=1.5,
        label=f"forward {smile['forward']:,.2f} USD",
    )  # fmt: skip
    axes.set_xlim(strikes[0], strikes[-1])


def _draw_quotes(axes: Axes, picture: SmilePicture, low: float, high: float) -> int:
    """Draw bid to ask and mid of each quote at its own vol; return how many lie out of frame."""
    solved = picture.quotes.filter(pl.col("iv_mid") > 0.0)
    first, last = picture.curve["strike"][0], picture.curve["strike"][-1]
    is_shown = pl.col("strike").is_between(first, last) & (100.0 * pl.col("iv_mid")).is_between(
        low, high
    )
    shown = solved.filter(is_shown)
    for side, (colour, marker, word) in SIDES.items():
        for is_used, alpha in ((False, 0.55), (True, 1.0)):
            rows = shown.filter(pl.col("option_type") == side, pl.col("is_used") == is_used)
            if rows.is_empty():
                continue
            ink = colour if is_used else UNUSED
            axes.add_collection(_bars(rows, ink, 0.8 if is_used else 0.35), autolim=False)
            axes.plot(
                rows["strike"], 100.0 * rows["iv_mid"], linestyle="none", marker=marker,
                markersize=4.0, color=ink, alpha=alpha, markeredgewidth=0.7,
                markerfacecolor=ink if is_used else "white", zorder=3 if is_used else 2,
                label=f"{word}s {'' if is_used else 'not '}fitted, bid to ask ({rows.height})",
            )  # fmt: skip
    return solved.height - shown.height


def _bars(rows: pl.DataFrame, colour: str, alpha: float) -> LineCollection:
    """Lines from bid to ask; a bid without a vol (below all time value) is taken as the mid."""
    x = rows["strike"].to_numpy()
    bid, ask = (
        100.0 * rows[name].fill_null(rows["iv_mid"]).to_numpy() for name in ("iv_bid", "iv_ask")
    )
    ends: Any = np.stack([np.column_stack([x, bid]), np.column_stack([x, ask])], axis=1)
    return LineCollection(ends, colors=colour, alpha=alpha, linewidths=1.1, zorder=2)


def _draw_curve(axes: Axes, picture: SmilePicture) -> None:
    """Draw the curve: a line where quotes were fitted with its band, dots beyond."""
    curve, model = picture.curve, picture.smile["model_type"]
    strike, vol = curve["strike"].to_numpy(), 100.0 * curve["implied_vol"].to_numpy()
    is_beyond = curve["is_extrapolated"].to_numpy()
    inside = np.flatnonzero(~is_beyond)
    ends = (slice(0, inside[0] + 1), slice(inside[-1], None))
    observed = slice(inside[0], inside[-1] + 1)
    error = picture.smile["atm_vol_std_error"]
    if error is not None:
        below, above = (100.0 * curve[name].to_numpy()[observed] for name in ("low", "high"))
        axes.fill_between(
            strike[observed], below, above, color=BAND, alpha=0.45, linewidth=0, zorder=3.5,
            label=f"one standard error, ± {100 * error:.3f} vol points",
        )  # fmt: skip
    axes.plot(
        strike[observed], vol[observed], color=CURVE, linewidth=1.5, zorder=4,
        label=f"{model} where it was fitted",
    )  # fmt: skip
    for n, end in enumerate(ends):
        axes.plot(
            strike[end], vol[end], color=CURVE, linewidth=1.4, linestyle=(0, (1, 2)), zorder=4,
            label=f"{model} extrapolated" if n == 0 else None,
        )  # fmt: skip


def _draw_errors(axes: Axes, picture: SmilePicture) -> None:
    """Draw the curve as seen from the fitted quotes: zero inside a bar is inside bid-ask."""
    used = picture.quotes.filter("is_used", pl.col("model_vol").is_not_null())
    vols = ("iv_bid", "iv_mid", "iv_ask")
    used = used.with_columns((pl.col("model_vol") - pl.col(name)).alias(name) for name in vols)
    band = 100.0 * (picture.smile["atm_vol_std_error"] or 0.0)
    axes.fill_between(used["strike"], -band, band, color=BAND, alpha=0.45, linewidth=0)
    axes.axhline(0.0, color=CURVE, linewidth=1.2, zorder=4)
    for side, (colour, marker, _) in SIDES.items():
        rows = used.filter(pl.col("option_type") == side)
        axes.add_collection(_bars(rows, colour, 0.8), autolim=False)
        axes.plot(rows["strike"], 100.0 * rows["iv_mid"], marker, markersize=3.5, color=colour)
    reach = 1.15 * float(np.nanmax(np.abs(100.0 * used.select(vols).to_numpy())))
    axes.set_ylim(-reach, reach)
