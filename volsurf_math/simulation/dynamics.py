r"""The path of three correlated funds under the real-world measure, and the pricing law it implies.

A Markov chain of regimes pulls the slow state :math:`m` (long-run variance), which pulls each
fund's variance and sets the intensity of the common jumps:

.. math::
    dm = \gamma (\bar m_{regime} - m)\,dt, \qquad
    dv = \kappa (c\,m - v)\,dt + \sigma\sqrt{c\,v}\,dW, \qquad
    d\ln S = (r + c\,\pi - v/2 - \lambda\,\bar J)\,dt + \sqrt v\,dB + \sqrt c\,J\,dN ,

with :math:`\lambda = \ell m`, :math:`J \sim N(\mu, \delta^2)`, :math:`dB\,dW = \rho\,dt`; a fund of
scale :math:`c` has :math:`c` times the variance. Time runs in sessions of 1/252 year, of which the
night takes a share. On an ex-date the price opens lower by a dividend that was fixed, in whole
cents, as a yield on the open of the ex-date before.

Prices are set under another law: variance reverts slower to a higher mean
(:math:`\kappa_Q\theta_Q = \kappa\theta`), jumps are more frequent and worse. That difference is
the variance risk premium. Not here: dates and calendars.
"""

from dataclasses import dataclass, field
from math import exp, floor, log, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from volsurf_math.bates import Bates
from volsurf_math.compile_options import KERNEL

FloatArray = NDArray[np.float64]

SESSIONS_PER_YEAR = 252.0
STEPS = 27  # the night, then 26 quarters of an hour
QUOTE_STEP = 25  # a quarter of an hour before the close
NORMALS = 2  # per step and fund: return, variance
UNIFORMS = 2  # per step and fund: highest and lowest between two steps


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpLaw:
    """Common jumps: intensity per year and unit of long-run variance, mean and sd of the log."""

    intensity_per_variance: float
    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketLaw:
    """What drives all funds; `_q` marks the pricing measure. Decimals, years."""

    regime_variance: tuple[float, ...] = (0.016, 0.026, 0.110)  # calm, normal, stressed
    regime_change: tuple[tuple[float, ...], ...] = (  # per session
        (1.0 - 1 / 120, 1 / 120, 0.0),
        (1 / 120, 1.0 - 1 / 120 - 1 / 200, 1 / 200),
        (0.0, 1 / 30, 1.0 - 1 / 30),
    )
    regime_pull: float = 10.0
    kappa: float = 6.0
    kappa_q: float = 3.5
    sigma: float = 0.45
    rho: float = -0.60
    jumps: JumpLaw = field(
        default_factory=lambda: JumpLaw(intensity_per_variance=15.0, mean=-0.01, sd=0.03)
    )
    jumps_q: JumpLaw = field(
        default_factory=lambda: JumpLaw(intensity_per_variance=40.0, mean=-0.02, sd=0.03)
    )
    premium: float = 0.05
    night_share: float = 0.2
    lowest_variance: float = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class FundLaw:
    """One fund: first price, variance as a multiple of the market's, loadings on its shocks.

    Its quarterly dividend is a quarter of `dividend_yield`.
    """

    spot: float
    dividend_yield: float = 0.0
    scale: float = 1.0
    return_loading: float = 1.0
    variance_loading: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Random numbers of n sessions and m funds.

    normals (n, STEPS, m, 2), uniforms (n, STEPS, m, 2), jump_uniforms and jump_normals (n, STEPS),
    regime_uniforms (n,).
    """

    normals: FloatArray
    uniforms: FloatArray
    jump_uniforms: FloatArray
    jump_normals: FloatArray
    regime_uniforms: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What happened: arrays (n, m) per session and fund; `regime`, `long_run_variance` (n,).

    `dividend` is what was paid before the open, `next_dividend` what is known to come.
    `variance` is v at the quote and `quote_spot` the price then; `integrated_variance` and
    `squared_returns` (intraday and overnight, dividends aside) are sums over the session.
    """

    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    quote_spot: FloatArray
    variance: FloatArray
    variance_ohlc: FloatArray
    integrated_variance: FloatArray
    squared_returns: FloatArray
    dividend: FloatArray
    next_dividend: FloatArray
    regime: NDArray[np.int8]
    long_run_variance: FloatArray


def pricing_law(
    market: MarketLaw, fund: FundLaw, variance: float, long_run_variance: float
) -> Bates:
    """Return the law that prices a fund's options in a state of the world."""
    c, jumps = fund.scale, market.jumps_q
    return Bates(
        v0=variance,
        kappa=market.kappa_q,
        theta=c * long_run_variance * market.kappa / market.kappa_q,
        sigma=market.sigma * sqrt(c),
        rho=market.rho,
        jump_intensity=jumps.intensity_per_variance * long_run_variance,
        jump_mean=jumps.mean * sqrt(c),
        jump_sd=jumps.sd * sqrt(c),
    )


