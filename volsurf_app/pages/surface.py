"""The surface of a session: in three dimensions, and one smile with its quotes and residuals.

Belongs here: the page. Not here: its pictures (`plots.surface`, `plots.smile`).
"""

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

import polars as pl
import streamlit as st

from volsurf_app import queries, surface
from volsurf_app.finding_surfaces import stored_surface
from volsurf_app.pages.absence import tell_unfitted
from volsurf_app.pages.ahead import soon
from volsurf_app.pages.answers import ask
from volsurf_app.pages.choice import Choice, keep_in_address
from volsurf_app.pages.origin_panel import why_smile
from volsurf_app.pages.panels import (
    counted,
    figures_of,
    heading,
    number,
    percent,
    picture,
    price_unit,
    subtitle,
)
from volsurf_app.plots.smile import smile_figure
from volsurf_app.plots.surface import surface_figure
from volsurf_app.queries.models import MODEL_TABLES
from volsurf_app.queries.sheets import SurfaceSheet, shape_at, surface_sheet
from volsurf_app.surface_answers import SurfacePoint
from volsurf_resources.lake import Lake
from volsurf_tables.surface_slices import HAS_SMILE

_QUOTES = (*MODEL_TABLES, "option_quotes", "implied_forwards")
_AXES = {"strike": "Strike", "log-moneyness": "Log-moneyness"}

Expiry = tuple[str, date]  # root, expiry


def draw(choice: Choice) -> None:
    """Draw the page of the surface."""
    try:
        sheet, fits, month = _answers(choice)
    except queries.NotStored as missing:
        heading("Surface", subtitle(choice), "no surface")
        tell_unfitted(choice, str(missing))
        return
    heading("Surface", subtitle(choice), _told(fits))
    _numbers(choice, fits, month)
    _body(choice, sheet, fits)
    seen = st.session_state["expiry_seen"]
    soon([partial(prepare, near, seen) for near in choice.neighbours()])


def prepare(choice: Choice, seen: Expiry | None = None) -> None:
    """Ask for what will be shown to a reader who saw an expiry before."""
    choice.prepare()
    _, fits, _ = _answers(choice)
    expiries = _with_smile(fits)
    place = _nearest(expiries, seen or _in_a_month(expiries, choice.day))
    _picture_of(choice, *expiries[place])


@st.fragment
def _body(choice: Choice, sheet: SurfaceSheet, fits: pl.DataFrame) -> None:
    """Draw both pictures; another axis, expiry or strike draws no more than these again."""
    left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
    with left:
        axis = _axis()
    with right:
        chosen, asked = st.columns([3, 2], gap="small", vertical_alignment="bottom")
        with chosen:
            root, expiry = _expiry(choice, fits)
        with asked:
            strike = _strike()
    left, right = st.columns(2, gap="medium")
    with right:  # first, because it is drawn much faster
        _smile(choice, root, expiry, strike)
    with left:
        _sheet(choice, sheet, axis)
    why_smile(choice, root, expiry)


def _answers(choice: Choice) -> tuple[SurfaceSheet, pl.DataFrame, dict[str, float | None]]:
    """Return the surface, its expiries and its shape at 30 days."""
    of = (choice.symbol, choice.day, choice.model)
    reads: dict[str, Any] = {"reads": MODEL_TABLES, "days": [choice.day]}
    return (
        ask(choice.lake, surface_sheet, *of, choice.snapshot, **reads),
        ask(choice.lake, _expiries, *of, choice.snapshot, **reads),
        ask(choice.lake, shape_at, *of, 30, choice.snapshot, **reads),
    )


def _picture_of(choice: Choice, root: str, expiry: date) -> queries.SmilePicture:
    (shown, *_) = ask(
        choice.lake, queries.smile_pictures, choice.symbol, choice.day, expiry, root=root,
        model_type=choice.model, snapshot=choice.snapshot, reads=_QUOTES, days=[choice.day],
    )  # fmt: skip
    return shown


def _expiries(lake: Lake, symbol: str, day: date, model: str, snapshot: str) -> pl.DataFrame:
    rows = stored_surface(lake, symbol, day, model=model, snapshot=snapshot).rows
    return rows.select("root", "expiration_date", "status", "rmse").sort("expiration_date", "root")


def _told(fits: pl.DataFrame) -> str:
    counts = dict(fits["status"].value_counts().rows())
    outcomes = ("fitted", "carried", "skipped", "failed")
    return "smiles: " + counted([(counts.get(word, 0), word) for word in outcomes])


