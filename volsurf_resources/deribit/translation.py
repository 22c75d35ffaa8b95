"""From the exchange's rows to ours: names, units, and what its zeros and nulls mean.

Belongs here: snapshots in, frames out. Not here: requests, or what is odd (`findings`).

A missing side is null in summaries and 0 in tickers: 0 here, where nobody bids or offers. Vols are
percent, unsolved ones 0: null here. Greeks are in dollars, theta per day, vega and rho per point:
per year and per 1.00 here. Prices stay in their unit. A ticker is preferred to the summary of the
same instrument, and each quote keeps its own time. `data_source` tells what is not the exchange's.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from math import isfinite
from operator import itemgetter
from typing import Any

import polars as pl

from volsurf_resources.deribit.days import DayRange
from volsurf_resources.deribit.names import Option, market_of, parse_option
from volsurf_resources.deribit.questions import Candle, Row
from volsurf_resources.deribit.snapshot import Snapshot, instant
from volsurf_tables.market import (
    INDEX_LEVELS,
    MARKET_RATES,
    RAW_OPTIONS_CHAINS,
    UNDERLYING_PRICES,
)
from volsurf_tables.table import Table

SOURCE = "deribit"
TESTNET = "deribit testnet"
SIMULATED = "simulated"
DAYS_PER_YEAR = 365.0
_POINTS = 100.0
_FIELDS = 5  # of a bar without volume
_LEAST_POINTS = 5.0  # the documented samples of the volatility index are decimals, live data points

TRADES = pl.Schema(
    {
        "trade_id": pl.String(),
        "contract_id": pl.String(),
        "trade_time": pl.Datetime("us", "UTC"),
        "direction": pl.String(),
        "price": pl.Float64(),
        "amount": pl.Float64(),
        "vendor_iv": pl.Float64(),
        "index_price": pl.Float64(),
        "mark": pl.Float64(),
    }
)

Values = dict[str, Any]


def quoted(snapshot: Snapshot) -> list[tuple[Option, Row]]:
    """Return what is known of each named option: its ticker, or else its summary."""
    rows = {name_of(row): row for row in [*snapshot.summaries, *snapshot.tickers]}
    named = ((parse_option(name), row) for name, row in rows.items())
    return [(option, row) for option, row in named if option is not None]


def source_of(snapshot: Snapshot) -> str:
    """Return the word for `data_source` of what a snapshot holds."""
    if snapshot.is_simulated:
        return SIMULATED
    return TESTNET if snapshot.is_testnet else SOURCE


def chain(snapshot: Snapshot) -> pl.DataFrame:
    """Return the rows of `raw_options_chains`, without those whose name is no option's."""
    options = quoted(snapshot)
    columns: Values = _identity([option for option, _ in options])
    columns |= _quotes([row for _, row in options], snapshot)
    day = snapshot.taken_at.date()
    columns |= {
        "symbol": snapshot.symbol,
        "quote_date": day,
        "snapshot": snapshot.label,
        "exercise_style": "european",
        "settlement": "0800UTC",
        "open_interest_date": day,
        "is_adjusted": False,
        "price_unit": market_of(snapshot.symbol).price_unit,
        "data_source": source_of(snapshot),
    }
    return _frame(columns, RAW_OPTIONS_CHAINS, len(options)).sort("contract_id")


def underlying_prices(
    bars: Sequence[Candle],
    symbol: str,
    days: Sequence[date],
    day_range: DayRange,
    source: str = SOURCE,
) -> pl.DataFrame:
    """Return daily bars of the days that hourly ones fall into; the volume is in coins."""
    rows = [
        {
            "symbol": symbol,
            "snapshot": "EOD",
            **bar,
            "dividend": 0.0,
            "split_ratio": 1.0,
            "data_source": source,
        }
        for bar in _daily(bars, days, day_range)
    ]
    return _of_rows(rows, UNDERLYING_PRICES)


def index_levels(
    bars: Sequence[Candle],
    index: str,
    days: Sequence[date],
    day_range: DayRange,
    source: str = SOURCE,
) -> pl.DataFrame:
    """Return daily bars of a volatility index, in points."""
    is_decimal = max((bar[4] for bar in bars), default=_LEAST_POINTS) < _LEAST_POINTS
    scale = _POINTS if is_decimal else 1.0
    in_points = [[bar[0], *(scale * value for value in bar[1:5])] for bar in bars]
    rows = [
        {"index": index, "snapshot": "EOD", **bar, "data_source": source}
        for bar in _daily(in_points, days, day_range)
    ]
    return _of_rows(rows, INDEX_LEVELS)


def no_levels() -> pl.DataFrame:
    """Return no rows of `index_levels`."""
    return _of_rows([], INDEX_LEVELS)


def delivery_prices(rows: Sequence[Row], start: date, end: date) -> pl.DataFrame:
    """Return (quote_date, delivery_price) of a range, in order."""
    told = [(date.fromisoformat(row["date"]), number(row["delivery_price"])) for row in rows]
    schema = pl.Schema({"quote_date": pl.Date(), "delivery_price": pl.Float64()})
    frame = pl.DataFrame(told, schema=schema, orient="row")
    return frame.filter(pl.col("quote_date").is_between(start, end)).sort("quote_date")