def simulate(
    market: MarketLaw,
    funds: tuple[FundLaw, ...],
    draws: Draws,
    short_rate: FloatArray,
    is_ex_date: NDArray[np.bool_],
) -> Path:
    """Run the world over n sessions.

    Parameters
    ----------
    draws
        Its first axes give n and the number of funds m.
    short_rate
        (n,), continuous.
    is_ex_date
        (n,), whether the funds pay before the session.
    """
    n, m = is_ex_date.size, len(funds)
    out = np.empty((14, n, m))
    regime, slow = np.empty(n, dtype=np.int8), np.empty(n)
    scale = np.array([fund.scale for fund in funds])
    _walk(
        np.array(market.regime_variance),
        np.cumsum(np.array(market.regime_change), axis=1),
        (market.regime_pull, market.kappa, market.sigma, market.rho),
        (market.jumps.intensity_per_variance, market.jumps.mean, market.jumps.sd),
        (market.premium, market.night_share, market.lowest_variance),
        np.array([fund.spot for fund in funds]),
        scale,
        np.array([fund.return_loading for fund in funds]),
        np.array([fund.variance_loading for fund in funds]),
        np.array([fund.dividend_yield for fund in funds]),
        draws.normals,
        draws.uniforms,
        draws.jump_uniforms,
        draws.jump_normals,
        draws.regime_uniforms,
        short_rate,
        is_ex_date,
        out,
        regime,
        slow,
    )
    return Path(
        open=out[0],
        high=out[1],
        low=out[2],
        close=out[3],
        quote_spot=out[4],
        variance=out[5],
        variance_ohlc=np.ascontiguousarray(np.moveaxis(out[6:10], 0, -1)),
        integrated_variance=out[10],
        squared_returns=out[11],
        dividend=out[12],
        next_dividend=out[13],
        regime=regime,
        long_run_variance=slow,
    )


@njit(**KERNEL)
def _bridge_extreme(a, b, variance, uniform, sign):
    """Highest (sign +1) or lowest (-1) point of a Brownian bridge from a to b."""
    return 0.5 * (a + b + sign * sqrt((b - a) ** 2 - 2.0 * variance * log(uniform)))


@njit(**KERNEL)
def _walk(
    regime_variance,
    regime_cumulative,
    pulls,
    jump_law,
    rest,
    spot,
    scale,
    return_loading,
    variance_loading,
    dividend_yield,
    normals,
    uniforms,
    jump_uniforms,
    jump_normals,
    regime_uniforms,
    short_rate,
    is_ex_date,
    out,
    regime,
    slow,
):
    """Fill `out`, `regime` and `slow` session by session."""
    gamma, kappa, sigma, rho = pulls
    per_variance, jump_mean, jump_sd = jump_law
    premium, night_share, lowest = rest
    n, m = short_rate.size, spot.size
    state, level = 1, regime_variance[1]
    variance = scale * level
    price = spot.copy()
    cash = np.floor(25.0 * dividend_yield * spot + 0.5) / 100.0
    across = sqrt(1.0 - rho * rho)
    for t in range(n):
        state = np.searchsorted(regime_cumulative[state], regime_uniforms[t])
        level += gamma / SESSIONS_PER_YEAR * (regime_variance[state] - level)
        intensity = per_variance * level
        regime[t], slow[t] = state, level
        for j in range(m):
            root_c = sqrt(scale[j])
            mean, sd = jump_mean * root_c, jump_sd * root_c
            compensator = intensity * (exp(mean + 0.5 * sd * sd) - 1.0)
            b, g = return_loading[j], variance_loading[j]
            paid = cash[j] if is_ex_date[t] else 0.0
            x, v = log(price[j] - paid), variance[j]
            integral, squares = 0.0, 0.0
            for i in range(STEPS):
                night = i == 0
                share = night_share if night else (1.0 - night_share) / (STEPS - 1)
                dt = share / SESSIONS_PER_YEAR
                z = b * normals[t, i, 0, 0] + sqrt(1.0 - b * b) * normals[t, i, j, 0]
                u = g * normals[t, i, 0, 1] + sqrt(1.0 - g * g) * normals[t, i, j, 1]
                jump = 0.0
                if jump_uniforms[t, i] < intensity * dt:
                    jump = mean + sd * jump_normals[t, i]
                drift = short_rate[t] + scale[j] * premium - 0.5 * v - compensator
                before, after = x, x + drift * dt + sqrt(v * dt) * z
                x = after + jump
                integral += v * dt
                squares += (x - before) ** 2
                if night:
                    out[0, t, j] = out[1, t, j] = out[2, t, j] = x
                    out[6, t, j] = out[7, t, j] = out[8, t, j] = v
                else:
                    high = _bridge_extreme(before, after, v * dt, uniforms[t, i, j, 0], 1.0)
                    low = _bridge_extreme(before, after, v * dt, uniforms[t, i, j, 1], -1.0)
                    out[1, t, j] = max(out[1, t, j], high, x)
                    out[2, t, j] = min(out[2, t, j], low, x)
                shock = sqrt(v * scale[j] * dt) * (rho * z + across * u)
                v = max(v + kappa * (scale[j] * level - v) * dt + sigma * shock, lowest)
                out[7, t, j] = max(out[7, t, j], v)
                out[8, t, j] = min(out[8, t, j], v)
                if i == QUOTE_STEP:
                    out[4, t, j], out[5, t, j] = x, v
            out[3, t, j], out[9, t, j] = x, v
            out[10, t, j], out[11, t, j] = integral, squares
            for c in range(5):
                out[c, t, j] = exp(out[c, t, j])
            price[j], variance[j] = out[3, t, j], v
            if is_ex_date[t]:
                cash[j] = floor(25.0 * dividend_yield[j] * out[0, t, j] + 0.5) / 100.0
            out[12, t, j], out[13, t, j] = paid, cash[j]
