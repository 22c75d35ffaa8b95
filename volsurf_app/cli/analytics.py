"""Commands that compute from what is stored: `fit` and `analyze`.

Belongs here: which tables a command brings up to date, and what it shows of them.
"""

from datetime import date
from typing import TYPE_CHECKING

import typer

from volsurf_app.cli.arguments import (
    TODAY,
    Day,
    End,
    Force,
    Model,
    Start,
    Symbol,
    model_of,
    range_of,
    session_of,
    settings_of,
    symbol_of,
)
from volsurf_app.cli.console import Shown, console, hundredths, number, percent, points, show_frame
from volsurf_app.cli.working import carry_out, finish
from volsurf_resources.settings import Settings

if TYPE_CHECKING:
    from volsurf_resources.lake import Lake

fit = typer.Typer(no_args_is_help=True, help="Fit surfaces and term structure to stored quotes.")
analyze = typer.Typer(no_args_is_help=True, help="Compare implied with realised.")

_SMILES: Shown = {
    "root": ("root", None),
    "expiration_date": ("expiry", None),
    "tte_years": ("years", number),
    "atm_vol": ("ATM", percent),
    "skew_25delta": ("skew", percent),
    "rmse": ("RMSE", points),
    "max_error": ("max", points),
    "inside_spread_share": ("inside %", percent),
    "num_points": ("quotes", None),
    "violations": ("violations", None),
    "status": ("status", None),
    "reason": ("reason", None),
}
_TERMS: Shown = {
    "atm_term_a": ("ATM a", percent),
    "atm_term_b": ("ATM b", number),
    "atm_term_rmse": ("RMSE", points),
    "skew_term_a": ("skew a", percent),
    "skew_term_b": ("skew b", number),
    "skew_term_rmse": ("RMSE", points),
    "num_expirations": ("expiries", None),
    "status": ("status", None),
    "reason": ("reason", None),
}
_HESTON: Shown = {
    **{name: (name, number) for name in ("kappa", "theta", "sigma", "rho", "v0")},
    "feller_ratio": ("Feller", number),
    "rmse": ("RMSE", points),
    "holdout_rmse": ("left out", points),
    "r_squared": ("R2", number),
    "within_2_pct_share": ("within 2 %", percent),
    "n_options": ("options", None),
    "n_expiries": ("expiries", None),
    "status": ("status", None),
    "reason": ("reason", None),
}
_SCORES: Shown = {
    "rank": ("rank", None),
    "model_type": ("model", None),
    "num_expirations": ("expiries", None),
    "median_rmse": ("RMSE", points),
    "median_holdout_rmse": ("left out", points),
    "pooled_holdout_rmse": ("pooled", points),
    "inside_spread_share": ("inside %", percent),
    "atm_vol_change": ("ATM moved", points),
    "skew_25delta_change": ("skew", points),
    "butterfly_25delta_change": ("butterfly", points),
    "status": ("status", None),
    "reason": ("reason", None),
}
_PREMIUM: Shown = {
    "days": ("days", None),
    "implied": ("implied", percent),
    "realised": ("realised", percent),
    "premium": ("premium", percent),
}
_HISTORY: Shown = {
    "vrp_zscore": ("z-score", hundredths),
    "vrp_percentile": ("percentile", percent),
    "num_history": ("sessions", None),
    "status": ("status", None),
    "reason": ("reason", None),
}
_INDEX: Shown = {
    "index_vol_30d": ("index", percent),
    "realized_vol_30d": ("realised", percent),
    "index_premium_30d": ("premium", percent),
}
_VENDOR: Shown = {
    "root": ("root", None),
    "expiration_date": ("expiry", None),
    "quotes": ("quotes", None),
    "vol_difference": ("vol points", points),
    "vol_distance": ("distance", points),
    "delta_distance": ("delta distance", number),
    "vega_distance": ("vega distance", number),
    "theta_distance": ("theta distance", number),
    "rho_distance": ("rho distance", number),
}
SURFACES = ("model_scores", "surface_points", "term_structure_params", "surface_changes")


@fit.command()
def surfaces(
    symbol: Symbol = None, date: Day = TODAY, model: Model = "svi", force: Force = False
) -> None:
    """Fit one smile per expiry of a session and show status, errors and violations."""
    from volsurf_tables.models import table_of

    settings = settings_of(symbol)
    day = session_of(date, calendar=settings.calendar)
    model_type = model_of(model, settings)
    lake, asked = stored_symbol(symbol, settings)

    table = table_of(model_type)
    summary = carry_out(settings, asked, [day], tables=[table.name], ingest=False, force=force)
    show_smiles(lake, asked, day, model_type)
    finish(summary)


