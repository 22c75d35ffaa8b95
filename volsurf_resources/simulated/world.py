"""The simulated world laid over the exchange's calendar: prices, states, rates, dividends.

Belongs here: what is true on each session. Not here: listings, quotes, noise.
The path starts at a fixed session and is drawn year by year, so that a longer path repeats the
shorter one exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from volsurf_math.bates import Bates
from volsurf_math.simulation.dynamics import (
    NORMALS,
    STEPS,
    UNIFORMS,
    Draws,
    FundLaw,
    MarketLaw,
    Path,
    pricing_law,
    simulate,
)
from volsurf_resources.exchange_calendar import last_trading_day, sessions, third_friday
from volsurf_resources.simulated.streams import Purpose, stream

FloatArray = NDArray[np.float64]

FIRST_YEAR = 2015
REGIMES = ("calm", "normal", "stressed")
MARKET = MarketLaw()
FUNDS = {
    "SPY": FundLaw(spot=205.0, dividend_yield=0.018),
    "QQQ": FundLaw(
        spot=103.0, dividend_yield=0.01, scale=1.5, return_loading=0.92, variance_loading=0.9
    ),
    "IWM": FundLaw(
        spot=119.0, dividend_yield=0.014, scale=1.7, return_loading=0.85, variance_loading=0.85
    ),
}
QUARTER_MONTHS = (3, 6, 9, 12)

TENORS = np.array([1 / 12, 2 / 12, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 7.0, 10.0])
SHORT_MEAN, LONG_MEAN, RATE_PULL, RATE_VOL, LOWEST_RATE = 0.028, 0.036, 0.25, 0.006, 0.002
SLOPE_YEARS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class World:
    """Everything that is true from the first session to the end of a year."""

    days: tuple[date, ...]
    index: Mapping[date, int]
    path: Path
    zero_rates: FloatArray  # (sessions, TENORS)

    def column(self, symbol: str) -> int:
        """Return the position of a fund in the arrays of the path."""
        return tuple(FUNDS).index(symbol)

    def spot(self, symbol: str, day: date) -> float:
        """Return the underlying price at the quote, in whole cents."""
        return round(float(self.path.quote_spot[self.index[day], self.column(symbol)]), 2)

    def law(self, symbol: str, day: date) -> Bates:
        """Return the law that prices the fund's options at the session's quote."""
        i = self.index[day]
        return pricing_law(
            MARKET,
            FUNDS[symbol],
            float(self.path.variance[i, self.column(symbol)]),
            float(self.path.long_run_variance[i]),
        )

    def zero_rate(self, day: date, tte: FloatArray) -> FloatArray:
        """Return continuous zero rates: linear in tenor, flat outside the published tenors."""
        return np.asarray(np.interp(tte, TENORS, self.zero_rates[self.index[day]]))

    def coming_dividends(self, symbol: str, day: date, until: date) -> list[tuple[date, float]]:
        """Return (ex-date, amount) after `day`, up to and including `until`.

        The next amount is known; the market takes those after it for the same.
        """
        cash = float(self.path.next_dividend[self.index[day], self.column(symbol)])
        coming = (ex for year in range(day.year, until.year + 1) for ex in _ex_dates(year))
        return [(ex, cash) for ex in coming if day < ex <= until]


@lru_cache(maxsize=4)
def make_world(seed: int, last_year: int) -> World:
    """Return the world of a seed to the end of `last_year`."""
    years = range(FIRST_YEAR, last_year + 1)
    counts = [len(sessions(date(year, 1, 1), date(year, 12, 31))) for year in years]
    days = tuple(sessions(date(FIRST_YEAR, 1, 1), date(last_year, 12, 31)))
    rates = _zero_rates(_normals(seed, Purpose.RATES, counts, (2,)))
    ex_dates = {day for year in years for day in _ex_dates(year)}
    draws = Draws(
        normals=_normals(seed, Purpose.RETURNS, counts, (STEPS, len(FUNDS), NORMALS)),
        uniforms=_uniforms(seed, Purpose.EXTREMES, counts, (STEPS, len(FUNDS), UNIFORMS)),
        jump_uniforms=_uniforms(seed, Purpose.JUMP_TIMES, counts, (STEPS,)),
        jump_normals=_normals(seed, Purpose.JUMP_SIZES, counts, (STEPS,)),
        regime_uniforms=_uniforms(seed, Purpose.REGIMES, counts, ()),
    )
    is_ex_date = np.array([day in ex_dates for day in days])
    return World(
        days=days,
        index={day: i for i, day in enumerate(days)},
        path=simulate(MARKET, tuple(FUNDS.values()), draws, rates[:, 0], is_ex_date),
        zero_rates=rates,
    )


def _normals(seed: int, purpose: Purpose, counts: list[int], shape: tuple[int, ...]) -> FloatArray:
    """Standard normals for every session, one stream a year."""
    return np.concatenate(
        [
            stream(seed, purpose, day=FIRST_YEAR + n).standard_normal((count, *shape))
            for n, count in enumerate(counts)
        ]
    )


def _uniforms(seed: int, purpose: Purpose, counts: list[int], shape: tuple[int, ...]) -> FloatArray:
    """Uniforms on (0, 1] for every session, one stream a year."""
    return np.concatenate(
        [
            1.0 - stream(seed, purpose, day=FIRST_YEAR + n).random((count, *shape))
            for n, count in enumerate(counts)
        ]
    )


def _zero_rates(shocks: FloatArray) -> FloatArray:
    """Zero curves (sessions, TENORS), bent between a short and a long rate that revert slowly."""
    means = np.array([SHORT_MEAN, LONG_MEAN])
    ends = np.empty_like(shocks)
    now = means
    for i, shock in enumerate(shocks):
        now = now + RATE_PULL / 252.0 * (means - now) + RATE_VOL / np.sqrt(252.0) * shock
        now = np.maximum(now, LOWEST_RATE)
        ends[i] = now
    bend = -np.expm1(-TENORS / SLOPE_YEARS) / (TENORS / SLOPE_YEARS)
    return ends[:, 1:] + (ends[:, :1] - ends[:, 1:]) * bend


@lru_cache(maxsize=64)
def _ex_dates(year: int) -> tuple[date, ...]:
    """Third Fridays of the quarters' last months."""
    return tuple(last_trading_day(third_friday(year, month)) for month in QUARTER_MONTHS)