def trades(rows: Iterable[Row]) -> pl.DataFrame:
    """Return one row per trade, as told: the price in its unit, the vol as a decimal."""
    told = [
        (
            row["trade_id"],
            row["instrument_name"],
            instant_of(row),
            row.get("direction"),
            number(row.get("price")),
            number(row.get("amount")),
            None if (vol := number(row.get("iv"))) is None else vol / _POINTS,
            number(row.get("index_price")),
            number(row.get("mark_price")),
        )
        for row in rows
    ]
    return pl.DataFrame(told, schema=TRADES, orient="row")


def zero_rates(session: date, source: str = SOURCE) -> pl.DataFrame:
    """Return the exchange's curve: it values everything at a rate of 0."""
    rows = [
        {
            "quote_date": session,
            "snapshot": "EOD",
            "tenor_years": tenor,
            "zero_rate": 0.0,
            "source": source,
            "curve_date": session,
        }
        for tenor in (0.0, 1.0)
    ]
    return _of_rows(rows, MARKET_RATES)


def number(value: Any) -> float | None:
    """Return a number that came as number or text; None for null and what is no finite number."""
    try:
        result = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return result if isfinite(result) else None


def name_of(row: Row) -> str:
    """Return the instrument's name; empty if there is none."""
    return str(row.get("instrument_name") or "")


def instant_of(row: Row) -> datetime | None:
    """Return when a quote was true; None if it does not tell."""
    return instant(row.get("timestamp", row.get("creation_timestamp")))


def _identity(options: Sequence[Option]) -> Values:
    return {
        "root": [option.root for option in options],
        "expiration_date": [option.expiration_date for option in options],
        "strike": [option.strike for option in options],
        "option_type": [option.option_type for option in options],
    }


def _quotes(rows: Sequence[Row], snapshot: Snapshot) -> Values:
    greeks = [_inside(row, "greeks") for row in rows]
    traded = [_inside(row, "stats", row) for row in rows]

    def column(name: str, otherwise: str = "") -> list[float | None]:
        return [number(row.get(name, row.get(otherwise))) for row in rows]

    def greek(name: str, scale: float) -> list[float | None]:
        told = (number(own.get(name)) for own in greeks)
        return [None if value is None else scale * value for value in told]

    def vol(name: str) -> list[float | None]:
        return [None if not v else v / _POINTS for v in column(name)]

    times = [instant_of(row) for row in rows]
    own_index = column("index_price")
    index = number(snapshot.index_price)
    return {
        "contract_id": [name_of(row) for row in rows],
        "quote_time": times,
        "underlying_time": times,
        "bid": [value or 0.0 for value in column("best_bid_price", "bid_price")],
        "ask": [value or 0.0 for value in column("best_ask_price", "ask_price")],
        "bid_size": column("best_bid_amount"),
        "ask_size": column("best_ask_amount"),
        "last": column("last_price", "last"),
        "mark": column("mark_price"),
        "volume": [number(own.get("volume")) for own in traded],
        "open_interest": column("open_interest"),
        "underlying_price": column("underlying_price"),
        "index_price": [index if own is None else own for own in own_index],
        "vendor_iv": vol("mark_iv"),
        "vendor_iv_bid": vol("bid_iv"),
        "vendor_iv_ask": vol("ask_iv"),
        "vendor_delta": greek("delta", 1.0),
        "vendor_gamma": greek("gamma", 1.0),
        "vendor_theta": greek("theta", DAYS_PER_YEAR),
        "vendor_vega": greek("vega", _POINTS),
        "vendor_rho": greek("rho", _POINTS),
    }


def _inside(row: Row, name: str, otherwise: Row | None = None) -> Row:
    """Return an object within a row; `otherwise`, or nothing, where there is none."""
    inner = row.get(name)
    return inner if isinstance(inner, dict) else otherwise or {}


def _daily(bars: Sequence[Candle], days: Sequence[date], day_range: DayRange) -> list[Values]:
    """Make one bar of each day's own; a day without any has none. Bars of no numbers are void."""
    known = sorted((bar for bar in map(_numbers, bars) if bar), key=itemgetter(0))
    times = [bar[0] for bar in known]
    found = []
    for day in days:
        first, last = (bisect_left(times, 1000.0 * at.timestamp()) for at in day_range(day))
        if first < last:
            found.append({"quote_date": day, **_merged(known[first:last])})
    return found


def _numbers(bar: Candle) -> Candle:
    """Return time, open, high, low, close and any volume; nothing if one of them is no number."""
    values = [value for value in map(number, bar) if value is not None]
    return values if len(values) == len(bar) >= _FIELDS else []


def _merged(bars: Sequence[Candle]) -> Values:
    def over(n: int, of: Callable[[Iterable[float]], float]) -> float:
        return of(bar[n] for bar in bars)

    merged = {"open": bars[0][1], "high": over(2, max), "low": over(3, min), "close": bars[-1][4]}
    return merged | ({"volume": over(5, sum)} if len(bars[0]) > _FIELDS else {})


def _frame(columns: Values, table: Table, height: int) -> pl.DataFrame:
    """Put columns (lists, or one value for all) into the table's order and types."""
    series = []
    for name in table.content:
        values, dtype = columns.get(name), table.schema[name]
        if isinstance(values, list):
            series.append(pl.Series(name, values, dtype=dtype))
        else:
            series.append(pl.Series(name, [values], dtype=dtype).new_from_index(0, height))
    return pl.DataFrame(series)


def _of_rows(rows: Sequence[Values], table: Table) -> pl.DataFrame:
    columns = {name: [row.get(name) for row in rows] for name in table.content}
    return _frame(columns, table, len(rows))
