r"""Bates's model: Heston's variance with Merton's lognormal jumps of the price.

Under the pricing measure, for :math:`X = \ln(S_T/F)`,

.. math:: dX = -v/2\,dt + \sqrt v\,dB + \text{jumps}, \qquad
          dv = \kappa(\theta - v)\,dt + \sigma\sqrt v\,dW, \qquad dB\,dW = \rho\,dt ,

with compensated jumps of intensity :math:`\lambda` and logarithmic size :math:`N(\mu, \delta^2)`.
Prices come from :mod:`volsurf_math.heston_contour`, calibration from
:mod:`volsurf_math.affine_calibration`.

Reference: Bates, D. (1996), "Jumps and stochastic volatility: exchange rate processes implicit in
Deutsche Mark options", Review of Financial Studies 9(1).
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math import heston
from volsurf_math.affine_calibration import CalibratedModel
from volsurf_math.broadcasting import FloatArray
from volsurf_math.heston_fit import Coordinate, Optimum, Problem, from_free
from volsurf_math.heston_quotes import start_from_smiles

COORDINATES: Final = (
    *heston.COORDINATES,
    Coordinate.LOGARITHM,
    Coordinate.PLAIN,
    Coordinate.LOGARITHM,
)
FIRST_JUMPS: Final = (  # intensity, mean, sd: yearly shocks, rare crashes, jumps to both sides
    (1.0, -0.1, 0.15),
    (0.05, -0.4, 0.2),
    (1.0, 0.05, 0.1),
)
LEAST_SHARE = 0.2  # of Heston's variances that is left to diffusion at the start


@dataclass(frozen=True, slots=True, kw_only=True)
class Bates(CalibratedModel):
    """Parameters under the pricing measure: decimals and years; `sigma` is the vol of variance.

    Many narrow jumps (tens in the life of an option, a tenth as wide as their mean) cost prices a
    digit: 2e-10 of the forward instead of 1e-10.
    """

    coordinates: ClassVar = COORDINATES

    kappa: float
    theta: float
    sigma: float
    rho: float
    v0: float
    jump_intensity: float = 0.0
    jump_mean: float = 0.0
    jump_sd: float = 0.0

    def __post_init__(self) -> None:
        """Refuse impossible parameters."""
        is_finite = np.isfinite(self.parameters).all()
        is_positive = min(self.kappa, self.theta, self.v0) > 0.0 and self.sigma >= 0.0
        has_jumps = min(self.jump_intensity, self.jump_sd) >= 0.0
        if not (is_finite and is_positive and has_jumps and abs(self.rho) < 1.0):
            raise ValueError(
                "Bates needs kappa, theta, v0 > 0, sigma, jump_intensity, jump_sd >= 0 and "
                f"|rho| < 1, was {self}"
            )

    @property
    def jump_compensator(self) -> float:
        """Mean relative jump of the price, E[exp(J)] - 1."""
        return float(np.expm1(self.jump_mean + 0.5 * self.jump_sd**2))

    def log_contract_variance(self, tte: ArrayLike) -> FloatArray:
        """Return -2 E[ln(S_T / F)] / tte: what a strip of options replicates, VIX squared."""
        jump = 2.0 * self.jump_intensity * (self.jump_compensator - self.jump_mean)
        return self.diffusive_variance(tte) / np.asarray(tte) + jump

    @classmethod
    def default_bounds(cls) -> "tuple[Bates, Bates]":
        """Return the smallest and the largest of each parameter."""
        return DEFAULT_BOUNDS

    @classmethod
    def search_all(cls, problem: Problem) -> list[Optimum]:
        """Return where searches end from Heston's optimum with three kinds of jumps.

        What varies with the jumps is taken out of the diffusion, and so is part of its skew.
        """
        n = len(heston.COORDINATES)
        without = replace(
            problem,
            coordinates=problem.coordinates[:n],
            lower=problem.lower[:n],
            upper=problem.upper[:n],
        )
        optimum = without.search(start_from_smiles(problem.quotes))
        (kappa, theta, sigma, rho, v0), _ = from_free(optimum.q, heston.COORDINATES)
        found = []
        for intensity, mean, sd in FIRST_JUMPS:
            jumps = intensity * (mean * mean + sd * sd)
            theta_left, v0_left = (max(x - jumps, LEAST_SHARE * x) for x in (theta, v0))
            start = (kappa, theta_left, 0.7 * sigma, rho, v0_left, intensity, mean, sd)
            found.append(problem.search(np.array(start)))
        return found


_LOWEST, _HIGHEST = heston.DEFAULT_BOUNDS
DEFAULT_BOUNDS: Final = (
    Bates(
        kappa=_LOWEST.kappa,
        theta=_LOWEST.theta,
        sigma=_LOWEST.sigma,
        rho=_LOWEST.rho,
        v0=_LOWEST.v0,
        jump_intensity=1e-3,
        jump_mean=-2.0,
        jump_sd=0.01,
    ),
    Bates(
        kappa=_HIGHEST.kappa,
        theta=_HIGHEST.theta,
        sigma=_HIGHEST.sigma,
        rho=_HIGHEST.rho,
        v0=_HIGHEST.v0,
        jump_intensity=20.0,
        jump_mean=2.0,
        jump_sd=2.0,
    ),
)
