"""The catalogue of the terminal's version 3: paths, the columns we read, who may ask, for how long.

Belongs here: the vendor's names, as its OpenAPI document spells them. Not here: requests.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum

import polars as pl

_NUMBER, _WORD, _DAY = pl.Float64(), pl.String(), pl.Date()
_NEW_YORK_TIME = pl.Datetime("us")


class Tier(IntEnum):
    """Subscription of the account, in rising order."""

    FREE = 0
    VALUE = 1
    STANDARD = 2
    PRO = 3

    @property
    def concurrency(self) -> int:
        """Requests that may run at once."""
        return (1, 2, 4, 8)[self]

    @property
    def per_minute(self) -> int | None:
        """Requests that may be sent within a minute; None without such a limit."""
        return 20 if self is Tier.FREE else None

    @property
    def first_date(self) -> date:
        """First date of the option and stock history."""
        return (date(2023, 6, 1), date(2020, 1, 1), date(2016, 1, 1), date(2012, 6, 1))[self]

    @property
    def first_index_date(self) -> date:
        """First date of index and rate history."""
        return max(self.first_date, date(2024, 1, 1)) if self is Tier.FREE else self.first_date


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One path: what we read of its answer, the least tier, and the longest range in days.

    An answer is final, so that it may be kept, once its last date is `final_after_days` old; None
    if it never is. `is_index` says that its history starts where that of indices does.
    """

    path: str
    columns: Mapping[str, pl.DataType]
    tier: Tier = Tier.FREE
    window_days: int = 365
    final_after_days: int | None = 1
    is_index: bool = False

    def first_date(self, tier: Tier) -> date:
        """First date that an account of `tier` may ask for; an earlier start fails as a whole."""
        return tier.first_index_date if self.is_index else tier.first_date


_CONTRACT = {"symbol": _WORD, "expiration": _DAY, "strike": _NUMBER, "right": _WORD}
_QUOTE = {"bid_size": _NUMBER, "bid": _NUMBER, "ask_size": _NUMBER, "ask": _NUMBER}
_TRADES = {"close": _NUMBER, "volume": _NUMBER}
_GREEKS = dict.fromkeys(
    ("implied_vol", "iv_error", "delta", "gamma", "theta", "vega", "rho"), _NUMBER
)
_BAR = {
    "created": _NEW_YORK_TIME,
    **dict.fromkeys(("open", "high", "low", "close", "volume"), _NUMBER),
}

OPTION_EOD = Endpoint(
    path="/option/history/eod",
    columns={**_CONTRACT, "created": _NEW_YORK_TIME, **_TRADES, **_QUOTE},
)
OPTION_OPEN_INTEREST = Endpoint(
    path="/option/history/open_interest",
    columns={**_CONTRACT, "timestamp": _NEW_YORK_TIME, "open_interest": _NUMBER},
    tier=Tier.VALUE,
)
OPTION_GREEKS_EOD = Endpoint(
    path="/option/history/greeks/eod",
    columns={
        **_CONTRACT,
        "timestamp": _NEW_YORK_TIME,
        **_TRADES,
        **_QUOTE,
        **_GREEKS,
        "underlying_timestamp": _NEW_YORK_TIME,
        "underlying_price": _NUMBER,
    },
    tier=Tier.STANDARD,
    window_days=1,
)
OPTION_QUOTE_AT = Endpoint(
    path="/option/at_time/quote",
    columns={**_CONTRACT, "timestamp": _NEW_YORK_TIME, **_QUOTE},
    tier=Tier.VALUE,
    window_days=1,
)
OPTION_EXPIRATIONS = Endpoint(
    path="/option/list/expirations", columns={"expiration": _DAY}, final_after_days=None
)
OPTION_CONTRACTS = Endpoint(
    path="/option/list/contracts/quote", columns={"expiration": _DAY}, tier=Tier.VALUE
)
STOCK_EOD = Endpoint(path="/stock/history/eod", columns=_BAR)
STOCK_QUOTE_AT = Endpoint(
    path="/stock/at_time/quote",
    columns={"timestamp": _NEW_YORK_TIME, "bid": _NUMBER, "ask": _NUMBER},
    tier=Tier.VALUE,
)
STOCK_DATES = Endpoint(
    path="/stock/list/dates/quote", columns={"date": _DAY}, final_after_days=None
)
INDEX_EOD = Endpoint(path="/index/history/eod", columns=_BAR, is_index=True)
INDEX_PRICE_AT = Endpoint(
    path="/index/at_time/price",
    columns={"timestamp": _NEW_YORK_TIME, "price": _NUMBER},
    tier=Tier.VALUE,
    is_index=True,
)
INDEX_DATES = Endpoint(path="/index/list/dates", columns={"date": _DAY}, final_after_days=None)
RATES = Endpoint(
    path="/interest_rate/history/eod",
    columns={"created": _DAY, "rate": _NUMBER},
    is_index=True,
    final_after_days=7,  # a print may arrive days after its date
)
STATUS_PATH = "/terminal/mdds/status"
