"""From published yields to continuously compounded zero rates.

Belongs here: the conventions of rate vendors (bond-equivalent, ACT/360, percent).
"""

from collections.abc import Mapping
from itertools import pairwise
from math import exp, log

_HALF_YEAR = 0.5


def sofr_to_continuous(rate: float) -> float:
    """Return the continuous ACT/365 rate of an overnight simple ACT/360 rate (both decimals)."""
    return 365.0 * log(1.0 + rate / 360.0)


def par_to_zero(par_yields: Mapping[float, float]) -> dict[float, float]:
    """Return zero rates (continuous) at the tenors of a bond-equivalent par curve.

    Parameters
    ----------
    par_yields
        Tenor in years -> par yield, decimal, compounded twice a year (Treasury CMT).

    Notes
    -----
    To half a year there is a single payment: r = 2 ln(1 + y/2). Beyond, bootstrap on half-year
    steps: 1 = (y/2) sum D_i + D_n with par yields linear in tenor, flat outside the curve.
    """
    if not par_yields or min(par_yields) <= 0.0:
        raise ValueError(f"a par curve needs positive tenors, was {dict(par_yields)}")
    tenors = sorted(par_yields)
    discounts: dict[int, float] = {}
    coupons_before = 0.0
    for n in range(1, int(tenors[-1] / _HALF_YEAR + 1e-9) + 2):
        y = _interpolate(par_yields, tenors, n * _HALF_YEAR)
        discounts[n] = (1.0 - 0.5 * y * coupons_before) / (1.0 + 0.5 * y)
        coupons_before += discounts[n]
    return {tenor: _zero(tenor, par_yields[tenor], discounts) for tenor in tenors}


def _zero(tenor: float, par_yield: float, discounts: Mapping[int, float]) -> float:
    if tenor <= _HALF_YEAR:
        return 2.0 * log(1.0 + 0.5 * par_yield)
    steps = tenor / _HALF_YEAR
    below = int(steps + 1e-9)
    low = -log(discounts[below]) / (below * _HALF_YEAR)
    high = -log(discounts[below + 1]) / ((below + 1) * _HALF_YEAR)
    return low + (steps - below) * (high - low)


def _interpolate(par_yields: Mapping[float, float], tenors: list[float], tenor: float) -> float:
    if tenor <= tenors[0]:
        return par_yields[tenors[0]]
    for near, far in pairwise(tenors):
        if tenor <= far:
            share = (tenor - near) / (far - near)
            return par_yields[near] + share * (par_yields[far] - par_yields[near])
    return par_yields[tenors[-1]]


def discount_factor(zero_rate: float, tte_years: float) -> float:
    """Return the present value of 1 paid in `tte_years`."""
    return exp(-zero_rate * tte_years)
