r"""The early-exercise premium of one option on a pair of binomial trees: compiled kernels.

Model. The stock is a lognormal :math:`X` plus the present value of the cash dividends to come
(escrowed dividends): :math:`S_t = X_t + PV_t`, with :math:`X_0 = S - PV_0` and a constant carry
:math:`b = \ln(F/X_0)/T`, so that :math:`E[X_T]` is the given forward. The European price is then
exactly Black's on that forward with the same volatility. Without cash dividends the whole carry is
continuous; :math:`q = r - b` is the yield that remains.

Method. The premium is the difference of an American and a European option on one Leisen-Reimer
tree, so that the error that both share cancels; two trees of n and about 2n steps extrapolate the
rest. A call that only a dividend can tempt has a tree that ends just before the last such dividend,
with Black's values at its end and its nodes even about the critical price there. Otherwise numbers
of steps are chosen so that a step ends just before the last dividend. Exercise at every dividend is
valued at its own instant: before it for a call, after it for a put.

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
from volsurf_math.compile_options import KERNEL, ROUTINE

NEARBY = 6  # odd numbers of steps tried to meet the last dividend
HALVINGS = 30  # of the logarithmic range of the critical price
NO_YIELD = 1e-9  # carry yield times years below which no call is exercised for it
FAR = 4.5  # standard deviations above the forward that X does not reach
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


@njit(**ROUTINE)
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


@njit(**ROUTINE)
def _tree_premium(contract, dividends, x0, vol, horizon, center, steps, scratch):
    """American minus European value on one tree; not finite where `vol` is too small for it.

    The tree ends at `horizon`, after which nobody exercises before expiry: its final values are
    Black's there. Its nodes stand even about `center`.
    """
    _, strike, tte, rate, forward, sign = contract
    values, powers = scratch
    dt, s = horizon / steps, vol * sqrt(horizon)
    carry = log(forward / x0) / tte
    d1 = (log(x0 / center) + carry * horizon) / s + 0.5 * s
    p = _peizer_pratt(d1 - s, steps)
    up = exp(carry * dt) * _peizer_pratt(d1, steps) / p
    down = (exp(carry * dt) - p * up) / (1.0 - p)
    left = tte - horizon
    w, later, discount = vol * vol * left, exp(carry * left), exp(-rate * left)
    x, power = x0 * down**steps, 1.0
    for j in range(steps + 1):
        powers[j] = power
        values[j] = discount * black(x * power * later, strike, w, sign)
        power *= up / down
    european = exp(-rate * horizon) * _binomial_mean(values, p, steps)
    drift = carry - rate
    _exercise_at_dividends(contract, dividends, horizon, dt, x, drift, scratch, steps + 1)
    to_up, to_down = exp(-rate * dt) * p, exp(-rate * dt) * (1.0 - p)
    for i in range(steps - 1, -1, -1):
        x /= down
        t, slope = i * dt, sign * x
        held = sign * (_escrow(dividends, tte, rate, t, t) - strike)
        for j in range(i + 1):
            kept = to_down * values[j] + to_up * values[j + 1]
            values[j] = max(kept, slope * powers[j] + held)
        _exercise_at_dividends(contract, dividends, t, dt, x, drift, scratch, i + 1)
    return values[0] - european


@njit(**ROUTINE)
def _aligned_steps(dividends, horizon, steps):
    """Odd number of steps from `steps` on of which one ends closest before the last dividend."""
    last = 0.0
    for time in dividends.times:
        if time < horizon:
            last = max(last, time)
    best, least = steps, inf
    for candidate in range(steps, steps + 2 * NEARBY, 2):
        position = last * candidate / horizon + 1e-9
        if position - int(position) < least:
            best, least = candidate, position - int(position)
    return best


@njit(**ROUTINE)
def _last_worthy_dividend(contract, dividends, carry_yield, highest):
    """Time of the last dividend before which a call is worth exercising, or 0.

    It must exceed, with the carry yield of an X of `highest`, the interest on the strike until the
    next dividend or expiry.
    """
    strike, tte, rate = contract.strike, contract.tte, contract.rate
    last = 0.0
    for i in range(dividends.times.size):
        time = dividends.times[i]
        if last < time <= tte:
            following = tte
            for other in dividends.times:
                if time < other < following:
                    following = other
            wait = following - time
            lost = dividends.amounts[i] + highest * max(-expm1(-carry_yield * wait), 0.0)
            if lost > strike * -expm1(-rate * wait):
                last = time
    return last


@njit(**ROUTINE)
def _yield_is_idle(contract, carry_yield, x0, vol):
    """Whether a call's holder gains nothing by exercising for the carry yield alone.

    That part of the premium is at most what the yield pays while X is above rK/q, hence q T times
    a European call struck there.
    """
    _, strike, tte, rate, forward, _ = contract
    if carry_yield * tte <= NO_YIELD:
        return True
    w, rise = vol * vol * tte, forward / x0
    threshold = rate * strike / carry_yield * min(1.0, rise)
    if not threshold > 0.0:
        return False
    bound = carry_yield * tte / rise * black(forward, threshold, w, 1.0)
    time_value = black(forward, strike, w, 1.0 if forward < strike else -1.0)
    return bound <= NEGLIGIBLE * exp(-rate * tte) * time_value


@njit(**ROUTINE)
def _exercise_horizon(contract, dividends, carry_yield, x0, vol):
    """Last instant at which exercise before expiry can pay: 0 if never, `tte` if always.

    A call is exercised for a carry yield, or just before a dividend; a put for the interest on
    the strike.
    """
    _, _, tte, rate, forward, sign = contract
    if sign < 0.0:
        return 0.0 if rate <= 0.0 and carry_yield * tte >= -NO_YIELD else tte
    if rate >= 0.0 and _yield_is_idle(contract, carry_yield, x0, vol):
        highest = max(x0, forward) * exp(FAR * vol * sqrt(tte))
        return _last_worthy_dividend(contract, dividends, carry_yield, highest)
    return tte


@njit(**ROUTINE)
def _critical_price(contract, dividends, carry_yield, x0, vol, horizon):
    """X at which a call's holder is indifferent at `horizon`; the strike if there is none."""
    _, strike, tte, rate, _, _ = contract
    left = tte - horizon
    w, later = vol * vol * left, exp((rate - carry_yield) * left)
    gain = _escrow(dividends, tte, rate, horizon, horizon * (1.0 - 1e-12)) - strike
    low, high = 0.01 * strike, 10.0 * strike
    for _ in range(HALVINGS):
        middle = sqrt(low * high)
        if middle + gain > exp(-rate * left) * black(middle * later, strike, w, 1.0):
            high = middle
        else:
            low = middle
    return sqrt(low * high) if high < 10.0 * strike else strike


