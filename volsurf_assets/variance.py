"""Realised volatility, and the premium of implied over it.

Belongs here: frame to arrays, the estimators of the maths, arrays to frame.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.model_free import model_free, strip_quotes
from volsurf_assets.pictures import sparkline
from volsurf_assets.session import Session
from volsurf_assets.surfaces import DAYS_PER_YEAR
from volsurf_assets.table_asset import table_asset
from volsurf_resources.calendars import END_OF_DAY
from volsurf_tables.market import INDEX_LEVELS, UNDERLYING_PRICES
from volsurf_tables.quotes import OPTION_QUOTES
from volsurf_tables.surfaces import FITTED_SURFACES, IS_STANDARD
from volsurf_tables.table import Table
from volsurf_tables.variance import REALIZED_VOLATILITY, VRP_METRICS

HISTORY = 756  # sessions that the forecasts learn from
RV_WINDOWS = (10, 21, 30, 42, 60, 63, 90, 252)
HORIZON = 21  # sessions ahead
MONTHS = {30: 1, 60: 2, 90: 3}  # by calendar days: the sessions of as many months match them
OWN_INDEX = {"SPX": "VIX", "BTC": "DVOL_BTC", "ETH": "DVOL_ETH"}  # of 30 days, by underlying

Array = np.ndarray[Any, np.dtype[np.float64]]


@table_asset(
    REALIZED_VOLATILITY,
    reads=[UNDERLYING_PRICES],
    code_version="3",
    picture=lambda rows: sparkline(rows["rv_21d"]),
)
def realized_volatility(session: Session) -> pl.DataFrame:
    """Estimate realised volatility over trailing windows, and forecast the next 21 sessions."""
    bars = session.window(UNDERLYING_PRICES, HISTORY + 1)
    calendar = session.lake.calendar
    days = pl.DataFrame({"quote_date": calendar.last_sessions(session.day, HISTORY + 1)})
    rows = [
        {
            "symbol": symbol,
            "snapshot": snapshot,
            **_estimates(days.join(own, on="quote_date", how="left"), calendar.sessions_per_year),
        }
        for (symbol, snapshot), own in bars.group_by("symbol", "snapshot", maintain_order=True)
    ]
    frame = pl.DataFrame(rows, schema_overrides=dict(REALIZED_VOLATILITY.schema.items()))
    return _complete(frame, session, REALIZED_VOLATILITY)


def _estimates(bars: pl.DataFrame, per_year: int) -> dict[str, Any]:
    """Every estimator at the last of `bars`, one row per session, null where there was none."""
    yearly: dict[str, Any] = {"periods_per_year": per_year}
    from volsurf_math import realised
    from volsurf_math.volatility_forecast import garch_forecast, har_forecast

    adjusted = adjust(bars)
    first = int(np.argmax(np.isfinite(adjusted["close"])))  # the history begins here
    open_, high, low, close = (adjusted[name][first:] for name in ("open", "high", "low", "close"))
    estimates = {f"rv_{n}d": realised.close_to_close(close, n, **yearly) for n in RV_WINDOWS}
    for n in (10, 21):
        estimates[f"parkinson_{n}d"] = realised.parkinson(high, low, n, **yearly)
        estimates[f"gk_{n}d"] = realised.garman_klass(open_, high, low, close, n, **yearly)
    estimates["rogers_satchell_21d"] = realised.rogers_satchell(
        open_, high, low, close, 21, **yearly
    )
    estimates["yang_zhang_21d"] = realised.yang_zhang(open_, high, low, close, 21, **yearly)
    last = {name: _or_null(series[-1]) for name, series in estimates.items()}
    returns = np.diff(np.log(close))
    overnight = np.log(open_[1:] / close[:-1])
    daily = realised.garman_klass_variance(open_, high, low, close)[1:] + overnight**2
    last["har_forecast_21d"] = _or_null(har_forecast(daily, horizon=HORIZON, **yearly).volatility)
    last["garch_forecast_21d"] = _or_null(
        garch_forecast(returns, horizon=HORIZON, **yearly).volatility
    )
    return last | _standing(last, close, bars["quote_date"].to_list()[first:])


def _standing(estimates: dict[str, float | None], close: Array, days: list[date]) -> dict[str, Any]:
    """Say how much history there is, what it does not yield, and the newest gap in it."""
    is_there = np.isfinite(close)
    present = {"num_sessions": int(is_there.sum())}
    missing = [name for name, value in estimates.items() if value is None]
    if not is_there[-1]:
        return present | {"status": "missing", "reason": "no bar of this session"}
    if not missing:
        return present | {"status": "complete", "reason": None}
    gaps = [str(day) for day, found in zip(days, is_there, strict=True) if not found]
    told = f"{is_there.sum()} sessions of history"
    told += f", none on {gaps[-1]}" if gaps else ""
    told += f" and {len(gaps) - 1} before" if len(gaps) > 1 else ""
    return present | {
        "status": "partial",
        "reason": f"{told}; not available: {', '.join(missing)}",
    }


def adjust(bars: pl.DataFrame) -> dict[str, Array]:
    """Undo splits and cash dividends: prices before an ex-date are scaled down to it.

    Returns continuous total-return prices in the units of the last bar, so that neither a split
    nor a dividend looks like a move; NaN where a price is missing or not positive.
    """
    prices = ("open", "high", "low", "close")
    cleaned = [pl.col(name).fill_nan(None) for name in (*prices, "split_ratio")]
    positive = [pl.when(value > 0.0).then(value) for value in cleaned]
    known = bars.select("dividend", *positive)
    before = known["close"].shift(1).fill_null(strategy="forward")
    paid = 1.0 - (known["dividend"] / before).fill_null(0.0)
    split = 1.0 / known["split_ratio"].fill_null(1.0)
    step = (paid * split).to_numpy()  # what the ex-date does to all earlier prices
    later = np.concatenate([np.cumprod(step[::-1])[::-1][1:], [1.0]])
    return {name: known[name].cast(pl.Float64).to_numpy() * later for name in prices}


@table_asset(
    VRP_METRICS,
    reads=[OPTION_QUOTES, FITTED_SURFACES, REALIZED_VOLATILITY, INDEX_LEVELS],
    code_version="3",
    picture=lambda rows: sparkline(rows["vrp_30d"]),
)
def vrp_metrics(session: Session) -> pl.DataFrame:
    """Set implied against realised volatility, and the premium against its own past.

    One row per underlying and session, of its official snapshot.
    """
    from volsurf_math.variance_premium import standing

    settings = session.settings
    past = session.before(VRP_METRICS, settings.vrp_window)
    realised = session.official(REALIZED_VOLATILITY)
    levels = dict(session.official(INDEX_LEVELS).select("index", "close").iter_rows())
    rows = []
    quotes = strip_quotes(session.official(OPTION_QUOTES), settings)
    fitted = session.official(FITTED_SURFACES).filter(IS_STANDARD)
    for symbol, smiles in _symbols(fitted, realised):
        own = realised.filter(pl.col("symbol") == symbol)
        row: dict[str, Any] = {"symbol": symbol, "snapshot": END_OF_DAY}
        for days, months in MONTHS.items():
            implied = constant_maturity_atm_vol(smiles, days)
            window = months * session.lake.calendar.sessions_per_month
            done = own[f"rv_{window}d"][0] if own.height else None
            row |= {f"implied_vol_{days}d": implied, f"realized_vol_{days}d": done}
            row[f"vrp_{days}d"] = None if implied is None or done is None else implied - done
        is_own = pl.col("symbol") == symbol
        row |= _model_free(quotes.filter(is_own), smiles, row["realized_vol_30d"])
        row |= _of_index(levels.get(OWN_INDEX.get(symbol)), row["realized_vol_30d"])
        before = past.filter(is_own)
        series = np.array([*before["vrp_30d"].to_list(), row["vrp_30d"]], dtype=np.float64)
        place = standing(series, window=settings.vrp_window, min_count=settings.vrp_min_history)
        row |= {
            "vrp_zscore": _or_null(place.zscore),
            "vrp_percentile": _or_null(place.percentile / 100.0),
            "num_history": place.n_past,
        }
        rows.append(row | _outcome(row))
    frame = pl.DataFrame(rows, schema_overrides=dict(VRP_METRICS.schema.items()))
    return _complete(frame, session, VRP_METRICS)


def _model_free(
    quotes: pl.DataFrame, smiles: pl.DataFrame, realised: float | None
) -> dict[str, Any]:
    found = model_free(quotes, smiles, 30)
    variance, premium = found.variance, None
    if variance is not None and realised is not None:
        premium = variance - realised**2
    return {
        "model_free_variance_30d": variance,
        "model_free_vol_30d": None if variance is None else float(np.sqrt(variance)),
        "model_free_method": found.method,
        "model_free_reach": found.reach,
        "variance_premium_30d": premium,
    }


def _of_index(level: float | None, realised: float | None) -> dict[str, float | None]:
    """Return the underlying's own volatility index as a decimal, and its premium."""
    vol = None if level is None else level / 100.0
    premium = None if vol is None or realised is None else vol - realised
    return {"index_vol_30d": vol, "index_premium_30d": premium}


