r"""Where the simulated coins went: price, variance, skew and carry, by quarters of an hour.

Belongs here: what is true at each instant, and the law that prices options then. Not here: listings
and quotes. Under the real-world measure, with :math:`m = \bar m e^y`,

.. math::
    d\ln S = p \ln(\bar S / S)\,dt + \sqrt v\,dB + J\,dN, \qquad
    dv = \kappa (m - v)\,dt + \sigma\sqrt v\,dW, \qquad dB\,dW = \tanh(s)\,dt ,

and :math:`y` (long-run variance), :math:`s` (lean of the smile) and :math:`c` (carry of the next
days) are Ornstein-Uhlenbeck. The coins share most of their shocks. Options are priced by Bates with
:math:`\kappa_Q\theta_Q = \kappa m` and more jumps: that difference is the premium. The path is
drawn year by year from the first one: a longer path repeats the shorter one.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from math import exp, log, sqrt, tanh

import numpy as np
from numpy.typing import NDArray

from volsurf_math.bates import Bates
from volsurf_resources.simulated.streams import Purpose, stream
from volsurf_resources.source import NoData

FloatArray = NDArray[np.float64]

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=15)
STEPS_A_DAY = 96
STEPS_AN_HOUR = 4
DT = 1.0 / (365 * STEPS_A_DAY)
SHOCKS = 5  # of price, variance, long-run variance, lean, carry
LOADING = 0.9  # of each coin on the shocks that they share
SHARED = "COINS"

PULL = 0.8  # of the price to its mean: numbers stay those of the coin
KAPPA, KAPPA_Q = 6.0, 4.5
LEVEL_PULL, LEVEL_VOL = 2.0, 0.5
LEAN_PULL, LEAN_VOL = 6.0, 0.8
CARRY_PULL, CARRY_VOL, CARRY_MEAN = 20.0, 0.2, 0.04
CARRY_YEARS = 0.2  # over which the carry bends from the near to the far one
JUMPS, JUMP_MEAN, JUMP_SD = 8.0, -0.005, 0.04  # a year; of the logarithm
JUMPS_Q, JUMP_MEAN_Q, JUMP_SD_Q = 12.0, -0.01, 0.05
LOWEST_VARIANCE = 0.03
INDEX_YEARS = 30.0 / 365.0  # horizon of the volatility index


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """One coin: mean price in USD, mean long-run variance, vol of variance, carry of far expiries.

    `strike_step` (USD) is the finest between its strikes, `turnover` the coins' worth of options
    that trade in the busiest contract a day.
    """

    spot: float
    variance: float
    sigma: float
    carry: float
    strike_step: float
    turnover: float


COINS = {
    "BTC": Coin(
        spot=70_000.0, variance=0.16, sigma=0.9, carry=0.06, strike_step=500.0, turnover=400.0
    ),
    "ETH": Coin(
        spot=2_500.0, variance=0.30, sigma=1.2, carry=0.05, strike_step=25.0, turnover=5_000.0
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoinWorld:
    """What is true at the start of each quarter of an hour, as arrays, to the end of a year.

    `high` and `low` are of the quarter that follows, `traded` the coins that change hands in it.
    """

    coin: Coin
    spot: FloatArray
    high: FloatArray
    low: FloatArray
    traded: FloatArray
    variance: FloatArray
    level: FloatArray  # long-run variance
    rho: FloatArray
    carry: FloatArray  # of the next days, a year

    def law(self, i: int) -> Bates:
        """Return the law that prices options."""
        return Bates(
            v0=float(self.variance[i]),
            kappa=KAPPA_Q,
            theta=float(self.level[i]) * KAPPA / KAPPA_Q,
            sigma=self.coin.sigma,
            rho=float(self.rho[i]),
            jump_intensity=JUMPS_Q,
            jump_mean=JUMP_MEAN_Q,
            jump_sd=JUMP_SD_Q,
        )

    def forward(self, i: int, tte: FloatArray) -> FloatArray:
        """Return the forwards of some times to expiry: the carry bends from near to far."""
        bend = -np.expm1(-tte / CARRY_YEARS) / (tte / CARRY_YEARS)
        carry = self.coin.carry + (self.carry[i] - self.coin.carry) * bend
        return np.asarray(self.spot[i] * np.exp(carry * tte))

    def volatility_index(self, first: int, last: int) -> FloatArray:
        """Return 100 roots of the law's log-contract variance of 30 days: DVOL, both included."""
        now, mean = self.variance[first : last + 1], self.level[first : last + 1] * KAPPA / KAPPA_Q
        left = -np.expm1(-KAPPA_Q * INDEX_YEARS) / (KAPPA_Q * INDEX_YEARS)
        rare = np.expm1(JUMP_MEAN_Q + 0.5 * JUMP_SD_Q**2) - JUMP_MEAN_Q
        return np.asarray(100.0 * np.sqrt(mean + (now - mean) * left + 2.0 * JUMPS_Q * rare))


