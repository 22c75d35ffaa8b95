"""The certificate of every surface of fitted smiles.

Belongs here: frame to `Surface`, its certificate back to a row. Not here: the conditions (maths),
or a repair (the fits are free of arbitrage by construction or guarded).
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.session import Session
from volsurf_assets.surface_models import surface_of
from volsurf_assets.table_asset import table_asset
from volsurf_tables.certificates import SURFACE_CERTIFICATES
from volsurf_tables.surface_slices import surface_slices
from volsurf_tables.surfaces import FITTED_SURFACES

SURFACE = ["symbol", "quote_date", "snapshot", "model_type"]
JOINT_MODELS = ("SSVI",)  # fitted across expiries, so that none crosses another anywhere
COLUMNS = {  # of the certificate, where the table has another name
    "n_slices": "num_slices",
    "n_grid": "grid_points",
    "k_min": "grid_k_min",
    "k_max": "grid_k_max",
    "n_butterfly_violations": "butterfly_violations",
    "n_calendar_violations": "calendar_violations",
    "n_quoted_calendar_violations": "quoted_calendar_violations",
    "n_wing_violations": "wing_violations",
}


@table_asset(SURFACE_CERTIFICATES, reads=[FITTED_SURFACES], code_version="2")
def surface_certificates(session: Session) -> pl.DataFrame:
    """Check every surface as it will be read, carried slices included."""
    smiles = session.read(FITTED_SURFACES)
    rows = [
        dict(zip(SURFACE, surface, strict=True)) | _certified(slices, str(surface[-1]))
        for surface, slices in smiles.group_by(SURFACE, maintain_order=True)
    ]
    schema = SURFACE_CERTIFICATES.schema
    return pl.DataFrame(rows, schema=dict(schema.items()), orient="row").select(schema.names())


def _certified(smiles: pl.DataFrame, model: str) -> dict[str, Any]:
    """Return the columns of one surface."""
    from volsurf_math.surfaces.certificate import certify

    scope = "whole line" if model in JOINT_MODELS else "quoted strikes"
    surface = surface_of(smiles)
    if surface is None:
        reason = "no smile was fitted or carried"
        return {"calendar_scope": scope, "status": "no surface", "reason": reason}
    certificate = certify(surface)
    is_clean, where_quoted = certificate.is_clean, certificate.is_clean_where_quoted
    found = {COLUMNS.get(name, name): _or_null(x) for name, x in asdict(certificate).items()}
    return found | {
        "is_clean": is_clean if model in JOINT_MODELS else where_quoted,
        "is_clean_everywhere": is_clean,
        "calendar_scope": scope,
        "num_carried": surface_slices(smiles).filter(pl.col("status") == "carried").height,
        "status": "certified",
    }


def _or_null(value: float) -> float | None:
    """A number, or null where there was nothing to check."""
    return value if np.isfinite(value) else None
