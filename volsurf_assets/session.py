"""One session of the lake as an asset may see it: what was known, never what came later.

Belongs here: reading the past for one partition, and remembering what was read, so that a rerun on
unchanged inputs can be skipped and a partition whose past has changed can be found.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from volsurf_resources.exchange_calendar import last_sessions, previous_session
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_tables.catalogue import table as table_called
from volsurf_tables.table import Table

_NAMED_DAYS = 10  # windows longer than this stand in the provenance as one digest


@dataclass(frozen=True, slots=True, order=True)
class Read:
    """A span of one table: the last `n` sessions, up to the day itself or to the one before."""

    table: str
    n: int
    includes_day: bool


@dataclass(frozen=True, slots=True)
class Session:
    """The lake up to one day. There is no way to read past `day`."""

    lake: Lake
    settings: Settings
    day: date
    symbols: tuple[str, ...] = ()  # empty for all
    declared: tuple[str, ...] = ()  # names of the tables that may be read
    reads: set[Read] = field(default_factory=set)

    def read(self, table: Table) -> pl.DataFrame:
        """Return this day's rows."""
        return self._span(table, Read(table.name, 1, True))

    def window(self, table: Table, n: int) -> pl.DataFrame:
        """Return the rows of the last `n` sessions, this day's included, in order of date."""
        return self._span(table, Read(table.name, n, True))

    def before(self, table: Table, n: int) -> pl.DataFrame:
        """Return the rows of the last `n` sessions before this day, in order of date."""
        return self._span(table, Read(table.name, n, False))

    def _span(self, table: Table, read: Read) -> pl.DataFrame:
        if table.name not in self.declared:
            raise ValueError(f"an asset reads what it declares: {self.declared}, not {table.name}")
        self.reads.add(read)
        symbols = self.symbols if self.symbols and table.has_symbol else None
        return self.lake.read(table, days_of(read, self.day), symbols=symbols)


def days_of(read: Read, day: date) -> list[date]:
    """Return the sessions that a read of `day` spans, oldest first."""
    return last_sessions(day if read.includes_day else previous_session(day), read.n)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a stored partition was computed from: reads, and a digest of inputs, code and settings."""

    reads: tuple[Read, ...]
    digest: str


def digest_of(lake: Lake, reads: tuple[Read, ...], day: date, code: str, settings: str) -> str:
    """Digest of the content that `reads` of `day` find now, with code version and settings."""
    found = hashlib.blake2b(f"{code}|{settings}".encode(), digest_size=16)
    for read in reads:
        for past in days_of(read, day):
            content = lake.content_hash(table_called(read.table), past)
            found.update(f"|{read.table}|{past}|{content}".encode())
    return found.hexdigest()


def upstream_of(lake: Lake, reads: set[Read], day: date) -> dict[str, dict[str, str | None]]:
    """Content hashes of what was read, by table and date; long windows as one digest."""
    upstream: dict[str, dict[str, str | None]] = {}
    for read in sorted(reads):
        days = days_of(read, day)
        if read.n <= _NAMED_DAYS:
            found = {str(past): lake.content_hash(table_called(read.table), past) for past in days}
        else:
            found = {f"{days[0]}..{days[-1]}": digest_of(lake, (read,), day, "", "")}
        upstream.setdefault(read.table, {}).update(found)
    return upstream


class Proofs:
    """The proofs of all partitions: one small file each, beside the lake's tables."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def is_fresh(self, table: Table, day: date, code: str, settings: str) -> bool:
        """Whether the stored partition is what its inputs, code and settings still give."""
        proof = self._stored(table, day)
        if proof is None or self._lake.content_hash(table, day) is None:
            return False
        return proof.digest == digest_of(self._lake, proof.reads, day, code, settings)

    def keep(self, table: Table, session: Session, code: str, settings: str) -> None:
        """Remember what a whole partition has just been computed from."""
        reads = tuple(sorted(session.reads))
        digest = digest_of(self._lake, reads, session.day, code, settings)
        text = json.dumps(
            {"reads": [[r.table, r.n, r.includes_day] for r in reads], "digest": digest}
        )
        path = self._path(table, session.day)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(text)
        draft.replace(path)

    def forget(self, table: Table, day: date) -> None:
        """Drop the proof of a partition that was computed only in part."""
        self._path(table, day).unlink(missing_ok=True)

    def _stored(self, table: Table, day: date) -> Proof | None:
        try:
            stored = json.loads(self._path(table, day).read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return Proof(tuple(Read(*read) for read in stored["reads"]), stored["digest"])

    def _path(self, table: Table, day: date) -> Path:
        return Path(self._lake.root) / ".proofs" / table.name / f"{day}.json"
