"""Stored files turned into frames of today's schema, or into an error that names the file.

Belongs here: which files this program can read, and one query over many of them. Not here: which
file is the right one for a date.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import polars as pl

from volsurf_resources.calendars import END_OF_DAY, Calendar
from volsurf_resources.conform import modernise
from volsurf_resources.lake_errors import BadFile, NewerVersion
from volsurf_resources.provenance import Footer, damaged, read_footer
from volsurf_tables.table import Table

_FEW, _SMALL, _MOST_KEPT = 8, 32_768, 8192  # files, bytes, files
_KEPT: dict[Path, tuple[tuple[int, int, int], pl.DataFrame]] = {}

Versions = Sequence[tuple[Path, Footer]]
OFFICIAL = "official"  # stands for each day's official snapshot


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the lake, in today's schema."""

    footer: Footer
    frame: pl.DataFrame


def understood_footer(path: Path, contract: Table) -> Footer | None:
    """Return the footer of a file that this program can read; None if there is no file."""
    footer = read_footer(path)
    if footer is None:
        return None
    if footer.table != contract.name:
        raise BadFile(f"{path} holds {footer.table}, not {contract.name}; move it")
    if footer.schema_version > contract.version:
        raise NewerVersion(
            f"{path} has version {footer.schema_version} of {contract.name}, this program knows "
            f"{contract.version}; upgrade volsurf"
        )
    return footer


def load(path: Path, footer: Footer, contract: Table) -> pl.DataFrame:
    """Return a file's rows in today's schema; BadFile if it is damaged or not what it says."""
    try:
        with path.open("rb") as file:
            frame = pl.read_parquet(file)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadFile(damaged(path, error)) from error
    if footer.schema_version < contract.version:
        return modernise(frame, contract)
    if frame.schema != contract.schema:
        raise BadFile(
            f"{path} says version {contract.version} of {contract.name} but has other columns, "
            f"{sorted(set(frame.schema.items()) ^ set(contract.schema.items()), key=str)}; "
            "run that date again"
        )
    return frame


def together(contract: Table, versions: Versions) -> pl.LazyFrame:
    """Return all rows of some files in order of date, small files from this process's memory.

    A window over hundreds of sessions shares all but one of its files with the window of the next
    session. What is small is kept as read, known by its file's identity.
    """
    if len(versions) > _FEW and all(path.stat().st_size <= _SMALL for path, _ in versions):
        rows = [_small(path, contract, footer) for path, footer in versions]
        return pl.concat([contract.schema.to_frame(), *rows]).lazy()
    return scan(contract, versions)


def _small(path: Path, contract: Table, footer: Footer) -> pl.DataFrame:
    before = _identity(path)
    if (kept := _KEPT.get(path)) is not None and kept[0] == before:
        return kept[1]
    rows = load(path, footer, contract)
    if _identity(path) == before:  # replaced in between: not to be kept under the old name
        if len(_KEPT) >= _MOST_KEPT:
            _KEPT.clear()
        _KEPT[path] = (before, rows)
    return rows


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size


def scan(contract: Table, versions: Versions) -> pl.LazyFrame:
    """Return all rows of some files in order of date; those of older versions are modernised.

    Each file is opened once, so that a query sees one version of it whoever replaces it meanwhile.
    """
    rows = [pl.LazyFrame(schema=contract.schema)]
    for is_today, files in groupby(versions, lambda v: v[1].schema_version == contract.version):
        if is_today:
            paths = [path for path, _ in files]
            rows.append(
                pl.scan_parquet(paths, schema=contract.schema, hive_partitioning=False, glob=False)
            )
        else:
            rows.extend(load(path, footer, contract).lazy() for path, footer in files)
    return pl.concat(rows)


@contextmanager
def damage_named(contract: Table, versions: Versions) -> Iterator[None]:
    """Turn a complaint about files into one that names the file, if one of these is damaged."""
    try:
        yield
    except Exception:
        for path, footer in versions:
            load(path, footer, contract)
        raise


def chosen(
    rows: pl.LazyFrame,
    contract: Table,
    calendar: Calendar,
    symbols: Sequence[str] | None,
    columns: Sequence[str] | None,
    snapshot: str | None,
) -> pl.LazyFrame:
    """Narrow rows to some symbols, columns (None: all) and snapshots (None: all).

    The end of the day is asked for by that name on every market: it is the official snapshot.
    """
    if symbols is not None:
        rows = rows.filter(pl.col(contract.column("symbol").name).is_in(list(symbols)))
    if snapshot in (OFFICIAL, END_OF_DAY) and "snapshot" in contract.schema:
        per = [name for name in ("symbol", "index", "quote_date") if name in contract.key]
        rows = calendar.official(rows, per)
    elif snapshot is not None and "snapshot" in contract.schema:
        rows = rows.filter(pl.col("snapshot") == snapshot)
    names = contract.schema if columns is None else columns
    return rows.select([contract.column(name).name for name in names])
