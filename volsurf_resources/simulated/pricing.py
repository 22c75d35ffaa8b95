"""True prices of everything listed on a session: forwards, European prices, early exercise.

Belongs here: from the world and the listings to prices. Not here: what is quoted around them.
"""

from bisect import bisect_left
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from volsurf_math.american import early_exercise_premium
from volsurf_math.bates import Bates
from volsurf_math.implied_vol import implied_vol
from volsurf_resources.exchange_calendar import (
    expiry_time,
    session_close,
    session_open,
)
from volsurf_resources.simulated.listings import RULES, Expiry, expiries, strikes
from volsurf_resources.simulated.world import World

FloatArray = NDArray[np.float64]

BEFORE_CLOSE = timedelta(minutes=15)
YEAR_SECONDS = 365 * 86400.0
SMALLEST_RATIO = 1e-11  # time value over forward below which a price carries no volatility


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One expiry of a session: its forward, discounting and the dividends on the way."""

    expiry: Expiry
    tte: float
    forward: float
    discount_factor: float
    zero_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """True prices, one row per contract: sorted by expiry, type (calls first) and strike."""

    terms: tuple[Term, ...]
    term: NDArray[np.int64]  # row -> position in `terms`
    strike: FloatArray
    is_call: NDArray[np.bool_]
    vol: FloatArray  # Black's, of the European price; NaN where the price carries none
    european: FloatArray
    american: FloatArray
    was_listed: NDArray[np.bool_]  # on the session before too

    def of_terms(self, name: str) -> FloatArray:
        """Return a number of the expiries, repeated for their contracts."""
        return np.array([getattr(term, name) for term in self.terms])[self.term]


def quote_time(session: date) -> datetime:
    """Instant of the snapshot: a quarter of an hour before the closing bell, in UTC."""
    return session_close(session) - BEFORE_CLOSE


def _years(session: date, until: datetime) -> float:
    return (until - quote_time(session)).total_seconds() / YEAR_SECONDS


def make_term(world: World, symbol: str, session: date, expiry: Expiry) -> Term:
    """Return an expiry with its forward: spot less dividends to come, carried at the zero rate."""
    tte = _years(session, expiry_time("PM", expiry.day))
    rate = float(world.zero_rate(session, np.array(tte)))
    times, cash = dividend_schedule(world, symbol, session, expiry.day)
    escrow = float(np.sum(cash * np.exp(-world.zero_rate(session, times) * times)))
    discount_factor = float(np.exp(-rate * tte))
    forward = (world.spot(symbol, session) - escrow) / discount_factor
    return Term(
        expiry=expiry, tte=tte, forward=forward, discount_factor=discount_factor, zero_rate=rate
    )


def dividend_schedule(
    world: World, symbol: str, session: date, until: date
) -> tuple[FloatArray, FloatArray]:
    """Return times in years and amounts of the cash dividends to come."""
    coming = world.coming_dividends(symbol, session, until)
    times = [_years(session, session_open(ex)) for ex, _ in coming]
    return np.array(times, dtype=np.float64), np.array([cash for _, cash in coming])


def _listed_strikes(
    world: World, symbol: str, session: date, expiry: Expiry
) -> tuple[FloatArray, FloatArray]:
    """Return the strikes of an expiry on the session, and those of the session before."""
    today = world.index[session]
    first = bisect_left(world.days, expiry.listed_on)
    closes = world.path.close[:, world.column(symbol)]
    start = max(first - 1, 0)
    now = strikes(expiry, session, closes[start : max(today, start + 1)])
    if today <= first or today < 2:
        return now, np.empty(0)
    before = world.days[today - 1]
    return now, strikes(expiry, before, closes[start : max(today - 1, start + 1)])


@lru_cache(maxsize=8)
def price_chain(world: World, symbol: str, session: date) -> Priced:
    """Return the true prices of everything listed on the session."""
    law = world.law(symbol, session)
    terms, rows = [], []
    for position, expiry in enumerate(expiries(session, RULES[symbol])):
        term = make_term(world, symbol, session, expiry)
        now, before = _listed_strikes(world, symbol, session, expiry)
        calls, vol = european_calls(law, term, now)
        puts = np.maximum(calls - term.discount_factor * (term.forward - now), 0.0)
        terms.append(term)
        rows.append((np.full(now.size, position), now, vol, calls, puts, np.isin(now, before)))
    return _with_early_exercise(world, symbol, session, law, tuple(terms), rows)


def european_calls(law: Bates, term: Term, strike: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Premiums of European calls, and Black's volatility where they carry one."""
    k = np.log(strike / term.forward)
    ratio = law.undiscounted_price(1.0, np.exp(k), term.tte, True)
    time_value = ratio - np.maximum(1.0 - np.exp(k), 0.0)
    vol, _ = implied_vol(time_value, 1.0, np.exp(k), term.tte, 1.0, k > 0.0)
    vol = np.where(time_value > SMALLEST_RATIO, vol, np.nan)
    return term.discount_factor * term.forward * ratio, vol


def _with_early_exercise(
    world: World,
    symbol: str,
    session: date,
    law: Bates,
    terms: tuple[Term, ...],
    rows: list[tuple[Any, ...]],
) -> Priced:
    """Flatten the expiries to calls and puts and add what the right to exercise early is worth."""
    sides = [(side, *row) for row in rows for side in (True, False)]
    term = np.concatenate([row[1] for row in sides])
    strike = np.concatenate([row[2] for row in sides])
    is_call = np.concatenate([np.full(row[1].size, row[0]) for row in sides])
    vol = np.concatenate([row[3] for row in sides])
    european = np.concatenate([row[4] if row[0] else row[5] for row in sides])
    tte = np.array([t.tte for t in terms])
    typical = np.sqrt(law.diffusive_variance(tte) / tte)
    times, cash = dividend_schedule(world, symbol, session, terms[-1].expiry.day)
    premium = early_exercise_premium(
        world.spot(symbol, session),
        strike,
        tte[term],
        np.array([t.zero_rate for t in terms])[term],
        np.array([t.forward for t in terms])[term],
        np.where(np.isnan(vol), typical[term], vol),
        is_call,
        times,
        cash,
    )
    return Priced(
        terms=terms,
        term=term,
        strike=strike,
        is_call=is_call,
        vol=vol,
        european=european,
        american=european + np.maximum(premium, 0.0),
        was_listed=np.concatenate([row[6] for row in sides]),
    )


def deviations(priced: Priced, spot: float, variance: float) -> FloatArray:
    """Log distance of the strikes from a spot in standard deviations to expiry."""
    return np.log(priced.strike / spot) / np.sqrt(variance * priced.of_terms("tte"))
