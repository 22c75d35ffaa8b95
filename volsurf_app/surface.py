"""Points of a surface, asked for in one way by Python, command line, server and pages.

    from volsurf_app import surface
    surface.at("SPY", tenor="30d", delta=-0.25, on="2026-11-19").implied_vol

Belongs here: from a question to its answer. Not here: how a question is understood (`questions`),
how a stored surface is read (`stored_surface`), what an answer says (`surface_answers`). Outside
the quotes' support there is no value, but a status and a reason; what the lake does not hold at all
raises `questions.NotStored`.
"""

import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import numpy as np
import polars as pl
from scipy.special import ndtr

from volsurf_app.finding_surfaces import MODELS, model_named, stored_surface, stored_surfaces
from volsurf_app.kept_rows import last_day, last_day_known
from volsurf_app.questions import (
    BadQuestion,
    Day,
    NotStored,
    Tenor,
    When,
    Where,
    as_day,
    as_instant,
    as_range,
    as_snapshot,
    as_symbol,
    when,
    where,
)
from volsurf_app.stored_surface import TABLE, Row, StoredSurface
from volsurf_app.surface_answers import (
    SliceUsed,
    SurfaceCertificate,
    SurfaceGrid,
    SurfacePoint,
    SviParams,
    SviSlice,
    of_row,
)
from volsurf_tables.surfaces import SLICE_MODELS

if TYPE_CHECKING:
    from volsurf_resources.lake import Lake


class Which(TypedDict, total=False):
    """Which stored surface is asked for.

    Attributes
    ----------
    on : date or str
        The session; None, as by default, for the last one stored, or known at `known_at`.
    model : str
        SVI, as by default, or another of `finding_surfaces.MODELS`.
    snapshot : str
        EOD, as by default, or HHMM in UTC.
    known_at : datetime or str
        The surface as it was known at that time.
    """

    on: Day | None
    model: str
    snapshot: str
    known_at: datetime | str | None


def at(
    symbol: str,
    *,
    tenor: Tenor | None = None,
    tte: float | None = None,
    expiry: Day | None = None,
    root: str | None = None,
    log_moneyness: float | None = None,
    delta: float | None = None,
    strike: float | None = None,
    lake: "Lake | None" = None,
    **which: Unpack[Which],
) -> SurfacePoint:
    """Return one point of a stored surface, by interpolation or of the listed expiry's own smile.

    Parameters
    ----------
    tenor, tte, expiry
        When, exactly one: "30d", "4w", "1y" or calendar days; years; a listed expiry, of which
        `root` chooses one of several option roots.
    log_moneyness, delta, strike
        Where, exactly one: ln(strike / forward); undiscounted forward delta, negative for puts;
        USD.
    lake
        Where to look; None for the lake of the symbol's market, by the settings.
    **which
        Session, model, snapshot and time of knowledge, as `Which` names them.

    Raises
    ------
    BadQuestion, NotStored
        As `volsurf_app.questions` tells.
    """
    time, place = when(tenor, tte, expiry, root), where(log_moneyness, delta, strike)
    stored = open_surface(symbol, lake, **which)
    return point_of(stored, time, place)


def points(
    symbol: str,
    times: Sequence[When],
    places: Where,
    *,
    lake: "Lake | None" = None,
    **which: Unpack[Which],
) -> SurfaceGrid:
    """Return the points of all `times` with all `places`; errors as for `at`."""
    if not times:
        raise BadQuestion("a grid needs at least one time, was empty")
    stored = open_surface(symbol, lake, **which)
    readings = stored.read_all(times, places)
    used = {(s["expiration_date"], s["root"]): s for r in readings for s in r.slices}
    listed = tuple(time.expiry for time in times if time.expiry is not None)
    return SurfaceGrid(
        symbol=stored.symbol,
        quote_date=stored.day,
        snapshot=stored.snapshot,
        model=stored.model,
        axis=places.axis,
        places=places.values,
        tte_years=tuple(r.tte for r in readings),
        expiration_dates=listed if len(listed) == len(times) else None,
        forward=tuple(r.forward for r in readings),
        implied_vol=[_list(r.implied_vol) for r in readings],
        std_error=[_list(r.std_error) for r in readings],
        log_moneyness=[_list(r.log_moneyness) for r in readings],
        strike=[_list(r.strike) for r in readings],
        status=[list(r.status) for r in readings],
        slices=tuple(of_row(SliceUsed, used[key]) for key in sorted(used)),
        certificate=_certificate(stored),
        known_at=stored.footer.known_at,
        content_hash=stored.content_hash,
    )


def svi_params(
    symbol: str,
    *,
    lake: "Lake | None" = None,
    **which: Unpack[Which],
) -> SviParams:
    """Return the stored parameters of every listed expiry of a session; errors as for `at`."""
    if model_named(which.get("model", MODELS[0])) not in SLICE_MODELS:
        told = f"SVI parameters are those of {' and '.join(SLICE_MODELS)}"
        raise BadQuestion(f"{told}, not of {which['model']}")
    stored = open_surface(symbol, lake, **which)
    return SviParams(
        symbol=stored.symbol,
        quote_date=stored.day,
        snapshot=stored.snapshot,
        model=stored.model,
        slices=tuple(of_row(SviSlice, row) for row in stored.all_rows),
        known_at=stored.footer.known_at,
        content_hash=stored.content_hash,
    )


