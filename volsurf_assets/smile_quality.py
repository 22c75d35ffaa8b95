"""How good a fitted smile is: shape with error bars, errors, arbitrage.

Belongs here: diagnostics of slices against their own quotes and their neighbours, one row per
slice. Not here: choosing quotes (`smile_points`), fitting (`smile_fits`), or what a table does with
a bad fit (`smiles`).
"""

import itertools

import numpy as np
import polars as pl

from volsurf_assets.smile_fits import Slices
from volsurf_assets.smile_points import Array, Mask, Points

PARAMETERS = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
CALENDAR_TOLERANCE = 1e-10  # of total variance
CALENDAR_POINTS = 201
DENSITY_POINTS = np.sinh(np.linspace(-8.0, 8.0, 401))  # in widths sigma about the vertex m
DENSITY_ATM, DENSITY_25_DELTA = 0.39894, 0.31778  # of the normal law at 0 and at 0.67449


def shapes(slices: Slices, tte: Array, forward_error: Array) -> pl.DataFrame:
    """What the parameters say: shape, standard errors, butterfly test. One row per slice.

    An error of the forward (relative, `forward_error`) moves the vols of calls and puts apart, by
    delta / vega each. It is part of the standard errors: half a delta at the money, a quarter on
    either side of the skew.
    """
    from volsurf_math.smiles.svi_quantities import smile_quantities

    shape = smile_quantities(slices.parameters, slices.covariance, tte)
    b, rho = slices.parameters[:, 1], slices.parameters[:, 2]
    apart = np.nan_to_num(forward_error) / np.sqrt(np.where(tte > 0.0, tte, np.nan))
    atm_error = np.hypot(shape.atm_vol_std_error, 0.5 / DENSITY_ATM * apart)
    skew_error = np.hypot(shape.skew_25delta_std_error, 0.5 / DENSITY_25_DELTA * apart)
    least, negative = _densities(slices.parameters)
    columns = dict(zip(PARAMETERS, slices.parameters.T, strict=True)) | {
        "atm_vol": shape.atm_vol,
        "atm_vol_std_error": atm_error,
        "skew_25delta": shape.skew_25delta,
        "skew_25delta_std_error": skew_error,
        "butterfly_25delta": shape.butterfly_25delta,
        "min_durrleman_g": least,
        "left_wing_slope": b * (1.0 - rho),
        "right_wing_slope": b * (1.0 + rho),
    }
    return pl.DataFrame(columns).with_columns(pl.all().fill_nan(None)).with_columns(
        num_points=pl.Series(slices.n_points, dtype=pl.Int32),
        fit_status=pl.Series(slices.status, dtype=pl.String),
        diagnosis=pl.Series(slices.diagnosis, dtype=pl.String),
        butterfly_arbitrage_violations=pl.Series(negative, dtype=pl.Float64).fill_nan(None)
        .cast(pl.Int32),
    )  # fmt: skip


def _densities(parameters: Array) -> tuple[Array, Array]:
    """Least density factor on the whole line, and grid points where it is negative; NaN if none."""
    from volsurf_math.arbitrage import durrleman_g
    from volsurf_math.smiles.svi import RawSvi
    from volsurf_math.surfaces.derivatives import variance_derivatives

    is_smile = np.asarray(np.isfinite(parameters).all(axis=1))
    k = parameters[:, 3, None] + parameters[:, 4, None] * DENSITY_POINTS
    density = durrleman_g(k, *variance_derivatives(parameters[:, None, :], k))
    least = [
        RawSvi(a=a, b=b, rho=rho, m=m, sigma=sigma).min_durrleman_g() if found else np.nan
        for found, (a, b, rho, m, sigma) in zip(is_smile, parameters.tolist(), strict=True)
    ]
    return np.array(least), np.where(is_smile, (density < 0.0).sum(axis=1), np.nan)


def errors(points: Points, parameters: Array, held_out: Array, is_out: Mask) -> pl.DataFrame:
    """Errors of each slice against its own quotes, in vol points; null where there is no fit.

    `held_out` are the parameters fitted without the strikes of `is_out`, which they are judged on.
    """
    n = points.offsets.size - 1
    is_quoted = np.diff(points.offsets) > 0
    is_fitted = np.isfinite(parameters).all(axis=1) & is_quoted
    first, last = points.offsets[:-1][is_quoted], points.offsets[1:][is_quoted] - 1
    model = _vols(points, parameters)
    miss, unseen = 100.0 * (model - points.vol), 100.0 * (_vols(points, held_out) - points.vol)
    is_inside = (model >= np.nan_to_num(points.low)) & (model <= points.high)

    def mean(values: Array | Mask, among: Mask | slice = slice(None)) -> Array:
        of = points.slice_of[among]
        count = np.bincount(of, minlength=n)
        return np.bincount(of, values[among], n) / np.where(count > 0, count, np.nan)

    largest, k_min, k_max = np.full((3, n), np.nan)
    largest[is_quoted] = np.maximum.reduceat(np.abs(miss), first) if first.size else np.nan
    k_min[is_quoted], k_max[is_quoted] = points.k[first], points.k[last]
    columns = {
        "rmse": np.sqrt(mean(miss**2)),
        "mae": mean(np.abs(miss)),
        "max_error": largest,
        "inside_spread_share": mean(is_inside),
        "holdout_rmse": np.sqrt(mean(unseen**2, is_out)),
        "k_min": k_min,
        "k_max": k_max,
    }
    return pl.DataFrame(
        {name: np.where(is_fitted, values, np.nan) for name, values in columns.items()}
    ).with_columns(pl.all().fill_nan(None))


def _vols(points: Points, parameters: Array) -> Array:
    """Vol of each quote's slice at its log-moneyness."""
    return np.sqrt(variance(points.k, parameters[points.slice_of].T) / points.tte)


def events(points: Points) -> pl.DataFrame:
    """Whether the quotes of each slice bend downwards around the money, and by how much."""
    from volsurf_math.smiles.event_bump import event_bumps

    x = points.k / (points.atm_guess * np.sqrt(points.tte))
    # variance in units in which it moves as vol does at the money
    as_vol, half = 0.5 * points.vol**2, points.vol * points.half_spread
    found = event_bumps(x, as_vol / points.atm_guess, half / points.atm_guess, points.offsets)
    return pl.DataFrame(
        {
            "event_bump": 100.0 * found.bump,
            "event_bump_std_error": 100.0 * found.std_error,
            "event_bump_half_spread": 100.0 * found.half_spread,
        }
    ).with_columns(
        pl.all().fill_nan(None),
        is_event_smile=pl.when(pl.Series(np.isfinite(found.bump))).then(pl.Series(found.is_event)),
    )


def calendar(points: Points, parameters: Array, tte: Array) -> pl.DataFrame:
    """Compare each slice with the fitted one before it, at equal k where both were quoted."""
    count: list[int | None] = [None] * tte.size
    slope: list[float | None] = [None] * tte.size
    fitted = np.flatnonzero(np.isfinite(parameters).all(axis=1))
    for near, far in itertools.pairwise(fitted.tolist()):
        ends = [points.k[[points.offsets[i], points.offsets[i + 1] - 1]] for i in (near, far)]
        low, high = max(ends[0][0], ends[1][0]), min(ends[0][1], ends[1][1])
        if not low < high:
            continue
        k = np.linspace(low, high, CALENDAR_POINTS)
        rise = variance(k, parameters[far]) - variance(k, parameters[near])
        if tte[far] > tte[near]:  # two roots may settle at one instant
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
