r"""Heston's stochastic volatility: parameters, and their calibration to a surface.

Under the pricing measure, for :math:`X = \ln(S_T/F)`,

.. math:: dX = -v/2\,dt + \sqrt v\,dB, \qquad dv = \kappa(\theta - v)\,dt + \sigma\sqrt v\,dW,
          \qquad dB\,dW = \rho\,dt .

Prices come from :mod:`volsurf_math.heston_contour`, least squares from
:mod:`volsurf_math.heston_fit`.

Reference: Heston, S. (1993), "A closed-form solution for options with stochastic volatility with
applications to bond and currency options", Review of Financial Studies 6(2).
"""

from dataclasses import dataclass
from math import inf
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math.affine_model import AffineModel
from volsurf_math.heston_fit import (
    Calibration,
    Coordinate,
    Objective,
    Problem,
    calibrate_model,
)
from volsurf_math.heston_quotes import Quoted, start_from_smiles, usable_quotes

COORDINATES: Final = (
    Coordinate.LOGARITHM,
    Coordinate.LOGARITHM,
    Coordinate.LOGARITHM,
    Coordinate.CORRELATION,
    Coordinate.LOGARITHM,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heston(AffineModel):
    """Parameters under the pricing measure: decimals and years; `sigma` is the vol of variance.

    With sigma = 0 variance is certain, and prices are Black's at its mean.
    """

    kappa: float
    theta: float
    sigma: float
    rho: float
    v0: float

    def __post_init__(self) -> None:
        """Refuse impossible parameters."""
        is_finite = np.isfinite(self.parameters).all()
        is_positive = min(self.kappa, self.theta, self.v0) > 0.0 and self.sigma >= 0.0
        if not (is_finite and is_positive and abs(self.rho) < 1.0):
            raise ValueError(
                f"Heston needs kappa, theta, v0 > 0, sigma >= 0 and |rho| < 1, was {self}"
            )

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
        start: "Heston | None" = None,
        bounds: "tuple[Heston, Heston] | None" = None,
        feller_penalty: float = 0.0,
        noise_floor: float = inf,
        rng: np.random.Generator | None = None,
    ) -> "Calibration[Heston]":
        """Fit a surface by weighted least squares; all arrays broadcast.

        Parameters
        ----------
        forward, strike, tte : array
        quote : array
            Undiscounted price or Black's volatility, as `quoted` says. Rows without an implied
            volatility, or whose weight is not positive, are left out.
        is_call : array of bool
        weight : array
            Of the squared residual; only ratios matter.
        objective : Objective
            Residuals in volatility (price over vega, by default) or relative to the price.
        start, bounds : Heston, (Heston, Heston), optional
            Where to begin (read off the smiles by default), and the smallest and largest of each
            parameter.
        feller_penalty : float
            Times the squared logarithm of sigma^2 / (2 kappa theta), where that exceeds 1.
        noise_floor : float
            Root mean square residual above which differential evolution looks elsewhere.
        rng : Generator, optional
            Its randomness; a fixed seed by default.

        Raises
        ------
        ValueError
            If the penalty is negative, or shapes do not broadcast.
        """
        if not feller_penalty >= 0.0:
            raise ValueError(f"feller_penalty needs to be >= 0, was {feller_penalty}")
        quotes = usable_quotes(forward, strike, tte, quote, is_call, weight, quoted)
        lower, upper = bounds or DEFAULT_BOUNDS
        problem = Problem(
            quotes=quotes,
            coordinates=COORDINATES,
            lower=lower.parameters,
            upper=upper.parameters,
            objective=objective,
            feller_penalty=feller_penalty,
        )
        first = start_from_smiles(quotes) if start is None else start.parameters
        return calibrate_model(cls, problem, [first], noise_floor, rng)


DEFAULT_BOUNDS: Final = (
    Heston(kappa=0.01, theta=1e-4, sigma=0.01, rho=-0.998, v0=1e-5),
    Heston(kappa=50.0, theta=4.0, sigma=7.0, rho=0.998, v0=4.0),
)