def step_of(at: datetime) -> int:
    """Return the position of the quarter of an hour that an instant falls into.

    NoData before the world began.
    """
    if at < BEGINNING:
        raise NoData(f"the simulated coins start on {BEGINNING:%Y-%m-%d}, was asked for {at}")
    return (at - BEGINNING) // STEP


@lru_cache(maxsize=4)
def make_coin_world(seed: int, symbol: str, last_year: int) -> CoinWorld:
    """Return the world of a coin to the end of `last_year`; NoData for a coin that it lacks."""
    if symbol not in COINS:
        raise NoData(f"the simulated coins are {', '.join(COINS)}, was asked for {symbol}")
    coin, years = COINS[symbol], range(BEGINNING.year, last_year + 1)
    shocks = np.concatenate([_shocks(seed, symbol, year) for year in years])
    jumps = np.concatenate([_jumps(seed, year) for year in years])
    x, v, y, s, c = _walk(coin, shocks, jumps).T
    uniforms = np.concatenate([_uniforms(seed, symbol, year) for year in years])
    spread = np.sqrt(np.diff(x)[:, None] ** 2 - 2.0 * v[:-1, None] * DT * np.log(uniforms[:, :2]))
    middle = x[1:] + x[:-1]
    busy = np.exp(0.6 * (uniforms[:, 2] - 0.5)) * np.sqrt(v[:-1] / coin.variance)
    return CoinWorld(
        coin=coin,
        spot=np.exp(x),
        high=np.exp(0.5 * (middle + spread[:, 0])),
        low=np.exp(0.5 * (middle - spread[:, 1])),
        traded=100.0 * coin.turnover / STEPS_A_DAY * busy,
        variance=v,
        level=coin.variance * np.exp(y),
        rho=np.tanh(s),
        carry=c,
    )


def _walk(coin: Coin, shocks: FloatArray, jumps: FloatArray) -> FloatArray:
    """Return (steps + 1, 5): log price, variance, and the states y, s, c."""
    mean, root = log(coin.spot), sqrt(DT)
    x, v, y, s, c = mean, coin.variance, 0.0, 0.0, CARRY_MEAN
    rows = [(x, v, y, s, c)]
    for (z, u, of_y, of_s, of_c), jump in zip(shocks.tolist(), jumps.tolist(), strict=True):
        rho, spread = tanh(s), sqrt(v * DT)
        x += PULL * (mean - x) * DT + spread * z + jump
        v += KAPPA * (coin.variance * exp(y) - v) * DT
        v += coin.sigma * spread * (rho * z + sqrt(1.0 - rho * rho) * u)
        v = max(v, LOWEST_VARIANCE)
        y += -LEVEL_PULL * y * DT + LEVEL_VOL * root * of_y
        s += -LEAN_PULL * s * DT + LEAN_VOL * root * of_s
        c += CARRY_PULL * (CARRY_MEAN - c) * DT + CARRY_VOL * root * of_c
        rows.append((x, v, y, s, c))
    return np.array(rows)


def _steps_of(year: int) -> int:
    return (date(year + 1, 1, 1) - date(year, 1, 1)).days * STEPS_A_DAY


def _shocks(seed: int, symbol: str, year: int) -> FloatArray:
    """Standard normals (steps, SHOCKS) of a year, largely those of all coins."""
    shape = (_steps_of(year), SHOCKS)
    shared, own = (
        stream(seed, Purpose.RETURNS, name, year).standard_normal(shape)
        for name in (SHARED, symbol)
    )
    return np.asarray(LOADING * shared + sqrt(1.0 - LOADING**2) * own)


def _jumps(seed: int, year: int) -> FloatArray:
    """Logarithmic jumps (steps,) of a year, the same for all coins, mostly 0."""
    n = _steps_of(year)
    happens = stream(seed, Purpose.JUMP_TIMES, SHARED, year).random(n) < JUMPS * DT
    sizes = stream(seed, Purpose.JUMP_SIZES, SHARED, year).standard_normal(n)
    return np.where(happens, JUMP_MEAN + JUMP_SD * sizes, 0.0)


def _uniforms(seed: int, symbol: str, year: int) -> FloatArray:
    """Uniforms (steps, 3) on (0, 1] of a year: for highest, lowest, volume."""
    return 1.0 - stream(seed, Purpose.EXTREMES, symbol, year).random((_steps_of(year), 3))
