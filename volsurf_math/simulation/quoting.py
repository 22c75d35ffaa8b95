"""How simulated market makers quote and how customers trade: spreads, ticks, activity.

Belongs here: rules from prices to quotes, as arrays. Not here: the random numbers themselves.
"""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

PENNY, NICKEL = 0.01, 0.05
TICK_CHANGE = 3.0  # USD: premium from which classes outside the penny programme tick in nickels
NORMAL_VARIANCE = 0.026


def tick_size(price: FloatArray, is_penny_class: bool) -> FloatArray:
    """Minimum price variation: a penny, or a nickel from 3 USD on outside the penny classes."""
    return np.where((price < TICK_CHANGE) | is_penny_class, PENNY, NICKEL)


def half_spread(
    intrinsic: FloatArray,
    vega: FloatArray,
    deviations: FloatArray,
    tte: FloatArray,
    tick: FloatArray,
    variance: float,
) -> FloatArray:
    """Half of the quoted width, USD.

    Half a tick, and what the market maker risks: 0.05 vol points at the money, more with the
    square of the `deviations` from it and with the root of `tte`; 8 bp of the `intrinsic` value
    that ties up his stock; the more, the further `variance` is above normal.
    """
    stress = 1.0 + 0.6 * max(variance / NORMAL_VARIANCE - 1.0, 0.0) ** 0.5
    vol_width = (0.0005 + 0.0012 * np.sqrt(tte)) * (1.0 + 0.3 * deviations**2)
    return 0.5 * tick + stress * (vega * vol_width + 0.0008 * intrinsic)


def quotes(
    price: FloatArray, half: FloatArray, lean: FloatArray, tick: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return bid and ask on the tick, around `price` moved by `lean` half-widths (-1 to 1).

    The bid is rounded down, not below zero, and the ask up, so that the price stays between.
    """
    middle = price + lean * half
    bid = np.floor((middle - half) / tick + 1e-9) * tick
    ask = np.ceil((middle + half) / tick - 1e-9) * tick
    return np.maximum(bid, 0.0).round(2), np.maximum(ask, tick).round(2)


def activity(
    strike: FloatArray, deviations: FloatArray, tte: FloatArray, is_monthly: NDArray[np.bool_]
) -> FloatArray:
    """Typical trading in a contract, as a share of the busiest: near, soon, round and monthly.

    Interest falls off with the `deviations` from the money, slower on the downside.
    """
    width = np.where(deviations < 0.0, 1.9, 1.4)
    near = np.exp(-0.5 * (deviations / width) ** 2) + 0.0005
    soon = (1.0 + tte / 0.1) ** -1.2
    round_number = 1.0 + 1.0 * (strike % 5.0 == 0.0) + 1.5 * (strike % 25.0 == 0.0)
    return near * soon * round_number * np.where(is_monthly, 3.0, 1.0) / 10.5
