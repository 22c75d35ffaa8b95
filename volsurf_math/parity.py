r"""The forward, and the discount factor, that put-call parity implies for one expiry.

European: :math:`C - P = D(F - K)`, a straight line in :math:`K` of slope :math:`-D`, fitted with
weights 1/(half-spread of call squared plus of put squared). Outliers are dropped around a start
that half of the pairs may contaminate (repeated medians). American quotes first lose their
early-exercise premium, and the discount factor comes from the rate: their slope is no rate.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike

from volsurf_math.american import european_equivalent
from volsurf_math.broadcasting import FloatArray, float_columns

OUTLIER = 5.0  # robust standard deviations
LEAST_OUTLIER = 1.0  # half-spreads: a smaller gap is never one, however well others agree
LEAST_SPREAD = 0.1  # of the median: a narrower quote weighs no more than this one would
MAD_TO_SD = 1.4826
ROUNDS = 10
SETTLED = 1e-6  # relative move of an American forward after which iterations stop
LOWEST_DISCOUNT, HIGHEST_DISCOUNT = 0.5, 1.2


class ParityStatus(IntEnum):
    """Whether an expiry has a forward. Stored in the lake, so never renumbered."""

    OK = 0
    TOO_FEW_PAIRS = 1
    IMPLAUSIBLE_DISCOUNT = 2
    IMPLAUSIBLE_FORWARD = 3
    BAD_INPUT = 4


@dataclass(frozen=True, kw_only=True)
class ParityFit:
    """Forward and discount factor of one expiry; NaN unless the status is OK.

    The half-spreads set the relative noise of the mids and the residuals its level, from which
    the standard errors follow; without a pair to spare the half-spreads set the level too.
    `n_pairs` counts the pairs kept. `median_gap_half_spreads` is the median over all pairs of
    abs(C - P - D(F - K)) over the sum of the two half-spreads.
    """

    forward: float
    discount_factor: float
    forward_std_error: float
    discount_factor_std_error: float
    n_pairs: int
    median_gap_half_spreads: float
    status: ParityStatus


@dataclass(frozen=True, kw_only=True)
class _Line:
    """The line level + D (center - K), and the variances of its two independent parameters."""

    center: float
    level: float
    discount_factor: float
    level_variance: float
    discount_factor_variance: float

    def at(self, strike: FloatArray) -> FloatArray:
        return self.level + self.discount_factor * (self.center - strike)

    @property
    def forward(self) -> float:
        return self.center + self.level / self.discount_factor

    @property
    def forward_std_error(self) -> float:
        slope = self.level / self.discount_factor
        variance = self.level_variance + slope**2 * self.discount_factor_variance
        return float(np.sqrt(variance) / self.discount_factor)


def _first_line(strike: FloatArray, gap: FloatArray, discount_factor: float | None) -> _Line:
    """Line through repeated medians: right while fewer than half of the pairs are wrong."""
    if discount_factor is None:
        run = strike[:, None] - strike
        run[run == 0.0] = np.nan
        discount_factor = float(-np.nanmedian(np.nanmedian((gap[:, None] - gap) / run, axis=1)))
    level = float(np.median(gap + discount_factor * strike))
    return _Line(
        center=0.0,
        level=level,
        discount_factor=discount_factor,
        level_variance=np.nan,
        discount_factor_variance=np.nan,
    )


def _weighted_line(
    strike: FloatArray,
    gap: FloatArray,
    noise: FloatArray,
    discount_factor: float | None,
    std_error: float,
) -> _Line:
    """Weighted least squares of `gap` = C - P on the strike; the level alone if D is known.

    `std_error` is that of a D that is known.
    """
    weight = noise**-2.0
    total = weight.sum()
    center, level = weight @ strike / total, weight @ gap / total
    spread = weight @ (strike - center) ** 2
    slope, is_known = discount_factor, discount_factor is not None
    if slope is None:
        slope = float(-(weight @ ((strike - center) * gap)) / spread)
    residual = (gap - level - slope * (center - strike)) / noise
    spare = strike.size - (1 if is_known else 2)
    scale = residual @ residual / spare if spare > 0 else 1.0
    return _Line(
        center=float(center),
        level=float(level),
        discount_factor=slope,
        level_variance=float(scale / total),
        discount_factor_variance=float(std_error**2 if is_known else scale / spread),
    )


def _robust_line(
    strike: FloatArray,
    gap: FloatArray,
    noise: FloatArray,
    discount_factor: float | None,
    std_error: float,
) -> tuple[_Line, int]:
    """Weighted line without outliers, and the number of pairs it rests on."""
    line = _first_line(strike, gap, discount_factor)
    kept = np.zeros(strike.size, dtype=bool)
    for _ in range(ROUNDS):
        misfit = np.abs(gap - line.at(strike)) / noise
        previous = kept
        kept = misfit <= max(OUTLIER * MAD_TO_SD * float(np.median(misfit)), LEAST_OUTLIER)
        if np.array_equal(kept, previous):
            break
        line = _weighted_line(strike[kept], gap[kept], noise[kept], discount_factor, std_error)
    return line, int(kept.sum())


def _failure(status: ParityStatus, n_pairs: int, median_gap: float = np.nan) -> ParityFit:
    return ParityFit(
        forward=np.nan,
        discount_factor=np.nan,
        forward_std_error=np.nan,
        discount_factor_std_error=np.nan,
        n_pairs=n_pairs,
        median_gap_half_spreads=median_gap,
        status=status,
    )


def fit_forward(
    strike: ArrayLike,
    call_mid: ArrayLike,
    put_mid: ArrayLike,
    call_half_spread: ArrayLike,
    put_half_spread: ArrayLike,
    *,
    discount_factor: float | None = None,
    discount_factor_std_error: float = 0.0,
) -> ParityFit:
    """Fit put-call parity to the European pairs of one expiry, near the money.

    Parameters
    ----------
    strike, call_mid, put_mid, call_half_spread, put_half_spread : array, shape (n_pairs,)
        Premiums today, in dollars. Pairs with a value that is not finite are left out.
    discount_factor : float, optional
        Estimate the forward alone, with this discount factor.
    discount_factor_std_error : float
        Of the discount factor given: it becomes part of the forward's.

    Returns
    -------
    ParityFit
        TOO_FEW_PAIRS below two strikes (one, if `discount_factor` is given),
        IMPLAUSIBLE_DISCOUNT outside (0.5, 1.2), IMPLAUSIBLE_FORWARD unless positive.
    """
    _, columns = float_columns(strike, call_mid, put_mid, call_half_spread, put_half_spread)
    usable = np.isfinite(columns).all(axis=0)
    k, call, put, call_half, put_half = (column[usable] for column in columns)
    if discount_factor is not None and not 0.0 < discount_factor < np.inf:
        return _failure(ParityStatus.BAD_INPUT, k.size)
    if np.unique(k).size < (2 if discount_factor is None else 1):
        return _failure(ParityStatus.TOO_FEW_PAIRS, k.size)
    noise = np.hypot(call_half, put_half)
    noise = np.maximum(noise, LEAST_SPREAD * np.median(noise)) if noise.any() else noise + 1.0
    line, n_kept = _robust_line(k, call - put, noise, discount_factor, discount_factor_std_error)
    sum_of_halves = np.where(call_half + put_half > 0.0, call_half + put_half, noise)
    gap = float(np.median(np.abs(call - put - line.at(k)) / sum_of_halves))
    if discount_factor is None and not LOWEST_DISCOUNT < line.discount_factor < HIGHEST_DISCOUNT:
        return _failure(ParityStatus.IMPLAUSIBLE_DISCOUNT, n_kept, gap)
    if not line.forward > 0.0:
        return _failure(ParityStatus.IMPLAUSIBLE_FORWARD, n_kept, gap)
    return ParityFit(
        forward=line.forward,
        discount_factor=line.discount_factor,
        forward_std_error=line.forward_std_error,
        discount_factor_std_error=float(np.sqrt(line.discount_factor_variance)),
        n_pairs=n_kept,
        median_gap_half_spreads=gap,
        status=ParityStatus.OK,
    )


def american_forward(
    strike: ArrayLike,
    call_mid: ArrayLike,
    put_mid: ArrayLike,
    call_half_spread: ArrayLike,
    put_half_spread: ArrayLike,
    spot: float,
    tte: float,
    rate: float,
    dividend_times: ArrayLike = (),
    dividend_amounts: ArrayLike = (),
    *,
    start: float | None = None,
    iterations: int = 3,
) -> ParityFit:
    """Fit the forward to American pairs of one expiry, net of their early-exercise premiums.

    Each iteration removes from every leg the premium at the volatility that the leg implies on
    the forward so far, then fits parity with the discount factor exp(-rate tte).

    Parameters
    ----------
    strike, call_mid, put_mid, call_half_spread, put_half_spread : array, shape (n_pairs,)
        As in :func:`fit_forward`. A pair leaves if a leg has no European equivalent.
    spot, tte, rate : float
        Dollars, years, continuously compounded.
    dividend_times, dividend_amounts : array, shape (n_dividends,)
        As in :func:`volsurf_math.american.early_exercise_premium`.
    start : float, optional
        Forward to start from; by default the carry forward, (spot - present value of dividends)
        exp(rate tte).
    iterations : int
        At most. Each leaves about an eighth of the error (2 years, 1.2 % yield that no
        dividend explains: 243, 34, 4.9, 0.7 basis points).

    Notes
    -----
    The standard error leaves out that the premiums move with the forward, and is too small by
    about a sixth beyond half a year.
    """
    _, columns = float_columns(strike, call_mid, put_mid, call_half_spread, put_half_spread)
    k, mids = columns[0], np.concatenate(columns[1:3])
    if not (0.0 < spot < np.inf and 0.0 < tte < np.inf and np.isfinite(rate)):
        return _failure(ParityStatus.BAD_INPUT, k.size)
    times, amounts = float_columns(dividend_times, dividend_amounts)[1]
    paid = (times > 0.0) & (times <= tte)
    escrow = float(amounts[paid] @ np.exp(-rate * times[paid]))
    discount_factor = float(np.exp(-rate * tte))
    forward = (spot - escrow) / discount_factor if start is None else start
    is_call = np.repeat([True, False], k.size)
    for _ in range(iterations):
        european = european_equivalent(
            mids,
            spot,
            np.tile(k, 2),
            tte,
            rate,
            forward,
            is_call,
            times,
            amounts,
        )[0]
        call, put = np.split(european, 2)
        fit = fit_forward(k, call, put, columns[3], columns[4], discount_factor=discount_factor)
        if fit.status is not ParityStatus.OK:
            break
        moved = abs(fit.forward / forward - 1.0)
        forward = fit.forward
        if moved < SETTLED:
            break
    return fit
