"""How good a fitted smile is: shape with error bars, errors, arbitrage.

Belongs here: diagnostics of slices against their own quotes and their neighbours, one row per
slice. Not here: choosing quotes (`smile_points`), or what a table does with a bad fit (`smiles`).
"""

import itertools
from typing import Any

import numpy as np
import polars as pl

from volsurf_assets.smile_points import Array, Mask, Points

PARAMETERS = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
ERRORS = ("rmse", "mae", "max_error", "inside_spread_share", "holdout_rmse", "k_min", "k_max")
CALENDAR_TOLERANCE = 1e-10  # of total variance
CALENDAR_POINTS = 201
DENSITY_ATM, DENSITY_25_DELTA = 0.39894, 0.31778  # of the normal law at 0 and at 0.67449


def shapes(fits: Any, tte: Array, forward_error: Array) -> pl.DataFrame:
    """What the parameters say: shape, standard errors, butterfly test. One row per slice.

    An error of the forward (relative, `forward_error`) moves the vols of calls and puts apart, by
    delta / vega each. It is part of the standard errors: half a delta at the money, a quarter on
    either side of the skew.
    """
    from volsurf_math.smiles.base import FitStatus

    shape = fits.quantities(tte)
    b, rho = fits.parameters[:, 1], fits.parameters[:, 2]
    apart = np.nan_to_num(forward_error) / np.sqrt(np.where(tte > 0.0, tte, np.nan))
    atm_error = np.hypot(shape.atm_vol_std_error, 0.5 / DENSITY_ATM * apart)
    skew_error = np.hypot(shape.skew_25delta_std_error, 0.5 / DENSITY_25_DELTA * apart)
    diagnostics = (fits.status, fits.n_evaluations, fits.start, fits.n_points)
    columns = dict(zip(PARAMETERS, fits.parameters.T, strict=True)) | {
        "atm_vol": shape.atm_vol,
        "atm_vol_std_error": atm_error,
        "skew_25delta": shape.skew_25delta,
        "skew_25delta_std_error": skew_error,
        "butterfly_25delta": shape.butterfly_25delta,
        "min_durrleman_g": fits.min_durrleman_g,
        "left_wing_slope": b * (1.0 - rho),
        "right_wing_slope": b * (1.0 + rho),
    }
    return pl.DataFrame({name: _nullable(values) for name, values in columns.items()}).with_columns(
        num_points=pl.Series(fits.n_points, dtype=pl.Int32),
        fit_status=pl.Series([FitStatus(s).name.lower() for s in fits.status.tolist()]),
        diagnosis=pl.Series(
            [
                f"{FitStatus(fit[0]).name.lower()} after {fit[1]} evaluations from start {fit[2]}, "
                f"{fit[3]} quotes"
                for fit in zip(*diagnostics, strict=True)
            ]
        ),
        butterfly_arbitrage_violations=pl.Series(
            [_negative_densities(row) for row in fits.parameters], dtype=pl.Int32
        ),
    )


def _negative_densities(parameters: Array) -> int | None:
    """Count the grid points over the whole line where the density is negative."""
    from volsurf_math.smiles.svi import RawSvi

    if not np.isfinite(parameters).all():
        return None
    smile = RawSvi(**dict(zip(("a", "b", "rho", "m", "sigma"), parameters.tolist(), strict=True)))
    k = smile.m + smile.sigma * np.sinh(np.linspace(-8.0, 8.0, 401))
    return int((smile.durrleman_g(k) < 0.0).sum())


def errors(points: Points, parameters: Array, held_out: Array, is_out: Mask) -> pl.DataFrame:
    """Errors of each slice against its own quotes, in vol points; null where there is no fit.

    `held_out` are the parameters fitted without the strikes of `is_out`, which they are judged on.
    """
    slices = [slice(*ends) for ends in itertools.pairwise(points.offsets)]
    rows = [
        _slice_errors(points, part, fitted, blind, is_out[part])
        for part, fitted, blind in zip(slices, parameters, held_out, strict=True)
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(ERRORS, pl.Float64))


def _slice_errors(
    points: Points, part: slice, fitted: Array, blind: Array, is_out: Mask
) -> dict[str, float | None]:
    if not np.isfinite(fitted).all():
        return dict.fromkeys(ERRORS)
    k, tte, vol = points.k[part], points.tte[part], points.vol[part]
    model = np.sqrt(variance(k, fitted) / tte)
    error = 100.0 * (model - vol)
    is_inside = (model >= np.nan_to_num(points.low[part])) & (model <= points.high[part])
    unseen = 100.0 * (np.sqrt(variance(k, blind) / tte) - vol)[is_out]
    has_blind = unseen.size > 0 and bool(np.isfinite(unseen).all())
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.abs(error).mean()),
        "max_error": float(np.abs(error).max()),
        "inside_spread_share": float(is_inside.mean()),
        "holdout_rmse": float(np.sqrt(np.mean(unseen**2))) if has_blind else None,
        "k_min": float(k[0]),
        "k_max": float(k[-1]),
    }


def calendar(points: Points, parameters: Array, tte: Array) -> pl.DataFrame:
    """Compare each slice with the fitted one before it, at equal k where both were quoted."""
    count: list[int | None] = [None] * tte.size
    slope: list[float | None] = [None] * tte.size
    fitted = np.flatnonzero(np.isfinite(parameters).all(axis=1))
    for near, far in itertools.pairwise(fitted.tolist()):
        ends = [points.k[[points.offsets[i], points.offsets[i + 1] - 1]] for i in (near, far)]
        low, high = max(ends[0][0], ends[1][0]), min(ends[0][1], ends[1][1])
        k = np.linspace(low, high, CALENDAR_POINTS)
        rise = variance(k, parameters[far]) - variance(k, parameters[near])
        slope[far] = float(rise.min() / (tte[far] - tte[near]))
        count[far] = int((rise < -CALENDAR_TOLERANCE).sum())
    return pl.DataFrame(
        {"calendar_arbitrage_violations": count, "min_calendar_slope": slope},
        schema={"calendar_arbitrage_violations": pl.Int32, "min_calendar_slope": pl.Float64},
    )


def variance(k: Array, parameters: Array) -> Array:
    """Total variance of raw SVI (a, b, rho, m, sigma) at `k`; NaN parameters give NaN."""
    a, b, rho, m, sigma = parameters
    return np.asarray(a + b * (rho * (k - m) + np.hypot(k - m, sigma)))


def _nullable(values: Array) -> pl.Series:
    return pl.Series(np.asarray(values, dtype=np.float64)).fill_nan(None)
