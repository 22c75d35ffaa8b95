"""Tables that read the fitted smiles: points on a grid, term structure, changes.

Belongs here: surfaces to frames. Not here: fitting (`smiles`), from frame to surface
(`surface_models`), or interpolation (maths).
"""

from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.pictures import sparkline
from volsurf_assets.session import Session
from volsurf_assets.smile_quality import PARAMETERS
from volsurf_assets.surface_models import SURFACE_MODELS, VolSurface, surface_of
from volsurf_assets.table_asset import table_asset
from volsurf_tables.surface_slices import HAS_SMILE
from volsurf_tables.surfaces import (
    FITTED_SURFACES,
    IS_STANDARD,
    SURFACE_CHANGES,
    SURFACE_POINTS,
    TERM_STRUCTURE_PARAMS,
)
from volsurf_tables.table import Table

TENORS = (7, 14, 30, 60, 90, 120, 180, 270, 365, 540, 730)  # calendar days
DELTAS = (-0.05, -0.10, -0.25, -0.40, 0.40, 0.25, 0.10, 0.05)
MONEYNESS = (-0.30, -0.20, -0.10, -0.05, -0.025, 0.0, 0.025, 0.05, 0.10, 0.20)
CHANGE_TENORS = (30, 60, 90, 180)
LOOK_BACK = 10  # sessions in which the previous surface may lie
DAYS_PER_YEAR = 365.0

Array = np.ndarray[Any, np.dtype[np.float64]]


