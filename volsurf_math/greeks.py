r"""Black premium and its sensitivities in one fused pass. Forward-based and discounted.

With :math:`D` the discount factor, :math:`\theta = \pm 1` for call and put,
:math:`d_1 = \ln(F/K)/\sigma\sqrt T + \sigma\sqrt T/2`, :math:`d_2 = d_1 - \sigma\sqrt T`:

========  ==================================================================================
price     :math:`P = D\,\theta\,(F\Phi(\theta d_1) - K\Phi(\theta d_2))`
delta     :math:`\partial P/\partial F = D\,\theta\,\Phi(\theta d_1)`
gamma     :math:`\partial^2 P/\partial F^2 = D\phi(d_1)/(F\sigma\sqrt T)`
vega      :math:`\partial P/\partial\sigma = DF\phi(d_1)\sqrt T`, per 1.00 of volatility
theta     :math:`-\partial P/\partial T = -DF\phi(d_1)\sigma/(2\sqrt T)` per year, with F and D
          held: the decay of optionality alone
rho       :math:`\partial P/\partial r = \theta\,T D K\Phi(\theta d_2)` per 1.00 of rate, with
          spot and carry yield held, so that F rises with the rate and D falls
vanna     :math:`\partial^2 P/\partial F\partial\sigma = -D\phi(d_1) d_2/\sigma`
volga     :math:`\partial^2 P/\partial\sigma^2 = \mathrm{vega}\; d_1 d_2/\sigma`
========  ==================================================================================

On the spot (:func:`on_spot`), where :math:`F = S e^{(r-q)T}`: multiply delta and vanna by F/S and
gamma by :math:`(F/S)^2`. A position's theta with spot, rate and yield held is
:math:`\mathrm{theta} + rP - (r-q)F\,\mathrm{delta}`.
"""

from math import inf, nan, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from volsurf_math.broadcasting import FloatArray, float_columns, payoff_sign
from volsurf_math.compile_options import KERNEL
from volsurf_math.normal import INVERSE_SQRT_TWO_PI, fast_exp, fast_log, mills_ratio


class BlackGreeks(NamedTuple):
    """Premium and sensitivities, each an array of the broadcast shape of the inputs."""

    price: FloatArray
    delta: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray
    rho: FloatArray
    vanna: FloatArray
    volga: FloatArray


@njit(**KERNEL)
def _fill(f, k, tte, vol, df, sign, price, delta, gamma, vega, theta, rho, vanna, volga):
    for i in range(f.size):
        valid = (f[i] > 0.0) & (k[i] > 0.0) & (tte[i] > 0.0) & (vol[i] > 0.0) & (df[i] > 0.0)
        finite = (f[i] < inf) & (k[i] < inf) & (tte[i] < inf) & (vol[i] < inf)
        d = df[i] if valid & finite else nan
        root = sqrt(tte[i])
        s = vol[i] * root
        moneyness = f[i] / k[i]
        d1 = fast_log(moneyness) / s + 0.5 * s
        d2 = d1 - s
        density1 = INVERSE_SQRT_TWO_PI * fast_exp(-0.5 * d1 * d1)
        density2 = density1 * moneyness
        x1, x2 = sign[i] * d1, sign[i] * d2
        tail1 = density1 * mills_ratio(abs(d1))
        tail2 = density2 * mills_ratio(abs(d2))
        cdf1 = 1.0 - tail1 if x1 > 0.0 else tail1
        cdf2 = 1.0 - tail2 if x2 > 0.0 else tail2
        discounted_strike = d * k[i] * cdf2
        price[i] = sign[i] * (d * f[i] * cdf1 - discounted_strike)
        delta[i] = sign[i] * d * cdf1
        gamma[i] = d * density1 / (f[i] * s)
        vega_i = d * f[i] * density1 * root
        vega[i] = vega_i
        theta[i] = -0.5 * vega_i * vol[i] / tte[i]
        rho[i] = sign[i] * tte[i] * discounted_strike
        vanna[i] = -d * density1 * d2 / vol[i]
        volga[i] = vega_i * d1 * d2 / vol[i]


def black_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    tte: ArrayLike,
    implied_vol: ArrayLike,
    discount_factor: ArrayLike,
    is_call: ArrayLike,
) -> BlackGreeks:
    """Return premium, delta, gamma, vega, theta, rho, vanna and volga, as the module defines them.

    Parameters
    ----------
    forward, strike, tte, implied_vol, discount_factor : array
        Positive; years, decimals. All arguments broadcast.
    is_call : array of bool

    Returns
    -------
    BlackGreeks
        NaN in every field of a row with an input that is not positive or not finite. The premium
        is exact to about 1e-15 of the forward; use :func:`volsurf_math.black.undiscounted_price`
        where the far tail needs its own digits.
    """
    shape, columns = float_columns(
        forward, strike, tte, implied_vol, discount_factor, payoff_sign(is_call)
    )
    fields = np.empty((len(BlackGreeks._fields), columns[0].size))
    _fill(*columns, *fields)
    return BlackGreeks(*(field.reshape(shape) for field in fields))


def on_spot(
    greeks: BlackGreeks,
    *,
    spot: ArrayLike,
    forward: ArrayLike,
    rate: ArrayLike,
    carry: ArrayLike,
) -> BlackGreeks:
    """Return greeks on the spot from those on the forward, as the module defines them.

    Parameters
    ----------
    spot, forward : array
        In one unit.
    rate, carry : array
        Continuous, per year; carry is ln(forward / spot) / tte.
    """
    forward, slope = np.asarray(forward, float), np.divide(forward, spot)
    return greeks._replace(
        delta=greeks.delta * slope,
        gamma=greeks.gamma * slope**2,
        vanna=greeks.vanna * slope,
        theta=greeks.theta
        + np.multiply(rate, greeks.price)
        - np.multiply(carry, forward) * greeks.delta,
    )
