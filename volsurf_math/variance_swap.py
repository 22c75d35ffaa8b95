r"""Model-free implied variance: Cboe's sum over a strip of options, and an integral over a smile.

Both estimate :math:`-2\,E[\ln(S_T/F)]/T`, for a path without jumps the fair rate of a variance
swap. The sum takes the quotes as they are,

.. math:: \frac{2}{T}\sum_i \frac{\Delta K_i}{K_i^2}\frac{Q(K_i)}{D}
          - \frac{1}{T}\Big(\frac{F}{K_0} - 1\Big)^2 ,

so that strikes which are not quoted count as worthless: a truncated strip falls short, by vol
points for a strip that ends within two standard deviations, and coarse strikes overshoot. The
integral over a fitted smile, with :math:`z = d_2`,

.. math:: \frac{1}{T}\int \phi(z)\,w(k(z))\,dz ,

extends the wings as the smile does. Neither repairs what the other assumes; the reach of the strip
is reported with its variance, and shows how much the wings have to say.

References: Cboe (2019), "White Paper: Cboe Volatility Index"; Gatheral (2006), "The Volatility
Surface", ch. 11.
"""

from dataclasses import dataclass
from enum import IntEnum
from math import asinh, inf, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volsurf_math.broadcasting import FloatArray
from volsurf_math.smiles.svi import RawSvi

FARTHEST = 10.0  # |d2| beyond which the normal density leaves nothing
MAX_NODES = 1 << 16


class StripStatus(IntEnum):
    """Why a strip gives no variance. Stored in the lake, so never renumbered."""

    OK = 0
    NO_STRIKE_AT_FORWARD = 1  # no quoted pair at the first strike at or below the forward
    ONE_SIDED = 2  # not one put below it, or not one call above
    BAD_INPUT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """Out-of-the-money options by strike; the price at `split` is the mean of put and call."""

    strike: FloatArray
    price: FloatArray
    split: float  # K0, the highest strike not above the forward


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFreeVariance:
    """Annualised variance of a strip; NaN unless OK. Reaches are in log-moneyness, positive."""

    variance: float
    status: StripStatus
    n_strikes: int = 0
    put_reach: float = nan
    call_reach: float = nan


def _quoted_outwards(bid: FloatArray) -> NDArray[np.bool_]:
    """Mark the quotes that count, from the money outwards: up to two zero bids in a row."""
    is_zero = ~(bid > 0.0)
    ends = np.flatnonzero(is_zero[:-1] & is_zero[1:])
    kept = ~is_zero
    if ends.size:
        kept[ends[0] :] = False
    return kept


def select_strip(
    strike: ArrayLike,
    put_bid: ArrayLike,
    put_ask: ArrayLike,
    call_bid: ArrayLike,
    call_ask: ArrayLike,
    forward: float,
) -> Strip | None:
    """Choose the options of one expiry that Cboe's sum takes, at mid prices.

    Parameters
    ----------
    strike, put_bid, put_ask, call_bid, call_ask : array, shape (n_strikes,)
        Strikes rise. A bid that is NaN counts as zero. Walking out from the money, options without
        a bid are left out, and everything past two such strikes in a row.
    forward : float

    Returns
    -------
    Strip or None
        None where no strike lies at or below the forward, or put or call there has no bid.
    """
    columns = (strike, put_bid, put_ask, call_bid, call_ask)
    k, *quotes = (np.asarray(column, dtype=np.float64) for column in columns)
    if not (k.ndim == 1 and all(q.shape == k.shape for q in quotes) and (np.diff(k) > 0.0).all()):
        raise ValueError(f"a strip needs rising strikes and quotes of their shape, was {k}")
    low_bid, low_ask, high_bid, high_ask = quotes
    middle = int(np.searchsorted(k, forward, side="right")) - 1
    if middle < 0 or not (low_bid[middle] > 0.0 and high_bid[middle] > 0.0):
        return None
    put, call = 0.5 * (low_bid + low_ask), 0.5 * (high_bid + high_ask)
    puts = np.flatnonzero(_quoted_outwards(low_bid[:middle][::-1]))
    calls = np.flatnonzero(_quoted_outwards(high_bid[middle + 1 :])) + middle + 1
    puts = (middle - 1 - puts)[::-1]
    rows = np.concatenate((puts, [middle], calls)).astype(np.int64)
    price = np.concatenate((put[puts], [0.5 * (put[middle] + call[middle])], call[calls]))
    return Strip(strike=k[rows], price=price, split=float(k[middle]))


