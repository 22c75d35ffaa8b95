"""The models whose surfaces can be read at points, and how each is built from its stored rows.

Belongs here: rows of one underlying to something that answers implied volatility. Not here: where
it is read (`surfaces`). Another model is one line of SURFACE_MODELS.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl

from volsurf_assets.law_surfaces import heston_surface
from volsurf_assets.smile_quality import PARAMETERS
from volsurf_tables.stochastic_vol import HESTON_SURFACES
from volsurf_tables.surface_slices import surface_slices
from volsurf_tables.surfaces import FITTED_SURFACES, IS_STANDARD, SLICE_MODELS
from volsurf_tables.table import Table

Array = np.ndarray[Any, np.dtype[np.float64]]


class VolSurface(Protocol):
    """Answers with the `SurfacePoints` of `volsurf_math.surfaces.interpolation`."""

    def implied_vol(self, tte: Array, *, k: Array | None = None, delta: Array | None = None) -> Any:
        """Return vol, standard error, k and status at points given by one of `k` and `delta`."""
        ...


@dataclass(frozen=True, slots=True)
class SurfaceModel:
    """`build` takes the rows of `reads`, of one underlying; None where they hold no surface."""

    reads: tuple[Table, ...]
    build: Callable[..., VolSurface | None]


def surface_of(smiles: pl.DataFrame) -> Any:
    """Build the surface of one underlying's smiles (`surface_slices`); None if there is none."""
    from volsurf_math.surfaces.interpolation import Surface

    rows = surface_slices(smiles)
    if rows.is_empty():
        return None
    columns = ("tte_years", "forward", "k_min", "k_max", "atm_vol_std_error")
    tte, forward, k_min, k_max, std_error = (rows[name].to_numpy() for name in columns)
    return Surface(
        tte=tte,
        forward=forward,
        parameters=rows.select(PARAMETERS).to_numpy(),
        k_min=k_min,
        k_max=k_max,
        std_error=std_error,
    )


def _of_smiles(model: str) -> SurfaceModel:
    """Return the surface through the fitted smiles of one model."""

    def build(smiles: pl.DataFrame) -> VolSurface | None:
        surface: VolSurface | None = surface_of(smiles.filter(pl.col("model_type") == model))
        return surface

    return SurfaceModel((FITTED_SURFACES,), build)


def _of_heston(laws: pl.DataFrame, smiles: pl.DataFrame) -> VolSurface | None:
    return heston_surface(laws, surface_of(smiles.filter(IS_STANDARD)))


SURFACE_MODELS = {
    **{model: _of_smiles(model) for model in SLICE_MODELS},
    "HESTON": SurfaceModel((HESTON_SURFACES, FITTED_SURFACES), _of_heston),
}
