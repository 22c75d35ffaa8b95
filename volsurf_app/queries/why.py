"""Why a number is what it is: from a point of a surface back to quotes, rules, forward and files.

Belongs here: collecting what the tables say about one answer. Not here: computing it again, or
printing it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any, Unpack

import polars as pl

from volsurf_app.contract_greeks import greeks
from volsurf_app.queries.origins import Origin, origins
from volsurf_app.queries.pictures import smile_pictures
from volsurf_app.questions import NotStored, When, Where, as_instant, where
from volsurf_app.stored_surface import TABLE, Row, StoredSurface
from volsurf_app.surface import Which, open_surface, point_of
from volsurf_app.surface_answers import ContractGreeks, SurfacePoint
from volsurf_resources.lake import Lake
from volsurf_tables.models import table_of

_AT_THE_MONEY = where(log_moneyness=0.0)
_EXPIRY = ("root", "expiration_date")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmileOrigin:
    """What one stored smile comes from.

    Attributes
    ----------
    fit : dict
        Its row of the model's table: parameters, errors, arbitrage tests, outcome.
    quote_date : date
        The session of its quotes: an older one where the smile is carried.
    quotes : DataFrame
        Every contract of the expiry with its own vols and the curve's. `verdict` is used,
        rejected (`reject_reason` names the rules), other_side (not on the side that was fitted) or
        beyond_cap.
    issues : DataFrame
        contract_id, rule, severity, value, threshold: what the rules measured.
    forward : dict
        The row of `implied_forwards`: method, pairs, errors; empty if there is none.
    pairs : DataFrame
        The put-call pairs of the forward: strike, mids, early-exercise premiums, and the forward
        that each implies by itself, `pair_forward`.
    """

    fit: Row
    quote_date: date
    quotes: pl.DataFrame
    issues: pl.DataFrame
    forward: Row
    pairs: pl.DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The answer asked about (None: a whole smile), the smiles behind it, the files behind them.

    `greeks` are those of call and put at the point, `certificate` is the row of
    `surface_certificates` made from those smiles, None where they have not been tested.
    """

    point: SurfacePoint | None
    greeks: tuple[ContractGreeks, ...]
    certificate: Row | None
    smiles: tuple[SmileOrigin, ...]
    origins: tuple[Origin, ...]


def why(
    symbol: str,
    time: When,
    place: Where | None = None,
    *,
    lake: Lake,
    **which: Unpack[Which],
) -> Why:
    """Return what is behind a point of a surface, or behind the smiles around a time.

    Arguments and errors as for `surface.at`; NotStored too where no smile is around that time.
    """
    stored = open_surface(symbol, lake, **which)
    point = None if place is None else point_of(stored, time, place)
    reading = stored.read(time, place or _AT_THE_MONEY)
    if place is None and not reading.slices:
        raise NotStored(f"there is no smile at that time: {reading.reason[0]}")
    at_time = as_instant(which.get("known_at"))
    same: Which = {**which, "on": stored.day}
    option: Any = {"tte": time.tte, "expiry": time.expiry, "root": time.root}
    if point is not None:
        option["strike"] = point.strike
    sides = ("CALL", "PUT") if option.get("strike") is not None else ()
    return Why(
        point=point,
        greeks=tuple(greeks(symbol, option_type=x, lake=lake, **option, **same) for x in sides),
        certificate=stored.certificate,
        smiles=tuple(_smile(lake, stored, row, at_time) for row in reading.slices),
        origins=tuple(_files(lake, stored, at_time)),
    )


def _files(lake: Lake, stored: StoredSurface, known_at: datetime | None) -> Iterator[Origin]:
    """Tell of the model's own partition and of what it was made from, then of the quoted ranges."""
    own = origins(lake, table_of(stored.model).name, stored.day, known_at)
    yield from dict.fromkeys([*own, *origins(lake, TABLE, stored.day, known_at)])


