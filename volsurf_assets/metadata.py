"""What the event log and the catalogue say of a table.

Belongs here: turning the contract into Dagster's column schema and lineage, and a stored partition
into its metadata. Not here: the contract itself (volsurf_tables).
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import dagster as dg

from volsurf_assets.partitions import Place
from volsurf_resources.lake import Written
from volsurf_tables.table import Column, Table

Metadata = dict[str, Any]


def table_metadata(table: Table, place: Place, reads: Sequence[Table] = ()) -> Metadata:
    """Return the metadata of an asset's definition: columns with units, their lineage, its name."""
    return {
        "dagster/table_name": table.name,
        "dagster/column_schema": column_schema(table),
        "dagster/column_lineage": column_lineage(table, place, reads),
        "key": ", ".join(table.key),
        "schema_version": table.version,
    }


def column_schema(table: Table) -> dg.TableSchema:
    """Return the contract's columns as the catalogue shows them."""
    return dg.TableSchema(
        columns=[_column(table, column) for column in table.columns],
        constraints=dg.TableConstraints(other=[f"unique: {', '.join(table.key)}"]),
    )


def _column(table: Table, column: Column) -> dg.TableColumn:
    limits = []
    if column.low is not None:
        limits.append(f">= {column.low:g}")
    if column.high is not None:
        limits.append(f"<= {column.high:g}")
    if column.one_of:
        limits.append(f"one of {', '.join(column.one_of)}")
    return dg.TableColumn(
        name=column.name,
        type=str(column.dtype),
        description=f"{column.meaning} [{column.unit}]",
        constraints=dg.TableColumnConstraints(nullable=column.name not in table.key, other=limits),
    )


def column_lineage(table: Table, place: Place, reads: Sequence[Table]) -> dg.TableColumnLineage:
    """Return which upstream columns hold the same quantity: those of the same name."""
    deps = {
        column.name: [
            dg.TableColumnDep(asset_key=place.key(upstream.name), column_name=column.name)
            for upstream in reads
            if column.name in upstream.schema
        ]
        for column in table.columns
    }
    return dg.TableColumnLineage({name: found for name, found in deps.items() if found})


def written_metadata(written: Written | None, uri: str) -> Metadata:
    """Return what a materialisation says of the partition it left behind; None: it was fresh."""
    if written is None:
        return {
            "dagster/uri": uri,
            "changed": False,
            "note": "as stored",
        }
    return {
        "dagster/uri": uri,
        "dagster/partition_row_count": written.rows,
        "content_hash": written.content_hash,
        "changed": written.changed,
    }


def named_days(days: Sequence[date | str]) -> list[str]:
    """Return some dates as the words of metadata."""
    return [str(day) for day in days]
