r"""Heston's stochastic volatility: parameters, their bounds, and where a fit starts.

Under the pricing measure, for :math:`X = \ln(S_T/F)`,

.. math:: dX = -v/2\,dt + \sqrt v\,dB, \qquad dv = \kappa(\theta - v)\,dt + \sigma\sqrt v\,dW,
          \qquad dB\,dW = \rho\,dt .

Prices come from :mod:`volsurf_math.heston_contour`, calibration from
:mod:`volsurf_math.affine_calibration`.

Reference: Heston, S. (1993), "A closed-form solution for options with stochastic volatility with
applications to bond and currency options", Review of Financial Studies 6(2).
"""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from volsurf_math.affine_calibration import CalibratedModel
from volsurf_math.heston_fit import Coordinate, Optimum, Problem
from volsurf_math.heston_quotes import start_from_smiles

COORDINATES: Final = (
    Coordinate.LOGARITHM,
    Coordinate.LOGARITHM,
    Coordinate.LOGARITHM,
    Coordinate.CORRELATION,
    Coordinate.LOGARITHM,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heston(CalibratedModel):
    """Parameters under the pricing measure: decimals and years; `sigma` is the vol of variance.

    With sigma = 0 variance is certain, and prices are Black's at its mean.
    """

    coordinates: ClassVar = COORDINATES

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
    def default_bounds(cls) -> "tuple[Heston, Heston]":
        """Return the smallest and the largest of each parameter."""
        return DEFAULT_BOUNDS

    @classmethod
    def search_all(cls, problem: Problem) -> list[Optimum]:
        """Return where the search ends that starts from level and slope of the smiles."""
        return [problem.search(start_from_smiles(problem.quotes))]


DEFAULT_BOUNDS: Final = (
    Heston(kappa=0.01, theta=1e-4, sigma=0.01, rho=-0.998, v0=1e-5),
    Heston(kappa=50.0, theta=4.0, sigma=7.0, rho=0.998, v0=4.0),
)
