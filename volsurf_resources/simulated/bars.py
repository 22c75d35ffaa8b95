"""Daily bars of the funds and of their volatility indices, and the zero curve, as frames.

Belongs here: rows of `underlying_prices`, `index_levels` and `market_rates`. Not here: chains.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from volsurf_math.simulation.dynamics import pricing_law
from volsurf_resources.simulated.chain import SOURCE
from volsurf_resources.simulated.streams import Purpose, stream
from volsurf_resources.simulated.world import FUNDS, MARKET, TENORS, World
from volsurf_tables.market import INDEX_LEVELS, MARKET_RATES, UNDERLYING_PRICES
from volsurf_tables.table import Table

SHARES = {"SPY": 75e6, "QQQ": 40e6, "IWM": 30e6}  # traded on a typical session
INDEX_DAYS = {"VIX": 30, "VIX3M": 93}
BARS = ("open", "high", "low", "close")


def fund_bars(world: World, seed: int, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return the bars of a fund, prices in whole cents."""
    rows = []
    for day in days:
        i, j = world.index[day], world.column(symbol)
        bar = {name: round(float(getattr(world.path, name)[i, j]), 2) for name in BARS}
        calm = float(world.path.integrated_variance[i, j]) * 252.0 / (FUNDS[symbol].scale * 0.02)
        noise = stream(seed, Purpose.SHARE_VOLUME, symbol, day).standard_normal()
        rows.append(
            {
                "symbol": symbol,
                "quote_date": day,
                "snapshot": "EOD",
                **bar,
                "volume": float(np.floor(SHARES[symbol] * calm**0.5 * np.exp(0.2 * noise))),
                "dividend": float(world.path.dividend[i, j]),
                "split_ratio": 1.0,
                "data_source": SOURCE,
            }
        )
    return _frame(rows, UNDERLYING_PRICES)


def index_bars(world: World, days: Sequence[date]) -> pl.DataFrame:
    """Return the bars of VIX and VIX3M: 100 times the root of the fair log-contract variance."""
    rows = []
    for day in days:
        i = world.index[day]
        states = world.path.variance_ohlc[i, world.column("SPY")]
        law = pricing_law(MARKET, FUNDS["SPY"], 1.0, float(world.path.long_run_variance[i]))
        for index, length in INDEX_DAYS.items():
            levels = [
                100.0
                * float(replace(law, v0=float(v)).log_contract_variance(length / 365.0)) ** 0.5
                for v in states
            ]
            rows.append(
                {
                    "index": index,
                    "quote_date": day,
                    "snapshot": "EOD",
                    **{name: round(x, 2) for name, x in zip(BARS, levels, strict=True)},
                    "data_source": SOURCE,
                }
            )
    return _frame(rows, INDEX_LEVELS)


def zero_curve(world: World, session: date) -> pl.DataFrame:
    """Return the zero curve of a session, known at its end."""
    rows = [
        {
            "quote_date": session,
            "snapshot": "EOD",
            "tenor_years": float(tenor),
            "zero_rate": float(rate),
            "source": SOURCE,
            "curve_date": session,
        }
        for tenor, rate in zip(TENORS, world.zero_rates[world.index[session]], strict=True)
    ]
    return _frame(rows, MARKET_RATES)


def _frame(rows: list[dict[str, Any]], table: Table) -> pl.DataFrame:
    schema = {name: table.schema[name] for name in table.content}
    return pl.DataFrame(rows, schema=schema)
