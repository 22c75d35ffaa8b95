"""A surface in three dimensions, as far as quotes support it.

Belongs here: the picture of many expiries at once. Not here: one smile.
"""

import plotly.graph_objects as go

from volsurf_app.plots import style
from volsurf_app.queries.sheets import SurfaceSheet

_DAYS = (1, 7, 14, 30, 60, 90, 180, 365, 730, 1460)


def surface_figure(sheet: SurfaceSheet, axis: str, subtitle: str) -> go.Figure:
    """Draw implied vol over `axis` (strike or log-moneyness) and days; ends where quotes end."""
    figure = go.Figure()
    style.dress(figure, "Surface", subtitle, height=560)
    x = sheet.strike if axis == "strike" else sheet.log_moneyness
    days = [[days] * x.shape[1] for days in sheet.days]
    shown = "%{x:,.2f} USD" if axis == "strike" else "%{x:.3f}"
    figure.add_trace(
        go.Surface(
            x=x.tolist(),
            y=days,
            z=sheet.implied_vol.tolist(),
            colorscale=style.RISING,
            showscale=False,
            contours={
                "y": {"show": True, "color": "rgba(255,255,255,0.35)", "width": 1},
                "x": {"show": False},
            },
            lighting={"ambient": 0.85, "diffuse": 0.3, "specular": 0.05, "roughness": 0.9},
            hovertemplate=f"{axis} {shown}<br>%{{y}} days<br>vol %{{z:.2%}}<extra></extra>",
        )
    )
    figure.update_layout(margin={"l": 0, "r": 0, "t": 60, "b": 0}, scene=_scene(axis, sheet))
    return figure


def _scene(axis: str, sheet: SurfaceSheet) -> dict[str, object]:
    look = {
        "gridcolor": style.GRID,
        "backgroundcolor": style.PAPER,
        "showspikes": False,
        "tickfont": {"size": 11, "color": style.QUIET},
    }
    label = {"size": 12, "color": style.QUIET}
    ticks = [day for day in _DAYS if sheet.days[0] <= day <= sheet.days[-1]]
    return {
        "xaxis": look
        | {
            "title": {
                "text": "strike, USD" if axis == "strike" else "log-moneyness",
                "font": label,
            },
            "tickformat": "," if axis == "strike" else "",
        },
        "yaxis": look
        | {
            "title": {"text": "days to expiry", "font": label},
            "type": "log",
            "tickvals": ticks,
            "ticktext": [str(day) for day in ticks],
            "autorange": "reversed",
        },
        "zaxis": look | {"title": {"text": "implied vol", "font": label}, "tickformat": ".0%"},
        "camera": {
            "eye": {"x": 1.75, "y": 1.9, "z": 0.95},
            "center": {"x": 0.0, "y": 0.0, "z": -0.12},
        },
        "aspectratio": {"x": 1.0, "y": 1.0, "z": 0.7},
    }
