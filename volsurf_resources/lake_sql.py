"""SQL over the lake: an in-memory DuckDB whose views are the tables.

Belongs here: the guard that a query only looks. Not here: the published file. Polars reads the
files, because DuckDB opens each of them twice and could meet two versions of one.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import polars as pl

from volsurf_resources.lake_reading import damage_named, scan
from volsurf_tables.table import Table
from volsurf_tables.views import VIEWS, create_views

if TYPE_CHECKING:
    from volsurf_resources.lake import Lake

Parameters = Sequence[object] | Mapping[str, object] | None


def run_query(lake: "Lake", query: str, params: Parameters = None) -> pl.DataFrame:
    """Return the rows of one SELECT; ValueError for any other statement.

    Tables show all snapshots. Only the tables whose names stand in the query are looked at, so
    that a damaged file of one does not disturb the others.
    """
    import duckdb

    with duckdb.connect() as connection:
        statements = connection.extract_statements(query)
        looks = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
        if len(statements) != 1 or statements[0].type not in looks:
            raise ValueError(f"the lake answers one SELECT, was asked {query!r}")
        connection.execute("SET TimeZone = 'UTC'")
        with suppress(duckdb.InvalidInputException):  # in a notebook it asks for ipywidgets
            connection.execute("SET enable_progress_bar = false")
        tables = {table: lake.versions(table.name) for table in _mentioned(lake, query)}
        for table, versions in tables.items():
            connection.register(f"files_of_{table.name}", scan(table, versions))
            connection.execute(f"CREATE VIEW {table.name} AS FROM files_of_{table.name}")
        names = frozenset(table.name for table in tables)
        for statement in create_views(names, str(lake.calendar.timezone)):
            connection.execute(statement)
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        answer = connection.sql(query, params=params)
        with ExitStack() as stack:
            for table, versions in tables.items():
                stack.enter_context(damage_named(table, versions))
            rows: pl.DataFrame = answer.pl()
        return rows


def _mentioned(lake: "Lake", query: str) -> list[Table]:
    words = set(re.findall(r"\w+", query.lower()))
    words.update(*(view.reads for view in VIEWS if view.name in words))
    return [table for table in lake.tables if table.name in words]
