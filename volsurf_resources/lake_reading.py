"""Stored files turned into frames of today's schema, or into an error that names the file.

Belongs here: which files this program can read, and one query over many of them. Not here: which
file is the right one for a date.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from volsurf_resources.conform import modernise
from volsurf_resources.lake_errors import BadFile, NewerVersion
from volsurf_resources.provenance import Footer, damaged, read_footer
from volsurf_tables.table import Table


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
        frame = pl.read_parquet(path, hive_partitioning=False, glob=False)
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


def collect(
    contract: Table,
    versions: Sequence[tuple[Path, Footer]],
    symbols: Sequence[str] | None,
    columns: Sequence[str] | None,
    snapshot: str | None,
) -> pl.DataFrame:
    """Return the rows of some files in one query; those of older versions are modernised."""
    today = [path for path, footer in versions if footer.schema_version == contract.version]
    older = [version for version in versions if version[1].schema_version < contract.version]
    names = [
        contract.column(name).name for name in (contract.schema if columns is None else columns)
    ]
    rows = [pl.LazyFrame(schema=contract.schema)]
    if today:
        rows.append(
            pl.scan_parquet(today, schema=contract.schema, hive_partitioning=False, glob=False)
        )
    rows.extend(load(path, footer, contract).lazy() for path, footer in older)
    query = pl.concat(rows)
    if symbols is not None:
        query = query.filter(pl.col(contract.column("symbol").name).is_in(list(symbols)))
    if snapshot is not None and "snapshot" in contract.schema:
        query = query.filter(pl.col("snapshot") == snapshot)
    if older:
        query = query.sort(contract.date, *contract.key)
    try:
        return query.select(names).collect()
    except (pl.exceptions.PolarsError, OSError):
        for path, footer in versions:
            load(path, footer, contract)
        raise
