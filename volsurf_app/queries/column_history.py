"""One column of a table through the sessions.

Belongs here: any table about a symbol that has one row a session, or one per further key.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from volsurf_app.questions import BadQuestion, NotStored, as_range
from volsurf_resources.lake import Lake
from volsurf_tables.table import Table

_GIVEN = ("symbol", "quote_date", "snapshot")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnHistory:
    """Values of a column with their sessions, its unit and its meaning."""

    symbol: str
    table: str
    column: str
    unit: str
    meaning: str
    dates: list[date]
    values: list[Any]


def column_history(
    lake: Lake,
    symbol: str,
    table: str,
    column: str,
    start: date,
    end: date,
    key: Sequence[str] = (),
) -> ColumnHistory:
    """Return a column of the stored sessions of a range.

    `key` names the row where a session has several, as tenor_days:30. BadQuestion where that leaves
    more than one row a session or the range runs backwards, NotStored where there is no such table
    or column.
    """
    first, last = as_range(start, end)
    contract = _table(lake, table)
    if column not in contract.schema:
        raise NotStored(f"{table} has no column {column[:40]!r}")
    days = [day for day in lake.days(table) if first <= day <= last]
    rows = lake.read(table, days, symbols=[symbol]).filter(*_conditions(contract, key))
    if rows["quote_date"].is_duplicated().any():
        rest = [name for name in contract.key if name not in _GIVEN]
        raise BadQuestion(f"{table} has several rows a session: name one by {', '.join(rest)}")
    declared = contract.column(column)
    return ColumnHistory(
        symbol=symbol,
        table=table,
        column=column,
        unit=declared.unit,
        meaning=declared.meaning,
        dates=rows["quote_date"].to_list(),
        values=rows[column].to_list(),
    )


def _table(lake: Lake, name: str) -> Table:
    there = {t.name: t for t in lake.tables if t.has_symbol and t.date == "quote_date"}
    if name not in there:
        raise NotStored(f"no table {name[:40]!r} about a symbol; there are {', '.join(there)}")
    return there[name]


def _conditions(contract: Table, key: Sequence[str]) -> list[pl.Expr]:
    found = []
    for text in key:
        name, _, value = text.partition(":")
        if name not in contract.key or not value:
            raise BadQuestion(f"key is name:value of {', '.join(contract.key)}; was {text[:40]!r}")
        is_equal = pl.col(name).cast(pl.String) == value
        if contract.schema[name].is_numeric():
            try:
                is_equal = pl.col(name).cast(pl.Float64) == float(value)
            except ValueError:
                raise BadQuestion(f"{name} is a number, was {value[:40]!r}") from None
        found.append(is_equal)
    return found