def _numbers(choice: Choice, fits: pl.DataFrame, month: dict[str, float | None]) -> None:
    """Show a month's level, skew and premium, and the error of the model that is looked at."""
    premium = choice.lake.read("vrp_metrics", [choice.day], symbols=[choice.symbol])
    past = premium.row(0, named=True) if premium.height else {}
    error = fits.filter(pl.col("status") == "fitted")["rmse"].median()
    span = choice.lake.calendar.sessions_per_month
    figures_of(
        {
            "ATM vol, 30 days": (percent(month["atm_vol"]), "At the forward, annual."),
            "Skew, 30 days": (percent(month["skew_25delta"]), "25-delta put minus call vol."),
            f"Realised, {span} sessions": (
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
    expiries = _with_smile(fits)
    seen = st.session_state.get("expiry_seen") or _asked_expiry(expiries, choice.day)
    root, expiry = st.selectbox(
        "Expiry", expiries, index=_nearest(expiries, seen), key="expiry_of_day",
        format_func=lambda own: f"{own[1]} · {(own[1] - choice.day).days} days · {own[0]}",
    )  # fmt: skip
    st.session_state["expiry_seen"] = (root, expiry)
    keep_in_address(expiry=str(expiry), root=root)
    return root, expiry


def _with_smile(fits: pl.DataFrame) -> list[Expiry]:
    return fits.filter(HAS_SMILE).select("root", "expiration_date").rows()


def _strike() -> float | None:
    """Offer to read the smile at a strike."""
    key = "chosen_strike"
    if key not in st.session_state:
        text = st.query_params.get("strike", "")
        st.session_state[key] = float(text) if text.replace(".", "", 1).isdecimal() else None
    strike = st.number_input(
        "Vol at strike, USD", min_value=0.01, value=None, step=1.0, key=key, placeholder="none"
    )
    keep_in_address(strike=None if strike is None else f"{strike:.12g}")
    return strike


def _smile(choice: Choice, root: str, expiry: date, strike: float | None) -> None:
    shown = _picture_of(choice, root, expiry)
    point = None if strike is None else _point(choice, root, expiry, strike)
    figure = smile_figure(shown, subtitle(choice), price_unit(choice), point)
    alt = f"Quotes of {root} {expiry} at their implied vols, the fitted smile and its residuals."
    picture(choice, figure, shown.quotes, "smile", alt, str(expiry))
    if point is not None:
        _tell_point(point)
    smile = shown.smile
    words = [
        f"{smile['status']} to {smile['num_points'] or 0:,} {smile['price_source'] or 'quotes'}",
        f"RMSE {number(smile['rmse'], 3)} vol points, "
        f"{number(shown.rmse_half_spreads)} half-spreads",
        f"forward {number(smile['forward'])} USD",
        f"ATM {percent(smile['atm_vol'])}",
    ]
    if smile["passes_no_arbitrage"] is not None:
        words.append("no arbitrage found" if smile["passes_no_arbitrage"] else "arbitrage found")
    st.caption(" · ".join(words))


def _point(choice: Choice, root: str, expiry: date, strike: float) -> SurfacePoint:
    return surface.at(
        choice.symbol, expiry=expiry, root=root, strike=strike, on=choice.day,
        model=choice.model, snapshot=choice.snapshot, lake=choice.lake,
    )  # fmt: skip


def _tell_point(point: SurfacePoint) -> None:
    strike = f"**{number(point.strike)} USD**"
    if point.implied_vol is None:
        st.markdown(f"At {strike} no vol is supported: {point.reason}.")
        return
    error = "" if point.std_error is None else f" ± {percent(point.std_error)}"
    st.markdown(
        f"At {strike}: vol **{percent(point.implied_vol, 4)}**{error} a year, forward delta "
        f"{number(point.delta, 4)}, log-moneyness {number(point.log_moneyness, 4)}"
    )


def _nearest(expiries: Sequence[Expiry], seen: Expiry) -> int:
    """Return the place of the expiry that was looked at before, or nearest to it."""
    return min(
        range(len(expiries)),
        key=lambda n: (abs((expiries[n][1] - seen[1]).days), expiries[n][0] != seen[0]),
    )


def _asked_expiry(expiries: Sequence[Expiry], day: date) -> Expiry:
    try:
        expiry = date.fromisoformat(st.query_params.get("expiry", ""))
    except ValueError:
        return _in_a_month(expiries, day)
    return st.query_params.get("root", expiries[0][0]), expiry


def _in_a_month(expiries: Sequence[Expiry], day: date) -> Expiry:
    return expiries[0][0], day + timedelta(days=30)