def constant_maturity_atm_vol(smiles: pl.DataFrame, tenor_days: int) -> float | None:
    """Return ATM vol at a tenor, its variance linear in time; None outside the expiries."""
    known = smiles.filter(pl.col("atm_vol") > 0.0).sort("tte_years")
    tte, vol = known["tte_years"].to_numpy(), known["atm_vol"].to_numpy()
    at = tenor_days / DAYS_PER_YEAR
    if tte.size == 0 or not tte[0] <= at <= tte[-1]:
        return None
    return float(np.sqrt(np.interp(at, tte, vol**2 * tte) / at))


def _symbols(smiles: pl.DataFrame, realised: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every underlying of either table, with its smiles (perhaps none)."""
    for symbol in sorted({*smiles["symbol"], *realised["symbol"]}):
        yield symbol, smiles.filter(pl.col("symbol") == symbol)


def _outcome(row: dict[str, Any]) -> dict[str, Any]:
    needed = ("implied", "realized", "model_free_variance")
    missing = [name for name in row if row[name] is None and name.startswith(needed)]
    if not missing:
        return {"status": "complete", "reason": None}
    status = "missing" if row["vrp_30d"] is None else "partial"
    return {"status": status, "reason": f"not available: {', '.join(missing)}"}


def _or_null(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _complete(frame: pl.DataFrame, session: Session, table: Table) -> pl.DataFrame:
    empty = table.schema.to_frame()
    rows = frame.with_columns(quote_date=pl.lit(session.day))
    return pl.concat([empty, rows], how="diagonal_relaxed").select(table.schema.names())
