"""The term structure of a session, and how it moved.

Belongs here: the page. Not here: its pictures (`plots.terms`).
"""

import polars as pl
import streamlit as st

from volsurf_app import queries
from volsurf_app.pages.absence import tell_unfitted
from volsurf_app.pages.answers import ask
from volsurf_app.pages.choice import Choice
from volsurf_app.pages.origin_panel import why_table
from volsurf_app.pages.panels import figures_of, heading, number, percent, picture, subtitle
from volsurf_app.plots import terms
from volsurf_app.plots.style import Figure
from volsurf_app.queries import evolution
from volsurf_app.queries.models import MODEL_TABLES
from volsurf_app.queries.sheets import term_of
from volsurf_tables.models import table_of
from volsurf_tables.surface_slices import surface_slices
from volsurf_tables.surfaces import SLICE_MODELS

READS = ("fitted_surfaces", "surface_points", "term_structure_params")
_TENORS = (7, 30, 60, 90, 180, 365)
_LAWS = {
    "atm_term_a": "ATM vol<br>at 1 year",
    "atm_term_b": "exponent<br>of ATM vol",
    "skew_term_a": "25Δ skew<br>at 1 year",
    "skew_term_b": "exponent<br>of skew",
}


def draw(choice: Choice) -> None:
    """Draw the page of the term structure."""
    try:
        smiles, laws, points = answers(choice)
    except queries.NotStored as missing:
        heading("Term structure", subtitle(choice), "no surface")
        tell_unfitted(choice, str(missing))
        return
    law = laws.row(-1, named=True)
    n = law["num_expirations"] or 0
    told = f"power laws of SVI through {n} expiries, {law['status'] or 'none'}"
    heading("Term structure", subtitle(choice), told)
    _numbers(law)
    left, right = st.columns(2, gap="medium")
    with left:
        _atm(choice, smiles, law)
    with right:
        _skew(choice, smiles, law)
    left, right = st.columns(2, gap="medium")
    with left:
        _forward(choice, smiles)
    points = points.filter(pl.col("tenor_days").is_in(_TENORS))
    with right:
        _tenors(choice, points, "atm_vol", "ATM volatility by tenor", "implied vol, annual")
    left, right = st.columns(2, gap="medium")
    with left:
        _parameters(choice)
    with right:
        _tenors(choice, points, "skew_25delta", "25-delta skew by tenor", "put − call, vol")
        figure = terms.strips(laws, _LAWS, "Power laws, history", subtitle(choice), ".4f")
        alt = "Stored power laws of the term structure, session by session."
        picture(choice, figure, laws, "power_laws", alt)
    why_table(choice, *READS)


def answers(choice: Choice) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return the session's expiries, the history of power laws, that of constant maturities."""
    return (
        ask(
            choice.lake, term_of, choice.symbol, choice.day, choice.model, choice.snapshot,
            reads=MODEL_TABLES, days=[choice.day],
        ),
        choice.history(evolution.power_laws, reads=READS[2:]),
        choice.history(evolution.constant_maturity, choice.model, reads=READS[1:2]),
    )  # fmt: skip


def _numbers(law: dict[str, float | None]) -> None:
    error = "Error of the power law, vol points."
    figures_of(
        {
            "ATM vol at 1 year": (
                percent(law["atm_term_a"]),
                "Power law a × T^b through ATM vols.",
            ),
            "Exponent of ATM vol": (
                number(law["atm_term_b"], 3),
                "Negative: the term structure falls.",
            ),
            "Error of ATM law": (number(law["atm_term_rmse"], 2, " pts"), error),
            "Skew at 1 year": (percent(law["skew_term_a"]), "25-delta put minus call vol."),
            "Exponent of skew": (number(law["skew_term_b"], 3), "-0.5 is the usual rule of thumb."),
        }
    )


def _atm(choice: Choice, smiles: pl.DataFrame, law: dict[str, float | None]) -> None:
    figure = terms.term_figure(
        smiles, "atm_vol", "ATM volatility", "implied vol, annual", subtitle(choice)
    )
    _add_law(choice, figure, smiles["days"].to_list(), law["atm_term_a"], law["atm_term_b"])
    columns = ["root", "expiration_date", "days", "atm_vol", "atm_vol_std_error", "status"]
    alt = "At-the-money volatility over days to expiry, with the stored power law."
    picture(choice, figure, smiles.select(columns), "atm_term", alt)


def _skew(choice: Choice, smiles: pl.DataFrame, law: dict[str, float | None]) -> None:
    figure = terms.term_figure(
        smiles, "skew_25delta", "25-delta skew", "put − call, vol", subtitle(choice)
    )
    known = smiles.drop_nulls("skew_25delta")["days"].to_list()
    _add_law(choice, figure, known, law["skew_term_a"], law["skew_term_b"])
    columns = ["root", "expiration_date", "days", "skew_25delta", "skew_25delta_std_error"]
    alt = "25-delta skew over days to expiry, with the stored power law."
    picture(choice, figure, smiles.select(columns), "skew_term", alt)


def _add_law(
    choice: Choice, figure: Figure, days: list[int], a: float | None, b: float | None
) -> None:
    """Draw a power law over the smiles that it was fitted to, which are those of SVI."""
    if choice.model == SLICE_MODELS[0] and a is not None and b is not None:
        terms.add_power_law(figure, days, a, b)


def _forward(choice: Choice, smiles: pl.DataFrame) -> None:
    slices = surface_slices(smiles.with_columns(quote_date=pl.lit(choice.day)))
    forwards = evolution.forward_vols(slices)
    figure = terms.forward_vol_figure(forwards, subtitle(choice))
    alt = "Forward volatility between neighbouring expiries."
    picture(choice, figure, forwards, "forward_vol", alt)


def _tenors(choice: Choice, points: pl.DataFrame, column: str, title: str, unit: str) -> None:
    figure = terms.tenor_figure(points, column, title, unit, subtitle(choice))
    rows = points.select("quote_date", "tenor_days", column)
    picture(choice, figure, rows, f"{column}_history", f"{title}, session by session.")


def _parameters(choice: Choice) -> None:
    tenor = st.segmented_control(
        "Smile nearest to", [30, 60, 90, 180], default=30, key="parameter_tenor", required=True,
        format_func=lambda days: f"{days} days", label_visibility="collapsed",
    )  # fmt: skip
    own = (table_of(choice.model).name,)
    history = choice.history(evolution.parameters_near, choice.model, tenor, reads=own)
    is_law = "expiration_date" not in history.columns
    title = "Parameters" if is_law else f"Parameters of the smile nearest to {tenor} days"
    figure = terms.parameter_figure(history, choice.model, title, subtitle(choice))
    alt = f"Parameters of {choice.model}, session by session."
    picture(choice, figure, history, "parameters", alt)
