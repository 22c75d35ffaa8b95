"""Stored surfaces of other models, read as those of raw SVI are.

Belongs here: what differs from raw SVI. Not here: formulas (`volsurf_math`).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from volsurf_app.questions import When, Where
from volsurf_app.stored_surface import (
    Reading,
    Row,
    StoredSurface,
    frame_of,
    parameters_of,
    read,
)
from volsurf_math.surfaces.interpolation import Surface
from volsurf_tables.stochastic_vol import HESTON_PARAMETERS
from volsurf_tables.surface_slices import HAS_SMILE

_SABR = ("alpha", "beta", "rho", "nu")
_FRAME = ("root", "expiration_date", "tte_years", "forward", "k_min", "k_max", "num_points")


class StoredSabr(StoredSurface):
    """SABR smiles: rows of `sabr_smiles`."""

    def surface_of(self, slices: Sequence[Row]) -> Surface:
        """Return the surface through some slices."""
        from volsurf_math.surfaces.model_surfaces import SabrSurface

        return SabrSurface(parameters=parameters_of(slices, _SABR), **frame_of(slices))


class StoredSmiles(StoredSurface):
    """Smiles of a model known only by the register: rows of `smile_models`."""

    def surface_of(self, slices: Sequence[Row]) -> Surface:
        """Return the surface through some slices."""
        from volsurf_math.smiles import smile_of
        from volsurf_math.surfaces.model_surfaces import SmileSurface

        name = self.model.lower()
        smiles = tuple(smile_of(name, json.loads(row["parameters"])) for row in slices)
        return SmileSurface(
            smiles=smiles, parameters=np.empty((len(slices), 0)), **frame_of(slices)
        )


@dataclass(frozen=True)
class StoredHeston(StoredSurface):
    """Heston's law of a session, `law`, between the expiries and strikes that were quoted."""

    law: Row

    @property
    def absence(self) -> str:
        """Why there is no law."""
        return str(self.law["reason"] or self.law["status"])

    def origin_of(self, row: Row) -> Row:
        """Return the law, at one expiry; the error is the law's, of all expiries together."""
        return self.law | row | {"rmse": self.law["rmse"]}

    def surface_of(self, slices: Sequence[Row]) -> Surface:
        """Return the law at the times of some slices."""
        from volsurf_math.surfaces.model_surfaces import HestonSurface

        parameters = np.repeat(parameters_of([self.law], HESTON_PARAMETERS), len(slices), axis=0)
        return HestonSurface(parameters=parameters, **frame_of(slices))

    def read(self, when: When, where: Where) -> Reading:
        """Read the law at the very time, not between the listed ones."""
        tte = when.tte
        if tte is None or not self.slices or not self._reaches(tte):
            return super().read(when, where)
        far = int(np.searchsorted([row["tte_years"] for row in self.slices], tte))
        used = self.slices[max(far - 1, 0) : far + 1]
        if used[-1]["tte_years"] == tte:
            used = used[-1:]
        times = [row["tte_years"] for row in used]
        logs = [math.log(row["forward"]) for row in used]
        here = {
            "tte_years": tte,
            "forward": math.exp(float(np.interp(tte, times, logs))),
            "k_min": max(row["k_min"] for row in used),
            "k_max": min(row["k_max"] for row in used),
        }
        reading = read(self.surface_of([here]), [here], [tte], where)[0]
        return replace(reading, slices=tuple(used))

    def read_all(self, times: Sequence[When], where: Where) -> list[Reading]:
        """Read the law at many times."""
        return [self.read(time, where) for time in times]

    def _reaches(self, tte: float) -> bool:
        return bool(self.slices[0]["tte_years"] <= tte <= self.slices[-1]["tte_years"])


def heston_rows(smiles: pl.DataFrame, law: Row) -> pl.DataFrame:
    """Return the listed expiries with the quotes' ranges, and the law's outcome as their own.

    The law's error, of all expiries together, is that of none of them.
    """
    fields = {
        name: pl.when(HAS_SMILE).then(pl.lit(law[name], dtype)).otherwise(pl.col(name))
        for name, dtype in {"status": pl.String, "reason": pl.String}.items()
    }
    return smiles.select(*_FRAME, **fields, rmse=pl.lit(None, pl.Float64))