def _grid() -> pl.DataFrame:
    axes = [("delta", x) for x in DELTAS] + [("log_moneyness", x) for x in MONEYNESS]
    rows = [(days, axis, x) for days in TENORS for axis, x in axes]
    schema = {"tenor_days": pl.Int32, "axis": pl.String, "coordinate": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


@table_asset(
    SURFACE_POINTS,
    reads=list(dict.fromkeys(t for model in SURFACE_MODELS.values() for t in model.reads)),
    code_version="4",
    picture=lambda rows: sparkline(rows.filter(IS_STANDARD)["implied_vol"]),
)
def surface_points(session: Session) -> pl.DataFrame:
    """Read the surface of every model on the grid; where quotes support no value there is none."""
    frames = []
    for name, model in SURFACE_MODELS.items():
        tables = [session.read(table) for table in model.reads]
        for (symbol, snapshot), _ in _underlyings(tables[0]):
            is_own = (pl.col("symbol") == symbol) & (pl.col("snapshot") == snapshot)
            points = _points(model.build(*(rows.filter(is_own) for rows in tables)))
            points = points.with_columns(model_type=pl.lit(name))
            frames.append(_identified(points, symbol, session, snapshot))
    return _stack(frames, SURFACE_POINTS).with_columns(
        status=pl.when(pl.col("implied_vol").is_null())
        .then(pl.lit("unsupported"))
        .otherwise(pl.lit("interpolated")),
    )


def _points(surface: VolSurface | None) -> pl.DataFrame:
    """Read one surface on the grid."""
    from volsurf_math.surfaces.interpolation import PointStatus

    if surface is None:
        return _grid().with_columns(reason=pl.lit("no smile was fitted"))
    reasons = {
        PointStatus.OUTSIDE_EXPIRIES: "tenor outside the fitted expiries",
        PointStatus.OUTSIDE_STRIKES: "outside the quoted strikes",
    }
    parts = []
    for (axis,), part in _grid().group_by("axis", maintain_order=True):
        tte = part["tenor_days"].to_numpy() / DAYS_PER_YEAR
        at = {"delta" if axis == "delta" else "k": part["coordinate"].to_numpy()}
        points = surface.implied_vol(tte, **at)
        why = [reasons.get(PointStatus(s)) for s in points.status.tolist()]
        parts.append(
            part.with_columns(
                implied_vol=pl.Series(points.implied_vol).fill_nan(None),
                std_error=pl.Series(points.std_error).fill_nan(None),
                log_moneyness=pl.Series(points.k).fill_nan(None),
                reason=pl.Series(why, dtype=pl.String),
            )
        )
    return pl.concat(parts)


@table_asset(
    TERM_STRUCTURE_PARAMS, reads=[FITTED_SURFACES], code_version="1",
    picture=lambda rows: sparkline(rows["atm_term_a"]),
)  # fmt: skip
def term_structure_params(session: Session) -> pl.DataFrame:
    """Fit a power law through the ATM vols, and one through the skews, of each surface."""
    from volsurf_math.term_structure import TermStatus, fit_power_law

    frames = []
    for (symbol, snapshot), smiles in _underlyings(_standard(session)):
        known = smiles.filter(pl.col("atm_vol") > 0.0)
        tte, atm = known["tte_years"].to_numpy(), known["atm_vol"].to_numpy()
        skewed = smiles.filter(HAS_SMILE, pl.col("skew_25delta").is_not_null())
        level = fit_power_law(tte, atm)
        skew = fit_power_law(skewed["tte_years"].to_numpy(), skewed["skew_25delta"].to_numpy())
        is_fitted = level.status == TermStatus.FITTED
        parts = {f"atm: {level.status.name.lower()}": not is_fitted,
                 f"skew: {skew.status.name.lower()}": skew.status != TermStatus.FITTED}  # fmt: skip
        row = pl.DataFrame(
            {
                "atm_term_a": [level.a],
                "atm_term_b": [level.b],
                "atm_term_rmse": [100.0 * level.rmse],
                "skew_term_a": [skew.a],
                "skew_term_b": [skew.b],
                "skew_term_rmse": [100.0 * skew.rmse],
            }
        ).with_columns(pl.all().fill_nan(None))
        row = row.with_columns(
            num_expirations=pl.lit(level.n_points, pl.Int32),
            status=pl.lit("fitted" if is_fitted else "skipped"),
            reason=pl.lit(
                "; ".join(why for why, holds in parts.items() if holds) or None, pl.String
            ),
        )
        frames.append(_identified(row, symbol, session, snapshot))
    return _stack(frames, TERM_STRUCTURE_PARAMS).with_columns(model_type=pl.lit("power_law"))


@table_asset(
    SURFACE_CHANGES,
    reads=[FITTED_SURFACES],
    code_version="1",
    picture=lambda rows: sparkline(rows["change_atm_vol"]),
)
def surface_changes(session: Session) -> pl.DataFrame:
    """Compare every surface with the official one of the session before, at constant maturities."""
    past = session.before(FITTED_SURFACES, LOOK_BACK).filter(HAS_SMILE, IS_STANDARD)
    frames = []
    for (symbol, snapshot), smiles in _underlyings(_standard(session)):
        own = past.filter(pl.col("symbol") == symbol)
        last = own.filter(pl.col("quote_date") == pl.col("quote_date").max())
        before, after = surface_of(last), surface_of(smiles)
        missing = [name for name, surface in (("before", before), ("now", after)) if not surface]
        rows = _changes(before, after) if not missing else _tenors()
        reason = f"no surface {' and '.join(missing)}" if missing else "outside the quotes of one"
        is_known = pl.col("change_atm_vol").is_not_null()
        rows = rows.with_columns(
            previous_date=pl.lit(last["quote_date"].max(), pl.Date),
            status=pl.when(is_known).then(pl.lit("compared")).otherwise(pl.lit("unsupported")),
            reason=pl.when(~is_known).then(pl.lit(reason)),
        )
        frames.append(_identified(rows, symbol, session, snapshot))
    return _stack(frames, SURFACE_CHANGES)


def _tenors() -> pl.DataFrame:
    tenors = pl.Series("tenor_days", CHANGE_TENORS, dtype=pl.Int32)
    return pl.DataFrame(tenors).with_columns(change_atm_vol=pl.lit(None, pl.Float64))


def _changes(before: Any, after: Any) -> pl.DataFrame:
    from volsurf_math.surfaces.comparison import compare_surfaces

    found = compare_surfaces(before, after, np.array(CHANGE_TENORS) / DAYS_PER_YEAR)
    in_points = {
        "change_atm_vol": found.atm_vol_change,
        "change_skew_25delta": found.skew_25delta_change,
        "change_butterfly_25delta": found.butterfly_25delta_change,
        "grid_rmse": found.rmse,
        "move_spot": found.spot_part,
        "move_level": found.level_part,
        "move_skew": found.skew_part,
        "move_curvature": found.curvature_part,
        "move_term": found.term_part,
    }
    columns = {name: 100.0 * values for name, values in in_points.items()}
    columns |= {f"change_{name}": found.parameter_change[:, i] for i, name in enumerate(PARAMETERS)}
    return _tenors().with_columns(
        pl.Series(name, values).fill_nan(None) for name, values in columns.items()
    )


def _standard(session: Session) -> pl.DataFrame:
    """Smiles of the standard model."""
    return session.read(FITTED_SURFACES).filter(IS_STANDARD)


def _underlyings(smiles: pl.DataFrame) -> Any:
    return smiles.group_by("symbol", "snapshot", maintain_order=True)


def _identified(rows: pl.DataFrame, symbol: str, session: Session, snapshot: str) -> pl.DataFrame:
    return rows.with_columns(
        symbol=pl.lit(symbol), quote_date=pl.lit(session.day), snapshot=pl.lit(snapshot)
    )


def _stack(frames: list[pl.DataFrame], table: Table) -> pl.DataFrame:
    """Put frames below each other in the contract's order, missing columns as null."""
    empty = table.schema.to_frame()
    return pl.concat([empty, *frames], how="diagonal_relaxed").select(table.schema.names())