@njit(**ROUTINE)
def exercise_value(contract, dividends, scratch):
    """Value of the best exercise fixed today: at once, or at a dividend; a floor of any price."""
    spot, strike, tte, rate, forward, sign = contract
    x0 = spot - _escrow(dividends, tte, rate, 0.0, 0.0)
    drift = log(forward / x0) / tte - rate
    scratch.values[0], scratch.powers[0] = sign * (spot - strike), 1.0
    _exercise_at_dividends(contract, dividends, 0.0, inf, x0, drift, scratch, 1)
    return scratch.values[0]


@njit(**ROUTINE)
def early_exercise_value(contract, dividends, vol, steps, scratch):
    """Early-exercise premium of one option; NaN where no stock is left beside its dividends."""
    spot, strike, tte, rate, forward, sign = contract
    x0 = spot - _escrow(dividends, tte, rate, 0.0, 0.0)
    if not x0 > 0.0:
        return nan
    carry_yield = rate - log(forward / x0) / tte
    horizon = _exercise_horizon(contract, dividends, carry_yield, x0, vol)
    if horizon == 0.0:
        return 0.0
    center = strike
    if sign > 0.0:
        center = _critical_price(contract, dividends, carry_yield, x0, vol, horizon)
    few = _aligned_steps(dividends, horizon, steps)
    many = _aligned_steps(dividends, horizon, 2 * steps + 1)
    coarse = _tree_premium(contract, dividends, x0, vol, horizon, center, few, scratch)
    fine = _tree_premium(contract, dividends, x0, vol, horizon, center, many, scratch)
    premium = (many * fine - few * coarse) / (many - few)
    european = exp(-rate * tte) * black(forward, strike, vol * vol * tte, sign)
    floor = max(exercise_value(contract, dividends, scratch) - european, 0.0)
    return max(premium, floor) if isfinite(premium) else floor