def strip_variance(
    strip: Strip | None, forward: float, tte: float, discount_factor: float
) -> ModelFreeVariance:
    """Return Cboe's sum over a strip: annualised variance, 0.04 where VIX would be 20."""
    if strip is None:
        return ModelFreeVariance(variance=nan, status=StripStatus.NO_STRIKE_AT_FORWARD)
    k, price = strip.strike, strip.price
    is_valid = min(forward, tte, discount_factor) > 0.0 and max(forward, tte) < inf
    if not (is_valid and np.isfinite(price).all() and k[0] > 0.0):
        return ModelFreeVariance(variance=nan, status=StripStatus.BAD_INPUT)
    if not k[0] < strip.split < k[-1]:
        return ModelFreeVariance(variance=nan, status=StripStatus.ONE_SIDED)
    gap = np.diff(k)
    width = 0.5 * (np.append(gap[0], gap) + np.append(gap, gap[-1]))
    total = 2.0 / discount_factor * float(np.sum(width / k**2 * price))
    return ModelFreeVariance(
        variance=(total - (forward / strip.split - 1.0) ** 2) / tte,
        status=StripStatus.OK,
        n_strikes=k.size,
        put_reach=float(np.log(forward / k[0])),
        call_reach=float(np.log(k[-1] / forward)),
    )


def model_free_variance(
    strike: ArrayLike,
    put_bid: ArrayLike,
    put_ask: ArrayLike,
    call_bid: ArrayLike,
    call_ask: ArrayLike,
    forward: float,
    tte: float,
    discount_factor: float,
) -> ModelFreeVariance:
    """Return Cboe's sum over the quotes of one expiry; see `select_strip` for their shape."""
    strip = select_strip(strike, put_bid, put_ask, call_bid, call_ask, forward)
    return strip_variance(strip, forward, tte, discount_factor)


def smile_variance(smile: RawSvi) -> float:
    """Return the total variance to expiry (divide by tte) that a whole raw SVI smile implies.

    The integral runs over t in k = m + sigma sinh(t), in which raw SVI is entire, by the
    trapezoidal rule, to about 1e-13 of itself. NaN where total variance is not positive
    everywhere, or a wing is as steep as Lee's bound of 2, where d2 no longer covers the line.
    """
    if not (smile.min_total_variance > 0.0 and max(smile.left_slope, smile.right_slope) < 2.0):
        return nan
    reach = FARTHEST * sqrt(float(smile.total_variance(np.array(smile.m)))) + abs(smile.m)
    lowest, highest = -asinh(reach / smile.sigma), asinh(reach / smile.sigma)
    while _d2(smile, lowest) < FARTHEST:
        lowest -= 0.5
    while _d2(smile, highest) > -FARTHEST:
        highest += 0.5
    n, before, total = 64, nan, nan
    while not abs(total - before) <= 1e-13 * total and n <= MAX_NODES:
        t = np.linspace(lowest, highest, n)
        before, total = total, (highest - lowest) / (n - 1) * float(np.sum(_integrand(smile, t)))
        n *= 2
    return total


def _d2(smile: RawSvi, t: float) -> float:
    k = smile.m + smile.sigma * np.sinh(t)
    root = np.sqrt(smile.total_variance(np.array(k)))
    return float(-k / root - 0.5 * root)


def _integrand(smile: RawSvi, t: FloatArray) -> FloatArray:
    """Normal density at d2, times w, times -d(d2)/dt."""
    k = smile.m + smile.sigma * np.sinh(t)
    w, slope = smile.total_variance(k), smile.slope(k)
    root = np.sqrt(w)
    d2 = -k / root - 0.5 * root
    fall = 1.0 / root - 0.5 * k * slope / (w * root) + 0.25 * slope / root
    density = np.exp(-0.5 * d2 * d2) / np.sqrt(2.0 * np.pi)
    return density * w * fall * smile.sigma * np.cosh(t)
