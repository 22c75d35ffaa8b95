"""From the vendor's rows to ours: names, units, time zones, and what its odd numbers mean.

Belongs here: frames in, frames out. Not here: requests.

The vendor's end-of-day report is written at 17:15 New York and holds the last quote of the session,
so the quote's time is the closing bell. Its theta is per calendar day, ours per year. An unsolved
implied volatility is 0, or comes with iv_error 100: null here, with its greeks. Overflows of its
scaled integers (214748.3647, 21474.83647) are null too. Zero stands for missing in bars without a
trade. Everything else, crossed and one-sided quotes included, is handed on as received.
"""

from collections.abc import Callable
from datetime import date, datetime

import polars as pl

from volsurf_resources.contracts import (
    exercise_style_of,
    is_adjusted_root,
    osi,
    settlement_of,
)
from volsurf_resources.exchange_calendar import previous_session, session_close
from volsurf_resources.source import Unreadable
from volsurf_tables.market import (
    INDEX_LEVELS,
    RAW_OPTIONS_CHAINS,
    UNDERLYING_PRICES,
)
from volsurf_tables.table import Table

SOURCE = "theta"
END_OF_DAY = "EOD"
DAYS_PER_YEAR = 365.0
NEW_YORK = "America/New_York"

_OVERFLOWS = (214748.3647, 21474.83647)
_OVERFLOW_ROUNDING = 1e-3
_LARGEST_IV = 100.0
_LARGEST_GAMMA = 100.0

_CONTRACT = ["root", "expiration_date", "strike", "option_type", "quote_date"]
_QUOTE = ["bid", "ask", "bid_size", "ask_size"]
_SIDES = {"C": "CALL", "P": "PUT"}


def eod_quotes(rows: pl.DataFrame) -> pl.DataFrame:
    """Quotes of `/option/history/eod`, one row per contract and session."""
    session = pl.col("created").dt.date()
    return _quotes(rows, session).with_columns(_closing_bell("quote_date").alias("quote_time"))


def greeks_quotes(rows: pl.DataFrame) -> pl.DataFrame:
    """Quotes, greeks and underlying of `/option/history/greeks/eod`; the time is the last trade."""
    session = pl.col("timestamp").dt.date()
    is_solved = (pl.col("implied_vol") != 0.0) & (pl.col("iv_error").abs() < 100.0)
    greeks = {
        "vendor_iv": _within("implied_vol", _LARGEST_IV),
        "vendor_delta": _within("delta", 1.0),
        "vendor_gamma": _within("gamma", _LARGEST_GAMMA),
        "vendor_theta": _within("theta") * DAYS_PER_YEAR,
        "vendor_vega": _within("vega"),
        "vendor_rho": _within("rho"),
    }
    return _quotes(
        rows,
        session,
        _utc("underlying_timestamp").alias("underlying_time"),
        pl.col("underlying_price"),
        *(pl.when(is_solved).then(value).alias(name) for name, value in greeks.items()),
    ).with_columns(_closing_bell("quote_date").alias("quote_time"))


def quotes_at(rows: pl.DataFrame) -> pl.DataFrame:
    """Quotes of `/option/at_time/quote`, each at its own time."""
    session = pl.col("timestamp").dt.date()
    return _quotes(rows, session, _utc("timestamp").alias("quote_time"))


def open_interest(rows: pl.DataFrame) -> pl.DataFrame:
    """Open interest by contract; the message of a session's morning tells of the session before."""
    session = pl.col("timestamp").dt.date()
    told = _contracts(rows, session, pl.col("open_interest"))
    return told.with_columns(
        _by_day("quote_date", previous_session, pl.Date()).alias("open_interest_date")
    )


def underlying_at_close(bars: pl.DataFrame) -> pl.DataFrame:
    """Daily closes as the underlying of that session's end-of-day quotes."""
    return bars.select(
        pl.col("created").dt.date().alias("quote_date"), _traded("close").alias("underlying_price")
    ).with_columns(_closing_bell("quote_date").alias("underlying_time"))


def underlying_at(rows: pl.DataFrame) -> pl.DataFrame:
    """The underlying of a synchronous snapshot: an index level, or the middle of a stock quote."""
    if "price" in rows.columns:
        price = pl.col("price")
    else:
        has_both = (pl.col("bid") > 0.0) & (pl.col("ask") > 0.0)
        price = pl.when(has_both).then((pl.col("bid") + pl.col("ask")) / 2.0)
    return rows.select(
        pl.col("timestamp").dt.date().alias("quote_date"),
        price.replace(0.0, None).alias("underlying_price"),
        _utc("timestamp").alias("underlying_time"),
    )


def with_underlying(quotes: pl.DataFrame, underlying: pl.DataFrame) -> pl.DataFrame:
    """Add the session's underlying to its quotes; null where there is none."""
    last = underlying.unique("quote_date", keep="last")
    return quotes.join(last, on="quote_date", how="left", maintain_order="left")


