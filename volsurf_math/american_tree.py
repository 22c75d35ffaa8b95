r"""The early-exercise premium of one option on a pair of binomial trees: compiled kernels.

Model. The stock is a lognormal :math:`X` plus the present value of the cash dividends to come
(escrowed dividends): :math:`S_t = X_t + PV_t`, with :math:`X_0 = S - PV_0` and a constant carry
:math:`b = \ln(F/X_0)/T`, so that :math:`E[X_T]` is the given forward. The European price is then
exactly Black's on that forward with the same volatility. Without cash dividends the whole carry is
continuous; :math:`q = r - b` is the yield that remains.

Method. The premium is the difference of an American and a European option on one Leisen-Reimer
tree, so that the error that both share cancels; two trees of n and about 2n steps extrapolate the
rest. Numbers of steps are chosen so that a step ends just before the last dividend, and exercise at
every dividend is valued at its own instant: before it for a call, after it for a put.

References
----------
.. [LR96] Leisen, Reimer (1996), "Binomial models for option valuation - examining and improving
   convergence", Applied Mathematical Finance 3.
"""

from math import exp, expm1, inf, isfinite, log, nan, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit

from volsurf_math.black import black
from volsurf_math.broadcasting import FloatArray
from volsurf_math.compile_options import KERNEL

NEARBY = 6  # odd numbers of steps tried to meet the last dividend
NO_YIELD = 1e-9  # carry yield times years below which no call is exercised for it
NEGLIGIBLE = 1e-5  # premium over time value that moves no vol by more than its 1e-5th part


class Contract(NamedTuple):
    """One option, as the kernels see it; `sign` is +1 for a call and -1 for a put."""

    spot: float
    strike: float
    tte: float
    rate: float
    forward: float
    sign: float


class Dividends(NamedTuple):
    """Cash dividends of one underlying: years to each, and dollars per share."""

    times: FloatArray
    amounts: FloatArray


class Scratch(NamedTuple):
    """Room for the nodes of one time step: option values, and powers of up / down."""

    values: FloatArray
    powers: FloatArray


@njit(**KERNEL)
def scratch_for(steps):
    """Room for the larger tree of a pair whose smaller one has about `steps` steps."""
    nodes = 2 * (steps + NEARBY) + 1
    return Scratch(np.empty(nodes), np.empty(nodes))


@njit(**KERNEL)
def _escrow(dividends, tte, rate, t, after):
    """Value at time t of the dividends whose time lies above `after` and not above `tte`."""
    value = 0.0
    for i in range(dividends.times.size):
        if after < dividends.times[i] <= tte:
            value += dividends.amounts[i] * exp(-rate * (dividends.times[i] - t))
    return value


@njit(**KERNEL)
def _peizer_pratt(z, n):
    """Probability p whose binomial of n steps matches the normal at z (inversion 2 of [LR96])."""
    scaled = z / (n + 1.0 / 3.0 + 0.1 / (n + 1.0))
    root = sqrt(0.25 - 0.25 * exp(-scaled * scaled * (n + 1.0 / 6.0)))
    return 0.5 + root if z >= 0.0 else 0.5 - root


@njit(**KERNEL)
def _binomial_mean(values, p, steps):
    """Mean of values[j] under j ~ binomial(steps, p), summed from the likelier end."""
    likely = max(p, 1.0 - p)
    odds = (1.0 - likely) / likely
    weight, mean = likely**steps, 0.0
    for i in range(steps + 1):
        mean += weight * values[steps - i if p > 0.5 else i]
        weight *= odds * (steps - i) / (i + 1.0)
    return mean


@njit(**KERNEL)
def _exercise_at_dividends(contract, dividends, t, dt, x, drift, scratch, nodes):
    """Raise the values of the step [t, t + dt) to exercise at the dividends that fall into it.

    The nodes stand at x * powers; `drift` is that of the discounted X.
    """
    tte, rate, sign = contract.tte, contract.rate, contract.sign
    for k in range(dividends.times.size):
        time = dividends.times[k]
        if t <= time < t + dt and 0.0 < time <= tte:
            after = time if sign < 0.0 else time * (1.0 - 1e-12)
            escrow = _escrow(dividends, tte, rate, t, after)
            held = sign * (escrow - contract.strike * exp(-rate * (time - t)))
            slope = sign * x * exp(drift * (time - t))
            for j in range(nodes):
                scratch.values[j] = max(scratch.values[j], slope * scratch.powers[j] + held)


