"""What Heston's and Bates's models share: prices, gradients and volatilities from one integral.

Belongs here: from a parameter set and option arrays to arrays of results. Not here: parameters
(`heston`, `bates`), the integral (`heston_contour`), calibration (`heston_fit`).
"""

from abc import ABC
from dataclasses import fields
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from volsurf_math.broadcasting import FloatArray, float_columns, payoff_sign
from volsurf_math.heston_characteristic import evaluate_many
from volsurf_math.heston_contour import FIRST_STEP, SCALE, price_rows
from volsurf_math.implied_vol import implied_vol

N_PARAMETERS = 8  # of the kernels; a model without jumps leaves the last three at zero
AGREEMENT = 1e-7  # of the two interleaved rules, over the forward: prices to 1e-10
PRECISE_AGREEMENT = 2e-9  # prices to 1e-12
SMALLEST_RATIO = 1e-11  # time value over forward below which a price carries no volatility


def price_columns(
    parameters: FloatArray,
    columns: list[FloatArray],
    n_gradient: int,
    agreement: float,
    scale: float = SCALE,
    step: float = FIRST_STEP,
) -> tuple[FloatArray, FloatArray]:
    """Return undiscounted prices (n,) and gradient (n, n_gradient) of flat columns.

    `columns` are forward, strike, tte and payoff sign; `parameters` holds up to `N_PARAMETERS`.
    """
    p = np.zeros(N_PARAMETERS)
    p[: parameters.size] = parameters
    forward, strike, tte, sign = columns
    price, gradient = np.empty(tte.size), np.empty((tte.size, n_gradient))
    order = np.argsort(tte, kind="stable")
    price_rows(p, forward, strike, tte, sign, order, scale, step, agreement, price, gradient)
    return price, gradient


@cache
def names_of(kind: type) -> tuple[str, ...]:
    """Names of the parameters of a model."""
    return tuple(field.name for field in fields(kind))


class AffineModel(ABC):
    """Prices under a parameter set: a frozen dataclass in the order of `heston_characteristic`.

    A price row is NaN where forward, strike or tte is not positive and finite.
    """

    __slots__ = ()

    kappa: float
    theta: float
    sigma: float
    v0: float

    @property
    def parameters(self) -> FloatArray:
        """Parameters in the order of the dataclass, which is that of every gradient."""
        return np.array([getattr(self, field) for field in names_of(type(self))])

    @classmethod
    def from_parameters(cls, parameters: FloatArray) -> Self:
        """Inverse of `parameters`."""
        return cls(**dict(zip(names_of(cls), parameters.tolist(), strict=True)))

    @property
    def feller_ratio(self) -> float:
        """2 kappa theta / sigma^2; below 1 the variance reaches zero."""
        with np.errstate(divide="ignore"):
            return float(2.0 * self.kappa * self.theta / np.square(self.sigma))

    def undiscounted_price(
        self,
        forward: ArrayLike,
        strike: ArrayLike,
        tte: ArrayLike,
        is_call: ArrayLike,
        *,
        is_precise: bool = False,
    ) -> FloatArray:
        """Return undiscounted European prices, in units of `forward`; arguments broadcast.

        Within 1e-10 of the forward, or 1e-12 if `is_precise`, and never below intrinsic value.
        """
        shape, columns = float_columns(forward, strike, tte, payoff_sign(is_call))
        agreement = PRECISE_AGREEMENT if is_precise else AGREEMENT
        price, _ = price_columns(self.parameters, columns, 0, agreement)
        return price.reshape(shape)

    def price_and_gradient(
        self,
        forward: ArrayLike,
        strike: ArrayLike,
        tte: ArrayLike,
        is_call: ArrayLike,
        *,
        is_precise: bool = False,
    ) -> tuple[FloatArray, FloatArray]:
        """Return undiscounted prices, and their gradient with the parameters on a last axis."""
        shape, columns = float_columns(forward, strike, tte, payoff_sign(is_call))
        agreement = PRECISE_AGREEMENT if is_precise else AGREEMENT
        parameters = self.parameters
        price, gradient = price_columns(parameters, columns, parameters.size, agreement)
        return price.reshape(shape), gradient.reshape(*shape, parameters.size)

    def implied_vol(self, forward: ArrayLike, strike: ArrayLike, tte: ArrayLike) -> FloatArray:
        """Return Black's volatility of the model's prices; arguments broadcast.

        From the out-of-the-money side in precise mode. NaN where the time value is below 1e-11 of
        the forward: in so far a tail the price carries no volatility.
        """
        f, k = np.asarray(forward, dtype=np.float64), np.asarray(strike, dtype=np.float64)
        is_call = k >= f
        price = self.undiscounted_price(f, k, tte, is_call, is_precise=True)
        vol, _ = implied_vol(price, f, k, tte, 1.0, is_call)
        return np.where(price > SMALLEST_RATIO * f, vol, np.nan)

    def diffusive_variance(self, tte: ArrayLike) -> FloatArray:
        """Mean of the integral of the variance to `tte`, jumps left out."""
        t = np.asarray(tte, dtype=np.float64)
        return self.theta * t - (self.v0 - self.theta) * np.expm1(-self.kappa * t) / self.kappa

    def characteristic(self, z: ArrayLike, tte: float) -> NDArray[np.complex128]:
        """Return E[(S_T / F)^(iu)] at u = z - i/2; `z` may be complex."""
        nodes = np.asarray(z, dtype=np.complex128)
        p = np.zeros(N_PARAMETERS)
        p[: self.parameters.size] = self.parameters
        out = np.empty(nodes.size, dtype=np.complex128)
        evaluate_many(p, float(tte), np.ascontiguousarray(nodes).reshape(-1), out)
        return out.reshape(nodes.shape)
