"""All that a picture of one smile shows: quotes at their own vols, the fitted curve, its limits.

Belongs here: the frames behind a smile's graph, page and terminal chart, so that all show the same
numbers. Not here: drawing.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import polars as pl

from volsurf_app.queries.absence import NotStored, listed
from volsurf_resources.lake import OFFICIAL, Lake

HAS_CURVE = ("fitted", "carried")
_OBSERVED, _OUTER = 101, 50  # points of the curve: its middle half, each outer quarter
_YEAR = timedelta(days=365)
_QUOTES = (
    *("contract_id", "option_type", "strike", "log_moneyness", "bid", "ask", "iv_bid", "iv_mid"),
    *("iv_ask", "delta", "gamma", "theta", "vega", "rho", "volume", "open_interest"),
    *("is_out_of_the_money", "is_liquid"),
    *("is_used", "model_vol", "error_vol_points", "reject_reason"),
)

ANY = pl.lit(True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmilePicture:
    """One smile and its quotes. Vols are decimals, strikes USD, times UTC.

    Attributes
    ----------
    smile : dict
        The row of `fitted_surfaces`, as stored.
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

    They come in order of expiry, of equal ones the fitted first and then that with most quotes.
    `statuses` leaves out smiles of other outcomes.
    """
    where: dict[str, Any] = {"days": [day], "symbols": [symbol], "known_at": known_at}
    read: Any = partial(lake.read, **where, snapshot=snapshot or OFFICIAL)
    smiles = read("fitted_surfaces")
    smiles = smiles.filter(pl.col("model_type") == model_type)
    chosen = smiles.filter(
        ANY if expiration is None else pl.col("expiration_date") == expiration,
        ANY if root is None else pl.col("root") == root,
        ANY if statuses is None else pl.col("status").is_in(statuses),
    )
    if chosen.is_empty():
        raise NotStored(_what_is_there(smiles, symbol, day, model_type, snapshot))
    best_first = ["expiration_date", pl.col("status") != "fitted", -pl.col("num_points"), "root"]
    expiry = ["root", "expiration_date"]
    quotes = read("option_quotes").partition_by(expiry, as_dict=True)
    forwards = read("implied_forwards").rows_by_key(expiry, named=True)
    pictures = []
    for smile in chosen.sort(best_first).iter_rows(named=True):
        key = (smile["root"], smile["expiration_date"])
        if key not in forwards or key not in quotes:
            raise NotStored(f"the quotes of {key[0]} {key[1]} on {day} are not stored, or not yet")
        ((forward,), rows) = forwards[key], quotes[key]
        pictures.append(_picture(smile, rows.sort("strike", "option_type"), forward))
    return pictures


def _picture(smile: dict[str, Any], quotes: pl.DataFrame, forward: dict[str, Any]) -> SmilePicture:
    quotes = _with_errors(quotes, smile)
    return SmilePicture(
        smile=smile,
        quotes=quotes.select(_QUOTES),
        curve=_curve(smile),
        quote_time=forward["expiry_time"] - forward["tte_years"] * _YEAR,
        spot=forward["spot"],
        rmse_half_spreads=_in_half_spreads(quotes),
    )


def _with_errors(quotes: pl.DataFrame, smile: dict[str, Any]) -> pl.DataFrame:
    """Say of each quote whether the fit used it, and how far the curve passes from it."""
    side = {
        "OTM": pl.col("is_out_of_the_money"),
        "CALLS": pl.col("option_type") == "CALL",
        "PUTS": pl.col("option_type") == "PUT",
    }[smile["side"]]
    is_near = pl.col("log_moneyness").is_between(smile["k_min"], smile["k_max"])
    is_used = pl.col("is_liquid") & side & (pl.col("iv_mid") > 0.0) & is_near
    if smile["status"] != "fitted":
        is_used = pl.lit(False)
    strikes = quotes["strike"].to_numpy()
    model = np.full(strikes.size, np.nan)
    if smile["status"] in HAS_CURVE:
        model = _vol(smile, np.log(strikes / smile["forward"]))
    return quotes.with_columns(
        is_used=is_used.fill_null(False), model_vol=pl.Series(model).fill_nan(None)
    ).with_columns(error_vol_points=100.0 * (pl.col("model_vol") - pl.col("iv_mid")))


def _in_half_spreads(quotes: pl.DataFrame) -> float | None:
    """Root mean squared error in half-spreads; a bid without a vol is taken as far as the ask."""
    low = pl.col("iv_bid").fill_null(2.0 * pl.col("iv_mid") - pl.col("iv_ask"))
    half = 50.0 * (pl.col("iv_ask") - low)
    errors = quotes.filter("is_used").select(ratio=pl.col("error_vol_points") / half)["ratio"]
    errors = errors.filter(errors.is_finite())
    return float(np.sqrt(np.mean(errors.to_numpy() ** 2))) if errors.len() else None


def _curve(smile: dict[str, Any]) -> pl.DataFrame:
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
    vol, is_extrapolated = _vol(smile, k), (k < low) | (k > high)
    error = np.where(is_extrapolated, np.nan, smile["atm_vol_std_error"] or np.nan)
    columns = (smile["forward"] * np.exp(k), k, vol, vol - error, vol + error)
    return pl.DataFrame(dict(zip(names, columns, strict=True))).with_columns(
        pl.all().fill_nan(None), is_extrapolated=pl.Series(is_extrapolated)
    )


def _vol(smile: dict[str, Any], k: "np.ndarray[Any, np.dtype[np.float64]]") -> Any:
    from volsurf_math.smiles.svi import RawSvi

    svi = RawSvi(**{name: smile[f"svi_{name}"] for name in ("a", "b", "rho", "m", "sigma")})
    w = svi.total_variance(k)
    return np.sqrt(np.where(w > 0.0, w, np.nan) / smile["tte_years"])


def _what_is_there(
    smiles: pl.DataFrame, symbol: str, day: date, model_type: str, snapshot: str | None
) -> str:
    asked = f"no such {model_type} smile of {symbol} on {day}{f' {snapshot}' if snapshot else ''}"
    if smiles.is_empty():
        return f"{asked}: none is stored for that session"
    expiries, roots, outcomes = (
        listed(smiles[name].unique().sort()) for name in ("expiration_date", "root", "status")
    )
    return f"{asked}: there are expiries {expiries} of {roots}, {outcomes}"