@njit(**KERNEL)
def _tree_premium(contract, dividends, x0, vol, steps, scratch):
    """American minus European value on one tree; not finite where `vol` is too small for it."""
    _, strike, tte, rate, forward, sign = contract
    values, powers = scratch
    dt, s = tte / steps, vol * sqrt(tte)
    d1 = log(forward / strike) / s + 0.5 * s
    p = _peizer_pratt(d1 - s, steps)
    growth = (forward / x0) ** (1.0 / steps)
    up = growth * _peizer_pratt(d1, steps) / p
    down = (growth - p * up) / (1.0 - p)
    x, power = x0 * down**steps, 1.0
    for j in range(steps + 1):
        powers[j] = power
        values[j] = max(sign * (x * power - strike), 0.0)
        power *= up / down
    european = exp(-rate * tte) * _binomial_mean(values, p, steps)
    to_up, to_down = exp(-rate * dt) * p, exp(-rate * dt) * (1.0 - p)
    drift = log(growth) / dt - rate
    for i in range(steps - 1, -1, -1):
        x /= down
        t, slope = i * dt, sign * x
        held = sign * (_escrow(dividends, tte, rate, t, t) - strike)
        for j in range(i + 1):
            kept = to_down * values[j] + to_up * values[j + 1]
            values[j] = max(kept, slope * powers[j] + held)
        _exercise_at_dividends(contract, dividends, t, dt, x, drift, scratch, i + 1)
    return values[0] - european


@njit(**KERNEL)
def _aligned_steps(dividends, tte, steps):
    """Odd number of steps from `steps` on of which one ends closest before the last dividend."""
    last = 0.0
    for time in dividends.times:
        if time <= tte:
            last = max(last, time)
    best, least = steps, inf
    for candidate in range(steps, steps + 2 * NEARBY, 2):
        position = last * candidate / tte + 1e-9
        if position - int(position) < least:
            best, least = candidate, position - int(position)
    return best


@njit(**KERNEL)
def _never_exercised(contract, dividends, carry_yield):
    """Whether waiting is worth at least as much at every instant, whatever the volatility.

    A call is exercised for a carry yield, or just before a dividend that exceeds the interest on
    the strike until the next one; a put for the interest on the strike.
    """
    _, strike, tte, rate, _, sign = contract
    if sign < 0.0:
        return rate <= 0.0 and carry_yield * tte >= -NO_YIELD
    if rate < 0.0 or carry_yield * tte > NO_YIELD:
        return False
    for i in range(dividends.times.size):
        time = dividends.times[i]
        if 0.0 < time <= tte:
            following = tte
            for other in dividends.times:
                if time < other < following:
                    following = other
            if dividends.amounts[i] > strike * -expm1(-rate * (following - time)):
                return False
    return True


@njit(**KERNEL)
def _is_negligible(contract, x0, carry_yield, vol):
    """Whether a call on a stock without cash dividends earns nothing by exercise.

    Its premium is at most what the yield pays while X is above rK/q, hence q T times a European
    call struck there.
    """
    _, strike, tte, rate, forward, _ = contract
    w, rise = vol * vol * tte, forward / x0
    threshold = rate * strike / carry_yield * min(1.0, rise)
    bound = carry_yield * tte / rise * black(forward, threshold, w, 1.0)
    time_value = black(forward, strike, w, 1.0 if forward < strike else -1.0)
    return bound <= NEGLIGIBLE * exp(-rate * tte) * time_value


@njit(**KERNEL)
def early_exercise_value(contract, dividends, vol, steps, scratch):
    """Early-exercise premium of one option; NaN where no stock is left beside its dividends."""
    spot, strike, tte, rate, forward, sign = contract
    escrow = _escrow(dividends, tte, rate, 0.0, 0.0)
    x0 = spot - escrow
    if not x0 > 0.0:
        return nan
    carry_yield = rate - log(forward / x0) / tte
    if _never_exercised(contract, dividends, carry_yield):
        return 0.0
    if (
        sign > 0.0
        and escrow == 0.0
        and rate > 0.0
        and _is_negligible(contract, x0, carry_yield, vol)
    ):
        return 0.0
    few, many = _aligned_steps(dividends, tte, steps), _aligned_steps(dividends, tte, 2 * steps + 1)
    coarse = _tree_premium(contract, dividends, x0, vol, few, scratch)
    fine = _tree_premium(contract, dividends, x0, vol, many, scratch)
    premium = (many * fine - few * coarse) / (many - few)
    scratch.values[0], scratch.powers[0] = sign * (spot - strike), 1.0
    _exercise_at_dividends(contract, dividends, 0.0, inf, x0, -carry_yield, scratch, 1)
    european = exp(-rate * tte) * black(forward, strike, vol * vol * tte, sign)
    certain = max(scratch.values[0] - european, 0.0)
    return max(premium, certain) if isfinite(premium) else certain
