"""SQL over the lake: an in-memory DuckDB whose views are the tables, read from the files in place.

Belongs here: the views' text and the guard that a query only looks. Not here: the published file.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from volsurf_resources.lake_reading import load
from volsurf_tables.table import Table
from volsurf_tables.views import VIEWS, create_views

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        tables = _mentioned(lake, query)
        for table in tables:
            rows = rows_of(connection, lake, table)
            connection.execute(f"CREATE VIEW {table.name} AS {rows}")
        for statement in create_views(frozenset(table.name for table in tables)):
            connection.execute(statement)
        _shut(connection, lake)
        answer: pl.DataFrame = connection.sql(query, params=params).pl()
        return answer


def rows_of(connection: "DuckDBPyConnection", lake: "Lake", table: Table) -> str:
    """Return the query for all rows of a table: today's files in place, older ones modernised."""
    versions = lake.versions(table.name)
    older = [table.schema.to_frame()]
    older += [load(p, f, table) for p, f in versions if f.schema_version < table.version]
    connection.register(f"older_{table.name}", pl.concat(older))
    query = f"SELECT * FROM older_{table.name}"
    today = [str(p) for p, f in versions if f.schema_version == table.version]
    if today:
        files = ", ".join("'" + name.replace("'", "''") + "'" for name in today)
        query += f" UNION ALL BY NAME FROM read_parquet([{files}], hive_partitioning = false)"
    return query


def _mentioned(lake: "Lake", query: str) -> list[Table]:
    words = set(re.findall(r"\w+", query.lower()))
    words.update(*(view.reads for view in VIEWS if view.name in words))
    return [table for table in lake.tables if table.name in words]


def _shut(connection: "DuckDBPyConnection", lake: "Lake") -> None:
    """Leave the query nothing but the lake's own files."""
    folder = str(lake.root.resolve()).replace("'", "''")
    connection.execute(
        f"SET allowed_directories = ['{folder}/']; SET enable_external_access = false; "
        "SET lock_configuration = true"
    )
