r"""SABR: dF = s F^beta dW, ds = nu s dZ, dW dZ = rho dt, s(0) = alpha; smile by Hagan's expansion.

Belongs here: the parameter set, its smile, density and validity, and the fit of one smile. The fit
of many is `sabr_slices`, the compiled formula `sabr_formula`, the search `sabr_fit`; the
arbitrage-free density is `sabr_density`, parameters across expiries `sabr_term_structure`.

References
----------
.. [1] Hagan, Kumar, Lesniewski, Woodward (2002), "Managing smile risk", Wilmott, eq. (2.17a) and
   appendix B for the normal volatility of beta = 0.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math.arbitrage import durrleman_g
from volsurf_math.broadcasting import float_columns
from volsurf_math.smiles import sabr_fit, sabr_formula
from volsurf_math.smiles.base import Fit, FitStatus, FloatArray, check_shapes

_REACH = np.sinh(np.linspace(0.0, 4.0, 241)) / math.sinh(4.0)  # where negative density is sought
_STATUS = tuple(FitStatus)  # an index is faster than a call
_REACH_SDS, _MOST_REACH = 15.0, 10.0


def hagan_vol(
    strike: ArrayLike,
    forward: ArrayLike,
    tte: ArrayLike,
    alpha: ArrayLike,
    beta: float,
    rho: ArrayLike,
    nu: ArrayLike,
) -> FloatArray:
    """Return Hagan's lognormal volatility, eq. (2.17a), row by row; arguments broadcast.

    NaN where a row is no contract or no model, or where the expansion in time has no positive
    value left (nu^2 tte of several units).
    """
    shape, (strike, forward, tte, alpha, rho, nu) = float_columns(
        strike, forward, tte, alpha, rho, nu
    )
    is_row = (strike > 0.0) & (forward > 0.0) & (tte > 0.0) & (alpha > 0.0) & (nu >= 0.0)
    is_row &= np.isfinite(strike) & np.isfinite(forward) & np.isfinite(tte)
    f, t = np.where(is_row, forward, np.nan), np.where(is_row, tte, np.nan)
    strike = np.where(is_row, strike, np.nan)
    x, far = (strike - f) / f, np.log(strike / f)
    k = np.where(np.abs(x) < 0.5, np.log1p(np.maximum(x, -0.75)), far)
    root = np.sqrt(t)
    out = np.empty(k.size)
    sabr_formula.fill_total_vol(k, alpha * f ** (beta - 1.0) * root, beta, rho, nu * root, out)
    return (out / root).reshape(shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sabr:
    """Parameters in the units of the forward: alpha is the volatility of F per F^beta."""

    alpha: float
    beta: float
    rho: float
    nu: float

    def __post_init__(self) -> None:
        """Refuse what is no SABR model."""
        is_model = self.alpha > 0.0 and 0.0 <= self.beta <= 1.0 and abs(self.rho) < 1.0
        if not (is_model and 0.0 <= self.nu < math.inf and self.alpha < math.inf):
            rule = "SABR needs alpha > 0, 0 <= beta <= 1, |rho| < 1 and nu >= 0"
            raise ValueError(f"{rule}, was {asdict(self)}")

    @classmethod
    def from_atm_vol(
        cls, *, atm_vol: float, forward: float, tte: float, beta: float, rho: float, nu: float
    ) -> "Sabr":
        """Choose alpha so that the formula gives `atm_vol` at the forward: a cubic's root."""
        u = 1.0 - beta
        level = forward**u
        cubic = [
            u * u * tte / (24.0 * level**2),
            0.25 * rho * beta * nu * tte / level,
            1.0 + (2.0 - 3.0 * rho * rho) * nu * nu * tte / 24.0,
            -atm_vol * level,
        ]
        roots = np.roots(cubic)
        real = roots.real[np.abs(roots.imag) < 1e-9 * np.abs(roots)]
        if not (real > 0.0).any():
            raise ValueError(f"SABR needs a positive alpha to give atm_vol, was {atm_vol}")
        return cls(alpha=float(real[real > 0.0].min()), beta=beta, rho=rho, nu=nu)

    def implied_vol(self, strike: ArrayLike, forward: ArrayLike, tte: ArrayLike) -> FloatArray:
        """Return Hagan's lognormal volatility, eq. (2.17a); arguments broadcast.

        NaN where an argument is not positive or the expansion in time has no positive value left
        (nu^2 tte of several units).
        """
        return hagan_vol(strike, forward, tte, self.alpha, self.beta, self.rho, self.nu)

    def normal_vol(self, strike: ArrayLike, forward: float, tte: float) -> FloatArray:
        """Return Hagan's normal (Bachelier) volatility for beta = 0; strikes of any sign."""
        if self.beta != 0.0:
            raise ValueError(f"normal_vol needs beta = 0, was {self.beta}")
        z = self.nu / self.alpha * (forward - np.asarray(strike, dtype=np.float64))
        ratio = np.array([sabr_formula.z_over_x(x, self.rho)[0] for x in z.ravel()])
        time = 1.0 + (2.0 - 3.0 * self.rho**2) / 24.0 * self.nu**2 * tte
        return self.alpha * ratio.reshape(z.shape) * time

    def at(self, forward: float, tte: float) -> "SabrSmile":
        """Return the smile of one expiry."""
        return SabrSmile(sabr=self, forward=forward, tte=tte)

    @classmethod
    def fit(
        cls,
        strike: FloatArray,
        vol: FloatArray,
        forward: float,
        tte: float,
        weight: FloatArray,
        *,
        beta: float = 0.5,
    ) -> "SabrFit":
        """Fit alpha, rho and nu to volatilities `vol`, weighted by `weight`, shape (n_quotes,)."""
        strike, vol = np.asarray(strike, dtype=np.float64), np.asarray(vol, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            k = np.log(strike / forward)
            w = np.where(vol > 0.0, vol * vol * tte, np.nan)
            weight_of_w = np.asarray(weight) / (4.0 * w * tte)
        return SabrSmile.fit(k, w, weight_of_w, beta=beta, forward=forward, tte=tte)


@dataclass(frozen=True, slots=True, kw_only=True)
class SabrSmile:
    """One expiry of a SABR model, in log-moneyness and total variance."""

    sabr: Sabr
    forward: float = 1.0
    tte: float = 1.0

    def __post_init__(self) -> None:
        """Refuse an expiry that is none."""
        if not (0.0 < self.forward < math.inf and 0.0 < self.tte < math.inf):
            raise ValueError(f"a SABR smile needs forward > 0 and tte > 0, was {self}")

    def total_variance(self, k: FloatArray) -> FloatArray:
        """Total variance (vol^2 * years) at log-moneyness `k`; same shape as `k`."""
        return self._by_k(k)[0]

    def durrleman_g(self, k: FloatArray) -> FloatArray:
        """Density factor at `k`; negative where the expansion breaks."""
        w, slope, curvature = self._by_k(k)
        return durrleman_g(k, w, slope, curvature)

    def density(self, strike: FloatArray) -> FloatArray:
        """Risk-neutral density of the price at expiry that the formula implies, at `strike`."""
        k = np.log(strike / self.forward)
        w = self.total_variance(k)
        d2 = -k / np.sqrt(w) - 0.5 * np.sqrt(w)
        normal = np.exp(-0.5 * d2 * d2) / np.sqrt(2.0 * np.pi * w)
        return normal * self.durrleman_g(k) / strike

    def sound_range(self) -> tuple[float, float]:
        """Return the strikes around the forward between which the density is not negative.

        0 and infinity where none is found within 15 standard deviations at the forward's
        volatility, or a factor of e^10; the forward twice where there is none even there. Outside,
        price with `sabr_density`.
        """
        level = float(self.total_variance(np.zeros(1))[0])
        reach = min(_REACH_SDS * math.sqrt(level), _MOST_REACH)
        low, high = (self._first_negative(sign * reach) for sign in (-1.0, 1.0))
        return self.forward * math.exp(low), self.forward * math.exp(high)

    def _first_negative(self, reach: float) -> float:
        k = reach * _REACH
        is_bad = ~(self.durrleman_g(k) >= 0.0)
        if not is_bad.any():
            return math.copysign(math.inf, reach)
        i = int(np.argmax(is_bad))
        if i == 0:
            return 0.0
        good, bad = k[i - 1], k[i]
        for _ in range(60):
            middle = 0.5 * (good + bad)
            if self.durrleman_g(np.array([middle]))[0] >= 0.0:
                good = middle
            else:
                bad = middle
        return float(good)

    def _by_k(self, k: FloatArray) -> FloatArray:
        """Total variance and its first two derivatives, shape (3, *k.shape)."""
        shape, (k,) = float_columns(k)
        out = np.empty((3, k.size))
        to_alpha, to_nu = units(self.sabr.beta, self.forward, self.tte)
        a, n = self.sabr.alpha / to_alpha, self.sabr.nu / to_nu
        sabr_formula.fill_total_variance(k, a, self.sabr.beta, self.sabr.rho, n, out)
        return out.reshape(3, *shape)

    @classmethod
    def fit(
        cls,
        k: FloatArray,
        w: FloatArray,
        weight: FloatArray,
        *,
        beta: float = 0.5,
        forward: float = 1.0,
        tte: float = 1.0,
        loss_scale: float = math.inf,
    ) -> "SabrFit":
        """Fit one slice; `sabr_slices.fit_slices` does the same to many, and says more."""
        check_fit(k, w, weight, beta, loss_scale)
        if not (0.0 < forward < math.inf and 0.0 < tte < math.inf):
            raise ValueError(f"a fit needs forward > 0 and tte > 0, was {forward} and {tte}")
        quotes, row = np.empty((3, k.size)), np.empty(sabr_fit.N_OUT)
        quotes[0], quotes[1], quotes[2] = k, w, weight
        status = sabr_fit.fit_one(
            quotes, float(beta), float(loss_scale), float(forward), float(tte), row
        )
        return outcome(status, row, beta=beta, forward=forward, tte=tte)


def units(beta: float, forward: float, tte: float) -> tuple[float, float]:
    """What the unit form's a and n are multiplied by to give alpha and nu."""
    root = math.sqrt(tte)
    return forward ** (1.0 - beta) / root, 1.0 / root


def check_fit(
    k: FloatArray, w: FloatArray, weight: FloatArray, beta: float, loss_scale: float
) -> None:
    """Refuse quotes of unequal shapes, and an impossible beta or loss."""
    check_shapes(k, w, weight)
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"SABR needs 0 <= beta <= 1, was {beta}")
    if not loss_scale > 0.0:
        raise ValueError(f"loss_scale needs to be positive, was {loss_scale}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SabrFit(Fit):
    """One fitted smile with its diagnostics."""

    smile: SabrSmile | None
    row: FloatArray  # (16,) as `sabr_fit.fit_slice` fills it

    @property
    def covariance(self) -> FloatArray:
        """Covariance of (alpha, rho, nu), shape (3, 3)."""
        return self.row[3:12].reshape(3, 3)

    @property
    def cost(self) -> float:
        """Weighted sum of squares, of total variance to first order."""
        return float(self.row[12])

    @property
    def n_points(self) -> int:
        """Count the quotes that took part."""
        return int(self.row[14])

    @property
    def n_evaluations(self) -> int:
        """Count the evaluations of the formula on the whole slice."""
        return int(self.row[15])


def outcome(status: int, row: FloatArray, *, beta: float, forward: float, tte: float) -> SabrFit:
    """Gather what `sabr_fit.fit_slice` says of one slice."""
    ended, smile = _STATUS[status], None
    if ended is FitStatus.CONVERGED:
        alpha, rho, nu = row[:3].tolist()
        sabr = Sabr(alpha=alpha, beta=beta, rho=rho, nu=nu)
        smile = SabrSmile(sabr=sabr, forward=forward, tte=tte)
    return SabrFit(smile=smile, status=ended, rmse=float(row[13]), row=row)
