"""Frames made to fit their table exactly, or refused: nothing is rounded, guessed or dropped.

Belongs here: the strict cast, the reading of older versions of a table, the row rules of one date.
Not here: ranges and words of columns, which are findings of the quality checks and not errors.
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from volsurf_resources.lake_errors import BadFrame
from volsurf_tables.table import Column, Table


def conform(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return the table's columns in its order and types; BadFrame for any other set of columns."""
    names = {column.name for column in table.columns}
    if missing := names - set(frame.columns):
        raise BadFrame(f"{table.name} needs the columns {sorted(missing)}, the frame lacks them")
    if extra := set(frame.columns) - names:
        raise BadFrame(f"{table.name} has no columns {sorted(extra)}, the frame has them")
    return pl.DataFrame([_cast(table, column, frame[column.name]) for column in table.columns])


def modernise(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return a frame of an older version in today's columns: renamed, cast, null where new."""
    columns = []
    for column in table.columns:
        name = next((n for n in (column.name, *column.formerly) if n in frame.columns), None)
        if name is None:
            columns.append(pl.Series(column.name, [None] * frame.height, dtype=column.dtype))
        else:
            columns.append(_cast(table, column, frame[name].alias(column.name)))
    return pl.DataFrame(columns)


def check_rows(
    frame: pl.DataFrame, table: Table, day: date, symbols: Sequence[str] | None = None
) -> None:
    """Refuse rows of another date or symbol, and keys that are null, NaN or not unique."""
    _only(frame, table, table.date, [day])
    if symbols is not None:
        _only(frame, table, "symbol", symbols)
    for name in table.key:
        nothing = frame[name].is_null()
        if frame[name].dtype.is_float():
            nothing |= frame[name].is_nan().fill_null(False)
        if nothing.any():
            row = frame.select(table.key).filter(nothing).row(0)
            raise BadFrame(f"{table.name}.{name} is part of the key and needs a value, was {row}")
    keys = frame.select(table.key)
    if keys.n_unique() < keys.height:
        twice = keys.filter(keys.is_duplicated()).unique(maintain_order=True)
        raise BadFrame(
            f"{table.name} needs one row per {table.key}, has several of "
            f"{twice.height} keys, first {twice.head(3).rows()}"
        )


def _only(
    frame: pl.DataFrame, table: Table, name: str, allowed: Sequence[date] | Sequence[str]
) -> None:
    wrong = frame.filter(~frame[name].is_in(list(allowed), nulls_equal=True).fill_null(False))
    if wrong.height:
        raise BadFrame(
            f"{table.name}.{name} must be {', '.join(map(str, allowed))} here, "
            f"was {wrong[name][0]} in {wrong.height} of {frame.height} rows"
        )


def _cast(table: Table, column: Column, series: pl.Series) -> pl.Series:
    """Cast without loss: 2.5 never becomes 2, and text never a number."""
    if series.dtype == column.dtype:
        return series
    if series.null_count() == series.len():
        return pl.Series(series.name, [None] * series.len(), dtype=column.dtype)
    if not _may_become(series.dtype, column.dtype):
        value = series.drop_nulls()[0]
        raise BadFrame(
            f"{table.name}.{column.name} needs {column.dtype}, was {series.dtype}: {value!r}"
        )
    result = series.cast(column.dtype, strict=False)
    lost = result.is_null() & series.is_not_null()
    if series.dtype.is_float() and column.dtype.is_integer():
        lost |= (result.cast(series.dtype) != series).fill_null(False)
    if lost.any():
        value = series.filter(lost)[0]
        raise BadFrame(f"{table.name}.{column.name} needs {column.dtype}, cannot hold {value!r}")
    return result


def _may_become(old: pl.DataType, new: pl.DataType) -> bool:
    if isinstance(old, pl.Datetime) and isinstance(new, pl.Datetime):
        return old.time_zone == new.time_zone
    if isinstance(new, pl.String):
        return isinstance(old, pl.Categorical | pl.Enum)
    return old.is_numeric() and new.is_numeric()
