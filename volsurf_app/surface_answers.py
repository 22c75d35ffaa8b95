"""What an answer about a surface says: the value, its support, its units, and where it comes from.

Belongs here: frozen records, plain enough for JSON. Not here: how they are found (`surface`).
"""

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from functools import cache
from typing import TypeVar

from volsurf_app.questions import Axis
from volsurf_app.stored_surface import Row
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES
from volsurf_tables.surfaces import FITTED_SURFACES
from volsurf_tables.table import Table

_Answer = TypeVar("_Answer")

MONEYNESS = "ln(strike / forward)"
DELTA = "undiscounted forward delta, N(d1) for calls and N(d1) - 1 for puts"
UNITS = {
    "implied_vol": "decimal per sqrt(year)",
    "std_error": "decimal per sqrt(year)",
    "total_variance": "vol^2 years",
    "tte_years": "years of 365 days",
    "forward": "USD",
    "strike": "USD",
    "log_moneyness": MONEYNESS,
    "delta": DELTA,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceUsed:
    """A stored smile that an answer comes from, with what is certified of it."""

    root: str
    expiration_date: date
    tte_years: float
    status: str
    reason: str | None
    rmse: float | None
    passes_no_arbitrage: bool | None
    butterfly_arbitrage_violations: int | None
    calendar_arbitrage_violations: int | None
    min_durrleman_g: float | None
    min_calendar_slope: float | None
    left_wing_slope: float | None
    right_wing_slope: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceCertificate:
    """Whether a surface is free of static arbitrage, and how finely it was checked."""

    is_clean: bool | None
    is_clean_everywhere: bool | None
    calendar_scope: str | None
    num_slices: int | None
    grid_points: int | None
    tolerance: float | None
    min_density_factor: float | None
    min_density_factor_between: float | None
    min_calendar_slope: float | None
    min_quoted_calendar_slope: float | None
    max_wing_slope: float | None
    butterfly_violations: int | None
    calendar_violations: int | None
    quoted_calendar_violations: int | None
    wing_violations: int | None
    status: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfacePoint:
    """One point of a stored surface. `implied_vol` is None unless `status` is `supported`.

    `delta` is that of the out-of-the-money option, or the one asked for. `expiration_date` and
    `root` are those of a listed expiry that was asked for, None between expiries. `certificate`
    is that of the stored surface, None until it has been tested.
    """

    symbol: str
    quote_date: date
    snapshot: str
    model: str
    implied_vol: float | None
    std_error: float | None
    status: str
    reason: str | None
    log_moneyness: float | None
    strike: float | None
    delta: float | None
    forward: float | None
    tte_years: float | None
    total_variance: float | None
    expiration_date: date | None
    root: str | None
    slices: tuple[SliceUsed, ...]
    certificate: SurfaceCertificate | None
    known_at: datetime
    content_hash: str
    moneyness: str = MONEYNESS
    units: dict[str, str] = field(default_factory=UNITS.copy)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceGrid:
    """A stored surface on times x places: rows of the matrices are times, columns are places.

    The matrices hold None where the status is not `supported`. `expiration_dates` stands where
    listed expiries were asked for.
    """

    symbol: str
    quote_date: date
    snapshot: str
    model: str
    axis: Axis
    places: tuple[float, ...]
    tte_years: tuple[float | None, ...]
    expiration_dates: tuple[date, ...] | None
    forward: tuple[float | None, ...]
    implied_vol: list[list[float | None]]
    std_error: list[list[float | None]]
    log_moneyness: list[list[float | None]]
    strike: list[list[float | None]]
    status: list[list[str]]
    slices: tuple[SliceUsed, ...]
    certificate: SurfaceCertificate | None
    known_at: datetime
    content_hash: str
    moneyness: str = MONEYNESS
    units: dict[str, str] = field(default_factory=UNITS.copy)


@dataclass(frozen=True, slots=True, kw_only=True)
class SviSlice:
    """The raw SVI parameters of a listed expiry as stored; None where there is no smile."""

    root: str
    expiration_date: date
    tte_years: float | None
    forward: float | None
    svi_a: float | None
    svi_b: float | None
    svi_rho: float | None
    svi_m: float | None
    svi_sigma: float | None
    k_min: float | None
    k_max: float | None
    atm_vol: float | None
    atm_vol_std_error: float | None
    rmse: float | None
    num_points: int | None
    passes_no_arbitrage: bool | None
    status: str
    reason: str | None
    parameters_date: date | None
    model_version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SviParams:
    """All stored smiles of one session and model: w(k) = a + b (rho (k - m) + hypot(k - m, sigma)).

    `w` is total variance, implied_vol^2 x tte_years.
    """

    symbol: str
    quote_date: date
    snapshot: str
    model: str
    slices: tuple[SviSlice, ...]
    known_at: datetime
    content_hash: str
    moneyness: str = MONEYNESS
    units: dict[str, str] = field(default_factory=lambda: units_of(SviSlice, FITTED_SURFACES))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractGreeks:
    """Black premium and greeks of an option at the surface's vol, on the spot.

    None where the surface has no vol there. The premium is European: `exercise_style` says what
    the listed contracts are. `root` and `expiration_date` are None between expiries.
    """

    symbol: str
    quote_date: date
    snapshot: str
    model: str
    root: str | None
    expiration_date: date | None
    strike: float
    option_type: str
    exercise_style: str | None
    implied_vol: float | None
    std_error: float | None
    status: str
    reason: str | None
    price: float | None
    delta: float | None
    gamma: float | None
    theta: float | None
    vega: float | None
    rho: float | None
    tte_years: float | None
    spot: float | None
    forward: float | None
    discount_factor: float | None
    implied_rate: float | None
    implied_carry: float | None
    slices: tuple[SliceUsed, ...]
    known_at: datetime
    content_hash: str
    units: dict[str, str] = field(
        default_factory=lambda: {
            "price": "USD",
            **units_of(ContractGreeks, IMPLIED_FORWARDS),
            **units_of(ContractGreeks, OPTION_QUOTES),
        }
    )


def units_of(answer: type, table: Table) -> dict[str, str]:
    """Return the units of an answer's fields that are columns of a table."""
    units = {column.name: column.unit for column in table.columns}
    return {f.name: units[f.name] for f in fields(answer) if units.get(f.name, "-") != "-"}


def of_row(answer: type[_Answer], row: Row) -> _Answer:
    """Return the record whose fields are columns of a stored row."""
    return answer(**{name: row.get(name) for name in _names(answer)})  # type: ignore[arg-type]


@cache
def _names(answer: type) -> tuple[str, ...]:
    return tuple(f.name for f in fields(answer))
