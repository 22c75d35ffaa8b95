r"""What was checked on a surface, how finely, and the worst that was found.

Within an expiry: total variance, Durrleman's density factor g on the whole line (local minima
refined, limits in the wings included) and Lee's bound on the wings. Between neighbours: the growth
of total variance per year, which is the forward variance, on the whole line (least gap refined,
slopes of the wings included) and on the strikes both expiries quoted. Between listed expiries,
where total variance is linear in time, g on a grid.

Belongs here: a statement about one surface. The conditions are `arbitrage` and
`smiles.svi_conditions`.
"""

from dataclasses import dataclass

import numpy as np

from volsurf_math.arbitrage import MAX_WING_SLOPE, durrleman_g
from volsurf_math.smiles.base import FloatArray
from volsurf_math.smiles.svi import RawSvi
from volsurf_math.surfaces.derivatives import variance_derivatives
from volsurf_math.surfaces.interpolation import Surface

GRID = np.sinh(np.linspace(-6.0, 6.0, 241))  # in widths sigma about the vertex m of a slice
MIXTURES = np.array([0.25, 0.5, 0.75])  # shares of the later expiry where g is read in between
TOLERANCE = 1e-10
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The worst of every condition; infinity where there is nothing to check (one expiry)."""

    n_slices: int
    n_grid: int  # points per slice; a pair is compared on those of both
    k_min: float  # reach of the grid, beyond which limits are checked
    k_max: float
    tolerance: float  # of a violation: of g, of w relative to the earlier one, of wing slopes
    min_total_variance: float
    min_density_factor: float
    k_of_min_density: float
    tte_of_min_density: float
    min_density_factor_between: float
    min_calendar_slope: float  # of total variance, per year
    k_of_min_calendar: float
    tte_of_min_calendar: float  # of the later expiry
    min_quoted_calendar_slope: float
    max_wing_slope: float
    min_wing_gap: float  # growth of a wing's slope from one expiry to the next
    n_butterfly_violations: int  # slices
    n_calendar_violations: int  # pairs, on the whole line
    n_quoted_calendar_violations: int
    n_wing_violations: int  # slices above Lee's bound

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found on the whole line."""
        found = self.n_butterfly_violations + self.n_calendar_violations + self.n_wing_violations
        return found == 0

    @property
    def is_clean_where_quoted(self) -> bool:
        """Whether expiries do not cross where quoted, and nothing was found within expiries."""
        return (
            self.n_butterfly_violations + self.n_wing_violations
            == 0
            == (self.n_quoted_calendar_violations)
        )


def certify(surface: Surface, *, tolerance: float = TOLERANCE) -> Certificate:
    """Check a surface of raw SVI slices; `Essvi.raw_svi` gives those of eSSVI."""
    p = surface.parameters
    grid = p[:, 3, None] + p[:, 4, None] * GRID
    lowest = p[:, 0] + p[:, 1] * p[:, 4] * np.sqrt(1.0 - p[:, 2] ** 2)
    steepest = p[:, 1] * (1.0 + np.abs(p[:, 2]))
    density = [RawSvi(a=a, b=b, rho=r, m=m, sigma=s).min_durrleman_g() for a, b, r, m, s in p]
    at = np.argmin(density)
    worst_k = grid[at, np.argmin(_density_factor(p[at], grid[at]))]
    gap, scale, k = _least_gap(p[:-1], p[1:], np.concatenate((grid[:-1], grid[1:]), axis=1))
    years = np.diff(surface.tte)
    worst = int(np.argmin(gap / years)) if years.size else 0
    quoted_gap, quoted_scale, _ = _least_gap(p[:-1], p[1:], _quoted(surface))
    wing_gap = np.min([np.diff(p[:, 1] * (1.0 + s * p[:, 2])) for s in (-1.0, 1.0)], axis=0)
    is_crossing = (gap < -tolerance * scale) | (wing_gap < -tolerance)
    return Certificate(
        n_slices=surface.tte.size,
        n_grid=GRID.size,
        k_min=float(grid.min()),
        k_max=float(grid.max()),
        tolerance=tolerance,
        min_total_variance=float(lowest.min()),
        min_density_factor=float(density[at]),
        k_of_min_density=float(worst_k),
        tte_of_min_density=float(surface.tte[at]),
        min_density_factor_between=_density_between(p, grid),
        min_calendar_slope=_least(gap / years),
        k_of_min_calendar=float(k[worst]) if years.size else np.nan,
        tte_of_min_calendar=float(surface.tte[worst + 1]) if years.size else np.nan,
        min_quoted_calendar_slope=_least(quoted_gap / years),
        max_wing_slope=float(steepest.max()),
        min_wing_gap=_least(wing_gap),
        n_butterfly_violations=int(np.sum((np.array(density) < -tolerance) | (lowest <= 0.0))),
        n_calendar_violations=int(np.sum(is_crossing)),
        n_quoted_calendar_violations=int(np.sum(quoted_gap < -tolerance * quoted_scale)),
        n_wing_violations=int(np.sum(steepest > MAX_WING_SLOPE + tolerance)),
    )


