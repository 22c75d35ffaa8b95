"""Where a stored partition comes from: written into its Parquet footer, read without the data.

Belongs here: the footer's words. Not here: where files lie and when they are replaced.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import polars as pl

from volsurf_resources.content import combined_hash
from volsurf_resources.lake_errors import BadFile
from volsurf_tables.table import Table

PREFIX = "volsurf."


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How a partition came to be.

    `known_at` is when the lake learnt it (UTC; set at the write if None), `upstream` holds the
    content hashes of the partitions that were read: {table: {day: hash}}.
    """

    known_at: datetime | None = None
    code_version: str = ""
    settings_hash: str = ""
    run_id: str = ""
    source: str = ""
    upstream: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What a stored file says of itself.

    `parts` are the content hashes by symbol, `columns` the digest of the columns that are really
    in the file (`columns_digest`).
    """

    table: str
    schema_version: int
    rows: int
    parts: Mapping[str, str]
    known_at: datetime
    first_known_at: datetime
    provenance: Provenance
    columns: str

    @property
    def content_hash(self) -> str:
        """Hash of the whole partition."""
        return combined_hash(self.parts)

    def metadata(self) -> dict[str, str]:
        """Return the key-value metadata of the Parquet file."""
        words = {
            "table": self.table,
            "schema_version": str(self.schema_version),
            "rows": str(self.rows),
            "content_hash": self.content_hash,
            "parts": json.dumps(self.parts, sort_keys=True),
            "known_at": self.known_at.isoformat(),
            "first_known_at": self.first_known_at.isoformat(),
            "code_version": self.provenance.code_version,
            "settings_hash": self.provenance.settings_hash,
            "run_id": self.provenance.run_id,
            "source": self.provenance.source,
            "upstream": json.dumps(_plain(self.provenance.upstream), sort_keys=True),
        }
        return {PREFIX + key: value for key, value in words.items()}


def read_footer(path: Path) -> Footer | None:
    """Return the footer of a stored file, None if there is no file; BadFile if it is damaged."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return _read_footer(path, state.st_ino, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1 << 16)
def _read_footer(path: Path, _inode: int, _mtime_ns: int, _size: int) -> Footer:
    try:
        words = pl.read_parquet_metadata(path)
        known_at = datetime.fromisoformat(words[PREFIX + "known_at"])
        return Footer(
            table=words[PREFIX + "table"],
            schema_version=int(words[PREFIX + "schema_version"]),
            rows=int(words[PREFIX + "rows"]),
            parts=json.loads(words[PREFIX + "parts"]),
            known_at=known_at,
            first_known_at=datetime.fromisoformat(words[PREFIX + "first_known_at"]),
            provenance=Provenance(
                known_at=known_at,
                code_version=words[PREFIX + "code_version"],
                settings_hash=words[PREFIX + "settings_hash"],
                run_id=words[PREFIX + "run_id"],
                source=words[PREFIX + "source"],
                upstream=json.loads(words[PREFIX + "upstream"]),
            ),
            columns=columns_digest(pl.read_parquet_schema(path)),
        )
    except KeyError as error:
        raise BadFile(f"{path} was not written by the lake: it lacks {error}; move it") from None
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        raise BadFile(damaged(path, error)) from error


def columns_digest(schema: Mapping[str, pl.DataType]) -> str:
    """Return a digest of names and types in order, equal only for the same columns."""
    listed = "\n".join(f"{name}:{dtype}" for name, dtype in schema.items())
    return blake2b(listed.encode(), digest_size=16).hexdigest()


def damaged(path: Path, error: Exception) -> str:
    """Return the sentence about a file that cannot be read."""
    return f"{path} is damaged ({error}); run that date again to replace it"


def next_footer(
    frame: pl.DataFrame,
    contract: Table,
    parts: Mapping[str, str],
    previous: Footer | None,
    provenance: Provenance,
) -> Footer:
    """Return the footer of a new version; `previous` is that of the version it replaces."""
    known_at = provenance.known_at or datetime.now(UTC)
    if known_at.tzinfo is None:
        raise ValueError(f"known_at needs a time zone, was {known_at}")
    if previous is not None:
        # Versions of a date follow each other, whatever the clocks of their writers say.
        known_at = max(known_at, previous.known_at + timedelta(microseconds=1))
    return Footer(
        table=contract.name,
        schema_version=contract.version,
        rows=frame.height,
        parts=parts,
        known_at=known_at,
        first_known_at=known_at if previous is None else previous.first_known_at,
        provenance=replace(provenance, known_at=known_at),
        columns=columns_digest(frame.schema),
    )


def _plain(upstream: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    return {table: dict(days) for table, days in upstream.items()}
