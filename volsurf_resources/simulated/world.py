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

from volsurf_math.simulation.bates import Bates
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
    "SPY": FundLaw(spot=205.0),
    "QQQ": FundLaw(spot=103.0, scale=1.5, return_loading=0.92, variance_loading=0.9),
    "IWM": FundLaw(spot=119.0, scale=1.7, return_loading=0.85, variance_loading=0.85),
}
FIRST_DIVIDENDS = {"SPY": 0.93, "QQQ": 0.26, "IWM": 0.41}  # USD a quarter
DIVIDEND_GROWTH, DIVIDEND_NOISE = 0.055, 0.04
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
    dividends: Mapping[str, Mapping[date, float]]  # by ex-date, beyond the last session too

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
        """Return (ex-date, amount) after `day`, up to and including `until`."""
        return [(ex, cash) for ex, cash in self.dividends[symbol].items() if day < ex <= until]


@lru_cache(maxsize=4)
def make_world(seed: int, last_year: int) -> World:
    """Return the world of a seed to the end of `last_year`."""
    years = range(FIRST_YEAR, last_year + 1)
    counts = [len(sessions(date(year, 1, 1), date(year, 12, 31))) for year in years]
    days = tuple(sessions(date(FIRST_YEAR, 1, 1), date(last_year, 12, 31)))
    rates = _zero_rates(_normals(seed, Purpose.RATES, counts, (2,)))
    paid = {symbol: _dividends(seed, symbol, last_year + 4) for symbol in FUNDS}
    cash = np.array([[paid[symbol].get(day, 0.0) for symbol in FUNDS] for day in days])
    draws = Draws(
        normals=_normals(seed, Purpose.RETURNS, counts, (STEPS, len(FUNDS), NORMALS)),
        uniforms=_uniforms(seed, Purpose.EXTREMES, counts, (STEPS, len(FUNDS), UNIFORMS)),
        jump_uniforms=_uniforms(seed, Purpose.JUMP_TIMES, counts, (STEPS,)),
        jump_normals=_normals(seed, Purpose.JUMP_SIZES, counts, (STEPS,)),
        regime_uniforms=_uniforms(seed, Purpose.REGIMES, counts, ()),
    )
    return World(
        days=days,
        index={day: i for i, day in enumerate(days)},
        path=simulate(MARKET, tuple(FUNDS.values()), draws, rates[:, 0], cash),
        zero_rates=rates,
        dividends=paid,
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


def _dividends(seed: int, symbol: str, last_year: int) -> dict[date, float]:
    """Quarterly cash by ex-date, known in advance: it grows steadily, with a little noise."""
    paid = {}
    for year in range(FIRST_YEAR, last_year + 1):
        noise = stream(seed, Purpose.DIVIDENDS, symbol, year).standard_normal(len(QUARTER_MONTHS))
        for month, z in zip(QUARTER_MONTHS, noise, strict=True):
            growth = (1.0 + DIVIDEND_GROWTH) ** (year - FIRST_YEAR + month / 12.0)
            cash = FIRST_DIVIDENDS[symbol] * growth * np.exp(DIVIDEND_NOISE * z)
            paid[last_trading_day(third_friday(year, month))] = round(float(cash), 2)
    return paid
