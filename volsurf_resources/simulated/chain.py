"""The clean chain of one fund and session: quotes, sizes, volume, open interest around true prices.

Belongs here: from prices to rows of `raw_options_chains`. Not here: dirt, and tables of truth.
"""

from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from volsurf_math.simulation.quoting import activity, half_spread, quotes, tick_size
from volsurf_resources.contracts import osi
from volsurf_resources.exchange_calendar import previous_session
from volsurf_resources.simulated.pricing import Priced, deviations, price_chain, quote_time
from volsurf_resources.simulated.streams import Purpose, stream
from volsurf_resources.simulated.world import World
from volsurf_tables.market import RAW_OPTIONS_CHAINS

FloatArray = NDArray[np.float64]

SOURCE = "simulated"
LEAN = 0.7  # half-widths by which a mid may miss the true price
PENNY_CLASSES = ("SPY",)
BUSIEST = {"SPY": 25_000.0, "QQQ": 12_000.0, "IWM": 8_000.0}  # contracts a day
TURNOVER_DAYS = 8.0  # open interest over volume, once an expiry has aged
AGEING_DAYS = 20.0
_osi = lru_cache(maxsize=100_000)(osi)  # a contract is named once, not on every session
TASTES = 4096  # strikes, in whole dollars, with a lasting popularity of their own


def clean_chain(world: World, seed: int, symbol: str, session: date) -> pl.DataFrame:
    """Return the quotes of a session in the schema of `raw_options_chains`, without dirt."""
    priced = price_chain(world, symbol, session)
    spot, at = world.spot(symbol, session), quote_time(session)
    quoted = _bid_ask(world, seed, symbol, session, priced)
    days = [term.expiry.day for term in priced.terms]
    expiration = [days[i] for i in priced.term]
    kind = ["CALL" if side else "PUT" for side in priced.is_call]
    rows = zip(expiration, kind, priced.strike.tolist(), strict=True)
    names = [_osi(symbol, *row) for row in rows]
    columns: dict[str, Any] = {
        "symbol": symbol,
        "quote_date": session,
        "snapshot": "EOD",
        "contract_id": names,
        "root": symbol,
        "expiration_date": expiration,
        "strike": priced.strike,
        "option_type": kind,
        "exercise_style": "american",
        "settlement": "PM",
        "quote_time": at,
        "bid": quoted[0],
        "ask": quoted[1],
        **_trading(world, seed, symbol, session, priced, quoted),
        "open_interest_date": previous_session(session),
        "underlying_price": spot,
        "underlying_time": at,
        "is_adjusted": False,
        "price_unit": "USD",
        "data_source": SOURCE,
    }
    return as_chain(columns, len(names))


def as_chain(columns: dict[str, Any], height: int) -> pl.DataFrame:
    """Return columns (lists, arrays, or one value for all) in the table's order and types."""
    series = []
    for name, dtype in RAW_OPTIONS_CHAINS.schema.items():
        if name == "ingestion_timestamp":
            continue
        values = columns.get(name)
        if isinstance(values, list | np.ndarray):
            series.append(pl.Series(name, values, dtype=dtype, nan_to_null=True))
        else:
            series.append(pl.Series(name, [values], dtype=dtype).new_from_index(0, height))
    return pl.DataFrame(series)


def _bid_ask(
    world: World, seed: int, symbol: str, session: date, priced: Priced
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bid, ask and tick of every contract; the market maker's lean is its noise."""
    spot, law = world.spot(symbol, session), world.law(symbol, session)
    tte = priced.of_terms("tte")
    sign = np.where(priced.is_call, 1.0, -1.0)
    intrinsic = np.maximum(sign * (spot - priced.strike), 0.0)
    distance = deviations(priced, spot, law.v0)
    vega = spot * np.sqrt(tte / (2.0 * np.pi)) * np.exp(-0.5 * distance**2)
    tick = tick_size(priced.american, symbol in PENNY_CLASSES)
    half = half_spread(intrinsic, vega, distance, tte, tick, law.v0)
    lean = stream(seed, Purpose.QUOTES, symbol, session).uniform(-LEAN, LEAN, priced.strike.size)
    return *quotes(priced.american, half, lean, tick), tick


def _trading(
    world: World,
    seed: int,
    symbol: str,
    session: date,
    priced: Priced,
    quoted: tuple[FloatArray, FloatArray, FloatArray],
) -> dict[str, FloatArray]:
    """Sizes, volume, last trade, and the open interest that the session before left behind."""
    rng = stream(seed, Purpose.ACTIVITY, symbol, session)
    bid, ask, tick = quoted
    n = priced.strike.size
    liked = _tastes(seed, symbol, priced)
    trades = BUSIEST[symbol] * liked * _interest(world, symbol, session, priced)
    volume = np.floor(trades * np.exp(0.8 * rng.standard_normal(n)))
    before = previous_session(session)
    age = np.array([(session - t.expiry.listed_on).days for t in priced.terms])[priced.term]
    grown = TURNOVER_DAYS * -np.expm1(-age / AGEING_DAYS) * priced.was_listed
    open_interest = np.floor(
        BUSIEST[symbol] * liked * grown * _interest(world, symbol, before, priced)
    )
    last = np.round((bid + rng.random(n) * (ask - bid)) / tick) * tick
    sizes = np.ceil(20.0 * np.exp(rng.standard_normal((2, n))) / np.sqrt(1.0 + ask))
    return {
        "bid_size": np.where(bid > 0.0, sizes[0], 0.0),
        "ask_size": sizes[1],
        "last": np.where(volume > 0.0, np.round(np.maximum(last, tick), 2), np.nan),
        "volume": volume,
        "open_interest": open_interest,
    }


def _interest(world: World, symbol: str, day: date, priced: Priced) -> FloatArray:
    """Typical activity in the contracts in the market of `day`."""
    if day not in world.index:
        return np.zeros(priced.strike.size)
    is_monthly = np.array([term.expiry.is_monthly for term in priced.terms])[priced.term]
    distance = deviations(priced, world.spot(symbol, day), world.law(symbol, day).v0)
    return activity(priced.strike, distance, priced.of_terms("tte"), is_monthly)


def _tastes(seed: int, symbol: str, priced: Priced) -> FloatArray:
    """Lasting popularity of each contract: lognormal, the same on every session."""
    side = np.where(priced.is_call, 0, 1)
    table = np.stack([taste(seed, symbol, term.expiry.day) for term in priced.terms])
    return np.asarray(table[priced.term, priced.strike.astype(np.int64) % TASTES, side])


@lru_cache(maxsize=512)
def taste(seed: int, symbol: str, expiration: date) -> FloatArray:
    """Return the lasting popularity of an expiry's contracts: (TASTES, call and put)."""
    return np.exp(
        0.7 * stream(seed, Purpose.INTEREST, symbol, expiration).standard_normal((TASTES, 2))
    )
