"""Surfaces of other models than raw SVI, read where quotes support them as `Surface` is.

Belongs here: what a slice of another model is. Not here: the models, or reading between slices.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from volsurf_math.heston import Heston
from volsurf_math.smiles.base import FloatArray, IntArray, Smile
from volsurf_math.smiles.sabr import hagan_vol
from volsurf_math.surfaces.interpolation import Surface, TotalVariance


@dataclass(frozen=True, slots=True, kw_only=True)
class SabrSurface(Surface):
    """Slices by Hagan's formula; `parameters` are (alpha, beta, rho, nu), beta one for all."""

    n_parameters: ClassVar[int] = 4

    def _smile(self, slices: IntArray) -> TotalVariance:
        alpha, _, rho, nu = np.moveaxis(self.parameters[slices], -1, 0)
        beta, forward, tte = float(self.parameters[0, 1]), self.forward[slices], self.tte[slices]

        def total_variance(k: FloatArray) -> FloatArray:
            vol = hagan_vol(forward * np.exp(k), forward, tte, alpha, beta, rho, nu)
            return vol * vol * tte

        return total_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class SmileSurface(Surface):
    """Slices of any registered model: `smiles`, one for each; `parameters` are (n_slices, 0)."""

    n_parameters: ClassVar[int] = 0

    smiles: tuple[Smile, ...]

    def _smile(self, slices: IntArray) -> TotalVariance:
        def total_variance(k: FloatArray) -> FloatArray:
            w = np.full(k.shape, np.nan)
            for i in np.unique(slices):
                here = (slices == i) & np.isfinite(k)
                w[here] = self.smiles[i].total_variance(k[here])
            return w

        return total_variance


@dataclass(frozen=True, slots=True, kw_only=True)
class HestonSurface(Surface):
    """Slices of one law; `parameters` are (kappa, theta, sigma, rho, v0), the same in every row.

    The law knows every time to expiry: one slice at the time wanted is exact, while between slices
    total variance is linear in time as for other models.
    """

    def _smile(self, slices: IntArray) -> TotalVariance:
        kappa, theta, sigma, rho, v0 = self.parameters[0].tolist()
        law, tte = Heston(kappa=kappa, theta=theta, sigma=sigma, rho=rho, v0=v0), self.tte[slices]

        def total_variance(k: FloatArray) -> FloatArray:
            vol = law.implied_vol(1.0, np.exp(k), tte)
            return vol * vol * tte

        return total_variance
