"""A simulated exchange of coins: what Deribit would answer of a world that is known.

Belongs here: numbers put into the exchange's own rows, units and rounding. Not here: how they come
about (`coin_world`, `coin_listings`, `coin_quotes`). A snapshot is a function of (seed, symbol,
instant), whatever else was asked; its `mark_iv` and `underlying_price` are the truth.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import numpy as np

from volsurf_resources.deribit.days import label_of
from volsurf_resources.deribit.names import day_code
from volsurf_resources.deribit.questions import Candle, Row
from volsurf_resources.deribit.snapshot import Snapshot
from volsurf_resources.simulated.coin_listings import MONTHLY, PERIODS, settles
from volsurf_resources.simulated.coin_quotes import SMALL_TICK, TICK, TICK_CHANGE, coin_chain
from volsurf_resources.simulated.coin_world import (
    BEGINNING,
    STEP,
    STEPS_AN_HOUR,
    CoinWorld,
    FloatArray,
    make_coin_world,
    step_of,
)

HOUR = timedelta(hours=1)
CENTS = 2


def simulated_snapshot(seed: int, symbol: str, at: datetime, *, history_hours: int = 0) -> Snapshot:
    """Return what the simulated exchange says of BTC or ETH at an instant.

    With the hourly bars and levels of its volatility index of the hours before, as far as the world
    goes back. NoData for another coin, or before the world began.
    """
    at = at.astimezone(UTC).replace(second=0, microsecond=0)
    step_of(at)
    world = make_coin_world(seed, symbol, at.year)
    chain = coin_chain(world, seed, symbol, at)
    index = round(float(world.spot[step_of(at)]), CENTS)
    rows = list(chain.iter_rows(named=True))
    candles, levels = _history(world, at, history_hours)
    return Snapshot(
        symbol=symbol,
        taken_at=at,
        label=label_of(at),
        summaries=[_summary(symbol, row, index, at) for row in rows],
        instruments=[_terms(symbol, row) for row in rows],
        tickers=[],
        index_price=index,
        is_simulated=True,
        candles=candles,
        levels=levels,
    )


def _summary(symbol: str, row: dict[str, Any], index: float, at: datetime) -> Row:
    """Return a row of get_book_summary_by_currency: null where a side is missing."""
    bid, ask = row["bid"] or None, row["ask"] or None
    last = None if row["last"] is None or np.isnan(row["last"]) else row["last"]
    volume = row["volume"] or 0.0
    future = f"{symbol}-{day_code(row['expiration_date'])}"
    return {
        "instrument_name": row["instrument_name"],
        "base_currency": symbol,
        "quote_currency": symbol,
        "bid_price": bid,
        "ask_price": ask,
        "mid_price": None if bid is None or ask is None else round((bid + ask) / 2, 6),
        "last": last,
        "high": last,
        "low": last,
        "price_change": None if last is None else 0.0,
        "mark_price": row["mark"],
        "mark_iv": round(100.0 * (row["vol"] or 0.0), CENTS),
        "underlying_price": row["forward"],
        "underlying_index": future if row["horizon"] >= MONTHLY else f"SYN.{future}",
        "interest_rate": 0.0,
        "open_interest": row["open_interest"] or 0.0,
        "volume": volume,
        "volume_usd": round(volume * (last or 0.0) * index, CENTS),
        "estimated_delivery_price": index,
        "creation_timestamp": _ms(at),
    }


def _terms(symbol: str, row: dict[str, Any]) -> Row:
    """Return a row of get_instruments."""
    settled = settles(row["expiration_date"])
    return {
        "instrument_name": row["instrument_name"],
        "instrument_id": crc32(row["instrument_name"].encode()),
        "kind": "option",
        "instrument_type": "reversed",
        "base_currency": symbol,
        "quote_currency": symbol,
        "counter_currency": "USD",
        "settlement_currency": symbol,
        "price_index": f"{symbol.lower()}_usd",
        "strike": row["strike"],
        "option_type": "call" if row["is_call"] else "put",
        "creation_timestamp": _ms(settled - timedelta(days=row["horizon"])),
        "expiration_timestamp": _ms(settled),
        "settlement_period": PERIODS[row["horizon"]],
        "contract_size": 1.0,
        "min_trade_amount": 0.1 if symbol == "BTC" else 1.0,
        "tick_size": SMALL_TICK,
        "tick_size_steps": [{"above_price": TICK_CHANGE, "tick_size": TICK}],
        "is_active": True,
        "state": "open",
    }


def _history(
    world: CoinWorld, at: datetime, hours: int
) -> tuple[tuple[Candle, ...], tuple[Candle, ...]]:
    """Return the hourly bars of prices and of the volatility index, the last hour's so far."""
    end = step_of(at)
    since = max(at - hours * HOUR, BEGINNING)
    first = -(-(since - BEGINNING) // HOUR) * STEPS_AN_HOUR
    if first >= end:
        return (), ()
    prices = world.spot[first : end + 1]
    levels = world.volatility_index(first, end)
    starts = np.arange(0, end - first, STEPS_AN_HOUR)
    ends = np.minimum(starts + STEPS_AN_HOUR, end - first)
    times = [_ms(BEGINNING + (first + int(n)) * STEP) for n in starts]
    columns = (
        prices[starts],
        np.maximum.reduceat(world.high[first:end], starts),
        np.minimum.reduceat(world.low[first:end], starts),
        prices[ends],
        np.add.reduceat(world.traded[first:end], starts),
    )
    highest = np.maximum(np.maximum.reduceat(levels[:-1], starts), levels[ends])
    lowest = np.minimum(np.minimum.reduceat(levels[:-1], starts), levels[ends])
    return _bars(times, *columns), _bars(times, levels[starts], highest, lowest, levels[ends])


def _bars(times: list[int], *columns: FloatArray) -> tuple[Candle, ...]:
    rounded = (column.round(CENTS).tolist() for column in columns)
    return tuple(list(bar) for bar in zip(times, *rounded, strict=True))


def _ms(at: datetime) -> int:
    return round(1000.0 * at.timestamp())
