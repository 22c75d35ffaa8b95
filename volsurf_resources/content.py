"""What a partition says, as a number: equal content has an equal hash, in any process and order.

Belongs here: the canonical bytes of columns and the hashes over them. Not here: files. Left out of
the hash is what says nothing: the order of rows, provenance columns, columns without any value,
chunks, the sign of zero, the payload of a NaN. A column goes by the first name that it ever had, so
that an added, moved or renamed column leaves the content what it was.
"""

from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
import polars as pl

from volsurf_tables.table import Column, Table

DIGEST_BYTES = 16


def part_hashes(frame: pl.DataFrame, table: Table) -> dict[str, str]:
    """Return the hash of each symbol's rows ("" for tables without symbols), sorted by symbol.

    `frame` must be sorted by the table's key; a symbol without rows has no hash.
    """
    if frame.is_empty():
        return {}
    if not table.has_symbol:
        return {"": _digest(frame, table)}
    parts = frame.partition_by("symbol", as_dict=True)
    return {str(symbol): _digest(part, table) for (symbol,), part in sorted(parts.items())}


def combined_hash(parts: Mapping[str, str]) -> str:
    """Return the hash of a whole partition from those of its symbols."""
    lines = (f"{symbol}={digest}" for symbol, digest in sorted(parts.items()))
    return blake2b("\n".join(lines).encode(), digest_size=DIGEST_BYTES).hexdigest()


def _digest(frame: pl.DataFrame, table: Table) -> str:
    hasher = blake2b(digest_size=DIGEST_BYTES)
    columns = (c for c in table.columns if not c.is_provenance)
    for column in sorted(columns, key=_first_name):
        series = frame[column.name]
        if series.null_count() == series.len():
            continue
        nulls = series.null_count()
        head = f"{_first_name(column)}:{column.dtype}:{series.len()}:{nulls}:"
        hasher.update(head.encode())
        if nulls:
            hasher.update(np.packbits(series.is_null().to_numpy()).tobytes())
        hasher.update(_bytes(series))
    return hasher.hexdigest()


def _first_name(column: Column) -> str:
    return column.formerly[0] if column.formerly else column.name


def _bytes(series: pl.Series) -> bytes:
    """Bytes of the values, little-endian, with nulls as NaN, zero or empty."""
    if series.dtype.is_float():
        # 0.0 is added because -0.0 + 0.0 = 0.0.
        values = series.to_numpy().astype("<f8") + 0.0
        values[np.isnan(values)] = np.nan
        return values.tobytes()
    if series.dtype == pl.String:
        text = series.fill_null("") if series.null_count() else series
        lengths: bytes = text.str.len_bytes().to_numpy().astype("<u4").tobytes()
        return lengths + "".join(text.to_list()).encode()
    whole = series.to_physical().cast(pl.Int64)
    whole = whole.fill_null(0) if whole.null_count() else whole
    return whole.to_numpy().astype("<i8").tobytes()
