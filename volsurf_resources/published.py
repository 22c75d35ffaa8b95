"""The published copy `volsurf.duckdb`, for dashboards and any DuckDB client.

Belongs here: building the copy and putting it in place at once. Not here: what is true; that is the
lake. A reader keeps the file that it opened; whoever opens after a publish sees the new one.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from volsurf_resources.lake import Lake
from volsurf_resources.lake_files import link, locked, put_in_place
from volsurf_resources.lake_reading import damage_named, load
from volsurf_resources.provenance import columns_digest
from volsurf_tables.table import Table
from volsurf_tables.views import VIEWS, create_views

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_PROVENANCE = """CREATE TABLE volsurf_provenance (
    "table" VARCHAR, "date" DATE, "rows" BIGINT, content_hash VARCHAR, known_at TIMESTAMPTZ,
    run_id VARCHAR)"""


@dataclass(frozen=True, slots=True)
class Published:
    """The copy as it now stands; `changed` is False where the lake was the same already."""

    path: Path
    rows: int
    changed: bool


def publish(lake: Lake, path: Path) -> Published:
    """Bring the published copy up to the lake; the old one serves until the new one is complete.

    BadFile, and the old copy stays, where a file of the lake is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(lake.root / ".locks" / "publish.lock"):
        fingerprint = _fingerprint(lake)
        if _published_fingerprint(path) == fingerprint:
            return Published(path, _rows(lake), changed=False)
        hidden = path.with_name(f".{path.name}.tmp")
        _clear(hidden)
        with _as_it_is(lake) as still, _built(hidden) as connection:
            for table in lake.tables:
                with damage_named(table, lake.versions(table.name)):
                    _copy(connection, still, table)
            _describe(connection, still)
            rows = _rows(still)
        put_in_place(hidden, path)
        return Published(path, rows, changed=True)


@contextmanager
def _as_it_is(lake: Lake) -> Iterator[Lake]:
    """Give a lake of links to the current files, which stay the same whoever writes meanwhile."""
    still = Lake(lake.root / ".publishing", calendar=lake.calendar, tables=lake.tables)
    shutil.rmtree(still.root, ignore_errors=True)
    for table in lake.tables:
        (still.root / table.name).mkdir(parents=True)
        for path, _ in lake.versions(table.name):
            link(path, still.path(table.name, path.stem))
    try:
        yield still
    finally:
        shutil.rmtree(still.root)


def _clear(hidden: Path) -> None:
    """Remove what a killed publish left: the half copy, its log, its folder of spilled rows."""
    hidden.unlink(missing_ok=True)
    hidden.with_name(f"{hidden.name}.wal").unlink(missing_ok=True)
    shutil.rmtree(hidden.with_name(f"{hidden.name}.tmp"), ignore_errors=True)


def _entries(lake: Lake) -> Iterator[tuple[str, str, int, str, str, str]]:
    for table in lake.tables:
        for path, footer in lake.versions(table.name):
            run_id = footer.provenance.run_id
            known_at = footer.known_at.isoformat()
            yield (table.name, path.stem, footer.rows, footer.content_hash, known_at, run_id)


def _rows(lake: Lake) -> int:
    return sum(rows for _, _, rows, *_ in _entries(lake))


def _fingerprint(lake: Lake) -> str:
    """Hash of all that the copy is made from: the contract, the views, the partitions."""
    digest = blake2b(digest_size=16)
    for part in (*lake.tables, *VIEWS, *_entries(lake)):
        digest.update(repr(part).encode())
    return digest.hexdigest()


def _published_fingerprint(path: Path) -> str | None:
    import duckdb

    if not path.exists():
        return None
    try:
        with duckdb.connect(path, read_only=True) as connection:
            (found,) = connection.execute("SELECT fingerprint FROM volsurf_publication").fetchall()
    except (duckdb.Error, ValueError):
        return None  # Not ours, damaged, or open in this process in another way: publish anew.
    return str(found[0])


@contextmanager
def _built(path: Path) -> Iterator["DuckDBPyConnection"]:
    from dagster_duckdb import DuckDBResource

    # The resource itself leaves the file open when the body raises.
    with DuckDBResource(database=str(path)).get_connection() as connection, closing(connection):
        connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        yield connection


def _describe(connection: "DuckDBPyConnection", lake: Lake) -> None:
    """Add what is said about the tables: views, provenance, the fingerprint."""
    names = frozenset(table.name for table in lake.tables)
    for statement in create_views(names, str(lake.calendar.timezone)):
        connection.execute(statement)
    connection.execute(_PROVENANCE)
    if entries := list(_entries(lake)):
        frame = pl.DataFrame(entries, orient="row", schema=["t", "d", "n", "c", "k", "r"])
        connection.register("entries", frame)
        connection.execute("INSERT INTO volsurf_provenance FROM entries")
    fingerprint = [_fingerprint(lake)]
    connection.execute("CREATE TABLE volsurf_publication AS SELECT ? AS fingerprint", fingerprint)


def _copy(connection: "DuckDBPyConnection", lake: Lake, table: Table) -> None:
    """Copy a table in the order of its key down to the date, by which look-ups skip blocks."""
    order = ", ".join(f'"{name}"' for name in table.key[: table.key.index(table.date) + 1])
    rows = _rows_of(connection, lake, table)
    connection.execute(f"CREATE TABLE {table.name} AS FROM ({rows}) ORDER BY {order}")
    connection.execute(_comment("TABLE", table.name, table.meaning))
    for column in table.columns:
        place = f'{table.name}."{column.name}"'
        connection.execute(_comment("COLUMN", place, f"{column.meaning} [{column.unit}]"))


def _rows_of(connection: "DuckDBPyConnection", lake: Lake, table: Table) -> str:
    """Return the query for all rows: DuckDB reads today's files itself, we the older ones."""
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


def _comment(kind: str, name: str, text: str) -> str:
    quoted = text.replace("'", "''")
    return f"COMMENT ON {kind} {name} IS '{quoted}'"
