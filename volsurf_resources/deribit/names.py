"""What the exchange's names say: of an instrument its contract, of a symbol its market.

Belongs here: spelling. Not here: prices. `BTC-6MAR26-65000-C` is coin-settled (inverse), quoted in
BTC; `XRP_USDC-30JUN23-0d625-C` is linear, quoted in USDC, and spells its decimal point `d`.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from volsurf_resources.source import NotAllowed

_OPTION = re.compile(
    r"^(?P<root>[A-Z0-9]+(?:_[A-Z]+)?)-(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d{2})"
    r"-(?P<strike>\d+(?:d\d+)?)-(?P<side>[CP])$"
)
_SYMBOL = re.compile(r"^[A-Z0-9]+(?:_[A-Z]+)?$")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_SIDES = {"C": "CALL", "P": "PUT"}
_WITH_DVOL = ("BTC", "ETH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """What an instrument name says; `root` is BTC, or BTC_USDC for linear options."""

    root: str
    expiration_date: date
    option_type: str
    strike: float


@lru_cache(maxsize=65_536)
def parse_option(name: str) -> Option | None:
    """Return what the name of an option says; None if it is not one."""
    found = _OPTION.match(name)
    if found is None or found["month"] not in _MONTHS:
        return None
    month = 1 + _MONTHS.index(found["month"])
    try:
        day = date(2000 + int(found["year"]), month, int(found["day"]))
    except ValueError:
        return None
    return Option(
        root=found["root"],
        expiration_date=day,
        option_type=_SIDES[found["side"]],
        strike=float(found["strike"].replace("d", ".")),
    )


def option_name(option: Option) -> str:
    """Return the name that :func:`parse_option` reads."""
    strike = f"{option.strike:.10f}".rstrip("0").rstrip(".").replace(".", "d")
    return f"{option.root}-{day_code(option.expiration_date)}-{strike}-{option.option_type[0]}"


def day_code(day: date) -> str:
    """Return a date as names spell it: 6MAR26."""
    return f"{day.day}{_MONTHS[day.month - 1]}{day:%y}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Where the options of one symbol are asked for, and what they are quoted in."""

    symbol: str
    base: str
    currency: str  # by which the exchange lists them: USDC for all linear options
    price_index: str
    price_unit: str

    @property
    def perpetual(self) -> str:
        """Name of the perpetual future, whose trades make the bars."""
        return f"{self.symbol}-PERPETUAL"

    @property
    def volatility_index(self) -> str | None:
        """Name of the coin's volatility index; None if the exchange computes none."""
        return f"DVOL_{self.base}" if self.base in _WITH_DVOL else None


def market_of(symbol: str) -> Market:
    """Return the market of a symbol: BTC and ETH are coin-settled, BTC_USDC and the like linear.

    NotAllowed for what cannot be a symbol of the exchange.
    """
    if not _SYMBOL.match(symbol):
        raise NotAllowed(f"a Deribit symbol is BTC, ETH, or linear as SOL_USDC, was {symbol!r}")
    base, _, settled_in = symbol.partition("_")
    return Market(
        symbol=symbol,
        base=base,
        currency=settled_in or base,
        price_index=f"{base}_{settled_in or 'USD'}".lower(),
        price_unit="USD" if settled_in else "coin",
    )
