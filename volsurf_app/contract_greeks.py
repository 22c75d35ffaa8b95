"""Premium and greeks of one contract at the vol that the stored surface serves.

Belongs here: putting the served vol, the stored forward and the maths together. Not here: the
formulas, or the greeks of quotes at their own vols (`option_quotes`).
"""

import math
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from volsurf_app.kept_rows import kept_rows
from volsurf_app.questions import BadQuestion, Day, as_day, as_instant, when, where
from volsurf_app.stored_surface import Row
from volsurf_app.surface import open_surface, point_of
from volsurf_app.surface_answers import ContractGreeks
from volsurf_tables.surfaces import SMILE_MODELS

if TYPE_CHECKING:
    from volsurf_resources.lake import Lake

_TYPES = {"C": "CALL", "P": "PUT", "CALL": "CALL", "PUT": "PUT"}
_GREEKS = ("price", "delta", "gamma", "theta", "vega", "rho")


def greeks(
    symbol: str,
    *,
    expiry: Day,
    strike: float,
    option_type: str,
    root: str | None = None,
    on: Day | None = None,
    model: str = SMILE_MODELS[0],
    snapshot: str = "EOD",
    known_at: datetime | str | None = None,
    lake: "Lake",
) -> ContractGreeks:
    """Return premium and greeks of a contract of a listed expiry.

    Greeks are on the spot as in `option_quotes`; `option_type` is CALL or PUT. Errors and the other
    parameters as for `surface.at`.
    """
    side = _TYPES.get(option_type.strip().upper())
    if side is None:
        raise BadQuestion(f"option_type is CALL or PUT, was {option_type[:40]!r}")
    stored = open_surface(symbol, on, model, snapshot, known_at, lake)
    point = point_of(stored, when(expiry=as_day(expiry), root=root), where(strike=strike))
    root = point.root or ""
    terms = _terms(lake, stored.symbol, stored.day, snapshot, known_at, root, as_day(expiry))
    answer = ContractGreeks(
        symbol=point.symbol,
        quote_date=point.quote_date,
        snapshot=point.snapshot,
        model=point.model,
        root=root,
        expiration_date=as_day(expiry),
        strike=float(strike),
        option_type=side,
        exercise_style=terms.get("exercise_style"),
        implied_vol=point.implied_vol,
        std_error=point.std_error,
        status=point.status,
        reason=point.reason,
        **dict.fromkeys(_GREEKS),  # type: ignore[arg-type]
        tte_years=terms.get("tte_years"),
        spot=terms.get("spot"),
        forward=terms.get("forward"),
        discount_factor=terms.get("discount_factor"),
        known_at=point.known_at,
        content_hash=point.content_hash,
    )
    if point.implied_vol is None:
        return answer
    if terms.get("forward") is None:
        return replace(answer, status="no_forward", reason="no forward of the expiry is stored")
    return replace(answer, **_values(point.implied_vol, answer, terms))


def _terms(
    lake: "Lake",
    symbol: str,
    day: date,
    snapshot: str,
    known_at: datetime | str | None,
    root: str,
    expiry: date,
) -> Row:
    """Return the stored forward row of an expiry; empty if there is none."""
    kept = kept_rows(
        lake, "implied_forwards", symbol, [day], snapshot=snapshot, known_at=as_instant(known_at)
    )
    rows = kept[day].rows.filter(root=root, expiration_date=expiry) if day in kept else None
    return {} if rows is None or rows.is_empty() else rows.row(0, named=True)


def _values(implied_vol: float, contract: ContractGreeks, terms: Row) -> dict[str, Any]:
    from volsurf_math.greeks import black_greeks, on_spot

    of_forward = black_greeks(
        terms["forward"],
        contract.strike,
        terms["tte_years"],
        implied_vol,
        terms["discount_factor"],
        contract.option_type == "CALL",
    )
    found = {"price": of_forward.price, "vega": of_forward.vega, "rho": of_forward.rho}
    if terms["spot"] and terms["implied_carry"] is not None:
        own = on_spot(
            of_forward,
            spot=terms["spot"],
            forward=terms["forward"],
            rate=terms["implied_rate"],
            carry=terms["implied_carry"],
        )
        found |= {"delta": own.delta, "gamma": own.gamma, "theta": own.theta}
    values = {name: float(value) for name, value in found.items()}
    return {name: x if math.isfinite(x) else None for name, x in values.items()}
