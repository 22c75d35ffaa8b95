"""What the listing rules say of a contract: its OSI name, style and settlement.

Belongs here: symbology and product facts that hold for every source. Not here: prices.
OSI: Options Symbology Initiative, root padded to 6, YYMMDD, C or P, strike x 1000 in 8 digits.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime

from volsurf_resources.exchange_calendar import last_trading_day, third_friday

_OSI = re.compile(r"^(?P<root>[A-Z0-9]{1,6}) *(?P<day>\d{6})(?P<side>[CP])(?P<strike>\d{8})$")
_SIDES = {"C": "CALL", "P": "PUT"}

# Roots of an underlying, where there is more than the one of its own name.
_ROOTS = {
    "SPX": ("SPX", "SPXW"),
    "NDX": ("NDX", "NDXP"),
    "RUT": ("RUT", "RUTW"),
    "VIX": ("VIX", "VIXW"),
}
_AM_ROOTS = {"SPX", "NDX", "RUT", "VIX", "VIXW", "DJX"}
_EUROPEAN_ROOTS = {root for roots in _ROOTS.values() for root in roots} | {"XSP", "XEO", "DJX"}
_INDICES = {*_ROOTS, "XSP", "XEO", "DJX", "OEX"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What an OSI name says."""

    root: str
    expiration_date: date
    option_type: str
    strike: float


def osi(root: str, expiration_date: date, option_type: str, strike: float) -> str:
    """Return the 21-character OSI name; `option_type` is CALL or PUT."""
    thousandths = round(strike * 1000)
    if not (1 <= len(root) <= 6 and 0 <= thousandths <= 99_999_999):
        raise ValueError(
            f"OSI needs a root of 1-6 letters and 0 <= strike < 1e5, was {root} {strike}"
        )
    return f"{root:<6}{expiration_date:%y%m%d}{option_type[0]}{thousandths:08d}"


def parse_osi(name: str) -> Contract:
    """Return what an OSI name (padded or compact) says; ValueError if it is none."""
    found = _OSI.match(name.strip())
    if found is None:
        raise ValueError(f"{name!r} is no OSI name: root, YYMMDD, C or P, strike in 8 digits")
    return Contract(
        root=found["root"],
        expiration_date=datetime.strptime(found["day"], "%y%m%d").date(),  # noqa: DTZ007 a date
        option_type=_SIDES[found["side"]],
        strike=int(found["strike"]) / 1000.0,
    )


def roots_of(symbol: str) -> tuple[str, ...]:
    """Return the option roots listed on an underlying."""
    return _ROOTS.get(symbol, (symbol,))


def symbol_of(root: str) -> str:
    """Return the underlying of an option root."""
    return next((symbol for symbol, roots in _ROOTS.items() if root in roots), root)


def settlement_of(root: str, expiration_date: date) -> str:
    """Return AM or PM: on the opening or the close of the expiry date.

    Index roots of the monthly cycle settle on the opening of the third Friday, VIX on its
    Wednesday; every other contract settles on the close.
    """
    if root in {"VIX", "VIXW"}:
        return "AM"
    monthly = third_friday(expiration_date.year, expiration_date.month)
    if root in _AM_ROOTS and last_trading_day(expiration_date) == last_trading_day(monthly):
        return "AM"
    return "PM"


def exercise_style_of(root: str) -> str:
    """Return european for cash-settled index roots, american for shares and funds."""
    return "european" if root in _EUROPEAN_ROOTS else "american"


def is_index(symbol: str) -> bool:
    """Whether the underlying is an index, which has a level but no shares."""
    return symbol in _INDICES


def is_adjusted_root(root: str, symbol: str) -> bool:
    """Whether the root carries the digit of a corporate action: AAPL1, or 1AAPL."""
    return root != symbol and root.strip("0123456789") == symbol