def show_smiles(lake: "Lake", symbol: str, day: date, model_type: str) -> None:
    """Print a session's fits of one model, if there are any."""
    from volsurf_app import queries
    from volsurf_tables.models import table_of
    from volsurf_tables.stochastic_vol import HESTON_SURFACES

    is_heston = table_of(model_type) is HESTON_SURFACES
    if is_heston:
        fits = queries.heston(lake, symbol, day)
    else:
        fits = queries.smiles(lake, symbol, day, model=model_type)
    if not fits.is_empty():
        title = f"{symbol} {day}, {model_type}: vols in %, errors in vol points"
        title += ", to the vendor's marks" if queries.is_of_marks(lake, symbol, day) else ""
        show_frame(title, fits, _HESTON if is_heston else _SMILES)
        console.print(queries.fit_summary(fits))


@fit.command("term-structure")
def term_structure(symbol: Symbol = None, date: Day = TODAY, force: Force = False) -> None:
    """Fit the power laws of ATM vol and skew and show a, b and RMSE."""
    from volsurf_app import queries

    settings = settings_of(symbol)
    day = session_of(date, calendar=settings.calendar)
    lake, asked = stored_symbol(symbol, settings)
    summary = carry_out(
        settings, asked, [day], tables=["term_structure_params"], ingest=False, force=force
    )
    terms = queries.term_structure(lake, asked, day)
    if not terms.is_empty():
        show_frame(f"{asked} {day}: a T^b, a in %, RMSE in vol points", terms, _TERMS)
    finish(summary)


@fit.command()
def batch(start: Start, symbol: Symbol = None, end: End = TODAY, force: Force = False) -> None:
    """Fit every stored session of a range; only what is missing is done."""
    settings = settings_of(symbol)
    days = range_of(start, end, settings)
    _, asked = stored_symbol(symbol, settings)
    finish(carry_out(settings, asked, days, tables=SURFACES, ingest=False, force=force))


@analyze.command()
def vrp(symbol: Symbol = None, date: Day = TODAY, force: Force = False) -> None:
    """Compute the variance risk premium of a session and show it; exit 1 if inputs are missing."""
    from volsurf_app import queries

    settings = settings_of(symbol)
    day = session_of(date, calendar=settings.calendar)
    lake, asked = stored_symbol(symbol, settings)
    summary = carry_out(settings, asked, [day], tables=["vrp_metrics"], ingest=False, force=force)
    rows = queries.premium(lake, asked, [day])
    if not rows.is_empty():
        show_frame(f"{asked} {day}: vols in %", queries.premium_by_tenor(rows), _PREMIUM)
        show_frame("30 days against its own past", rows, _HISTORY)
        if (n := rows["num_history"][0]) < settings.vrp_min_history:
            least = f"{settings.vrp_min_history} (VRP_MIN_HISTORY)"
            console.print(f"a z-score needs {least} past sessions, there are {n}")
        if rows["index_vol_30d"][0] is not None:
            show_frame("its own volatility index, vols in %", rows, _INDEX)
    finish(summary)
    if rows.is_empty() or rows["vrp_30d"][0] is None:
        console.print("the premium of 30 days could not be computed")
        raise typer.Exit(1)


@analyze.command()
def models(symbol: Symbol = None, date: Day = TODAY, force: Force = False) -> None:
    """Compare all models of a session: fit, left-out strikes, stability against the one before."""
    from volsurf_app import queries

    settings = settings_of(symbol)
    day = session_of(date, calendar=settings.calendar)
    lake, asked = stored_symbol(symbol, settings)
    summary = carry_out(settings, asked, [day], tables=["model_scores"], ingest=False, force=force)
    scores = queries.model_scores(lake, asked, day)
    show_frame(f"{asked} {day}: errors and changes in vol points", scores, _SCORES)
    finish(summary)


@analyze.command()
def vendor(symbol: Symbol = None, date: Day = TODAY) -> None:
    """Show how far our vols and greeks are from the vendor's, where the vendor gives them."""
    from volsurf_app import queries

    settings = settings_of(symbol)
    day = session_of(date, calendar=settings.calendar)
    lake, asked = stored_symbol(symbol, settings)
    found = queries.vendor_differences(lake, asked, day)
    if found.is_empty():
        stored = day in lake.days("option_quotes")
        told = "no liquid quote has a vol of the vendor's beside ours" if stored else "not computed"
        console.print(f"{asked} {day}: {told}")
        raise typer.Exit(1)
    show_frame(f"{asked} {day}: ours minus the vendor's, medians", found, _VENDOR)


def stored_symbol(text: str | None, settings: Settings) -> tuple["Lake", str]:
    """Return the lake and the symbol; one that the lake does not hold is refused."""
    from volsurf_app import queries

    lake = queries.open_lake(settings)
    symbol = symbol_of(text, settings)
    if not queries.holds(lake, symbol):
        known = queries.symbols(lake)
        there = f"it has {', '.join(known)}" if known else "it is empty; try `volsurf demo`"
        raise typer.BadParameter(
            f"the lake in {settings.lake_root} has no {symbol}; {there}", param_hint="SYMBOL"
        )
    return lake, symbol
