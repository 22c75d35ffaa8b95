"""The models of `fitted_surfaces`: each fits all expiries of one underlying to the same quotes.

Belongs here: from quotes to raw SVI parameters, one fit per model. Not here: which quotes
(`smile_points`), or what the parameters say (`smile_quality`). Another model is one function and
one line of MODELS.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from volsurf_assets.smile_points import Array, Counts, Points
from volsurf_resources.settings import Settings


@dataclass(frozen=True, slots=True)
class Slices:
    """One smile per expiry; rows of NaN where there is none, and why in `status`, `diagnosis`."""

    parameters: Array  # (n_slices, 5) in (a, b, rho, m, sigma)
    covariance: Array  # (n_slices, 5, 5)
    status: list[str]  # converged, too_few_points, or how the fit failed
    diagnosis: list[str]
    n_points: Counts

    @classmethod
    def none(cls, status: str, diagnosis: str, n_points: Counts) -> "Slices":
        """No smile at all."""
        n = n_points.size
        return cls(
            np.full((n, 5), np.nan), np.full((n, 5, 5), np.nan), [status] * n, [diagnosis] * n,
            n_points,
        )  # fmt: skip


Fitting = Callable[[Points, Settings, int], Slices]


@dataclass(frozen=True, slots=True)
class SmileModel:
    """How a model is fitted; `version` grows whenever that gives other numbers."""

    fit: Fitting
    version: str


def _svi(points: Points, settings: Settings, min_points: int) -> Slices:
    """Fit each expiry for itself; none undercuts the one before where both are quoted."""
    from volsurf_math.smiles.base import FitStatus
    from volsurf_math.smiles.svi_fit import Loss
    from volsurf_math.smiles.svi_slices import fit_slices

    fits = fit_slices(
        points.k, points.total_variance, points.weight, points.offsets,
        loss=Loss.SOFT_L1, is_calendar_free=True, min_points=min_points,
        max_iterations=settings.svi_max_iterations, tolerance=settings.svi_tolerance,
    )  # fmt: skip
    status = [FitStatus(s).name.lower() for s in fits.status.tolist()]
    told = zip(status, fits.n_evaluations, fits.start, fits.n_points, strict=True)
    diagnosis = [f"{s} after {e} evaluations from start {i}, {n} quotes" for s, e, i, n in told]
    return Slices(fits.parameters, fits.covariance, status, diagnosis, fits.n_points)


def _ssvi(points: Points, settings: Settings, min_points: int) -> Slices:
    """Fit all expiries jointly, free of arbitrage on the whole line; thin ones take no part."""
    from volsurf_math.surfaces.essvi import fit_essvi

    counts = _usable(points)
    is_thin = (counts < min_points)[points.slice_of]
    weight = np.where(is_thin, 0.0, points.weight)
    fit = fit_essvi(points.k, points.total_variance, weight, points.offsets, loss_scale=1.0)
    slices = Slices.none("too_few_points", "too few strikes", counts)
    of_all = fit.status.name.lower()
    told = f"{of_all} after {fit.n_iterations} iterations, {counts[fit.fitted].sum()} quotes"
    for i in fit.fitted.tolist():
        slices.status[i], slices.diagnosis[i] = of_all, told
    if fit.surface is not None:
        slopes = fit.surface.raw_svi_slopes()
        known = np.where(np.isfinite(fit.covariance), fit.covariance, np.nan)
        slices.parameters[fit.fitted] = fit.surface.raw_svi()
        slices.covariance[fit.fitted] = slopes @ known @ slopes.transpose(0, 2, 1)
    return slices


MODELS = {"SVI": SmileModel(_svi, "svi-1"), "SSVI": SmileModel(_ssvi, "essvi-1")}


def fit_model(model: SmileModel, points: Points, settings: Settings, min_points: int) -> Slices:
    """Fit a model; arithmetic that breaks down is an outcome, and the other models stand."""
    try:
        return model.fit(points, settings, min_points)
    except (ArithmeticError, ValueError) as error:  # linear algebra's error is a ValueError
        return Slices.none("broke_down", f"{type(error).__name__}: {error}", _usable(points))


def _usable(points: Points) -> Counts:
    """Count the quotes of each slice that can take part in a fit."""
    from volsurf_math.smiles.base import usable_quotes

    is_usable = usable_quotes(points.k, points.total_variance, points.weight)
    return np.bincount(points.slice_of, is_usable, points.offsets.size - 1).astype(np.int64)
