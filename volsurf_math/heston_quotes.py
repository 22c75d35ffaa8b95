"""Quotes of a surface as a calibration needs them, and Heston's parameters as they suggest them.

Belongs here: what happens before the first fit. Not here: the fit (`heston_fit`).
"""

from dataclasses import dataclass
from enum import Enum, auto
from math import inf

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math.black import undiscounted_price
from volsurf_math.broadcasting import FloatArray, float_columns, payoff_sign
from volsurf_math.greeks import black_greeks
from volsurf_math.implied_vol import implied_vol

SMALLEST_VEGA = 0.01  # of that at the money: past three deviations, prices are what is fitted
NEAREST = 8  # strikes of an expiry that its level and slope are read off
TYPICAL = (2.0, 0.04, 0.3, -0.7, 0.04)  # kappa, theta, sigma, rho, v0 of an equity index


class Quoted(Enum):
    """What quotes are: undiscounted prices, or Black's volatilities."""

    PRICE = auto()
    IMPLIED_VOL = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotes:
    """Usable quotes, sorted by expiry, each of shape (n_quotes,)."""

    columns: list[FloatArray]  # forward, strike, tte, payoff sign
    price: FloatArray
    vol: FloatArray
    vega: FloatArray
    weight: FloatArray

    @property
    def n(self) -> int:
        """Count the quotes."""
        return self.price.size


def usable_quotes(
    forward: ArrayLike,
    strike: ArrayLike,
    tte: ArrayLike,
    quote: ArrayLike,
    is_call: ArrayLike,
    weight: ArrayLike,
    quoted: Quoted,
) -> Quotes:
    """Return the rows that have a positive weight and an implied volatility."""
    _, columns = float_columns(forward, strike, tte, payoff_sign(is_call), quote, weight)
    f, k, t, sign, value, w = columns
    if quoted is Quoted.PRICE:
        price, vol = value, implied_vol(value, f, k, t, 1.0, sign > 0.0)[0]
    else:
        vol = np.where((value > 0.0) & (t > 0.0), value, np.nan)
        price = undiscounted_price(f, k, vol * vol * t, sign > 0.0)
    is_usable = np.isfinite(vol) & np.isfinite(price) & (price > 0.0) & (w > 0.0) & (w < inf)
    rows = np.flatnonzero(is_usable)
    rows = rows[np.argsort(t[rows], kind="stable")]
    f, k, t, sign, price, vol, w = (x[rows] for x in (f, k, t, sign, price, vol, w))
    vega = black_greeks(f, k, t, vol, 1.0, sign > 0.0).vega
    least = SMALLEST_VEGA * f * np.sqrt(t / (2.0 * np.pi))
    return Quotes(
        columns=[f, k, t, sign],
        price=price,
        vol=vol,
        vega=np.maximum(vega, least),
        weight=w / np.mean(w) if w.size else w,
    )


def start_from_smiles(quotes: Quotes) -> FloatArray:
    """Guess Heston's parameters from level and slope of the quoted smiles.

    Mean variance to T is theta + (v0 - theta) h and the slope of implied variance at the money
    rho sigma (1 - h) / (kappa T), with h = (1 - exp(-kappa T)) / (kappa T); kappa is the best of a
    few, and the correlation -0.6 or 0.6.
    """
    if quotes.n == 0:
        return np.array(TYPICAL)
    forward, strike, tte, _ = quotes.columns
    k = np.log(strike / forward)
    expiries = np.unique(tte)
    level, slope = np.empty(expiries.size), np.empty(expiries.size)
    for i, t in enumerate(expiries):
        rows = tte == t
        near = np.argsort(np.abs(k[rows]))[:NEAREST]
        x, variance = k[rows][near], quotes.vol[rows][near] ** 2
        from_mean, mean = x - np.mean(x), np.mean(variance)
        spread = float(from_mean @ from_mean)
        slope[i] = from_mean @ variance / spread if spread > 0.0 else np.nan
        at_money = mean - slope[i] * np.mean(x)
        level[i] = at_money if at_money > 0.0 else mean
    kappa, theta, v0 = _term_structure(expiries, level)
    fade = (1.0 - _mean_reversion(kappa, expiries)) / (kappa * expiries)
    known = np.sort((slope / fade)[np.isfinite(slope)])
    product = float(known[known.size // 2]) if known.size else -0.3
    sigma = min(max(abs(product) / 0.6, 0.2), 1.5)
    rho = min(max(product / sigma, -0.8), 0.8)
    return np.array([kappa, theta, sigma, rho, v0])


def _mean_reversion(kappa: FloatArray | float, tte: FloatArray) -> FloatArray:
    return -np.expm1(-kappa * tte) / (kappa * tte)


def _term_structure(tte: FloatArray, variance: FloatArray) -> tuple[float, float, float]:
    """Return the kappa, theta and v0 that fit mean variances best."""
    mean = float(np.mean(variance))
    if tte.size < 3:
        return 2.0, float(variance[-1]), float(variance[0])
    kappa = np.array([[0.5], [1.0], [2.0], [4.0], [8.0]])
    h = _mean_reversion(kappa, tte)
    spread = h - h.mean(axis=1, keepdims=True)
    slope = np.sum(spread * variance, axis=1) / np.sum(spread * spread, axis=1)
    theta = np.clip(mean - slope * h.mean(axis=1), 0.2 * mean, 5.0 * mean)
    v0 = np.clip(theta + slope, 0.2 * mean, 5.0 * mean)
    misfit = theta[:, None] + (v0 - theta)[:, None] * h - variance
    best = int(np.argmin(np.sum(misfit * misfit, axis=1)))
    return float(kappa[best, 0]), float(theta[best]), float(v0[best])
