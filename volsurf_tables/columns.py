"""Columns that several tables share, so that one name keeps one unit and one meaning.

Belongs here: the identifying columns of the lake. Not here: what only one table holds.
"""

import polars as pl

from volsurf_tables.table import Column

UTC = pl.Datetime("us", "UTC")

SYMBOL = Column(name="symbol", dtype=pl.String(), unit="-", meaning="Ticker of the underlying.")
QUOTE_DATE = Column(
    name="quote_date", dtype=pl.Date(), unit="date", meaning="Session of the market."
)
SNAPSHOT = Column(
    name="snapshot",
    dtype=pl.String(),
    unit="-",
    meaning="Which of the day's snapshots: EOD, or HHMM in UTC.",
)
CONTRACT_ID = Column(
    name="contract_id",
    dtype=pl.String(),
    unit="-",
    meaning="21-character OSI string, or the exchange's own instrument name.",
)
ROOT = Column(
    name="root",
    dtype=pl.String(),
    unit="-",
    meaning="Option root: SPX and SPXW are two roots of one symbol.",
)
EXPIRATION_DATE = Column(
    name="expiration_date", dtype=pl.Date(), unit="date", meaning="Expiry date as listed."
)
STRIKE = Column(
    name="strike",
    dtype=pl.Float64(),
    unit="USD",
    meaning="Strike price, rounded to 1/1000.",
    low=0.0,
)
OPTION_TYPE = Column(
    name="option_type", dtype=pl.String(), unit="-", meaning="CALL or PUT.", one_of=("CALL", "PUT")
)
EXERCISE_STYLE = Column(
    name="exercise_style",
    dtype=pl.String(),
    unit="-",
    meaning="When the option may be exercised.",
    one_of=("american", "european"),
)
TTE_YEARS = Column(
    name="tte_years",
    dtype=pl.Float64(),
    unit="years",
    meaning="Seconds from quote time to the settlement instant, over 365 x 86400.",
)
DATA_SOURCE = Column(
    name="data_source", dtype=pl.String(), unit="-", meaning="Source that supplied the row."
)
INGESTION_TIMESTAMP = Column(
    name="ingestion_timestamp",
    dtype=UTC,
    unit="UTC",
    meaning="When the row was loaded.",
    is_provenance=True,
)
PRICE_SOURCE = Column(
    name="price_source",
    dtype=pl.String(),
    unit="-",
    meaning="What option prices were taken from: mids of quotes, or the vendor's marks.",
    one_of=("quotes", "marks"),
)
REASON = Column(
    name="reason",
    dtype=pl.String(),
    unit="-",
    meaning="Why the status is what it is; null if fine.",
)

DAY = (SYMBOL, QUOTE_DATE, SNAPSHOT)
EXPIRY = (*DAY, ROOT, EXPIRATION_DATE)


def names(columns: tuple[Column, ...]) -> tuple[str, ...]:
    """Names of some columns, as a key is written."""
    return tuple(column.name for column in columns)


def number(
    name: str, unit: str, meaning: str, low: float | None = None, high: float | None = None
) -> Column:
    """Make a column of doubles; `low` and `high` are inclusive limits."""
    return Column(name=name, dtype=pl.Float64(), unit=unit, meaning=meaning, low=low, high=high)


def count(name: str, meaning: str) -> Column:
    """Make a column of non-negative whole numbers."""
    return Column(name=name, dtype=pl.Int32(), unit="-", meaning=meaning, low=0)


def yes_no(name: str, meaning: str) -> Column:
    """Make a column of booleans."""
    return Column(name=name, dtype=pl.Boolean(), unit="-", meaning=meaning)


def word(name: str, meaning: str, *one_of: str) -> Column:
    """Make a column of words; with `one_of`, only of those."""
    return Column(name=name, dtype=pl.String(), unit="-", meaning=meaning, one_of=one_of)


def day(name: str, meaning: str) -> Column:
    """Make a column of dates."""
    return Column(name=name, dtype=pl.Date(), unit="date", meaning=meaning)


def instant(name: str, meaning: str) -> Column:
    """Make a column of UTC timestamps."""
    return Column(name=name, dtype=UTC, unit="UTC", meaning=meaning)
