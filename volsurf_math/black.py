r"""Black (1976) on the forward, undiscounted: times `discount_factor` gives the premium.

With :math:`x = \ln(F/K)`, total volatility :math:`s = \sqrt w`, :math:`h = x/s`, :math:`t = s/2`,
the out-of-the-money price over :math:`\sqrt{FK}` is :math:`\beta = \beta' s D`, where
:math:`\beta' = \exp(-(h^2+t^2)/2)/\sqrt{2\pi}` is its slope in :math:`s` and
:math:`D = (Y(h+t) - Y(h-t)) / 2t` with :math:`Y = \Phi/\phi`. In this form nothing cancels and
nothing underflows before the price itself does. An in-the-money price is the intrinsic value more.

Reference: Black, F. (1976), "The pricing of commodity contracts", J. Financial Economics 3.
"""

from math import exp, inf, log, log1p, nan, sqrt

from numba import njit, vectorize

from volsurf_math.compile_options import KERNEL
from volsurf_math.normal import (
    INVERSE_SQRT_TWO_PI,
    MILLS_LIMIT,
    mills_ratio,
    mills_ratio_everywhere,
)


@njit(**KERNEL)
def log_ratio(forward, strike):
    """Logarithm of forward / strike, exact to the last digits at the money too."""
    excess = (forward - strike) / strike
    return log1p(excess) if abs(excess) < 0.5 else log(forward / strike)


@njit(**KERNEL)
def ratio_series(q, a, t):
    """D(h, t) as a Taylor series in t about h = -q, where a = Y'(h); for t < 1/4, qt < 3.

    The odd derivatives y_n = Y^(n)/n! follow from Y' = 1 + hY:
    y_{n+2} = ((h^2 + 2n + 1) y_n - y_{n-2}) / ((n + 1)(n + 2)).
    """
    h2 = q * q
    t2 = t * t
    y3 = (3.0 * a - 1.0 + h2 * a) * (1.0 / 6.0)
    y5 = ((h2 + 7.0) * y3 - a) * (1.0 / 20.0)
    y7 = ((h2 + 11.0) * y5 - y3) * (1.0 / 42.0)
    y9 = ((h2 + 15.0) * y7 - y5) * (1.0 / 72.0)
    y11 = ((h2 + 19.0) * y9 - y7) * (1.0 / 110.0)
    y13 = ((h2 + 23.0) * y11 - y9) * (1.0 / 156.0)
    y15 = ((h2 + 27.0) * y13 - y11) * (1.0 / 210.0)
    tail = y9 + t2 * (y11 + t2 * (y13 + t2 * y15))
    return a + t2 * (y3 + t2 * (y5 + t2 * (y7 + t2 * tail)))


@njit(**KERNEL)
def price_slope_ratio(q, t):
    """D(h, t) for any h = -q <= 0 and t > 0: the price over s times its slope in s."""
    if t < 0.25 and q * t < 3.0 and q < MILLS_LIMIT:
        return ratio_series(q, 1.0 - q * mills_ratio(q), t)
    return (mills_ratio_everywhere(q - t) - mills_ratio_everywhere(q + t)) / (2.0 * t)


@njit(**KERNEL)
def time_value(y, s):
    """Out-of-the-money price over sqrt(forward * strike), from y = |ln(F/K)| and s = sqrt(w)."""
    q = y / s
    if q > MILLS_LIMIT:
        return 0.0
    t = 0.5 * s
    slope = INVERSE_SQRT_TWO_PI * exp(-0.5 * (q * q + t * t))
    if t - q > 1.0:  # close to its maximum: take what is missing from it
        return exp(-0.5 * y) - slope * (
            mills_ratio_everywhere(t - q) + mills_ratio_everywhere(t + q)
        )
    return slope * s * price_slope_ratio(q, t)


@njit(**KERNEL)
def black(forward, strike, total_variance, sign):
    """Undiscounted price of one option; `sign` is +1 for a call and -1 for a put."""
    if not (0.0 < forward < inf and 0.0 < strike < inf and total_variance >= 0.0):
        return nan
    intrinsic = max(sign * (forward - strike), 0.0)
    if total_variance == 0.0:
        return intrinsic
    y = abs(log_ratio(forward, strike))
    return intrinsic + sqrt(forward * strike) * time_value(y, sqrt(total_variance))


@vectorize(["f8(f8, f8, f8, b1)"], cache=True)
def undiscounted_price(forward, strike, total_variance, is_call):
    """Undiscounted Black price, in units of `forward`.

    A ufunc: the four arguments broadcast. `total_variance` is vol^2 * years. Intrinsic value at
    zero variance; NaN below it, and where `forward` or `strike` is not positive and finite.
    Relative accuracy near 1e-15 down to the smallest numbers, out of the money.
    """
    return black(forward, strike, total_variance, 1.0 if is_call else -1.0)
