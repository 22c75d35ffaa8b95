"""SQL over the lake: an in-memory DuckDB whose views are the tables, read from the files in place.

Belongs here: the views' text and the guard that a query only looks. Not here: the published file.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl

from volsurf_resources.lake_reading import load
from volsurf_resources.provenance import columns_digest
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
        with damage_named(lake, tables):
            answer: pl.DataFrame = connection.sql(query, params=params).pl()
        return answer


def rows_of(connection: "DuckDBPyConnection", lake: "Lake", table: Table) -> str:
    """Return the query for all rows of a table: today's files in place, older ones modernised."""
    older, today, columns = [], [], columns_digest(table.schema)
    for path, footer in lake.versions(table.name):
        # DuckDB would cast all files to the types of the first, so each is looked at.
        if footer.schema_version == table.version and footer.columns == columns:
            today.append("'" + str(path).replace("'", "''") + "'")
        else:
            older.append(load(path, footer, table))
    queries = []
    if today:
        queries.append(f"FROM read_parquet([{', '.join(today)}], hive_partitioning = false)")
    if older or not today:
        connection.register(f"older_{table.name}", pl.concat([table.schema.to_frame(), *older]))
        queries.append(f"FROM older_{table.name}")
    return " UNION ALL BY NAME ".join(queries)


@contextmanager
def damage_named(lake: "Lake", tables: Sequence[Table]) -> Iterator[None]:
    """Turn DuckDB's complaint about a file into ours, if one of the tables' files is damaged."""
    import duckdb

    try:
        yield
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
        raise
    except duckdb.Error:
        for table in tables:
            for path, footer in lake.versions(table.name):
                load(path, footer, table)
        raise


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
