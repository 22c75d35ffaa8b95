r"""Bates's model: Heston's variance with Merton's lognormal jumps of the price.

Under the pricing measure, for :math:`X = \ln(S_T/F)`,

.. math:: dX = -v/2\,dt + \sqrt v\,dB + \text{jumps}, \qquad
          dv = \kappa(\theta - v)\,dt + \sigma\sqrt v\,dW, \qquad dB\,dW = \rho\,dt ,

with compensated jumps of intensity :math:`\lambda` and logarithmic size :math:`N(\mu, \delta^2)`.
Prices come from :mod:`volsurf_math.heston_contour`, least squares from
:mod:`volsurf_math.heston_fit`.

Reference: Bates, D. (1996), "Jumps and stochastic volatility: exchange rate processes implicit in
Deutsche Mark options", Review of Financial Studies 9(1).
"""

from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math import heston
from volsurf_math.affine_model import AffineModel
from volsurf_math.broadcasting import FloatArray
from volsurf_math.heston_fit import (
    Calibration,
    Coordinate,
    Objective,
    Problem,
    calibrate_model,
    from_free,
)
from volsurf_math.heston_quotes import Quoted, start_from_smiles, usable_quotes

COORDINATES: Final = (
    *heston.COORDINATES,
    Coordinate.LOGARITHM,
    Coordinate.PLAIN,
    Coordinate.LOGARITHM,
)
FIRST_JUMPS: Final = (  # intensity, mean, sd: rare crashes, corrections, frequent slips
    (0.05, -0.4, 0.2),
    (0.3, -0.1, 0.1),
    (1.5, -0.03, 0.06),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bates(AffineModel):
    """Parameters under the pricing measure: decimals and years; `sigma` is the vol of variance.

    Many narrow jumps (tens in the life of an option, a tenth as wide as their mean) cost prices a
    digit: 2e-10 of the forward instead of 1e-10.
    """

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
    def calibrate(
        cls,
        forward: ArrayLike,
        strike: ArrayLike,
        tte: ArrayLike,
        quote: ArrayLike,
        is_call: ArrayLike,
        weight: ArrayLike = 1.0,
        *,
        quoted: Quoted = Quoted.PRICE,
        objective: Objective = Objective.VOLATILITY,
        start: "Bates | None" = None,
        bounds: "tuple[Bates, Bates] | None" = None,
        feller_penalty: float = 0.0,
        noise_floor: float = inf,
        rng: np.random.Generator | None = None,
    ) -> "Calibration[Bates]":
        """Fit a surface; arguments as of :meth:`volsurf_math.heston.Heston.calibrate`.

        Without a `start` there are three: Heston's optimum with jumps of an equity index, from rare
        crashes to frequent slips. Where the quotes allow several optima, the best of them counts.
        """
        if not feller_penalty >= 0.0:
            raise ValueError(f"feller_penalty needs to be >= 0, was {feller_penalty}")
        quotes = usable_quotes(forward, strike, tte, quote, is_call, weight, quoted)
        lower, upper = bounds or DEFAULT_BOUNDS

        def problem(n: int) -> Problem:
            return Problem(
                quotes=quotes,
                coordinates=COORDINATES[:n],
                lower=lower.parameters[:n],
                upper=upper.parameters[:n],
                objective=objective,
                feller_penalty=feller_penalty,
            )

        starts = [] if start is None else [start.parameters]
        if start is None and quotes.n >= len(COORDINATES):
            optimum = problem(len(heston.COORDINATES)).search(start_from_smiles(quotes))
            diffusive, _ = from_free(optimum.q, heston.COORDINATES)
            starts = [np.append(diffusive, jumps) for jumps in FIRST_JUMPS]
        return calibrate_model(cls, problem(len(COORDINATES)), starts, noise_floor, rng)


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
