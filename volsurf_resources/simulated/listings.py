"""Which contracts are listed on a session: expiries by calendar, strikes by past closes.

Belongs here: the exchange's listing rules. Not here: prices.
A strike once listed stays: its bands follow the lowest and highest close since the expiry was
listed, and only grow; the grid only gets finer as the expiry comes near.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from volsurf_resources.exchange_calendar import is_session, last_trading_day, third_friday

FloatArray = NDArray[np.float64]

LEAPS_MONTHS = (1, 6, 12)
NEAR_DAYS = 60  # from here on whole-dollar strikes are added


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRules:
    """How many calendar days ahead each kind of expiry is listed; 0 if it never is."""

    daily: int
    weekly: int
    monthly: int
    quarterly: int
    leaps: int


MAIN = ListingRules(daily=14, weekly=56, monthly=365, quarterly=365, leaps=913)
MINOR = ListingRules(daily=0, weekly=42, monthly=270, quarterly=0, leaps=730)
RULES = {"SPY": MAIN, "QQQ": MINOR, "IWM": MINOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """A listed expiry: its date, its horizon in days, and whether it is a standard monthly."""

    day: date
    horizon: int
    is_monthly: bool

    @property
    def listed_on(self) -> date:
        """First calendar day of the listing."""
        return self.day - timedelta(days=self.horizon)


@lru_cache(maxsize=8192)
def _expiry(day: date, rules: ListingRules) -> Expiry:
    """Return the expiry of a session, with the longest horizon that any rule gives it."""
    following = next(n for n in (day + timedelta(days=d) for d in range(1, 9)) if is_session(n))
    is_monthly = day == last_trading_day(third_friday(day.year, day.month))
    ends_week = following.isocalendar()[:2] != day.isocalendar()[:2]
    ends_quarter = following.month != day.month and day.month % 3 == 0
    horizons = [
        rules.daily,
        rules.weekly * ends_week,
        rules.monthly * is_monthly,
        rules.quarterly * ends_quarter,
        rules.leaps * (is_monthly and day.month in LEAPS_MONTHS),
    ]
    return Expiry(day=day, horizon=max(horizons), is_monthly=is_monthly)


def expiries(session: date, rules: ListingRules) -> list[Expiry]:
    """Return the expiries listed on a session, nearest first; today's own is among them."""
    longest = max(rules.daily, rules.weekly, rules.monthly, rules.quarterly, rules.leaps)
    days = (session + timedelta(days=n) for n in range(longest + 1))
    listed = (_expiry(day, rules) for day in days if is_session(day))
    return [e for e in listed if e.horizon > 0 and (e.day - session).days <= e.horizon]


def strikes(expiry: Expiry, session: date, closes: Sequence[float] | FloatArray) -> FloatArray:
    """Return the strikes listed for an expiry, ascending.

    Parameters
    ----------
    expiry, session
        What is asked for.
    closes
        Closes of the underlying from the session before the expiry was listed to the one before
        `session`: what the exchange had seen this morning.
    """
    low, high = float(np.min(closes)), float(np.max(closes))
    grids = [
        step * np.arange(np.ceil(low * (1.0 - down) / step), np.floor(high * (1.0 + up) / step) + 1)
        for step, down, up in _bands(expiry, session)
    ]
    return np.unique(np.concatenate(grids))


def _bands(expiry: Expiry, session: date) -> Sequence[tuple[float, float, float]]:
    """Grid steps in USD, each with how far it reaches below and above the closes."""
    if expiry.horizon <= 14:
        return ((1.0, 0.04, 0.035), (5.0, 0.14, 0.09))
    if expiry.horizon <= 56:
        return ((1.0, 0.07, 0.05), (5.0, 0.25, 0.16))
    if (expiry.day - session).days > NEAR_DAYS:
        return ((5.0, 0.20, 0.16), (10.0, 0.45, 0.35))
    return ((1.0, 0.07, 0.06), (5.0, 0.30, 0.22), (10.0, 0.45, 0.35))