def _density_factor(parameters: FloatArray, k: FloatArray) -> FloatArray:
    return durrleman_g(k, *variance_derivatives(parameters, k))


def _least(values: FloatArray) -> float:
    """Least of what is known; infinity where nothing is."""
    return float(np.min(np.where(np.isnan(values), np.inf, values), initial=np.inf))


def _density_between(parameters: FloatArray, grid: FloatArray) -> float:
    """Smallest g of the mixtures of neighbouring slices on the grids of both."""
    near, far = parameters[:-1, None, :], parameters[1:, None, :]
    k = np.concatenate((grid[:-1], grid[1:]), axis=1)
    before, after = variance_derivatives(near, k), variance_derivatives(far, k)
    g = [durrleman_g(k, *((1.0 - share) * before + share * after)) for share in MIXTURES]
    return _least(np.array(g))


def _quoted(surface: Surface) -> FloatArray:
    """Grid over the log-moneyness that both expiries of each pair quoted; NaN if there is none."""
    low = np.maximum(surface.k_min[:-1], surface.k_min[1:])[:, None]
    high = np.minimum(surface.k_max[:-1], surface.k_max[1:])[:, None]
    return np.where(high > low, low + (high - low) * np.linspace(0.0, 1.0, GRID.size), np.nan)


def _least_gap(
    near: FloatArray, far: FloatArray, k: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least w_far - w_near of each pair on a grid, refined; w_near there, and where.

    Shapes (n_pairs,); NaN for a grid of NaN.
    """
    k = np.sort(k, axis=1)

    def gap(at: FloatArray) -> FloatArray:
        return _variance(far, at) - _variance(near, at)

    values = gap(k)
    i = np.argmin(np.where(np.isnan(values), np.inf, values), axis=1)[:, None]
    low = np.take_along_axis(k, np.maximum(i - 1, 0), axis=1)
    high = np.take_along_axis(k, np.minimum(i + 1, k.shape[1] - 1), axis=1)
    for _ in range(50):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        is_left = gap(left) < gap(right)
        low, high = np.where(is_left, low, left), np.where(is_left, right, high)
    candidates = np.concatenate((np.take_along_axis(k, i, axis=1), 0.5 * (low + high)), axis=1)
    both = gap(candidates)
    best = np.argmin(np.where(np.isnan(both), np.inf, both), axis=1)[:, None]
    where = np.take_along_axis(candidates, best, axis=1)
    least = np.take_along_axis(both, best, axis=1)[:, 0]
    return least, _variance(near, where)[:, 0], where[:, 0]


def _variance(parameters: FloatArray, k: FloatArray) -> FloatArray:
    """Total variance of slice i at k[i], shape (n_slices, n_grid)."""
    a, b, rho, m, sigma = parameters.T[:, :, None]
    x = k - m
    return np.asarray(a + b * (rho * x + np.hypot(x, sigma)))
