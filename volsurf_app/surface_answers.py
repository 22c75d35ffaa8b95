"""What an answer about a surface says: the value, its support, its units, and where it comes from.

Belongs here: frozen records, plain enough for JSON. Not here: how they are found (`surface`).
"""

from dataclasses import dataclass, field
from datetime import date, datetime

from volsurf_app.questions import Axis
from volsurf_app.stored_surface import Row

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
    rmse_vol_points: float | None
    passes_no_arbitrage: bool | None
    butterfly_arbitrage_violations: int | None
    calendar_arbitrage_violations: int | None
    min_durrleman_g: float | None
    min_calendar_slope: float | None
    left_wing_slope: float | None
    right_wing_slope: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfacePoint:
    """One point of a stored surface. `implied_vol` is None unless `status` is `supported`.

    `delta` is that of the out-of-the-money option, or the one asked for. `expiration_date` and
    `root` are those of a listed expiry that was asked for, None between expiries.
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
    known_at: datetime
    content_hash: str
    moneyness: str = MONEYNESS
    units: dict[str, str] = field(default_factory=UNITS.copy)


def slice_used(row: Row) -> SliceUsed:
    """Return what an answer says of a stored smile."""
    names = (
        *("root", "status", "reason", "passes_no_arbitrage", "butterfly_arbitrage_violations"),
        *("calendar_arbitrage_violations", "min_durrleman_g", "min_calendar_slope"),
        *("left_wing_slope", "right_wing_slope"),
    )
    return SliceUsed(
        expiration_date=row["expiration_date"],
        tte_years=row["tte_years"],
        rmse_vol_points=row["rmse"],
        **{name: row[name] for name in names},
    )
