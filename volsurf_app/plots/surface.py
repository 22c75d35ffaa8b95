"""A surface in three dimensions, as far as quotes support it.

Belongs here: the picture of many expiries at once. Not here: one smile.
"""

from typing import Any

from volsurf_app.plots import style
from volsurf_app.plots.style import Figure
from volsurf_app.queries.sheets import SurfaceSheet

_DAYS = (1, 7, 14, 30, 90, 180, 365, 730, 1460)


def surface_figure(sheet: SurfaceSheet, axis: str, subtitle: str) -> Figure:
    """Draw implied vol over `axis` (strike or log-moneyness) and days; ends where quotes end."""
    figure = style.new_figure("Surface", subtitle, height=470)
    is_strike = axis == "strike"
    x = sheet.strike if is_strike else sheet.log_moneyness
    shown = "%{x:,.2f} USD" if is_strike else "%{x:.3f}"
    figure.add(
        {
            "type": "surface",
            "x": x.tolist(),
            "y": [[days] * x.shape[1] for days in sheet.days],
            "z": sheet.implied_vol.tolist(),
            "colorscale": style.RISING,
            "showscale": False,
            "contours": {"y": {"show": True, "color": "rgba(255,255,255,0.35)", "width": 1}},
            "lighting": {"ambient": 0.85, "diffuse": 0.3, "specular": 0.05, "roughness": 0.9},
            "hovertemplate": f"{axis} {shown}<br>%{{y}} days<br>vol %{{z:.2%}}<extra></extra>",
        }
    )
    figure.layout["margin"] = {"l": 0, "r": 0, "t": 60, "b": 0}
    figure.layout["scene"] = _scene(sheet, is_strike=is_strike)
    return figure


def _scene(sheet: SurfaceSheet, *, is_strike: bool) -> dict[str, Any]:
    across = "strike, USD" if is_strike else "log-moneyness"
    ticks = [day for day in _DAYS if sheet.days[0] <= day <= sheet.days[-1]]
    return {
        "xaxis": _axis(across) | ({"tickformat": ","} if is_strike else {}),
        "yaxis": _axis("days to expiry")
        | {
            "type": "log",
            "tickvals": ticks,
            "ticktext": [str(day) for day in ticks],
            "autorange": "reversed",
        },
        "zaxis": _axis("implied vol, annual") | {"tickformat": ".1~%"},
        "camera": {
            "eye": {"x": 1.95, "y": 2.1, "z": 1.05},
            "center": {"x": 0.0, "y": 0.0, "z": -0.14},
        },
        "aspectratio": {"x": 1.0, "y": 1.0, "z": 0.7},
    }


def _axis(title: str) -> dict[str, Any]:
    return {
        "title": {"text": title, "font": {"size": 12, "color": style.QUIET}},
        "gridcolor": style.GRID,
        "backgroundcolor": style.PAPER,
        "showspikes": False,
        "tickfont": {"size": 11, "color": style.QUIET},
    }
