"""One session's surface as people read it: its expiries, and the strikes of one of them.

Belongs here: rows of smiles and of `option_quotes` as they stand, with days to expiry. Not here:
curves (`pictures`), or points between expiries.
"""

from datetime import date

import polars as pl

from volsurf_app.queries.pictures import smile_pictures, smile_rows
from volsurf_resources.lake import Lake
from volsurf_tables.surfaces import FITTED_SURFACES, SLICE_MODELS

_EXPIRY = ("root", "expiration_date")

EXPIRIES = (
    *("root", "expiration_date", "days", "tte_years", "forward", "atm_vol", "atm_vol_std_error"),
    *("skew_25delta", "butterfly_25delta", "rmse", "inside_spread_share", "num_points"),
    *("passes_no_arbitrage", "status", "reason", "snapshot"),
)
STRIKES = (
    *("strike", "option_type", "bid", "ask", "iv_bid", "iv_mid", "iv_ask", "delta", "gamma"),
    *("theta", "vega", "rho", "volume", "open_interest", "is_liquid", "reject_reason"),
)


def expiries(lake: Lake, symbol: str, day: date, *, model: str = "SVI") -> pl.DataFrame:
    """Return a session's smiles of one model, a row per root and expiry, in order of expiry.

    Null what the model's table does not tell; compiled maths is not loaded for raw SVI. How well a
    law of all expiries fits each of them is measured here.
    """
    if model in SLICE_MODELS:
        rows = lake.read("fitted_surfaces", [day], symbols=[symbol])
        rows = rows.filter(pl.col("model_type") == model)
    else:
        stored, rows = smile_rows(lake, symbol, day, model)
        if stored is not None and rows["rmse"].is_null().all():
            rows = rows.update(_fits_of_a_law(lake, symbol, day, model), on=_EXPIRY)
    ahead = (pl.col("expiration_date") - pl.col("quote_date")).dt.total_days()
    rows = rows.with_columns(days=ahead)
    return rows.sort("expiration_date", "root").select(EXPIRIES)


def _fits_of_a_law(lake: Lake, symbol: str, day: date, model: str) -> pl.DataFrame:
    names = (*_EXPIRY, "rmse", "inside_spread_share", "num_points")
    pictures = smile_pictures(lake, symbol, day, model_type=model)
    schema = {name: FITTED_SURFACES.schema[name] for name in names}
    return pl.DataFrame([{name: one.smile[name] for name in names} for one in pictures], schema)


def strikes(lake: Lake, symbol: str, day: date, root: str, expiration: date) -> pl.DataFrame:
    """Return every contract of an expiry with our vols and greeks, in order of strike."""
    rows = lake.read("option_quotes", [day], symbols=[symbol])
    own = rows.filter(pl.col("root") == root, pl.col("expiration_date") == expiration)
    return own.sort("strike", "option_type").select(STRIKES)


def price_unit(lake: Lake, symbol: str, day: date) -> str:
    """Return what bid and ask are in: coins may be the unit of prices, dollars are elsewhere."""
    rows = lake.read("raw_options_chains", [day], symbols=[symbol], columns=["price_unit"])
    return str(rows["price_unit"][0]) if rows.height else "USD"


def sessions_until(lake: Lake, symbol: str, day: date, n: int) -> list[date]:
    """Return the last `n` sessions up to a day: those of the exchange and those stored.

    Missed sessions are among them, so that gaps stay visible, but none before the first stored.
    """
    stored = {d for d in lake.days("raw_options_chains", symbol) if d <= day}
    first = min(stored, default=day)
    return sorted(stored.union(d for d in lake.calendar.last_sessions(day, n) if d >= first))[-n:]
