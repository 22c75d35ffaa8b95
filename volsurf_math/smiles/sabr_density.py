r"""SABR without arbitrage: the density of the forward at expiry by a one-dimensional equation.

Hagan et al. reduce SABR to :math:`\partial_T Q = \tfrac12 \partial_F^2 (D^2 E\,Q)` with

.. math::
   y(F) = \frac{F^{1-\beta} - f^{1-\beta}}{1 - \beta}, \quad
   D = \sqrt{\alpha^2 + 2\rho\alpha\nu y + \nu^2 y^2}\,F^\beta, \quad
   E = \exp\Bigl(\rho\nu\alpha\,\frac{F^\beta - f^\beta}{F - f}\,T\Bigr),

whose solution is a density by construction, absorbed at both ends. It is solved for
:math:`\theta = Q D` in :math:`z` with :math:`dF = D\,dz`, where
:math:`y = (\alpha/\nu)[\sinh \nu z + \rho(\cosh \nu z - 1)]`, on cells whose mass and mean the
scheme conserves to rounding. Time steps are Lawson-Swayne's: two implicit steps and an
extrapolation, of second order and free of the oscillations of Crank-Nicolson.

Belongs here: the density, prices from it, and nothing fitted. Where Hagan's formula has a negative
density (`SabrSmile.sound_range`), price with this.

References
----------
.. [1] Hagan, Kumar, Lesniewski, Woodward (2014), "Arbitrage-free SABR", Wilmott 69.
.. [2] Le Floc'h, Kennedy (2017), "Finite difference techniques for arbitrage-free SABR", J.
   Computational Finance 20(3).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from volsurf_math.compile_options import ROUTINE
from volsurf_math.implied_vol import implied_vol
from volsurf_math.smiles.base import FloatArray
from volsurf_math.smiles.sabr import Sabr

Floating = NDArray[np.floating[Any]]
REACH_SDS = 5.5  # of the driving Brownian motion, to either side
_LOG_REACH = 12.0  # of F over the forward
_SHARE = 1.0 - math.sqrt(0.5)  # of a time step, Lawson-Swayne
_LEAST_NU = 1e-8  # below it nu z is linear to rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class SabrDensity:
    """Masses of cells of the price at expiry.

    Attributes
    ----------
    edge : array, shape (n + 1,)
        Prices between cells, rising; the first is 0 unless the grid ends before.
    centre, mass : array, shape (n,)
        Price at which the mass of a cell stands, and the mass.
    low_mass, high_mass : float
        Absorbed at the first and at the last edge.
    """

    forward: float
    tte: float
    edge: FloatArray
    centre: FloatArray
    mass: FloatArray
    low_mass: float
    high_mass: float

    @property
    def density(self) -> FloatArray:
        """Probability per unit of price in each cell, shape (n,)."""
        return self.mass / np.diff(self.edge)

    def price(self, strike: ArrayLike, is_call: ArrayLike) -> FloatArray:
        """Undiscounted option prices; between edges by the cubic through values and slopes."""
        strike = np.asarray(strike, dtype=np.float64)
        above = np.append(np.cumsum(self.mass[::-1])[::-1], 0.0) + self.high_mass
        worth = np.append(np.cumsum((self.mass * self.centre)[::-1])[::-1], 0.0)
        call = worth + self.high_mass * self.edge[-1] - above * self.edge
        j = np.clip(np.searchsorted(self.edge, strike) - 1, 0, self.mass.size - 1)
        width = self.edge[j + 1] - self.edge[j]
        t = np.clip((strike - self.edge[j]) / width, 0.0, 1.0)
        s = 1.0 - t
        price = (
            s * s * (1.0 + 2.0 * t) * call[j]
            + t * t * (1.0 + 2.0 * s) * call[j + 1]
            + t * s * width * (t * above[j + 1] - s * above[j])
        )
        price = np.where(strike < self.edge[0], self.forward - strike, price)
        price = np.where(np.isnan(strike), np.nan, price)
        return np.where(is_call, price, price - self.forward + strike)

    def implied_vol(self, strike: ArrayLike) -> FloatArray:
        """Lognormal volatility at `strike`; NaN where the price has no digits left."""
        strike = np.asarray(strike, dtype=np.float64)
        is_call = strike >= self.forward
        price = self.price(strike, is_call)
        return implied_vol(price, self.forward, strike, self.tte, 1.0, is_call)[0]


def sabr_density(
    sabr: Sabr, forward: float, tte: float, *, n_cells: int = 500, n_steps: int = 120
) -> SabrDensity:
    """Solve for the density of the forward `tte` years ahead.

    Errors fall with the square of the cells and of the steps: at the defaults a volatility at the
    money is good to about 1e-5 of itself.
    """
    if not (forward > 0.0 and tte > 0.0 and n_cells >= 10 and n_steps >= 2):
        rule = "a SABR density needs forward > 0, tte > 0, 10 cells and 2 steps"
        raise ValueError(f"{rule}, was {forward}, {tte}, {n_cells} and {n_steps}")
    alpha = sabr.alpha * forward ** (sabr.beta - 1.0)  # prices over the forward from here on
    nu = max(sabr.nu, _LEAST_NU)
    root = math.sqrt(tte)
    low = max(_z_of(math.exp(-_LOG_REACH), alpha, sabr.beta, sabr.rho, nu), -REACH_SDS * root)
    at_zero = _z_at_zero(alpha, sabr.beta, sabr.rho, nu)
    if at_zero > -REACH_SDS * root:
        low = at_zero
    high = min(_z_of(math.exp(_LOG_REACH), alpha, sabr.beta, sabr.rho, nu), REACH_SDS * root)
    # the forward stands in the middle of a cell
    below = max(1, round(-low / (high - low) * n_cells))
    h = -low / (below - 0.5)
    z = low + h * np.arange(n_cells + 1)
    edge = _price_at(z, alpha, sabr.beta, sabr.rho, nu)
    centre = _price_at(z[:-1] + 0.5 * h, alpha, sabr.beta, sabr.rho, nu)
    mass = np.zeros(n_cells)
    mass[below - 1] = 1.0
    centre[below - 1] = 1.0
    y = _y_of(centre, sabr.beta)
    volatility = np.sqrt(alpha**2 + 2.0 * sabr.rho * alpha * nu * y + (nu * y) ** 2)
    volatility *= centre**sabr.beta
    drift = sabr.rho * nu * alpha * _chord(centre, sabr.beta)
    ends = np.zeros(2)
    _evolve(mass, ends, edge, centre, volatility / h, drift, tte / n_steps, n_steps)
    return SabrDensity(
        forward=forward,
        tte=tte,
        edge=forward * edge,
        centre=forward * centre,
        mass=mass,
        low_mass=float(ends[0]),
        high_mass=float(ends[1]),
    )


def _y_of(price: FloatArray, beta: float) -> FloatArray:
    u = 1.0 - beta
    return np.log(price) if u == 0.0 else (price**u - 1.0) / u


def _z_of(price: float, alpha: float, beta: float, rho: float, nu: float) -> float:
    return _z_of_y(float(_y_of(np.array(price), beta)), alpha, rho, nu)


def _z_at_zero(alpha: float, beta: float, rho: float, nu: float) -> float:
    return -math.inf if beta == 1.0 else _z_of_y(-1.0 / (1.0 - beta), alpha, rho, nu)


def _z_of_y(y: float, alpha: float, rho: float, nu: float) -> float:
    """Inverse of y(z): asinh of both ends of the hyperbola, without cancellation."""
    bar = math.sqrt(1.0 - rho * rho)
    return (math.asinh((rho + nu * y / alpha) / bar) - math.asinh(rho / bar)) / nu


def _price_at(z: Floating, alpha: float, beta: float, rho: float, nu: float) -> FloatArray:
    """Return F over the forward at z; 0 where y has run below the origin."""
    y = alpha / nu * (np.sinh(nu * z) + 2.0 * rho * np.sinh(0.5 * nu * z) ** 2)
    u = 1.0 - beta
    return np.exp(y) if u == 0.0 else np.maximum(1.0 + u * y, 0.0) ** (1.0 / u)


def _chord(price: FloatArray, beta: float) -> FloatArray:
    """(F^beta - 1) / (F - 1), beta at F = 1."""
    away = np.where(np.abs(price - 1.0) < 1e-7, 1.0 + 1e-7, price)
    return (away**beta - 1.0) / (away - 1.0)


@njit(**ROUTINE)
def _evolve(mass, ends, edge, centre, speed, drift, step, n_steps):
    """Carry masses from 0 to n_steps * step; ends receive what is absorbed.

    `speed` is D / h. A cell gives its mass at rate speed E / (distance between centres) / 2 to
    either neighbour; ghost cells beyond the ends mirror the first and the last.
    """
    n = mass.size
    gap = np.empty(n + 1)
    gap[0], gap[n] = 2.0 * (centre[0] - edge[0]), 2.0 * (edge[n] - centre[n - 1])
    for i in range(1, n):
        gap[i] = centre[i] - centre[i - 1]
    once, twice, end_once, end_twice = np.empty(n), np.empty(n), np.empty(2), np.empty(2)
    for k in range(n_steps):
        start = k * step
        _implicit(
            mass, ends, gap, speed, drift, start + _SHARE * step, _SHARE * step, once, end_once
        )
        _implicit(
            once, end_once, gap, speed, drift, start + 2.0 * _SHARE * step, _SHARE * step, twice,
            end_twice,
        )  # fmt: skip
        grow = math.sqrt(2.0)
        mass[:] = (grow + 1.0) * twice - grow * once
        ends[:] = (grow + 1.0) * end_twice - grow * end_once


@njit(**ROUTINE)
def _implicit(mass, ends, gap, speed, drift, time, step, out, end_out):
    """One implicit Euler step to `time` by the tridiagonal algorithm."""
    n = mass.size
    upper, right = np.empty(n), np.empty(n)
    flow = np.empty(n)
    for i in range(n):
        flow[i] = 0.5 * step * speed[i] * math.exp(drift[i] * time)
    for i in range(n):
        # the mirror image doubles the flow through an end
        out_left = (2.0 if i == 0 else 1.0) / gap[i]
        out_right = (2.0 if i == n - 1 else 1.0) / gap[i + 1]
        diagonal = 1.0 + flow[i] * (out_left + out_right)
        lower = -flow[i - 1] / gap[i] if i > 0 else 0.0
        above = -flow[i + 1] / gap[i + 1] if i < n - 1 else 0.0
        pivot = diagonal - (lower * upper[i - 1] if i > 0 else 0.0)
        upper[i] = above / pivot
        right[i] = (mass[i] - (lower * right[i - 1] if i > 0 else 0.0)) / pivot
    out[n - 1] = right[n - 1]
    for i in range(n - 2, -1, -1):
        out[i] = right[i] - upper[i] * out[i + 1]
    end_out[0] = ends[0] + 2.0 * flow[0] / gap[0] * out[0]
    end_out[1] = ends[1] + 2.0 * flow[n - 1] / gap[n] * out[n - 1]
