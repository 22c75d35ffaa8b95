r"""European prices under Bates (1996): Heston's variance with Merton's lognormal jumps.

Under the pricing measure, for :math:`X = \ln(S_T / F)`,

.. math::
    dX = -v/2\,dt + \sqrt v\,dB + \text{jumps}, \qquad
    dv = \kappa(\theta - v)\,dt + \sigma\sqrt v\,dW, \qquad dB\,dW = \rho\,dt,

with jumps of intensity :math:`\lambda` and size :math:`N(m, \delta^2)`, compensated. The call is
Lewis's integral along Im = -1/2 with Black's integrand of the same variance :math:`w` taken out,

.. math::
    \frac CF = \mathrm{Black}(k, w) - \frac{e^{k/2}}\pi \int_0^\infty
    \mathrm{Re}\frac{e^{-izk}(\varphi(z-i/2) - \varphi_w(z-i/2))}{z^2 + 1/4}\,dz .

Both characteristic functions are 1 at the poles, so that these cancel, the integrand is analytic in
a wide strip, and the trapezoidal rule converges exponentially. Its step bounds aliasing: the result
repeats in k with the period 2 pi / step, which is made several times the range of X.

References: Bates (1996), Review of Financial Studies 9; Lewis, A. (2000), "Option Valuation under
Stochastic Volatility", ch. 2.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volsurf_math.black import undiscounted_price

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complex128]

_NEGLIGIBLE = 1e-13  # integrand at which the integral is cut off
_REACH = 40.0  # standard deviations of X in a period: the images of fat tails stay apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Bates:
    """Parameters under the pricing measure: decimals and years; `sigma` is the vol of variance."""

    v0: float
    kappa: float
    theta: float
    sigma: float
    rho: float
    jump_intensity: float = 0.0
    jump_mean: float = 0.0
    jump_sd: float = 0.0

    def __post_init__(self) -> None:
        """Refuse impossible parameters."""
        positive = min(self.v0, self.kappa, self.theta, self.sigma) > 0.0
        jumps = min(self.jump_intensity, self.jump_sd) >= 0.0
        if not (positive and jumps and abs(self.rho) < 1.0):
            raise ValueError(
                f"Bates needs v0, kappa, theta, sigma > 0, |rho| < 1 and jumps >= 0, was {self}"
            )

    @property
    def jump_compensator(self) -> float:
        """Mean relative jump of the price, E[exp(J)] - 1."""
        return float(np.expm1(self.jump_mean + 0.5 * self.jump_sd**2))

    def diffusive_variance(self, tte: ArrayLike) -> FloatArray:
        """Mean of the integral of v to `tte`."""
        t = np.asarray(tte, dtype=np.float64)
        return self.theta * t - (self.v0 - self.theta) * np.expm1(-self.kappa * t) / self.kappa

    def log_contract_variance(self, tte: ArrayLike) -> FloatArray:
        """Return -2 E[ln(S_T / F)] / tte: what a strip of options replicates, VIX squared."""
        jump = 2.0 * self.jump_intensity * (self.jump_compensator - self.jump_mean)
        return self.diffusive_variance(tte) / np.asarray(tte) + jump


def characteristic(law: Bates, z: ArrayLike, tte: float) -> ComplexArray:
    """Return E[exp(i u X)] at u = z - i/2 (`z` may be complex), in the form free of branch cuts."""
    z = np.asarray(z, dtype=np.complex128)
    iu, q = 1j * z + 0.5, z * z + 0.25
    xi = law.kappa - law.sigma * law.rho * iu
    d = np.sqrt(xi * xi + law.sigma**2 * q)
    decay = np.exp(-d * tte)
    gap = 1.0 - decay
    denominator = xi * gap + d * (1.0 + decay)
    drift = -(law.sigma**2) * q * tte / (xi + d) - 2.0 * np.log(denominator / (2.0 * d))
    exponent = law.kappa * law.theta / law.sigma**2 * drift - law.v0 * q * gap / denominator
    jump = np.exp(iu * law.jump_mean + 0.5 * iu * iu * law.jump_sd**2)
    exponent += law.jump_intensity * tte * (jump - 1.0 - iu * law.jump_compensator)
    return np.asarray(np.exp(exponent), dtype=np.complex128)


def call_ratio(law: Bates, log_moneyness: ArrayLike, tte: float) -> FloatArray:
    """Return undiscounted calls over the forward, of one expiry.

    Parameters
    ----------
    law : Bates
    log_moneyness : array
        k = ln(strike / forward).
    tte : float
        Years, positive.

    Returns
    -------
    array shaped as `log_moneyness`
        Never below intrinsic value. Within 1e-10 for laws like those of equity indices; where the
        tails of X are much fatter than its standard deviation says (sigma >= 1 and tte of years)
        within 1e-6.
    """
    if not tte > 0.0:
        raise ValueError(f"a Bates price needs tte > 0, was {tte}")
    k = np.asarray(log_moneyness, dtype=np.float64)
    w = float(law.diffusive_variance(tte))
    z = _nodes(law, tte, w, float(np.max(np.abs(k), initial=0.0)))
    weight = (z[1] - z[0]) / (z * z + 0.25)
    weight[0] *= 0.5
    difference = (characteristic(law, z, tte) - np.exp(-0.5 * w * (z * z + 0.25))) * weight
    phase = np.multiply.outer(k, z)
    integral = np.cos(phase) @ difference.real + np.sin(phase) @ difference.imag
    strike = np.exp(k)
    price = undiscounted_price(1.0, strike, w, True) - np.sqrt(strike) * integral / np.pi
    return np.asarray(np.maximum(price, np.maximum(1.0 - strike, 0.0)))


def _nodes(law: Bates, tte: float, w: float, farthest: float) -> FloatArray:
    """Equally spaced nodes from 0 to where the integrand is negligible."""
    jumps = abs(law.jump_mean) + 6.0 * law.jump_sd if law.jump_intensity > 0.0 else 0.0
    variance = w + law.jump_intensity * tte * (law.jump_mean**2 + law.jump_sd**2)
    step = 2.0 * np.pi / (farthest + _REACH * np.sqrt(variance) + 2.0 * jumps)
    last = 8.0 / np.sqrt(w)
    while abs(characteristic(law, last, tte)) / (last * last) > _NEGLIGIBLE:
        last *= 1.3
    return step * np.arange(int(last / step) + 2, dtype=np.float64)