def chain(
    quotes: pl.DataFrame,
    interest: pl.DataFrame,
    symbol: str,
    snapshot: str,
) -> pl.DataFrame:
    """Put together quotes and open interest in the schema of `raw_options_chains`.

    Zero open interest is filled in only where the root had an answer for that session: the vendor
    leaves out contracts without any.
    """
    rows = quotes.join(interest, on=_CONTRACT, how="left", maintain_order="left")
    told = interest.select("root", "quote_date", told="open_interest_date").unique(
        ["root", "quote_date"]
    )
    rows = rows.join(told, on=["root", "quote_date"], how="left", maintain_order="left")
    rows = rows.with_columns(
        pl.when(pl.col("told").is_not_null())
        .then(pl.col("open_interest").fill_null(0.0))
        .alias("open_interest"),
        pl.col("told").alias("open_interest_date"),
    )
    rows = rows.join(_listing(rows, symbol), on=["root", "expiration_date"], how="left")
    names = rows.select("root", "expiration_date", "option_type", "strike").iter_rows()
    rows = rows.with_columns(
        pl.Series("contract_id", [osi(*name) for name in names], dtype=pl.String),
        pl.lit(symbol).alias("symbol"),
        pl.lit(snapshot).alias("snapshot"),
        pl.lit("USD").alias("price_unit"),
        pl.lit(SOURCE).alias("data_source"),
    )
    return in_schema(rows, RAW_OPTIONS_CHAINS).sort("quote_date", "contract_id")


def underlying_prices(bars: pl.DataFrame, symbol: str) -> pl.DataFrame:
    """Daily bars in the schema of `underlying_prices`; the vendor tells no dividends or splits."""
    return in_schema(_bars(bars).with_columns(pl.lit(symbol).alias("symbol")), UNDERLYING_PRICES)


def index_levels(bars: pl.DataFrame, index: str) -> pl.DataFrame:
    """Daily bars of one index in the schema of `index_levels`."""
    return in_schema(_bars(bars).with_columns(pl.lit(index).alias("index")), INDEX_LEVELS)


def _contracts(rows: pl.DataFrame, session: pl.Expr, *columns: pl.Expr) -> pl.DataFrame:
    side = pl.col("right").str.to_uppercase()
    named = rows.select(
        pl.col("symbol").alias("root"),
        pl.col("expiration").alias("expiration_date"),
        pl.col("strike").round(3),
        side.replace(_SIDES).alias("option_type"),
        session.alias("quote_date"),
        *columns,
    )
    is_named = pl.all_horizontal(pl.col(_CONTRACT).is_not_null()) & pl.col("option_type").is_in(
        ["CALL", "PUT"]
    )
    if (odd := named.filter(~is_named)).height:
        raise Unreadable(
            f"a contract needs symbol, expiration, strike, right and time, was {odd.row(0)[:5]}"
        )
    return named.unique(_CONTRACT, keep="last", maintain_order=True)


def _quotes(rows: pl.DataFrame, session: pl.Expr, *more: pl.Expr) -> pl.DataFrame:
    trades = [
        pl.col(theirs).alias(ours)
        for theirs, ours in {"close": "last", "volume": "volume"}.items()
        if theirs in rows.columns
    ]
    return _contracts(rows, session, *map(pl.col, _QUOTE), *trades, *more)


def _bars(bars: pl.DataFrame) -> pl.DataFrame:
    return (
        bars.select(
            pl.col("created").dt.date().alias("quote_date"),
            *(_traded(name) for name in ("open", "high", "low", "close")),
            pl.col("volume"),
            pl.lit(END_OF_DAY).alias("snapshot"),
            pl.lit(SOURCE).alias("data_source"),
        )
        .unique("quote_date", keep="last")
        .sort("quote_date")
    )


def _listing(rows: pl.DataFrame, symbol: str) -> pl.DataFrame:
    """What the listing rules say of every root and expiry."""
    expiries = rows.select("root", "expiration_date").unique()
    said = [
        (
            root,
            day,
            settlement_of(root, day),
            exercise_style_of(root),
            is_adjusted_root(root, symbol),
        )
        for root, day in expiries.iter_rows()
    ]
    schema = pl.Schema(
        {
            **expiries.schema,
            "settlement": pl.String(),
            "exercise_style": pl.String(),
            "is_adjusted": pl.Boolean(),
        }
    )
    return pl.DataFrame(said, schema=schema, orient="row")


def in_schema(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Select and cast to the table's columns, null where we have none; without the provenance."""
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in table.schema.items()
        if name in table.content
    )


def _traded(name: str) -> pl.Expr:
    return pl.col(name).replace(0.0, None)


def _within(name: str, largest: float | None = None) -> pl.Expr:
    value = pl.col(name)
    is_bad = pl.any_horizontal(
        (value.abs() - overflow).abs() < _OVERFLOW_ROUNDING for overflow in _OVERFLOWS
    )
    if largest is not None:
        is_bad = is_bad | (value.abs() > largest)
    return pl.when(~is_bad).then(value)


def _utc(name: str) -> pl.Expr:
    """New York wall time to UTC; of an hour that comes twice, the first."""
    there = pl.col(name).dt.replace_time_zone(NEW_YORK, ambiguous="earliest", non_existent="null")
    return there.dt.convert_time_zone("UTC")


def _closing_bell(name: str) -> pl.Expr:
    return _by_day(name, session_close, pl.Datetime("us", "UTC"))


def _by_day(name: str, of: Callable[[date], date | datetime], dtype: pl.DataType) -> pl.Expr:
    """Map each of the few days in a column."""

    def of_each(days: pl.Series) -> pl.Series:
        values = {day: of(day) for day in days.unique().drop_nulls()}
        return pl.Series([values.get(day) for day in days], dtype=dtype)

    return pl.col(name).map_batches(of_each, return_dtype=dtype)
