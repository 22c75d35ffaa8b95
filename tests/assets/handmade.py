"""Chains made by hand: exact Black prices of a known smile, quoted around them, in a real lake."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from tests.assets.pipeline import make, settings_of
from volsurf_math.black import undiscounted_price
from volsurf_resources.contracts import osi
from volsurf_resources.exchange_calendar import expiry_time, last_sessions, session_close
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_tables.market import MARKET_RATES, RAW_OPTIONS_CHAINS, UNDERLYING_PRICES

DAY = date(2026, 11, 18)
LOADED = datetime(2026, 11, 18, 22, tzinfo=UTC)
SPOT, RATE, YIELD = 100.0, 0.04, 0.01
STRIKES = np.arange(80.0, 121.0, 2.0)

Vol = float | Callable[[np.ndarray], np.ndarray]


def in_days(n: int, day: date = DAY) -> date:
    return day + timedelta(days=n)


def years_to(expiration: date, day: date = DAY, settlement: str = "PM") -> float:
    """Time to expiry as the glossary defines it, independently of the pipeline."""
    seconds = (expiry_time(settlement, expiration) - session_close(day)).total_seconds()
    return seconds / (365 * 86_400)


def carry_forward(tte: float, spot: float = SPOT) -> float:
    return float(spot * np.exp((RATE - YIELD) * tte))


def expiry(
    expiration: date,
    vol: Vol = 0.2,
    *,
    strikes: Sequence[float] | np.ndarray = STRIKES,
    day: date = DAY,
    symbol: str = "SPX",
    root: str | None = None,
    settlement: str = "PM",
    spot: float | None = SPOT,
    forward: float | None = None,
    rate: float = RATE,
    half_share: float = 0.01,
    price: Callable[..., np.ndarray] | None = None,
    **named: object,
) -> pl.DataFrame:
    """Calls and puts of one expiry; mids are exact, half-spreads a share of them.

    `price` replaces Black's formula: called with strike, tte, forward, vol, is_call. `named` are
    columns with one value or one per row, calls first.
    """
    tte = years_to(expiration, day, settlement)
    forward = forward or carry_forward(tte, spot or SPOT)
    strike = np.tile(np.asarray(strikes, dtype=np.float64), 2)
    is_call = np.repeat([True, False], len(strikes))
    smile = vol(np.log(strike / forward)) if callable(vol) else np.full(strike.size, vol)
    if price is None:
        mid = np.exp(-rate * tte) * undiscounted_price(forward, strike, smile**2 * tte, is_call)
    else:
        mid = price(strike, tte, forward, smile, is_call)
    kind = ["CALL" if side else "PUT" for side in is_call]
    names = [osi(root or symbol, expiration, *pair) for pair in zip(kind, strike, strict=True)]
    columns: dict[str, object] = {
        "symbol": symbol, "quote_date": day, "snapshot": "EOD", "contract_id": names,
        "root": root or symbol, "expiration_date": expiration, "strike": strike,
        "option_type": kind, "exercise_style": "european", "settlement": settlement,
        "quote_time": session_close(day), "bid": mid * (1.0 - half_share),
        "ask": mid * (1.0 + half_share), "volume": 100.0, "open_interest": 1000.0,
        "underlying_price": spot, "is_adjusted": False, "price_unit": "USD",
        "data_source": "hand", "ingestion_timestamp": LOADED,
    }  # fmt: skip
    return _frame(columns | named, RAW_OPTIONS_CHAINS.schema, strike.size)


def flat_curve(rate: float = RATE, day: date = DAY) -> pl.DataFrame:
    rows = {"quote_date": day, "snapshot": "EOD", "tenor_years": np.array([0.1, 1.0, 10.0]),
            "zero_rate": rate, "source": "hand", "curve_date": day,
            "ingestion_timestamp": LOADED}  # fmt: skip
    return _frame(rows, MARKET_RATES.schema, 3)


def bars(
    close: Sequence[float] | np.ndarray,
    /,
    *,
    last: date = DAY,
    symbol: str = "SPX",
    **named: object,
) -> pl.DataFrame:
    """Daily bars of the sessions up to `last`; flat days unless other prices are named."""
    days = last_sessions(last, len(close))
    rows = {"symbol": symbol, "quote_date": days, "snapshot": "EOD", "open": close, "high": close,
            "low": close, "close": close, "volume": 1e6, "dividend": 0.0, "split_ratio": 1.0,
            "data_source": "hand", "ingestion_timestamp": LOADED}  # fmt: skip
    return _frame(rows | named, UNDERLYING_PRICES.schema, len(days))


def alter(frame: pl.DataFrame, which: pl.Expr, **changes: object) -> pl.DataFrame:
    """Give the rows chosen other values."""
    return frame.with_columns(
        pl.when(which)
        .then(value if isinstance(value, pl.Expr) else pl.lit(value))
        .otherwise(name)
        .cast(frame.schema[name])
        .alias(name)
        for name, value in changes.items()
    )


def is_contract(option_type: str, strike: float) -> pl.Expr:
    return (pl.col("option_type") == option_type) & (pl.col("strike") == strike)


def put(lake: Lake, *frames: pl.DataFrame) -> None:
    """Store market frames, each date whole; the table is known by its columns."""
    by_columns = {
        tuple(table.schema): table
        for table in (RAW_OPTIONS_CHAINS, UNDERLYING_PRICES, MARKET_RATES)
    }
    for frame in frames:
        table = by_columns[tuple(frame.columns)]
        for (day,), rows in frame.group_by("quote_date", maintain_order=True):
            lake.replace(table.name, day, rows)


def lake_of(
    home: Path,
    chain: pl.DataFrame,
    *others: pl.DataFrame,
    only: Sequence[str] | None = None,
    settings: Mapping[str, object] | None = None,
) -> tuple[Lake, Settings]:
    """A lake of one or more chains (and curves, bars), with the recipes run over their dates.

    Where no curve or bars are given, there is a flat curve and no bars.
    """
    in_force = settings_of(home, **(settings or {}))
    lake = Lake(in_force.lake_root)
    days = chain["quote_date"].unique().sort().to_list()
    if not any("zero_rate" in frame.columns for frame in others):
        others = (*others, *(flat_curve(day=day) for day in days))
    put(lake, chain, *others)
    make(lake, in_force, days, only)
    return lake, in_force


def _frame(columns: Mapping[str, object], schema: pl.Schema, height: int) -> pl.DataFrame:
    """Rows in the schema's order; one value stands for all rows, a missing column is null."""
    series = []
    for name, dtype in schema.items():
        values = columns.get(name)
        if not isinstance(values, list | np.ndarray | pl.Series):
            values = [values] * height
        series.append(pl.Series(name, values, dtype=dtype))
    return pl.DataFrame(series)