def history(
    symbol: str,
    time: When,
    place: Where,
    *,
    start: Day,
    end: Day,
    model: str = MODELS[0],
    snapshot: str = "EOD",
    lake: "Lake | None" = None,
) -> pl.DataFrame:
    """Return one point through the stored sessions of a range, one row per session.

    Columns: quote_date, implied_vol, std_error, log_moneyness, strike, forward, tte_years, status,
    reason. Sessions without a surface are absent; a listed expiry that a session does not have is
    a row of status `no_expiry`. BadQuestion where `start` is after `end`.
    """
    first, last = as_range(start, end)
    lake = lake or _own_lake(symbol)
    days = [day for day in lake.days(TABLE) if first <= day <= last]
    asked = as_symbol(symbol)
    found = stored_surfaces(
        lake, asked, days, model=model_named(model), snapshot=as_snapshot(snapshot)
    )
    rows = [{"quote_date": stored.day, **_at_session(stored, time, place)} for stored in found]
    return pl.DataFrame(rows, schema=_HISTORY)


_HISTORY = {
    "quote_date": pl.Date,
    **dict.fromkeys(
        ("implied_vol", "std_error", "log_moneyness", "strike", "forward", "tte_years"), pl.Float64
    ),
    "status": pl.String,
    "reason": pl.String,
}


def _at_session(stored: StoredSurface, time: When, place: Where) -> Row:
    try:
        reading = stored.read(time, place)
    except NotStored as error:
        return {"status": "no_expiry", "reason": str(error)}
    return {
        "implied_vol": _number(reading.implied_vol[0]),
        "std_error": _number(reading.std_error[0]),
        "log_moneyness": _number(reading.log_moneyness[0]),
        "strike": _number(reading.strike[0]),
        "forward": reading.forward,
        "tte_years": reading.tte,
        "status": reading.status[0],
        "reason": reading.reason[0],
    }


def point_of(stored: StoredSurface, time: When, place: Where) -> SurfacePoint:
    """Return a point of a surface that is at hand; `place` holds one value."""
    reading = stored.read(time, place)
    vol, k = _number(reading.implied_vol[0]), _number(reading.log_moneyness[0])
    (asked,) = place.values
    return SurfacePoint(
        symbol=stored.symbol,
        quote_date=stored.day,
        snapshot=stored.snapshot,
        model=stored.model,
        implied_vol=vol,
        std_error=_number(reading.std_error[0]),
        status=reading.status[0],
        reason=reading.reason[0],
        log_moneyness=k,
        strike=_number(reading.strike[0]),
        delta=asked if place.axis == "delta" else _delta(vol, k, reading.tte),
        forward=reading.forward,
        tte_years=reading.tte,
        total_variance=None if vol is None or reading.tte is None else vol * vol * reading.tte,
        expiration_date=time.expiry,
        root=reading.slices[0]["root"] if time.expiry is not None else None,
        slices=tuple(of_row(SliceUsed, row) for row in reading.slices),
        certificate=_certificate(stored),
        known_at=stored.footer.known_at,
        content_hash=stored.content_hash,
    )


def _delta(vol: float | None, k: float | None, tte: float | None) -> float | None:
    """Forward delta of the out-of-the-money option."""
    if vol is None or k is None or tte is None:
        return None
    spread = vol * math.sqrt(tte)
    call = float(ndtr(-k / spread + 0.5 * spread))
    return call if k >= 0.0 else call - 1.0


def open_surface(symbol: str, lake: "Lake | None" = None, **which: Unpack[Which]) -> StoredSurface:
    """Return the stored surface of a session; errors as for `at`."""
    lake, asked, on = lake or _own_lake(symbol), as_symbol(symbol), which.get("on")
    known_at = as_instant(which.get("known_at"))
    return stored_surface(
        lake,
        asked,
        last_session(lake, asked, known_at) if on is None else as_day(on),
        model=model_named(which.get("model", MODELS[0])),
        snapshot=as_snapshot(which.get("snapshot", "EOD")),
        known_at=known_at,
    )


def last_session(lake: "Lake", symbol: str, known_at: datetime | None = None) -> date:
    """Return the last session stored, of those known at a time if any was; date.min if none is."""
    known = None if known_at is None else last_day_known(lake, TABLE, symbol, known_at)
    return known or last_day(lake, TABLE, symbol) or date.min


def _own_lake(symbol: str) -> "Lake":
    from volsurf_app import queries
    from volsurf_resources.settings import Settings

    settings = Settings()
    return queries.open_lake(settings.for_market(settings.market_of(as_symbol(symbol))))


def _certificate(stored: StoredSurface) -> SurfaceCertificate | None:
    return None if stored.certificate is None else of_row(SurfaceCertificate, stored.certificate)


def _number(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def _list(values: Any) -> list[float | None]:
    return [x if math.isfinite(x) else None for x in np.asarray(values).tolist()]
