"""What may be asked of a surface, understood or refused: when (tenor, years, listed expiry) and
where (log-moneyness, delta, strike).

Belongs here: parsing, and errors with what the caller should do. Not here: answers. The tree::

    ValueError      BadQuestion   ask differently: the question contradicts itself
    LakeError       NotStored     ask for something else, or make it: the lake does not hold it
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from volsurf_resources.lake_errors import LakeError

DAYS_PER_YEAR = 365.0
_DAYS_IN = {"d": 1.0, "w": 7.0, "y": DAYS_PER_YEAR}
_TENOR = re.compile(r"(\d{1,6}(?:\.\d{1,9})?)\s*([a-z]?)", re.ASCII)
_SYMBOL = re.compile(r"[A-Z][A-Z0-9.]{0,9}", re.ASCII)
_SNAPSHOT = re.compile(r"EOD|\d{4}", re.ASCII)

Axis = Literal["log_moneyness", "delta", "strike"]
Day = date | str
Tenor = str | float  # "30d", or calendar days


class BadQuestion(ValueError):
    """A question that no lake could answer: names what was asked and the rule."""


class NotStored(LakeError, LookupError):
    """The lake does not hold what was asked for: names it, and what there is instead."""


@dataclass(frozen=True, slots=True)
class When:
    """A time to expiry in years, or a listed expiry (then `root` may choose among roots)."""

    tte: float | None = None
    expiry: date | None = None
    root: str | None = None


@dataclass(frozen=True, slots=True)
class Where:
    """Values on one axis of the smile."""

    axis: Axis
    values: tuple[float, ...]


def when(
    tenor: Tenor | None = None,
    tte: float | None = None,
    expiry: Day | None = None,
    root: str | None = None,
) -> When:
    """Understand exactly one of tenor (calendar days / 365), years or listed expiry."""
    if sum(x is not None for x in (tenor, tte, expiry)) != 1:
        raise BadQuestion("a point needs one of tenor, tte and expiry")
    if root is not None and expiry is None:
        raise BadQuestion(f"root chooses among listed expiries, was {root!r} without expiry")
    if expiry is not None:
        return When(expiry=as_day(expiry), root=root)
    years = years_of(tenor) if tenor is not None else tte
    if years is None or not 0.0 < years < math.inf:
        raise BadQuestion(f"time to expiry is positive and finite, was {years!r} years")
    return When(tte=float(years))


def where(
    log_moneyness: float | Sequence[float] | None = None,
    delta: float | Sequence[float] | None = None,
    strike: float | Sequence[float] | None = None,
) -> Where:
    """Understand exactly one axis: ln(strike / forward), forward delta or strike."""
    asked: dict[Axis, Any] = {"log_moneyness": log_moneyness, "delta": delta, "strike": strike}
    given = {axis: x for axis, x in asked.items() if x is not None}
    if len(given) != 1:
        raise BadQuestion("a point needs one of log_moneyness, delta and strike")
    ((axis, x),) = given.items()
    values = tuple(map(float, x if hasattr(x, "__len__") else (x,)))
    if not values:
        raise BadQuestion(f"{axis} needs a value, was empty")
    for value in values:
        _check(axis, value)
    return Where(axis, values)


def _check(axis: Axis, value: float) -> None:
    if not math.isfinite(value):
        raise BadQuestion(f"{axis} is a finite number, was {value}")
    if axis == "strike" and value <= 0.0:
        raise BadQuestion(f"a strike is positive, was {value:g}")
    if axis == "delta" and not 0.0 < abs(value) < 1.0:
        raise BadQuestion(f"a delta lies between -1 and 0 (puts) or 0 and 1 (calls), was {value:g}")


def years_of(tenor: Tenor) -> float:
    """Return the years of a tenor: 30, "30d", "4w", "1y"; months have no fixed length."""
    if not isinstance(tenor, str):
        return float(tenor) / DAYS_PER_YEAR
    found = _TENOR.fullmatch(tenor.strip().lower())
    unit = (found[2] or "d") if found else ""
    if found is None or unit not in _DAYS_IN:
        raise BadQuestion(f"a tenor is a number of d, w or y, as 30d; was {tenor[:40]!r}")
    return float(found[1]) * _DAYS_IN[unit] / DAYS_PER_YEAR


def as_day(text: Day) -> date:
    """Return a date of a date or of YYYY-MM-DD."""
    if isinstance(text, date):
        return date(text.year, text.month, text.day)
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise BadQuestion(f"a date is written YYYY-MM-DD, was {text[:40]!r}") from None


def as_range(start: Day, end: Day) -> tuple[date, date]:
    """Return the first and the last day of a range; BadQuestion where it runs backwards."""
    first, last = as_day(start), as_day(end)
    if first > last:
        raise BadQuestion(f"a range starts before it ends, was {first} to {last}")
    return first, last


def as_instant(text: datetime | str | None) -> datetime | None:
    """Return a time with its zone, of a time or of ISO 8601; None stays None."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.strip()) if isinstance(text, str) else text
    except ValueError:
        raise BadQuestion(f"a time is written as 2026-01-31T21:00:00Z, was {text!r}") from None
    if at.tzinfo is None:
        raise BadQuestion(f"known_at needs a time zone, as 2026-01-31T21:00:00Z; was {text}")
    return at.astimezone(UTC)


def as_symbol(text: str) -> str:
    """Return a symbol in capitals."""
    symbol = text.strip().upper()
    if not _SYMBOL.fullmatch(symbol):
        raise BadQuestion(f"{text[:40]!r} is no symbol: a letter, then letters, digits or dots")
    return symbol


def as_snapshot(text: str) -> str:
    """Return the name of a snapshot: EOD, or HHMM in UTC."""
    if not _SNAPSHOT.fullmatch(text):
        raise BadQuestion(f"a snapshot is EOD or HHMM in UTC, was {text[:40]!r}")
    return text
