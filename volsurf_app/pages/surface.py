"""The surface of a session: in three dimensions, and one smile with its quotes and residuals.

Belongs here: the page. Not here: its pictures (`plots.surface`, `plots.smile`).
"""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl
import streamlit as st

from volsurf_app import queries
from volsurf_app.pages.answers import ask
from volsurf_app.pages.choice import Choice
from volsurf_app.pages.origin_panel import why_smile
from volsurf_app.pages.panels import (
    counted,
    figures_of,
    heading,
    number,
    percent,
    picture,
    subtitle,
)
from volsurf_app.plots.smile import smile_figure
from volsurf_app.plots.surface import surface_figure
from volsurf_app.queries.evolution import constant_maturity
from volsurf_app.queries.sheets import SurfaceSheet, surface_sheet

READS = ("fitted_surfaces", "option_quotes", "implied_forwards")
_AXES = {"strike": "Strike", "log-moneyness": "Log-moneyness"}

Expiry = tuple[str, date]  # root, expiry


def draw(choice: Choice) -> None:
    """Draw the page of the surface."""
    try:
        sheet = ask(
            choice.lake, surface_sheet, choice.symbol, choice.day, choice.model,
            reads=READS[:1], days=[choice.day],
        )  # fmt: skip
    except queries.NotStored as missing:
        heading("Surface", subtitle(choice), "no surface")
        _tell_unfitted(choice, str(missing))
        return
    fits = _fits(choice)
    heading("Surface", subtitle(choice), _told(fits))
    _numbers(choice, fits)
    left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
    with left:
        axis = _axis()
    with right:
        root, expiry = _expiry(choice, fits)
    left, right = st.columns(2, gap="medium")
    with right:  # first, because it is drawn much faster
        _smile(choice, root, expiry)
    with left:
        _sheet(choice, sheet, axis)
    why_smile(choice, root, expiry)


def _fits(choice: Choice) -> pl.DataFrame:
    rows = choice.lake.read("fitted_surfaces", [choice.day], symbols=[choice.symbol])
    return rows.filter(pl.col("model_type") == choice.model).sort("expiration_date", "root")


def _told(fits: pl.DataFrame) -> str:
    counts = dict(fits["status"].value_counts().rows())
    outcomes = ("fitted", "carried", "skipped", "failed")
    return "smiles: " + counted([(counts.get(word, 0), word) for word in outcomes])


def _numbers(choice: Choice, fits: pl.DataFrame) -> None:
    """Show a month's level, skew and premium, and the error of the model that is looked at."""
    days = (choice.day,)
    points = ask(
        choice.lake, constant_maturity, choice.symbol, days, choice.model,
        reads=("surface_points",), days=days,
    ).rows_by_key("tenor_days", named=True, unique=True)  # fmt: skip
    month = points.get(30, {})
    premium = choice.lake.read("vrp_metrics", days, symbols=[choice.symbol]).rows(named=True)
    past = premium[0] if premium else {}
    error = fits.filter(pl.col("status") == "fitted")["rmse"].median()
    figures_of(
        {
            "ATM vol, 30 days": (percent(month.get("atm_vol")), "At the forward, annual."),
            "Skew, 30 days": (percent(month.get("skew_25delta")), "25-delta put minus call vol."),
            "Realised, 21 sessions": (
                percent(past.get("realized_vol_30d")), "Close to close, annual."
            ),
            "Premium, 30 days": (
                percent(past.get("vrp_30d")), "Implied (by SVI) minus realised volatility."
            ),
            "Median fit error": (
                number(error, 3, " pts"),  # type: ignore[arg-type]
                "Root mean squared error of the fitted smiles, vol points.",
            ),
        }
    )  # fmt: skip


def _axis() -> str:
    return st.segmented_control(
        "Axis", list(_AXES), default="strike", format_func=_AXES.__getitem__, required=True,
        key="surface_axis", label_visibility="collapsed",
    )  # fmt: skip


def _sheet(choice: Choice, sheet: SurfaceSheet, axis: str) -> None:
    figure = surface_figure(sheet, axis, subtitle(choice))
    alt = "Implied volatility over strike and days to expiry, in three dimensions."
    picture(choice, figure, sheet.frame(), "surface", alt)


def _expiry(choice: Choice, fits: pl.DataFrame) -> Expiry:
    has_curve = fits.filter(pl.col("status").is_in(["fitted", "carried"]))
    expiries: list[Expiry] = has_curve.select("root", "expiration_date").rows()
    root, expiry = st.selectbox(
        "Expiry", expiries, index=_same_as_before(expiries, choice.day), key="expiry_of_day",
        format_func=lambda own: f"{own[1]} · {(own[1] - choice.day).days} days · {own[0]}",
        label_visibility="collapsed",
    )  # fmt: skip
    st.session_state["expiry_seen"] = (root, expiry)
    return root, expiry


def _smile(choice: Choice, root: str, expiry: date) -> None:
    shown = ask(
        choice.lake, queries.smile_picture, choice.symbol, choice.day, expiry, root, choice.model,
        reads=READS, days=[choice.day],
    )  # fmt: skip
    figure = smile_figure(shown, subtitle(choice))
    alt = f"Quotes of {root} {expiry} at their implied vols, the fitted smile and its residuals."
    picture(choice, figure, shown.quotes, "smile", alt, str(expiry))
    smile = shown.smile
    st.caption(
        f"{smile['status']} to {smile['num_points'] or 0:,} quotes · RMSE "
        f"{number(smile['rmse'], 3)} vol points · forward {number(smile['forward'])} USD · "
        f"ATM {percent(smile['atm_vol'])} · "
        + ("no arbitrage found" if smile["passes_no_arbitrage"] else "arbitrage found")
    )


def _same_as_before(expiries: Sequence[Expiry], day: date) -> int:
    """Return the place of the expiry looked at before, or nearest to it; at first, to 30 days."""
    before = st.session_state.get("expiry_seen", (expiries[0][0], day + timedelta(days=30)))
    return min(
        range(len(expiries)),
        key=lambda n: (abs((expiries[n][1] - before[1]).days), expiries[n][0] != before[0]),
    )


def _tell_unfitted(choice: Choice, missing: str) -> None:
    st.warning(f"{missing[:1].upper()}{missing[1:]}.")
    st.markdown("The chain is stored; this fits it and computes what follows:")
    command = f"volsurf eod --symbol {choice.symbol} --date {choice.day}"
    st.code(command, language="bash")