def _smile(lake: Lake, stored: StoredSurface, row: Row, known_at: datetime | None) -> SmileOrigin:
    is_carried = row["status"] == "carried"
    day = row.get("parameters_date") if is_carried else None  # of a law of all expiries: today's
    day = day or stored.day
    read: Any = partial(
        lake.read, days=[day], symbols=[stored.symbol], snapshot=stored.snapshot, known_at=known_at
    )
    (picture,) = smile_pictures(
        lake,
        stored.symbol,
        day,
        row["expiration_date"],
        root=row["root"],
        model_type=stored.model,
        snapshot=stored.snapshot,
        known_at=known_at,
    )
    contracts = picture.quotes["contract_id"].implode()
    issues = read("quote_issues").filter(pl.col("contract_id").is_in(contracts))
    is_here = {name: row[name] for name in _EXPIRY}
    forwards = read("implied_forwards").filter(**is_here).rows(named=True)
    forward = forwards[0] if forwards else {}
    return SmileOrigin(
        fit=stored.origin_of(row),
        quote_date=day,
        quotes=picture.quotes.with_columns(verdict=_verdict(picture.smile)),
        issues=issues.select("contract_id", "rule", "severity", "value", "threshold"),
        forward=forward,
        pairs=pairs_of(read("option_quotes").filter(**is_here), issues, forward),
    )


def _verdict(smile: Row) -> pl.Expr:
    if smile["k_min"] is None:
        is_near = pl.lit(True)
    else:
        is_near = pl.col("log_moneyness").is_between(smile["k_min"], smile["k_max"])
    return (
        pl.when("is_used")
        .then(pl.lit("used"))
        .when(~pl.col("is_liquid"))
        .then(pl.lit("rejected"))
        .when(is_near)
        .then(pl.lit("other_side" if smile["k_min"] is not None else "not_fitted"))
        .otherwise(pl.lit("beyond_cap"))
    )


def pairs_of(quotes: pl.DataFrame, issues: pl.DataFrame, forward: Row) -> pl.DataFrame:
    """Return the put-call pairs that a forward was estimated from, in order of strike.

    They are the pairs of usable quotes nearest to the strike where call and put cost the same,
    those that were left out among them. Prices are in USD; `pair_forward` is strike + (call - put)
    / discount_factor, without early exercise. A coin-settled pair has its strike moved as the
    underlying moved between quotes.
    """
    n = sum(forward.get(name) or 0 for name in ("n_pairs", "n_left_out"))
    forward_usd = forward.get("forward")
    bad = issues.filter(pl.col("severity") == "error")["contract_id"].implode()
    unit = pl.col("unit_value").fill_null(1.0)
    usable = quotes.filter("is_tradable", ~pl.col("contract_id").is_in(bad)).with_columns(
        mid=pl.coalesce("price", "mid") * unit,
        drift=pl.when(unit != 1.0).then(unit / forward_usd).otherwise(1.0),
    )
    names = {"mid": "mid", "premium": "early_exercise_premium", "drift": "drift"}
    call, put = (
        usable.filter(pl.col("option_type") == side)
        .unique("strike", keep="none")
        .select("strike", **{side.lower(): "contract_id"}, **{f"{name}_{side.lower()}": column
                for name, column in names.items()})
        for side in ("CALL", "PUT")
    )  # fmt: skip
    both = call.join(put, on="strike").with_columns(
        at=pl.col("strike") / (0.5 * (pl.col("drift_call") + pl.col("drift_put")))
    )
    paid = pl.col("mid_call") - pl.col("mid_put")
    level = pl.col("at").sort_by(paid.abs()).first()
    nearest = both.sort("at").sort((pl.col("at") / level).log().abs(), maintain_order=True).head(n)
    premium = pl.col("premium_call").fill_null(0.0) - pl.col("premium_put").fill_null(0.0)
    implied = pl.col("at") + (paid - premium) / (forward.get("discount_factor") or 1.0)
    return (
        nearest.sort("strike")
        .with_columns(pair_forward=implied)
        .drop("at", "drift_call", "drift_put")
    )


def as_plain(found: Why) -> dict[str, Any]:
    """Return the whole answer as plain mappings and lists of rows, fit for JSON."""
    return {
        "point": found.point,
        "greeks": list(found.greeks),
        "certificate": found.certificate,
        "smiles": [
            {
                "fit": smile.fit,
                "quote_date": smile.quote_date,
                "quotes": smile.quotes.rows(named=True),
                "issues": smile.issues.rows(named=True),
                "forward": smile.forward,
                "pairs": smile.pairs.rows(named=True),
            }
            for smile in found.smiles
        ],
        "origins": list(found.origins),
    }
