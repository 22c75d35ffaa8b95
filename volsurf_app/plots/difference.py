"""Two surfaces compared: the change point by point, and the move taken apart.

Belongs here: pictures of a change. Not here: how the parts are computed.
"""

import polars as pl

from volsurf_app.plots import style
from volsurf_app.plots.style import Figure

PARTS = {
    "move_spot": ("spot", style.FIT),
    "move_level": ("level", style.CALL),
    "move_term": ("term", style.GOOD),
    "move_skew": ("skew", style.WARNING),
    "move_curvature": ("curvature", style.PREMIUM),
}
_TENORS = {
    "type": "category",
    "title": "tenor, days",
    "showgrid": False,
    "autorange": "reversed",
}


def change_figure(change: pl.DataFrame, subtitle: str) -> Figure:
    """Draw the change of implied vol on the stored grid, tenor by log-moneyness."""
    grid = change.pivot(
        "log_moneyness", index="tenor_days", values="change_vol_points", maintain_order=True
    )
    columns = grid.columns[1:]
    figure = style.new_figure(
        "Change of implied volatility, vol points", subtitle, height=430,
        x={"type": "category", "title": "log-moneyness", "showgrid": False, "tickangle": 0},
        y=_TENORS,
    )  # fmt: skip
    most = max((abs(x) for x in change["change_vol_points"].drop_nulls()), default=1.0)
    figure.add(
        {
            "type": "heatmap",
            "x": [_short(float(k)) for k in columns],
            "y": [str(days) for days in grid["tenor_days"]],
            "z": grid.select(columns).rows(),
            "zmin": -most,
            "zmax": most,
            "colorscale": style.DIVERGING,
            "xgap": 2,
            "ygap": 2,
            "texttemplate": "%{z:.2f}",
            "textfont": {"size": 11},
            "hoverongaps": False,
            "showscale": False,
            "hovertemplate": "%{y} days, k %{x}<br>%{z:.3f} vol points<extra></extra>",
        }
    )
    return figure


def _short(k: float) -> str:
    return "0" if k == 0.0 else f"{k:+.3g}".replace("0.", ".")


def attribution_figure(parts: pl.DataFrame, subtitle: str) -> Figure:
    """Draw the move of the strike one sd below the forward as its five parts, by tenor."""
    figure = style.new_figure(
        "The move, taken apart",
        subtitle,
        height=430,
        x={"title": "vol points", "zeroline": True, "zerolinecolor": style.QUIET},
        y=_TENORS,
    )
    tenors = [str(days) for days in parts["tenor_days"]]
    for column, (name, colour) in PARTS.items():
        figure.add(
            {
                "type": "bar",
                "name": name,
                "y": tenors,
                "x": parts[column].to_list(),
                "orientation": "h",
                "marker": {"color": colour, "line": {"width": 0}},
                "hovertemplate": f"{name} %{{x:.3f}} vol points<extra></extra>",
            }
        )
    moves = parts.select(pl.sum_horizontal(*PARTS, ignore_nulls=False).alias("move"))["move"]
    figure.add(
        {
            "type": "scatter",
            "name": "move",
            "x": moves.to_list(),
            "y": tenors,
            "mode": "markers",
            "marker": {"color": style.PUT, "symbol": "diamond", "size": 10},
            "hovertemplate": "move %{x:.3f} vol points<extra></extra>",
        }
    )
    figure.layout.update(barmode="relative", bargap=0.45)
    return figure
