r"""The characteristic function of Heston's and Bates's models with its gradient, as a kernel.

With :math:`a = iz + 1/2`, so that :math:`Q = z^2 + 1/4 = a(1 - a)`, and
:math:`\varphi(u) = E[(S_T/F)^{iu}]`, the exponent is
:math:`\ln\varphi(z - i/2) = \theta C + v_0 D` plus that of the jumps. It is written free of branch
cuts, and of cancellation down to :math:`\sigma = 0`: with :math:`\xi = \kappa - \sigma\rho a`,
:math:`d = \sqrt{\xi^2 + \sigma^2 Q}`, :math:`m = 1 - e^{-dT}`, :math:`q = Q/(\xi + d)`,
:math:`y = qm/2d`, :math:`s = \sigma^2 y` and :math:`\ell(s) = -\ln(1 - s)/s`,

.. math:: C = \kappa(2y\,\ell(s) - qT), \qquad D = -\frac{Qm}{2d(1 - s)} .

Jumps of intensity :math:`\lambda` whose logarithm is :math:`N(\mu, \delta^2)` add
:math:`\lambda T(e^{a\mu + a^2\delta^2/2} - 1 - a(e^{\mu + \delta^2/2} - 1))`.

References: Heston (1993), Review of Financial Studies 6(2); Bates (1996), Review of Financial
Studies 9(1); Albrecher, Mayer, Schoutens and Tistaert (2007), "The little Heston trap", Wilmott,
for the branch; Cui, del Bano Rollin and Germano (2017), EJOR 263(2), for the idea of the gradient.
"""

import cmath
from math import atan2, exp, expm1, log1p, sin

import numpy as np
from numba import njit

from volsurf_math.compile_options import ROUTINE

DIFFUSIVE = 6  # phi and its derivatives by the parameters of the variance; those of jumps follow


@njit(**ROUTINE)
def inverse(z):
    """Return 1/z, without the scaling that guards huge numbers."""
    scale = 1.0 / (z.real * z.real + z.imag * z.imag)
    return complex(z.real * scale, -z.imag * scale)


@njit(**ROUTINE)
def _one_less_exp(z):
    """Return 1 - exp(-z) without cancellation, and exp(-z)."""
    size, half, sine = exp(-z.real), sin(0.5 * z.imag), sin(z.imag)
    versine = 2.0 * half * half  # 1 - cos
    lost = 1.0 - size if size < 0.5 else -expm1(-z.real)
    rest = size * versine
    return complex(lost + rest, size * sine), complex(size - rest, -size * sine)


@njit(**ROUTINE)
def _log_ratio_series(s):
    """Return ell = -ln(1 - s)/s and (1/(1 - s) - ell)/s, both continuous at s = 0."""
    if abs(s.real) + abs(s.imag) < 1e-3:
        ell = 1.0 + s * (1 / 2 + s * (1 / 3 + s * (1 / 4 + s * (1 / 5 + s / 6))))
        g = 1 / 2 + s * (2 / 3 + s * (3 / 4 + s * (4 / 5 + s * (5 / 6 + s * (6 / 7)))))
        return ell, g
    size = s.real * s.real + s.imag * s.imag
    log = complex(0.5 * log1p(size - 2.0 * s.real), atan2(-s.imag, 1.0 - s.real))
    over = inverse(s)
    ell = -log * over
    return ell, (inverse(1.0 - s) - ell) * over


@njit(**ROUTINE)
def evaluate(p, tte, z, out):
    """Fill `out` with phi(z - i/2) and its derivatives, as many as it has room for.

    `p` is (kappa, theta, sigma, rho, v0, intensity, jump mean, jump sd), and that is the order of
    the derivatives, after phi itself.
    """
    kappa, theta, sigma, rho, v0, intensity = p[0], p[1], p[2], p[3], p[4], p[5]
    a = complex(0.5 - z.imag, z.real)
    big_q = z * z + 0.25
    variance = sigma * sigma
    xi = kappa - sigma * rho * a
    d = cmath.sqrt(xi * xi + variance * big_q)
    over_d = inverse(d)
    m, decay = _one_less_exp(d * tte)
    q = big_q * inverse(xi + d) if xi.real >= 0.0 else (d - xi) / variance
    y = 0.5 * q * m * over_d
    s = variance * y
    u = inverse(1.0 - s)
    ell, g = _log_ratio_series(s)
    big_c = kappa * (2.0 * y * ell - q * tte)
    big_d = -0.5 * big_q * m * over_d * u
    exponent = theta * big_c + v0 * big_d
    size, mean, jump = complex(1.0, 0.0), 1.0, complex(0.0, 0.0)
    if intensity > 0.0 or out.size > DIFFUSIVE:
        size = cmath.exp(a * (p[6] + 0.5 * a * p[7] * p[7]))
        mean = exp(p[6] + 0.5 * p[7] * p[7])
        jump = tte * (size - 1.0 - a * (mean - 1.0))
        exponent += intensity * jump
    phi = cmath.exp(exponent)
    out[0] = phi
    if out.size == 1:
        return
    growth = 0.5 * tte * decay * over_d  # dm/dd over 2d
    q_xi, d_xi = -q * over_d, xi * over_d
    y_xi = 0.5 * q_xi * m * over_d + (q * growth - y * over_d) * d_xi
    q_sigma, d_sigma = -sigma * q * q * over_d, sigma * big_q * over_d
    y_sigma = 0.5 * q_sigma * m * over_d + (q * growth - y * over_d) * d_sigma
    c_xi = kappa * (2.0 * u * y_xi - tte * q_xi)
    c_sigma = kappa * (2.0 * u * y_sigma + 4.0 * sigma * y * y * g - tte * q_sigma)
    slope = -big_q * growth * u - big_d * over_d
    by_xi = theta * c_xi + v0 * (slope * d_xi + big_d * u * variance * y_xi)
    s_sigma = variance * y_sigma + 2.0 * sigma * y
    by_sigma = theta * c_sigma + v0 * (slope * d_sigma + big_d * u * s_sigma)
    out[1] = phi * (by_xi + theta * big_c / kappa)
    out[2] = phi * big_c
    out[3] = phi * (by_sigma - rho * a * by_xi)
    out[4] = phi * (-sigma * a * by_xi)
    out[5] = phi * big_d
    if out.size > DIFFUSIVE:
        out[6] = phi * jump
        out[7] = phi * (intensity * tte * a) * (size - mean)
        out[8] = phi * (intensity * tte * p[7] * a) * (a * size - mean)


@njit(**ROUTINE)
def evaluate_many(p, tte, z, out):
    """Fill `out` with phi(z - i/2) at every node of `z`."""
    value = np.empty(1, np.complex128)
    for j in range(z.size):
        evaluate(p, tte, z[j], value)
        out[j] = value[0]


@njit(**ROUTINE)
def mean_variance(p, tte):
    """Mean of the integral of v to `tte`."""
    return p[1] * tte - (p[4] - p[1]) * expm1(-p[0] * tte) / p[0]
