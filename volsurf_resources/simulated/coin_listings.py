"""Which options on coins are listed at an instant: expiries at 08:00 UTC, strikes by past prices.

Belongs here: the exchange's listing rules. Not here: prices. Options expire on each
of the next days, the next Fridays, the last Fridays of the next months and quarters; new ones
appear as old ones settle. A strike once listed stays.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np

from volsurf_resources.deribit.days import EXPIRY
from volsurf_resources.simulated.coin_world import (
    BEGINNING,
    STEPS_A_DAY,
    CoinWorld,
    FloatArray,
    step_of,
)
from volsurf_resources.simulated.listings import Expiry

DAILY, WEEKLY, MONTHLY, QUARTERLY = 4, 25, 95, 370  # days ahead
FRIDAY = 4
BANDS = {  # multiples of the finest step, each with how far it reaches below and above
    DAILY: ((1, 0.04, 0.04), (2, 0.12, 0.12)),
    WEEKLY: ((2, 0.09, 0.09), (4, 0.20, 0.25), (10, 0.35, 0.50)),
    MONTHLY: ((4, 0.15, 0.20), (10, 0.40, 0.60), (20, 0.60, 1.20)),
    QUARTERLY: ((4, 0.12, 0.15), (10, 0.45, 0.80), (20, 0.65, 2.00), (40, 0.65, 4.00)),
}
PERIODS = {DAILY: "day", WEEKLY: "week", MONTHLY: "month", QUARTERLY: "month"}  # the exchange's


def settles(day: date) -> datetime:
    """Return the instant at which options of a day expire."""
    return datetime.combine(day, EXPIRY, UTC)


@lru_cache(maxsize=4096)
def expiry_of(day: date) -> Expiry:
    """Return the expiry of a day with the longest horizon that any rule gives it."""
    is_friday = day.weekday() == FRIDAY
    is_monthly = is_friday and (day + timedelta(days=7)).month != day.month
    is_quarterly = is_monthly and day.month % 3 == 0
    horizon = max(DAILY, WEEKLY * is_friday, MONTHLY * is_monthly, QUARTERLY * is_quarterly)
    return Expiry(day=day, horizon=horizon, is_monthly=is_monthly)


def expiries(at: datetime) -> list[Expiry]:
    """Return the expiries listed at an instant, nearest first."""
    days = (at.date() + timedelta(days=n) for n in range(QUARTERLY + 1))
    known = map(expiry_of, days)
    return [e for e in known if settles(e.listed_on) <= at < settles(e.day)]


def strikes(world: CoinWorld, expiry: Expiry, at: datetime) -> FloatArray:
    """Return the strikes of an expiry, ascending: the grid gets finer as it comes near.

    Each rule's bands reach around the daily prices from the day on which it began to hold.
    """
    grids = []
    for horizon in (rule for rule in BANDS if rule <= expiry.horizon):
        since = settles(max(expiry.day - timedelta(days=horizon), BEGINNING.date()))
        if since <= at:
            seen = world.spot[step_of(since) : step_of(at) + 1 : STEPS_A_DAY]
            grids += [_grid(world, seen, *band) for band in BANDS[horizon]]
    return np.unique(np.concatenate(grids))


def _grid(world: CoinWorld, seen: FloatArray, multiple: int, down: float, up: float) -> FloatArray:
    step = multiple * world.coin.strike_step
    lowest, highest = seen.min() * (1.0 - down) / step, seen.max() * (1.0 + up) / step
    return np.asarray(step * np.arange(max(np.ceil(lowest), 1.0), np.floor(highest) + 1.0))
