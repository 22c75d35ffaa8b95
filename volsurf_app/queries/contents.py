"""Whole tables and views, cut by symbol and date, as they stand.

Belongs here: rows for export. Not here: any selection of columns.
"""

from datetime import date

import polars as pl

from volsurf_resources.lake import Lake
from volsurf_tables.views import SCHEMA, VIEWS

_VIEWS = {f"{SCHEMA}.{view.name}": view for view in VIEWS}


def table_names(lake: Lake) -> list[str]:
    """Return the names of all tables and, with their schema, of all views."""
    return [table.name for table in lake.tables] + list(_VIEWS)


def table_rows(
    lake: Lake,
    name: str,
    *,
    symbol: str | None = None,
    first: date | None = None,
    last: date | None = None,
) -> pl.DataFrame:
    """Return the rows of a table or view, all snapshots, from `first` to `last` inclusive.

    A table without symbols (rates, index levels) is not cut by symbol. KeyError for any other name.
    """
    if name in _VIEWS:
        return _view_rows(lake, name, symbol, first, last)
    table = lake.table(name)
    days = [d for d in lake.days(name) if (first or d) <= d <= (last or d)]
    symbols = [symbol] if symbol and table.has_symbol else None
    return lake.read(name, days, symbols=symbols, snapshot=None)


def _view_rows(
    lake: Lake, name: str, symbol: str | None, first: date | None, last: date | None
) -> pl.DataFrame:
    columns = {column.name for column in _VIEWS[name].columns}
    ticker = "symbol" if "symbol" in columns else "underlying"
    day = "quote_date" if "quote_date" in columns else 'CAST("time" AS DATE)'
    limits = {f"{ticker} = ?": symbol, f"{day} >= ?": first, f"{day} <= ?": last}
    asked = {test: value for test, value in limits.items() if value is not None}
    where = f" WHERE {' AND '.join(asked)}" if asked else ""
    return lake.sql(f"SELECT * FROM {name}{where} ORDER BY ALL", list(asked.values()))
