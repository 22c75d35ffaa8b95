"""Premium and greeks of one option at the vol that the stored surface serves.

Belongs here: putting the served vol, the stored forward and the maths together. Not here: the
formulas, or the greeks of quotes at their own vols (`option_quotes`).
"""

import math
from dataclasses import replace
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Unpack

import numpy as np

from volsurf_app.kept_rows import KeptRows, kept_rows
from volsurf_app.questions import BadQuestion, Day, Tenor, as_instant, when, where
from volsurf_app.stored_surface import Row
from volsurf_app.surface import Which, open_surface, point_of
from volsurf_app.surface_answers import ContractGreeks, SurfacePoint

if TYPE_CHECKING:
    from volsurf_resources.lake import Lake

_TYPES = {"C": "CALL", "P": "PUT", "CALL": "CALL", "PUT": "PUT"}
_GREEKS = ("price", "delta", "gamma", "theta", "vega", "rho")
_TERMS = ("tte_years", "spot", "forward", "discount_factor", "implied_rate", "implied_carry")


def greeks(
    symbol: str,
    *,
    strike: float,
    option_type: str,
    tenor: Tenor | None = None,
    tte: float | None = None,
    expiry: Day | None = None,
    root: str | None = None,
    lake: "Lake",
    **which: Unpack[Which],
) -> ContractGreeks:
    """Return premium and greeks of an option: of a listed expiry, or between expiries.

    Greeks are on the spot as in `option_quotes`; `option_type` is CALL or PUT. Errors and the other
    parameters as for `surface.at`.
    """
    side = _TYPES.get(option_type.strip().upper())
    if side is None:
        raise BadQuestion(f"option_type is CALL or PUT, was {option_type[:40]!r}")
    time = when(tenor, tte, expiry, root)
    stored = open_surface(symbol, lake, **which)
    point = point_of(stored, time, where(strike=strike))
    forwards = _forwards(lake, point, which.get("known_at"))
    terms = _listed(forwards) if time.expiry else _between(forwards, point)
    answer = ContractGreeks(
        symbol=point.symbol,
        quote_date=point.quote_date,
        snapshot=point.snapshot,
        model=point.model,
        root=point.root,
        expiration_date=point.expiration_date,
        strike=float(strike),
        option_type=side,
        exercise_style=forwards[0]["exercise_style"] if forwards else None,
        implied_vol=point.implied_vol,
        std_error=point.std_error,
        status=point.status,
        reason=point.reason,
        **dict.fromkeys(_GREEKS),  # type: ignore[arg-type]
        **(terms or dict.fromkeys(_TERMS)),
        slices=point.slices,
        known_at=point.known_at,
        content_hash=point.content_hash,
    )
    if answer.implied_vol is None:
        return answer
    if terms is None:
        return replace(answer, status="no_forward", reason="no forward of the expiry is stored")
    return replace(answer, **_values(answer, answer.implied_vol, terms))


def _forwards(lake: "Lake", point: SurfacePoint, known_at: datetime | str | None) -> list[Row]:
    """Return the stored forward rows of the smiles behind a point; none unless all are there."""
    days, at_time = [point.quote_date], as_instant(known_at)
    table = "implied_forwards"
    kept = kept_rows(
        lake, table, point.symbol, days, snapshot=point.snapshot, known_at=at_time
    ).get(point.quote_date)
    if kept is None:
        return []
    rows = _by_expiry(kept)
    found = [rows.get((used.root, used.expiration_date)) for used in point.slices]
    return [row for row in found if row is not None] if None not in found else []


@lru_cache(maxsize=1024)
def _by_expiry(kept: KeptRows) -> dict[tuple[str, date], Row]:
    known = kept.rows.drop_nulls("forward")
    return {(row["root"], row["expiration_date"]): row for row in known.iter_rows(named=True)}


def _listed(forwards: list[Row]) -> Row | None:
    return {name: forwards[0][name] for name in _TERMS} if forwards else None


def _between(forwards: list[Row], point: SurfacePoint) -> Row | None:
    """Terms between expiries: the surface's forward, the zero rate linear in time."""
    if not forwards or point.forward is None or point.tte_years is None:
        return None
    times = [row["tte_years"] for row in forwards]
    rate = float(np.interp(point.tte_years, times, [row["implied_rate"] for row in forwards]))
    spot = forwards[0]["spot"]
    return {
        "tte_years": point.tte_years,
        "spot": spot,
        "forward": point.forward,
        "discount_factor": math.exp(-rate * point.tte_years),
        "implied_rate": rate,
        "implied_carry": math.log(point.forward / spot) / point.tte_years if spot else None,
    }


def _values(contract: ContractGreeks, vol: float, terms: Row) -> Row:
    from volsurf_math.greeks import black_greeks, on_spot

    forward, tte, df = (terms[name] for name in ("forward", "tte_years", "discount_factor"))
    is_call = contract.option_type == "CALL"
    of_forward = black_greeks(forward, contract.strike, tte, vol, df, is_call)
    found = {"price": of_forward.price, "vega": of_forward.vega, "rho": of_forward.rho}
    if terms["spot"] and terms["implied_carry"] is not None:
        rate, carry = terms["implied_rate"], terms["implied_carry"]
        own = on_spot(of_forward, spot=terms["spot"], forward=forward, rate=rate, carry=carry)
        found |= {"delta": own.delta, "gamma": own.gamma, "theta": own.theta}
    values = {name: float(value) for name, value in found.items()}
    return {name: x if math.isfinite(x) else None for name, x in values.items()}
