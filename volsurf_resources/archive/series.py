"""Daily series of an archive: bars of the underlyings and of the indices, dividends.

Belongs here: reading whole small tables, one source per series and date. Not here: option quotes.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar

import polars as pl

from volsurf_resources.archive.cells import (
    cell_date,
    cell_number,
    cell_text,
    refuse_unreadable,
    trimmed,
)
from volsurf_resources.archive.holdings import Claim, may_hold
from volsurf_resources.archive.mapping import Cell, DailyBars

_WORDS = ("symbol", "index", "series", "data_source")
_DATES = ("quote_date", "ex_date", "curve_date")
B = TypeVar("B", bound=DailyBars)
_RANK, _SOURCE = "__rank", "__source"


def rows_of(claim: Claim[Any], **equal: str) -> pl.DataFrame:
    """Return every row of a small table in our columns; `equal` keeps one symbol or index."""
    raw_rows = claim.rows()
    header = raw_rows.collect_schema()
    cells = {
        name: cell
        for name, cell in claim.table.columns.items()
        if not cell.needs or cell.is_met_by(frozenset(header))
    }
    for name, value in equal.items():
        text = cell_text(cells[name], header, claim.part.name).str.to_uppercase()
        raw_rows = raw_rows.filter(text == value)
    raw = claim.collected(raw_rows)
    frame = raw.select(
        **{name: _value(name, cell, header, claim.part.name) for name, cell in cells.items()}
    )
    for name, cell in cells.items():
        refuse_unreadable(
            raw, frame[name], cell, f"{claim.where}, {name}", tolerant=name not in _DATES
        )
    return _preferred(frame, raw, claim)


def _value(name: str, cell: Cell, header: pl.Schema, file_name: str) -> pl.Expr:
    if name in _DATES:
        return cell_date(cell, header, file_name)
    if name in _WORDS:
        text = cell_text(cell, header, file_name)
        return text if name == "data_source" else text.str.to_uppercase()
    return cell_number(cell, header, file_name)


def _preferred(frame: pl.DataFrame, raw: pl.DataFrame, claim: Claim[Any]) -> pl.DataFrame:
    """Add the rank of each row's source, and its name for `data_source`."""
    table = claim.table
    prefer = table.prefer if isinstance(table, DailyBars) else None
    if prefer is None:
        return frame.with_columns(
            pl.lit(0, pl.Int32).alias(_RANK), pl.lit(table.label).alias(_SOURCE)
        )
    source = raw.select(trimmed(pl.col(prefer.column))).to_series().rename(_SOURCE)
    rank = {word: n for n, word in enumerate(prefer.order)}
    ranks = source.replace_strict(rank, default=None, return_dtype=pl.Int32).rename(_RANK)
    named = (
        pl.select(pl.concat_str(pl.lit(f"{table.label} of "), source)).to_series()
        if table.label
        else source
    )
    return frame.with_columns(ranks, named.rename(_SOURCE)).drop_nulls(_RANK)


def bars(claims: Sequence[Claim[B]], key: str, name: str, symbol: str | None) -> pl.DataFrame:
    """Return daily bars with a close, one row per series and date, best source first."""
    equal = {key: symbol} if symbol else {}
    regular: list[pl.DataFrame] = []
    last_resort: list[pl.DataFrame] = []
    for rank, claim in enumerate(claims):
        if not may_hold(claim, symbol, date.min, date.max):
            continue
        rows = rows_of(claim, **equal).drop_nulls([key, "quote_date", "close"])
        rows = rows.with_columns(pl.lit(rank).alias("__table"))
        (last_resort if claim.table.last_resort else regular).append(rows)
    frames = regular if any(rows.height for rows in regular) else last_resort
    if not frames:
        return pl.DataFrame()
    frame = pl.concat(frames, how="diagonal_relaxed").sort(key, "quote_date", "__table", _RANK)
    label = pl.concat_str(
        pl.lit(name),
        pl.when(pl.col(_SOURCE) != "").then(": " + pl.col(_SOURCE)).otherwise(pl.lit("")),
    )
    return frame.unique([key, "quote_date"], keep="first", maintain_order=True).with_columns(
        data_source=label, snapshot=pl.lit("EOD")
    )
