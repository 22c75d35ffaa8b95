"""What the vendor said: tables of the market as received.

Belongs here: raw chains, the underlying, rates, index levels. Nothing here is filtered or computed.
"""

import polars as pl

from volsurf_tables.columns import (
    CONTRACT_ID,
    DATA_SOURCE,
    DAY,
    EXERCISE_STYLE,
    EXPIRATION_DATE,
    INGESTION_TIMESTAMP,
    OPTION_TYPE,
    QUOTE_DATE,
    ROOT,
    SNAPSHOT,
    STRIKE,
    day,
    instant,
    names,
    number,
    word,
    yes_no,
)
from volsurf_tables.table import Column, Table

RAW_OPTIONS_CHAINS = Table(
    name="raw_options_chains",
    group="market",
    meaning="Every quoted contract of an underlying at one snapshot, exactly as received; only "
    "exact duplicates are dropped.",
    key=names((*DAY, CONTRACT_ID)),
    version=2,
    columns=(
        *DAY,
        CONTRACT_ID,
        ROOT,
        EXPIRATION_DATE,
        Column(name="strike", dtype=pl.Float64(), unit="USD", meaning=STRIKE.meaning),
        OPTION_TYPE,
        EXERCISE_STYLE,
        word("settlement", "When the expiry settles.", "AM", "PM", "0800UTC"),
        instant("quote_time", "When the quote was true."),
        number("bid", "price_unit", "Best bid; 0 where nobody bids, null where not reported."),
        number("ask", "price_unit", "Best offer; 0 where nobody offers, null where not reported."),
        number("bid_size", "contracts", "Size at the bid."),
        number("ask_size", "contracts", "Size at the offer."),
        number("last", "price_unit", "Last trade; null or 0 where there was none."),
        number("mark", "price_unit", "Price at which the exchange marks positions, where it does."),
        number("volume", "contracts", "Contracts traded in the session."),
        number("open_interest", "contracts", "Open interest at the end of `open_interest_date`."),
        day("open_interest_date", "Session whose end the open interest describes."),
        number("underlying_price", "USD", "Underlying as the source pairs it with the quote."),
        instant("underlying_time", "When the underlying price was true."),
        number("index_price", "USD", "Spot index, where `underlying_price` is the expiry's own."),
        number("vendor_iv", "decimal", "The vendor's implied volatility."),
        number("vendor_iv_bid", "decimal", "The vendor's implied volatility of the bid."),
        number("vendor_iv_ask", "decimal", "The vendor's implied volatility of the ask."),
        number("vendor_delta", "-", "The vendor's delta."),
        number("vendor_gamma", "1/USD", "The vendor's gamma."),
        number("vendor_theta", "USD per year", "The vendor's theta."),
        number("vendor_vega", "USD per 1.00 vol", "The vendor's vega."),
        number("vendor_rho", "USD per 1.00 rate", "The vendor's rho."),
        yes_no("is_adjusted", "Non-standard deliverable, after a corporate action."),
        word("price_unit", "What prices are quoted in.", "USD", "coin"),
        DATA_SOURCE,
        INGESTION_TIMESTAMP,
    ),
)

UNDERLYING_PRICES = Table(
    name="underlying_prices",
    group="market",
    meaning="One daily bar of the underlying, as traded: not adjusted for splits or dividends.",
    key=names(DAY),
    columns=(
        *DAY,
        number("open", "USD", "First trade of the session."),
        number("high", "USD", "Highest trade."),
        number("low", "USD", "Lowest trade."),
        number("close", "USD", "Official close."),
        number("volume", "shares", "Shares traded."),
        number("dividend", "USD per share", "Cash dividend with this ex-date; 0 if none."),
        number("split_ratio", "-", "New shares per old with this ex-date; 1 if none."),
        DATA_SOURCE,
        INGESTION_TIMESTAMP,
    ),
)

MARKET_RATES = Table(
    name="market_rates",
    group="market",
    meaning="The zero curve that was known at the session's end.",
    key=("quote_date", "snapshot", "tenor_years"),
    columns=(
        QUOTE_DATE,
        SNAPSHOT,
        number("tenor_years", "years", "Maturity of the rate.", low=0.0),
        number("zero_rate", "per year, continuous", "Continuously compounded zero rate."),
        word("source", "Series or vendor that the rate comes from."),
        day("curve_date", "Date of the curve used; older than the session by the publish lag."),
        INGESTION_TIMESTAMP,
    ),
)

INDEX_LEVELS = Table(
    name="index_levels",
    group="market",
    meaning="One daily bar of a volatility index (VIX family, DVOL), in index points.",
    key=("index", "quote_date", "snapshot"),
    columns=(
        word("index", "Name of the index: VIX, VIX3M, DVOL."),
        QUOTE_DATE,
        SNAPSHOT,
        number("open", "index points", "First value."),
        number("high", "index points", "Highest value."),
        number("low", "index points", "Lowest value."),
        number("close", "index points", "Last value."),
        DATA_SOURCE,
        INGESTION_TIMESTAMP,
    ),
)
