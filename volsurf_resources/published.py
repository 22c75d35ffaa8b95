"""The published copy `volsurf.duckdb`, for dashboards and any DuckDB client.

Belongs here: building the copy and putting it in place at once. Not here: what is true; that is the
lake. A reader keeps the file that it opened; whoever opens after a publish sees the new one.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from volsurf_resources.lake import Lake
from volsurf_resources.lake_files import locked, put_in_place
from volsurf_resources.lake_sql import damage_named, rows_of
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
    with locked(path.with_name(f".{path.name}.lock")):
        entries = list(_entries(lake))
        rows = sum(int(str(entry[2])) for entry in entries)
        fingerprint = _fingerprint(lake, entries)
        if _published_fingerprint(path) == fingerprint:
            return Published(path, rows, changed=False)
        hidden = path.with_name(f".{path.name}.tmp")
        _clear(hidden)
        with damage_named(lake, lake.tables), _built(hidden) as connection:
            _fill(connection, lake, entries, fingerprint)
        put_in_place(hidden, path)
        return Published(path, rows, changed=True)


def _clear(hidden: Path) -> None:
    """Remove what a killed publish left: the half copy, its log, its folder of spilled rows."""
    hidden.unlink(missing_ok=True)
    hidden.with_name(f"{hidden.name}.wal").unlink(missing_ok=True)
    shutil.rmtree(hidden.with_name(f"{hidden.name}.tmp"), ignore_errors=True)


def _entries(lake: Lake) -> Iterator[tuple[object, ...]]:
    for table in lake.tables:
        for path, footer in lake.versions(table.name):
            run_id = footer.provenance.run_id
            known_at = footer.known_at.isoformat()
            yield (table.name, path.stem, footer.rows, footer.content_hash, known_at, run_id)


def _fingerprint(lake: Lake, entries: Iterable[tuple[object, ...]]) -> str:
    """Hash of all that the copy is made from: the contract, the views, the partitions."""
    digest = blake2b(digest_size=16)
    for part in (*lake.tables, *VIEWS, *entries):
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
        yield connection


def _fill(
    connection: "DuckDBPyConnection",
    lake: Lake,
    entries: list[tuple[object, ...]],
    fingerprint: str,
) -> None:
    connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
    for table in lake.tables:
        _copy(connection, lake, table)
    for statement in create_views(frozenset(table.name for table in lake.tables)):
        connection.execute(statement)
    connection.execute(_PROVENANCE)
    if entries:
        frame = pl.DataFrame(entries, orient="row", schema=["t", "d", "n", "c", "k", "r"])
        connection.register("entries", frame)
        connection.execute("INSERT INTO volsurf_provenance FROM entries")
    connection.execute("CREATE TABLE volsurf_publication AS SELECT ? AS fingerprint", [fingerprint])


def _copy(connection: "DuckDBPyConnection", lake: Lake, table: Table) -> None:
    """Copy a table in the order of its key down to the date, by which look-ups skip blocks."""
    order = ", ".join(f'"{name}"' for name in table.key[: table.key.index(table.date) + 1])
    rows = rows_of(connection, lake, table)
    connection.execute(f"CREATE TABLE {table.name} AS FROM ({rows}) ORDER BY {order}")
    connection.execute(_comment("TABLE", table.name, table.meaning))
    for column in table.columns:
        place = f'{table.name}."{column.name}"'
        connection.execute(_comment("COLUMN", place, f"{column.meaning} [{column.unit}]"))


def _comment(kind: str, name: str, text: str) -> str:
    quoted = text.replace("'", "''")
    return f"COMMENT ON {kind} {name} IS '{quoted}'"
