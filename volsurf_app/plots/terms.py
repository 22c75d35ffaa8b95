"""The term structure of one session, and its history at constant maturity.

Belongs here: pictures over days to expiry, and of stored series by tenor. Not here: the premium.
"""

from collections.abc import Mapping, Sequence

import polars as pl

from volsurf_app.plots import style
from volsurf_app.plots.style import Figure

_DAYS = {
    "title": "days to expiry",
    "type": "log",
    "tickvals": (1, 3, 7, 14, 30, 90, 180, 365, 730),
}
_UNITS = {
    "svi_a": "a, vol² years",
    "svi_b": "b, vol² years",
    "svi_rho": "ρ",
    "svi_m": "m, log-moneyness",
    "svi_sigma": "σ, log-moneyness",
    "alpha": "α, USD^(1−β) per √year",
    "kappa": "κ, per year",
    "theta": "θ, vol²",
    "v0": "v₀, vol²",
    "rho": "ρ",
    "nu": "ν, per √year",
}
_UNITS_OF = {"HESTON": {"sigma": "σ, per year"}}
_NO_PARAMETERS = (
    "quote_date", "root", "expiration_date", "days", "atm_vol", "skew_25delta", "rmse", "status",
)  # fmt: skip


def term_figure(
    smiles: pl.DataFrame, column: str, title: str, unit: str, subtitle: str, colour: str = style.FIT
) -> Figure:
    """Draw a decimal column of smiles over days to expiry with its standard error, by outcome."""
    figure = style.new_figure(title, subtitle, x=_DAYS, y={"title": unit, "tickformat": ".1~%"})
    for status, symbol in (("fitted", "circle"), ("carried", "circle-open"), ("skipped", "x")):
        own = smiles.filter(pl.col("status") == status, pl.col(column).is_not_null())
        if own.is_empty():
            continue
        name = f"{status}, from two quotes" if status == "skipped" else status
        error = own[f"{column}_std_error"].fill_null(0.0).to_list()
        figure.add(
            {
                "type": "scatter",
                "name": name,
                "x": own["days"].to_list(),
                "y": own[column].to_list(),
                "error_y": {"type": "data", "array": error, "thickness": 1, "width": 0},
                "customdata": own.select("root", pl.col("expiration_date").cast(pl.String)).rows(),
                "mode": "markers",
                "marker": {
                    "color": colour if status == "fitted" else style.QUIET,
                    "symbol": symbol,
                    "size": 7,
                },
                "hovertemplate": "%{customdata[0]} %{customdata[1]}, %{x} days<br>%{y:.2%}",
            }
        )
    return figure


def add_power_law(figure: Figure, days: Sequence[float], a: float, b: float) -> None:
    """Draw the stored power law a T^b over days to expiry."""
    figure.add(
        style.line(
            f"{100 * a:.2f} % × T^{b:.3f}",
            list(days),
            [a * (n / 365.0) ** b for n in days],
            style.CALL,
            ".2%",
            mode="lines",
            line={"dash": "dash", "width": 1.4},
        )
    )


def forward_vol_figure(forwards: pl.DataFrame, subtitle: str) -> Figure:
    """Draw the forward volatility between neighbouring expiries as steps; a gap is arbitrage."""
    figure = style.new_figure(
        "Forward volatility at the forward",
        subtitle,
        x=_DAYS,
        y={"title": "forward vol, annual", "tickformat": ".1~%"},
    )
    x: list[float | None] = []
    y: list[float | None] = []
    for start, end, vol in forwards.select("start_days", "end_days", "forward_vol").iter_rows():
        x += [start, end]
        y += [vol, vol]
    figure.add(style.line("between expiries", x, y, style.FIT, ".2%", mode="lines"))
    return figure


def tenor_figure(series: pl.DataFrame, column: str, title: str, unit: str, subtitle: str) -> Figure:
    """Draw a decimal column of constant maturities over sessions, a line per tenor."""
    figure = style.new_figure(
        title,
        subtitle,
        x=style.sessions(series["quote_date"].unique().sort().to_list()),
        y={"title": unit, "tickformat": ".1~%"},
    )
    is_there = pl.col(column).is_not_null().any().over("tenor_days")
    tenors = series.filter(is_there)["tenor_days"].unique().sort()
    if tenors.is_empty():
        return figure.say("constant maturities of this model are not stored")
    for tenor, colour in zip(tenors, style.SERIES, strict=False):
        own = series.filter(pl.col("tenor_days") == tenor)
        days, values = own["quote_date"].to_list(), own[column].to_list()
        figure.add(style.line(f"{tenor} days", days, values, colour, ".2%"))
    figure.layout["hovermode"] = "x unified"
    return figure


def parameter_figure(history: pl.DataFrame, model: str, title: str, subtitle: str) -> Figure:
    """Draw the parameters of one smile per session, one strip each."""
    names = [name for name in history.columns if name not in _NO_PARAMETERS]
    units = _UNITS | _UNITS_OF.get(model, {})
    return strips(history, {name: units.get(name, name) for name in names}, title, subtitle, ".5g")


def strips(
    history: pl.DataFrame, columns: Mapping[str, str], title: str, subtitle: str, unit: str
) -> Figure:
    """Draw columns over sessions, one strip below the other: column -> title of its axis."""
    names = list(columns)
    shares = [1.0] * len(names)
    figure = style.new_strips(title, subtitle, shares, height=110 * len(names) + 110)
    days = history["quote_date"].to_list()
    for n, name in enumerate(names, start=1):
        trace = style.line(name, days, history[name].to_list(), style.FIT, unit, showlegend=False)
        figure.add(trace, strip=n)
        told = columns[name].replace(", ", ",<br>")
        figure.axis("y", strip=n, title=told, nticks=style.STRIP_TICKS)
    figure.axis("x", **style.sessions(days))
    figure.layout["hovermode"] = "x"
    return figure
