"""How well smiles fit: errors through time, residuals over moneyness.

Belongs here: pictures of diagnostics. Not here: the list of violations, which is a table.
"""

import polars as pl

from volsurf_app.plots import style
from volsurf_app.plots.style import Figure

_RANGE = 0.005  # share of the residuals beyond either end of the colours
_BAR = 0.9 * 86_400_000  # of a day, in milliseconds; one session alone has no neighbour to tell


def error_figure(history: pl.DataFrame, subtitle: str) -> Figure:
    """Draw median, held-out and worst error of a session's smiles over sessions."""
    figure = style.new_figure(
        "Fit error",
        subtitle,
        x=style.sessions(history["quote_date"].to_list()),
        y={"title": "RMSE, vol points", "rangemode": "tozero"},
    )
    days = history["quote_date"].to_list()
    for column, name, colour, dash in (
        ("worst_rmse", "worst smile", style.EXTRAPOLATED, "dot"),
        ("holdout_rmse", "median, strikes left out", style.CALL, "solid"),
        ("median_rmse", "median", style.FIT, "solid"),
    ):
        look = {"dash": dash, "width": 1.6}
        values = history[column].to_list()
        figure.add(style.line(name, days, values, colour, ".3f", line=look))
    figure.layout["hovermode"] = "x unified"
    return figure


def outcome_figure(history: pl.DataFrame, subtitle: str) -> Figure:
    """Draw how many smiles were fitted, carried, skipped, failed, and how many violate."""
    figure = style.new_figure(
        "Outcome of the fits",
        subtitle,
        x=style.sessions(history["quote_date"].to_list()),
        y={"title": "smiles"},
    )
    days = history["quote_date"].to_list()
    colours = {
        "fitted": style.GOOD,
        "carried": style.WARNING,
        "failed": style.BAD,
        "skipped": "#d5dae1",
    }
    for outcome, colour in colours.items():
        look = {"color": colour, "line": {"width": 0}}
        counts = history[outcome].to_list()
        bars = {"type": "bar", "x": days, "y": counts, "width": _BAR, "marker": look}
        figure.add({"name": outcome} | bars)
    if history["violating"].sum():
        counts = history["violating"].to_list()
        figure.add(style.line("with arbitrage", days, counts, style.INK, "d"))
    figure.layout.update(barmode="stack", hovermode="x unified")
    return figure


def residual_figure(residuals: pl.DataFrame, subtitle: str) -> Figure:
    """Draw each fitted quote of a session at its moneyness and residual, coloured by term."""
    figure = style.new_figure(
        "Residuals of the session",
        subtitle,
        height=420,
        x={"title": "log-moneyness"},
        y={"title": "fit − mid, vol points", "zeroline": True, "zerolinecolor": style.QUIET},
    )
    if residuals.is_empty():
        return figure.say("no smile was fitted")
    told = residuals.select(
        "root", pl.col("expiration_date").cast(pl.String), "strike", "option_type", "days"
    )
    figure.add(
        {
            "type": "scatter",
            "name": "fitted quotes",
            "x": residuals["log_moneyness"].to_list(),
            "y": residuals["error_vol_points"].to_list(),
            "customdata": told.rows(),
            "mode": "markers",
            "marker": {
                "size": 4,
                "opacity": 0.75,
                "color": residuals["days"].log(2.0).to_list(),
                "colorscale": [[0.0, style.PUT], [0.5, style.PREMIUM], [1.0, style.CALL]],
                "colorbar": _colours_of_days(residuals["days"]),
            },
            "hovertemplate": "%{customdata[0]} %{customdata[1]} %{customdata[2]:,.2f} "
            "%{customdata[3]}<br>k %{x:.3f}<br>%{y:.3f} vol points<extra></extra>",
        }
    )
    low, high = (float(residuals["error_vol_points"].quantile(q)) for q in (_RANGE, 1.0 - _RANGE))  # type: ignore[arg-type]
    margin = 0.25 * (high - low)
    figure.axis("y", range=[low - margin, high + margin])
    return figure


def _colours_of_days(days: pl.Series) -> dict[str, object]:
    ticks = [n for n in (7, 30, 90, 365, 730) if days.min() <= n <= days.max()]  # type: ignore[operator]
    series = pl.Series(ticks, dtype=pl.Float64)
    return {
        "title": {"text": "days", "font": {"size": 12, "color": style.QUIET}},
        "tickvals": series.log(2.0).to_list(),
        "ticktext": [str(n) for n in ticks],
        "thickness": 10,
        "outlinewidth": 0,
        "tickfont": {"size": 11, "color": style.QUIET},
    }
