"""All that a picture of one smile shows: quotes at their own vols, the fitted curve, its limits.

Belongs here: the frames behind a smile's graph, page and terminal chart, so that all show the same
numbers. Not here: drawing.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from volsurf_app.queries.absence import NotStored, listed
from volsurf_resources.calendars import END_OF_DAY
from volsurf_resources.lake import Lake
from volsurf_tables.surface_slices import HAS_CURVE
from volsurf_tables.surfaces import FITTED_SURFACES, IS_STANDARD

if TYPE_CHECKING:
    from volsurf_app.stored_surface import StoredSurface

_OBSERVED, _OUTER = 101, 50  # points of the curve: its middle half, each outer quarter
_YEAR = timedelta(days=365)
_QUOTES = (
    *("contract_id", "option_type", "strike", "log_moneyness", "bid", "ask", "iv_bid", "iv_mid"),
    *("iv_ask", "delta", "gamma", "theta", "vega", "rho", "volume", "open_interest"),
    *("is_out_of_the_money", "is_liquid"),
    *("is_used", "model_vol", "error_vol_points", "reject_reason"),
)
_EXPIRY = ["root", "expiration_date"]

ANY = pl.lit(True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmilePicture:
    """One smile and its quotes. Vols are decimals, strikes USD, times UTC.

    Attributes
    ----------
    smile : dict
        The row of `fitted_surfaces`, as stored. Of other models: their own row, with None for what
        their table does not know; Heston's errors are those on this expiry's quotes.
    quotes : DataFrame
        Every contract of the expiry: strike, option_type, `iv_bid`, `iv_mid`, `iv_ask` (its own),
        `is_used` (took part in the fit), `model_vol` (the curve at its strike),
        `error_vol_points` (curve minus `iv_mid`), `reject_reason`.
    curve : DataFrame
        `strike`, `log_moneyness`, `implied_vol`, `low`, `high` (one standard error to either side,
        null beyond the quotes), `is_extrapolated`. The quoted range is its middle half. No rows
        where there is no smile.
    quote_time : datetime
        When the quotes were true.
    spot : float
        Underlying price that the chain was paired with; None where it is not known.
    rmse_half_spreads : float
        Root mean squared error of the fitted quotes, each in its own half-spread of vol; None
        where the session's quotes were not fitted.
    """

    smile: dict[str, Any]
    quotes: pl.DataFrame
    curve: pl.DataFrame
    quote_time: datetime
    spot: float | None
    rmse_half_spreads: float | None

    @property
    def days(self) -> int:
        """Calendar days from the session to the expiry."""
        return int((self.smile["expiration_date"] - self.smile["quote_date"]).days)


def smile_picture(
    lake: Lake,
    symbol: str,
    day: date,
    expiration: date,
    root: str | None = None,
    model_type: str = "SVI",
    snapshot: str | None = None,
) -> SmilePicture:
    """Return the picture of one expiry; NotStored where the lake has no such row.

    Of several roots with that expiry the one fitted to most quotes is taken, unless one is named.
    Without `snapshot` it is of the day's official one.
    """
    (picture,) = smile_pictures(
        lake, symbol, day, expiration, root=root, model_type=model_type, snapshot=snapshot
    )[:1]
    return picture


def smile_pictures(
    lake: Lake,
    symbol: str,
    day: date,
    expiration: date | None = None,
    *,
    root: str | None = None,
    model_type: str = "SVI",
    snapshot: str | None = None,
    statuses: tuple[str, ...] | None = None,
    known_at: datetime | None = None,
) -> list[SmilePicture]:
    """Return the pictures of a session, of one expiry or root if asked for; NotStored if none.

    `model_type` is any model that a surface can be read of (`finding_surfaces.MODELS`).

    They come in order of expiry, of equal ones the fitted first and then that with most quotes.
    `statuses` leaves out smiles of other outcomes.
    """
    which: dict[str, Any] = {"snapshot": snapshot or END_OF_DAY, "known_at": known_at}
    stored, smiles = smile_rows(lake, symbol, day, model_type, **which)
    read: Any = partial(lake.read, days=[day], symbols=[symbol], **which)
    chosen = smiles.filter(
        ANY if expiration is None else pl.col("expiration_date") == expiration,
        ANY if root is None else pl.col("root") == root,
        ANY if statuses is None else pl.col("status").is_in(statuses),
    )
    if stored is None or chosen.is_empty():
        asked = _asked(symbol, day, model_type, snapshot)
        told = _what_is_there(smiles) if smiles.height else "none is stored for that session"
        raise NotStored(f"{asked}: {told}")
    best_first = ["expiration_date", pl.col("status") != "fitted", -pl.col("num_points"), "root"]
    quotes = read("option_quotes").partition_by(_EXPIRY, as_dict=True)
    forwards = read("implied_forwards").rows_by_key(_EXPIRY, named=True)
    pictures = []
    for smile in chosen.sort(best_first).iter_rows(named=True):
        key = (smile["root"], smile["expiration_date"])
        if key not in forwards or key not in quotes:
            raise NotStored(f"the quotes of {key[0]} {key[1]} on {day} are not stored, or not yet")
        ((forward,), rows) = forwards[key], quotes[key]
        pictures.append(_picture(stored, smile, rows.sort("strike", "option_type"), forward))
    return pictures


def smile_rows(
    lake: Lake,
    symbol: str,
    day: date,
    model_type: str,
    *,
    snapshot: str = END_OF_DAY,
    known_at: datetime | None = None,
) -> tuple["StoredSurface | None", pl.DataFrame]:
    """Return a stored surface, if there is one, and its smiles, a row per root and expiry.

    The rows have every column of `fitted_surfaces`, null where the model's table does not tell. All
    models are fitted to the quotes that SVI is: their side and kind of price are stored with it.
    """
    from volsurf_app.finding_surfaces import stored_surfaces

    which: dict[str, Any] = {"snapshot": snapshot, "known_at": known_at}
    found = stored_surfaces(lake, symbol, [day], model=model_type, **which)
    if not found:
        return None, FITTED_SURFACES.schema.to_frame()
    (stored,) = found
    rows, names = stored.rows, FITTED_SURFACES.schema.names()
    if set(names) <= set(rows.columns):
        return stored, rows
    if "atm_vol" not in rows.columns:
        vols = [float(stored.curve(row, np.zeros(1))[0]) for row in rows.iter_rows(named=True)]
        rows = rows.with_columns(atm_vol=pl.Series(vols, dtype=pl.Float64).fill_nan(None))
    same = {"symbol": stored.symbol, "quote_date": stored.day, "snapshot": stored.snapshot}
    sides = lake.read("fitted_surfaces", [day], symbols=[symbol], **which)
    sides = sides.filter(IS_STANDARD).select(*_EXPIRY, "side", "price_source")
    rows = rows.with_columns(pl.lit(x).alias(name) for name, x in same.items())
    rows = rows.with_columns(model_type=pl.lit(stored.model)).join(sides, on=_EXPIRY, how="left")
    return stored, pl.concat([FITTED_SURFACES.schema.to_frame(), rows], how="diagonal_relaxed")


def _picture(
    stored: "StoredSurface", smile: dict[str, Any], quotes: pl.DataFrame, forward: dict[str, Any]
) -> SmilePicture:
    quotes = _with_errors(quotes, smile, stored)
    if smile["max_error"] is None and smile["status"] == "fitted":
        smile = smile | _fit_of(quotes)
    return SmilePicture(
        smile=smile,
        quotes=quotes.select(_QUOTES),
        curve=_curve(smile, stored),
        quote_time=forward["expiry_time"] - forward["tte_years"] * _YEAR,
        spot=forward["spot"],
        rmse_half_spreads=_in_half_spreads(quotes),
    )


def _with_errors(
    quotes: pl.DataFrame, smile: dict[str, Any], stored: "StoredSurface"
) -> pl.DataFrame:
    """Say of each quote whether the fit used it, and how far the curve passes from it."""
    side = {
        "OTM": pl.col("is_out_of_the_money"),
        "CALLS": pl.col("option_type") == "CALL",
        "PUTS": pl.col("option_type") == "PUT",
    }[smile["side"] or "OTM"]
    is_near = pl.col("log_moneyness").is_between(smile["k_min"], smile["k_max"])
    is_used = pl.col("is_liquid") & side & (pl.col("iv_mid") > 0.0) & is_near
    if smile["status"] != "fitted":
        is_used = pl.lit(False)
    k = np.log(quotes["strike"].to_numpy() / (smile["forward"] or np.nan))
    return quotes.with_columns(
        is_used=is_used.fill_null(False), model_vol=pl.Series(stored.curve(smile, k)).fill_nan(None)
    ).with_columns(error_vol_points=100.0 * (pl.col("model_vol") - pl.col("iv_mid")))


def _fit_of(quotes: pl.DataFrame) -> dict[str, Any]:
    """How well a law of all expiries fits one of them, in the words of `fitted_surfaces`."""
    error, vol = pl.col("error_vol_points"), pl.col("model_vol")
    found = quotes.filter("is_used", vol.is_not_null()).select(
        rmse=(error**2).mean().sqrt(),
        max_error=error.abs().max(),
        inside_spread_share=vol.is_between("iv_bid", "iv_ask").mean(),
        num_points=pl.len(),
    )
    return found.row(0, named=True)


def _in_half_spreads(quotes: pl.DataFrame) -> float | None:
    """Root mean squared error in half-spreads; a bid without a vol is taken as far as the ask."""
    low = pl.col("iv_bid").fill_null(2.0 * pl.col("iv_mid") - pl.col("iv_ask"))
    half = 50.0 * (pl.col("iv_ask") - low)
    errors = quotes.filter("is_used").select(ratio=pl.col("error_vol_points") / half)["ratio"]
    errors = errors.filter(errors.is_finite())
    return float(np.sqrt(np.mean(errors.to_numpy() ** 2))) if errors.len() else None


def _curve(smile: dict[str, Any], stored: "StoredSurface") -> pl.DataFrame:
    names = ("strike", "log_moneyness", "implied_vol", "low", "high")
    if smile["status"] not in HAS_CURVE:
        schema = dict.fromkeys(names, pl.Float64) | {"is_extrapolated": pl.Boolean}
        return pl.DataFrame(schema=schema)
    low, high = smile["k_min"], smile["k_max"]
    quarter = 0.5 * (high - low)
    k = np.concatenate(
        [
            np.linspace(low - quarter, low, _OUTER, endpoint=False),
            np.linspace(low, high, _OBSERVED),
            np.linspace(high + quarter, high, _OUTER, endpoint=False)[::-1],
        ]
    )
    vol, is_extrapolated = stored.curve(smile, k), (k < low) | (k > high)
    error = np.where(is_extrapolated, np.nan, smile["atm_vol_std_error"] or np.nan)
    columns = (smile["forward"] * np.exp(k), k, vol, vol - error, vol + error)
    return pl.DataFrame(dict(zip(names, columns, strict=True))).with_columns(
        pl.all().fill_nan(None), is_extrapolated=pl.Series(is_extrapolated)
    )


def _asked(symbol: str, day: date, model_type: str, snapshot: str | None) -> str:
    return f"no such {model_type} smile of {symbol} on {day}{f' {snapshot}' if snapshot else ''}"


def _what_is_there(smiles: pl.DataFrame) -> str:
    expiries, roots, outcomes = (
        listed(smiles[name].unique().sort()) for name in ("expiration_date", "root", "status")
    )
    return f"there are expiries {expiries} of {roots}, {outcomes}"
