"""Stored surfaces found in the lake, and kept in memory while the lake holds the same content.

Belongs here: which rows make a session's surface of which model. Not here: reading it
(`stored_surface`, `stored_models`). A model that is registered in the maths has a name here.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache

import polars as pl

from volsurf_app.kept_rows import KeptRows, kept_rows
from volsurf_app.questions import BadQuestion, NotStored
from volsurf_app.stored_models import StoredHeston, StoredSabr, StoredSmiles, heston_rows
from volsurf_app.stored_surface import TABLE, Row, StoredSurface
from volsurf_math.smiles import SMILES, registered_name
from volsurf_resources.calendars import END_OF_DAY
from volsurf_resources.lake import Lake
from volsurf_tables.models import OWN_TABLES, SMILE_MODELS, model_type_of, table_of
from volsurf_tables.surfaces import IS_STANDARD

MODELS = tuple(dict.fromkeys((*OWN_TABLES, *map(model_type_of, SMILES))))
CERTIFICATES = "surface_certificates"
_BESIDE = {"HESTON": TABLE}  # Heston's law says nothing of forwards and quoted strikes


def model_named(text: str) -> str:
    """Return the name that tables give a model; BadQuestion, with those there are, if unknown."""
    asked = text.strip().upper()
    if asked in OWN_TABLES:
        return asked
    try:
        return model_type_of(registered_name(asked))
    except ValueError:
        told = f"a surface's model is one of {', '.join(MODELS)}, was {text[:40]!r}"
        raise BadQuestion(told) from None


def stored_surface(
    lake: Lake,
    symbol: str,
    day: date,
    *,
    model: str = MODELS[0],
    snapshot: str = "EOD",
    known_at: datetime | None = None,
) -> StoredSurface:
    """Return a stored surface; NotStored, with what there is instead, if there is none."""
    found = stored_surfaces(lake, symbol, [day], model=model, snapshot=snapshot, known_at=known_at)
    if not found:
        raise NotStored(_missing(lake, symbol, day, model, snapshot, known_at))
    return found[0]


def stored_surfaces(
    lake: Lake,
    symbol: str,
    days: Sequence[date],
    *,
    model: str = MODELS[0],
    snapshot: str = "EOD",
    known_at: datetime | None = None,
) -> list[StoredSurface]:
    """Return the stored surfaces of some sessions, in order; sessions without one are left out.

    What the lake holds unchanged is neither read nor built again.
    """

    def kept(table: str) -> dict[date, KeptRows]:
        return kept_rows(lake, table, symbol, days, snapshot=snapshot, known_at=known_at)

    own_table = table_of(model).name
    rows, beside = kept(own_table), kept(_BESIDE.get(model, CERTIFICATES))
    build = _BUILDERS[own_table]
    found = [build(own, beside.get(day), symbol, day, snapshot, model) for day, own in rows.items()]
    return [one for one in found if not one.rows.is_empty()]


@lru_cache(maxsize=1024)
def _svi(
    kept: KeptRows, tested: KeptRows | None, symbol: str, day: date, snapshot: str, model: str
) -> StoredSurface:
    is_model = pl.col("model_type") == model
    certificate: Row | None = None
    if tested is not None:
        read = tested.footer.provenance.upstream.get(TABLE, {}).get(str(day))
        now = (kept.footer.content_hash, kept.footer.parts[symbol])
        if read in now:  # else they are of an earlier version
            certificate = next(iter(tested.rows.filter(is_model).rows(named=True)), None)
    rows = kept.rows.filter(is_model)
    return StoredSurface(
        symbol, day, _own_name(rows, snapshot), model, rows, kept.footer, certificate
    )


@lru_cache(maxsize=1024)
def _sabr(
    kept: KeptRows, _: KeptRows | None, symbol: str, day: date, snapshot: str, model: str
) -> StoredSurface:
    return StoredSabr(
        symbol, day, _own_name(kept.rows, snapshot), model, kept.rows, kept.footer, None
    )


@lru_cache(maxsize=1024)
def _heston(
    kept: KeptRows, smiles: KeptRows | None, symbol: str, day: date, snapshot: str, model: str
) -> StoredSurface:
    law: Row = {} if kept.rows.is_empty() else kept.rows.row(0, named=True)
    frame = kept.rows.clear()
    if law and smiles is not None:
        frame = heston_rows(smiles.rows.filter(IS_STANDARD), law)
    return StoredHeston(
        symbol, day, _own_name(kept.rows, snapshot), model, frame, kept.footer, None, law
    )


@lru_cache(maxsize=1024)
def _registered(
    kept: KeptRows, _: KeptRows | None, symbol: str, day: date, snapshot: str, model: str
) -> StoredSurface:
    rows = kept.rows.filter(pl.col("model_type") == model)
    return StoredSmiles(symbol, day, _own_name(rows, snapshot), model, rows, kept.footer, None)


_BUILDERS = {
    "fitted_surfaces": _svi,
    "sabr_smiles": _sabr,
    "heston_surfaces": _heston,
    "smile_models": _registered,
}


def _own_name(rows: pl.DataFrame, asked: str) -> str:
    """Return what the snapshot of some rows is called, where the official one was asked for."""
    return asked if rows.is_empty() else str(rows["snapshot"][0])


def _missing(
    lake: Lake, symbol: str, day: date, model: str, snapshot: str, known_at: datetime | None
) -> str:
    """Say why there is no such surface, and what there is instead."""
    stored = lake.days(TABLE)
    if not stored:
        return "no surface is stored yet; try `volsurf demo`, or see `volsurf status`"
    own = lake.days(TABLE, symbol)
    if not own:
        newest = lake.footer(TABLE, stored[-1])
        there = ", ".join(newest.parts) if newest else ""
        return f"no surface of {symbol} is stored; there are {there or 'other symbols'}"
    if day not in own:
        is_chain_there = lake.content_hash("raw_options_chains", day, symbol) is not None
        half = ", though its chain is: it has not been computed yet" if is_chain_there else ""
        near = sorted(sorted(own, key=lambda d: abs((d - day).days))[:2])
        return (
            f"no surface of {symbol} is stored for {day}{half}; "
            f"nearest sessions are {', '.join(map(str, near))}"
        )
    if known_at is not None:
        return f"no surface of {symbol} for {day} was known at {known_at:%Y-%m-%d %H:%M:%S} UTC"
    told = f"no {model} surface of {symbol} is stored for {day} {snapshot}"
    rows = lake.read(TABLE, [day], symbols=[symbol], columns=["snapshot"], snapshot=None)
    names = rows["snapshot"].unique().sort().to_list()
    if snapshot != END_OF_DAY and snapshot not in names:
        return f"{told}; the snapshots of that day are {', '.join(names)}"
    models = [
        other
        for other in MODELS
        if stored_surfaces(lake, symbol, [day], model=other, snapshot=snapshot)
    ]
    if models:
        told += f"; there are {', '.join(models)}"
    if table_of(model) is SMILE_MODELS:
        told += f"; {model.lower()} is fitted where the setting SMILE_MODELS names it"
    return told
