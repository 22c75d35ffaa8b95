r"""eSSVI: every expiry an SSVI slice with its own correlation, all of them free of arbitrage.

.. math:: w_i(k) = \tfrac12\Bigl(\theta_i + \rho_i\psi_i k
            + \sqrt{(\psi_i k + \rho_i\theta_i)^2 + \theta_i^2(1 - \rho_i^2)}\Bigr),
          \qquad \psi = \theta\varphi(\theta).

:math:`\theta` is the total variance at the money. SSVI with a curve :math:`\varphi(\theta)` is the
special case of one correlation (`Essvi.from_ssvi`). The conditions kept are sufficient, not
necessary: :math:`\psi(1+|\rho|) \le 4` and :math:`\psi^2(1+|\rho|) \le 4\theta` within an expiry,
:math:`\theta` and :math:`\psi(1\pm\rho)` non-decreasing and :math:`\psi/\theta` non-increasing
from one to the next.

Belongs here: the surface and its fit. Compiled kernels: `essvi_fit`. Reading between expiries:
`interpolation`, given `raw_svi`.

References
----------
.. [1] Hendriks, Martini (2019), "The extended SSVI volatility surface", J. Computational Finance.
.. [2] Gatheral, Jacquier (2014), "Arbitrage-free SVI volatility surfaces", Theorem 4.2.
.. [3] Mingone (2022), "No arbitrage global parametrization for the eSSVI volatility surface".
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from volsurf_math.smiles.base import (
    FitStatus,
    FloatArray,
    IntArray,
    check_shapes,
    slice_offsets,
    usable_quotes,
)
from volsurf_math.surfaces.essvi_fit import fit_surface

MIN_POINTS = 3  # distinct strikes of a slice, one per parameter
MAX_REWEIGHTS = 12
_ROUNDING = 1e-13


@dataclass(frozen=True, slots=True, kw_only=True)
class Essvi:
    """Slices in order of expiry; three vectors of shape (n_slices,)."""

    theta: FloatArray
    rho: FloatArray
    psi: FloatArray

    def __post_init__(self) -> None:
        """Refuse what is no eSSVI surface."""
        shapes = (self.theta.shape, self.rho.shape, self.psi.shape)
        if not (self.theta.ndim == 1 and len(set(shapes)) == 1):
            raise ValueError(f"eSSVI needs three vectors of one length, was {shapes}")
        is_slice = (self.theta > 0.0) & (np.abs(self.rho) < 1.0) & (self.psi > 0.0)
        if not is_slice.all():
            i = int(np.argmin(is_slice))
            values = (float(self.theta[i]), float(self.rho[i]), float(self.psi[i]))
            raise ValueError(
                f"eSSVI needs theta > 0, |rho| < 1 and psi > 0, was {values} in slice {i}"
            )

    @classmethod
    def from_ssvi(cls, theta: FloatArray, rho: float, phi: FloatArray) -> "Essvi":
        """One correlation for all expiries, phi(theta) given at each."""
        return cls(theta=theta, rho=np.full(theta.shape, rho), psi=theta * phi)

    @classmethod
    def from_power_law(cls, theta: FloatArray, *, rho: float, eta: float, gamma: float) -> "Essvi":
        """SSVI with phi(theta) = eta / (theta^gamma (1 + theta)^(1 - gamma)), eq. (4.5) of [2].

        Free of arbitrage for 0 < gamma <= 1/2 and eta (1 + |rho|) <= 2.
        """
        return cls.from_ssvi(theta, rho, eta / (theta**gamma * (1.0 + theta) ** (1.0 - gamma)))

    def total_variance(self, k: FloatArray) -> FloatArray:
        """Total variance, (n_slices, n_grid), at `k`, (n_grid,) or (n_slices, n_grid)."""
        return self.variance_at(np.arange(self.theta.size)[:, None], k)

    def variance_at(self, slices: IntArray, k: FloatArray) -> FloatArray:
        """Total variance of slice `slices[i]` at `k[i]`; arguments broadcast."""
        theta, rho, psi = self.theta[slices], self.rho[slices], self.psi[slices]
        root = np.sqrt((psi * k + rho * theta) ** 2 + theta**2 * (1.0 - rho**2))
        return 0.5 * (theta + rho * psi * k + root)

    def raw_svi(self) -> FloatArray:
        """Return the same slices as raw SVI (a, b, rho, m, sigma), shape (n_slices, 5)."""
        bar = np.sqrt(1.0 - self.rho**2)
        width = self.theta / self.psi
        return np.column_stack(
            (0.5 * self.theta * bar**2, 0.5 * self.psi, self.rho, -self.rho * width, bar * width)
        )

    def raw_svi_slopes(self) -> FloatArray:
        """Return the derivatives of `raw_svi` in (theta, rho, psi), shape (n_slices, 5, 3)."""
        bar = np.sqrt(1.0 - self.rho**2)
        width = self.theta / self.psi
        slopes = np.zeros((self.theta.size, 5, 3))
        slopes[:, 0, 0], slopes[:, 0, 1] = 0.5 * bar**2, -self.theta * self.rho
        slopes[:, 1, 2] = 0.5
        slopes[:, 2, 1] = 1.0
        slopes[:, 3, 0], slopes[:, 3, 1] = -self.rho / self.psi, -width
        slopes[:, 3, 2] = self.rho * width / self.psi
        slopes[:, 4, 0], slopes[:, 4, 1] = bar / self.psi, -self.rho / bar * width
        slopes[:, 4, 2] = -bar * width / self.psi
        return slopes

    @property
    def butterfly_room(self) -> FloatArray:
        """Smaller of 4 - psi (1 + |rho|) and 4 - psi^2 (1 + |rho|) / theta, shape (n_slices,)."""
        steep = self.psi * (1.0 + np.abs(self.rho))
        return 4.0 - np.maximum(steep, steep * self.psi / self.theta)

    @property
    def calendar_room(self) -> FloatArray:
        """Least of the four relative increases that the conditions ask for, (n_slices - 1,)."""
        falls = self.theta / self.psi
        rising = (self.theta, self.psi * (1.0 + self.rho), self.psi * (1.0 - self.rho), falls)
        return np.min([x[1:] / x[:-1] - 1.0 for x in rising], axis=0)

    @property
    def is_arbitrage_free(self) -> bool:
        """Whether the sufficient conditions hold; False proves nothing."""
        least = np.min([*self.butterfly_room, *self.calendar_room])
        return bool(least >= -_ROUNDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class EssviFit:
    """A fitted surface; `surface` is None unless `status` is CONVERGED.

    Attributes
    ----------
    fitted : array of int, shape (n_fitted,)
        Which of the given slices the surface's slices are; the others had too few strikes.
    rmse : array, shape (n_fitted,)
        Weighted, in total variance.
    covariance : array, shape (n_fitted, 3, 3)
        Of (theta, rho, psi) of each slice, the conditions ignored: where one binds, errors are
        smaller. Infinite where the quotes leave a parameter open, NaN without spare quotes.
    """

    surface: Essvi | None
    status: FitStatus
    fitted: IntArray
    rmse: FloatArray
    covariance: FloatArray
    cost: float = float("nan")  # weighted sum of squares, robust weights
    n_iterations: int = 0


def fit_essvi(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    offsets: IntArray,
    *,
    loss_scale: float = np.inf,
) -> EssviFit:
    """Fit all expiries jointly by weighted least squares in total variance.

    Parameters
    ----------
    k, w, weight : array, shape (n_quotes,)
        Log-moneyness, quoted total variance and weight, slice after slice in order of expiry. With
        weight 1 / half-spread^2 (of total variance) residuals count half-spreads. Rows that are
        not finite, or whose variance or weight is not positive, are left out, and so are slices of
        fewer than three distinct strikes.
    offsets : array of int, shape (n_slices + 1,)
        Slice i holds rows offsets[i] to offsets[i + 1].
    loss_scale : float
        Number of 1/sqrt(weight) where the soft-L1 loss leaves the parabola; plain least squares
        by default.

    Raises
    ------
    ValueError
        If shapes differ or `offsets` does not walk through the quotes.
    """
    if not loss_scale > 0.0:
        raise ValueError(f"loss_scale needs to be positive, was {loss_scale}")
    quotes = usable_slices(k, w, weight, offsets)
    if quotes.fitted.size == 0:
        return EssviFit(
            surface=None,
            status=FitStatus.TOO_FEW_POINTS,
            fitted=quotes.fitted,
            rmse=np.empty(0),
            covariance=np.empty((0, 3, 3)),
        )
    return _fit_usable(quotes, loss_scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceQuotes:
    """Quotes that can all take part, slice after slice, and which of the given slices they are."""

    k: FloatArray
    w: FloatArray
    weight: FloatArray
    offsets: IntArray
    fitted: IntArray

    @property
    def slice_of(self) -> IntArray:
        """Slice of each quote, shape (n_quotes,)."""
        return np.repeat(np.arange(self.fitted.size), np.diff(self.offsets))


def usable_slices(
    k: FloatArray, w: FloatArray, weight: FloatArray, offsets: IntArray
) -> SliceQuotes:
    """Leave out what cannot take part; arguments and errors as in `fit_essvi`."""
    k, w, weight = (np.asarray(x, dtype=np.float64) for x in (k, w, weight))
    check_shapes(k, w, weight)
    offsets = slice_offsets(offsets, k.size)
    keep = usable_quotes(k, w, weight)
    rows = [np.arange(*ends)[keep[slice(*ends)]] for ends in pairwise(offsets)]
    fitted = [i for i, of in enumerate(rows) if np.unique(k[of]).size >= MIN_POINTS]
    used = np.concatenate([np.empty(0, np.int64), *(rows[i] for i in fitted)])
    return SliceQuotes(
        k=k[used],
        w=w[used],
        weight=weight[used],
        offsets=np.cumsum([0, *(rows[i].size for i in fitted)]),
        fitted=np.array(fitted, dtype=np.int64),
    )


def _fit_usable(quotes: SliceQuotes, loss_scale: float) -> EssviFit:
    """Fit, again with robust weights until they settle."""
    k, w, weight, offsets = quotes.k, quotes.w, quotes.weight, quotes.offsets
    scale = float(np.sum(weight * w * w))
    x = np.empty(3 * quotes.fitted.size)
    slices = quotes.slice_of
    robust, iterations, before = weight, 0, np.inf
    for _ in range(MAX_REWEIGHTS if np.isfinite(loss_scale) else 1):
        cost, used, is_done = fit_surface(k, w, robust / scale, offsets, x)
        iterations += used
        used_weight = robust
        theta, u, v = x.reshape(-1, 3).T.copy()
        surface = Essvi(theta=theta, rho=(u - v) / (u + v), psi=0.5 * (u + v))
        square = (surface.variance_at(slices, k) - w) ** 2
        robust = weight / np.sqrt(1.0 + weight * square / loss_scale**2)
        if not abs(before - cost) > 1e-6 * cost:
            break
        before = cost
    total = np.bincount(slices, weight)
    status = FitStatus.CONVERGED if is_done else FitStatus.NOT_CONVERGED
    return EssviFit(
        surface=surface if is_done else None,
        status=status,
        fitted=quotes.fitted,
        rmse=np.sqrt(np.bincount(slices, weight * square) / total),
        covariance=_covariance(surface, k, used_weight, offsets, 2.0 * cost * scale),
        cost=2.0 * cost * scale,
        n_iterations=iterations,
    )


def _covariance(
    surface: Essvi, k: FloatArray, weight: FloatArray, offsets: IntArray, cost: float
) -> FloatArray:
    """Inverse Gauss-Newton matrices of the slices, times the variance of a residual."""
    spare = k.size - 3 * surface.theta.size
    if spare < 1:
        return np.full((surface.theta.size, 3, 3), np.nan)
    columns = (surface.theta, surface.rho, surface.psi)
    theta, rho, psi = (np.repeat(x, np.diff(offsets)) for x in columns)
    x = psi * k
    root = np.sqrt(x * x + 2.0 * rho * x * theta + theta * theta)
    by = np.stack(
        (
            0.5 + 0.5 * (rho * x + theta) / root,
            0.5 * x * (1.0 + theta / root),
            0.5 * k * (rho + (x + rho * theta) / root),
        )
    )
    matrix = np.add.reduceat(weight * by[:, None] * by, offsets[:-1], axis=-1).transpose(2, 0, 1)
    diagonal = np.sqrt(np.einsum("nii->ni", matrix))
    unit = matrix / diagonal[:, :, None] / diagonal[:, None, :]
    is_open = np.linalg.det(unit) < 1e-12  # of a correlation matrix: 1 if nothing is correlated
    unit[is_open] = np.eye(3)
    inverse = np.linalg.inv(unit) / diagonal[:, :, None] / diagonal[:, None, :]
    inverse[is_open] = np.inf
    return inverse * cost / spare
