"""What each computed partition was made from, so that what has become stale can be found.

Belongs here: the proofs of partitions, one small file each beside the lake's tables. A proof names,
for each symbol, the spans that were read and a digest of their content, of the code version and of
the settings. Losing one costs a recomputation, nothing else.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from pathlib import Path

from volsurf_assets.session import Parts, Read, Session, days_of, parts_of
from volsurf_resources.content import combined_hash
from volsurf_resources.lake import Lake
from volsurf_resources.lake_errors import BadFile

ALL = ""  # stands for the whole partition in tables without symbols
_NAMED_DAYS = 10  # longer windows stand in the provenance as one digest


@dataclass(frozen=True, slots=True)
class Proof:
    """What the rows of one symbol were computed from."""

    reads: tuple[Read, ...]
    digest: str


class Contents:
    """Content hashes of the lake's partitions, each looked up once; forget what is rewritten."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self._known: dict[tuple[str, date], Parts] = {}

    def parts(self, table: str, day: date) -> Parts:
        """Return the hashes of a partition by symbol."""
        known = self._known.get((table, day))
        if known is None:
            try:
                known = parts_of(self.lake, table, day)
            except BadFile:
                known = {ALL: "damaged"}
            self._known[table, day] = known
        return known

    def forget(self, table: str, day: date) -> None:
        """Look this partition up again when next asked."""
        self._known.pop((table, day), None)

    def digest(self, reads: Iterable[Read], day: date, symbol: str, made_by: str) -> str:
        """Digest of what `reads` of `day` find for a symbol now, and of code and settings."""
        calendar = self.lake.calendar
        found = {
            read: {past: self.parts(read.table, past) for past in days_of(read, day, calendar)}
            for read in reads
        }
        return _digest(self.lake, found, symbol, made_by)


class Proofs:
    """The proofs of one lake."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def stale(
        self, table: str, day: date, made_by: str, contents: Contents
    ) -> tuple[str, ...] | None:
        """Return the symbols whose stored rows are not what their inputs would give now.

        None where nothing is proven, so that everything has to be made; empty where all is fresh.
        """
        proofs = self._stored(table, day)
        if not proofs or not self._is_stored(table, day):
            return None
        reads = {read for proof in proofs.values() for read in proof.reads}
        symbols = {ALL} if ALL in proofs else {*proofs, *_symbols(contents, reads, day)}
        stale = tuple(
            symbol
            for symbol in sorted(symbols)
            if symbol not in proofs
            or proofs[symbol].digest != contents.digest(proofs[symbol].reads, day, symbol, made_by)
        )
        return None if stale and (ALL in stale or len(stale) == len(symbols)) else stale

    def keep(self, table: str, session: Session, made_by: str) -> None:
        """Remember what the rows that a session gave were computed from."""
        reads = tuple(sorted(session.found))
        proofs = self._stored(table, session.day) if session.symbols else {}
        proofs.pop(ALL, None)
        symbols: Iterable[str] = session.symbols
        if not symbols and self._lake.table(table).has_symbol:
            contents = Contents(self._lake)
            symbols = {*_symbols(contents, reads, session.day), *contents.parts(table, session.day)}
        for symbol in symbols or (ALL,):
            proofs[symbol] = Proof(reads, _digest(self._lake, session.found, symbol, made_by))
        path = self._path(table, session.day)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".tmp")
        draft.write_text(_text(proofs))
        draft.replace(path)

    def _is_stored(self, table: str, day: date) -> bool:
        try:
            return self._lake.footer(table, day) is not None
        except BadFile:
            return False

    def _stored(self, table: str, day: date) -> dict[str, Proof]:
        try:
            stored = json.loads(self._path(table, day).read_text())
            return {
                symbol: Proof(tuple(Read(*read) for read in reads), digest)
                for symbol, (reads, digest) in stored.items()
            }
        except (FileNotFoundError, ValueError, TypeError):
            return {}

    def _path(self, table: str, day: date) -> Path:
        return self._lake.root / ".proofs" / table / f"{day}.json"


def _symbols(contents: Contents, reads: Iterable[Read], day: date) -> set[str]:
    """Return the symbols that the day's own rows of the tables read have."""
    todays = (r.table for r in reads if r.includes_day and contents.lake.table(r.table).has_symbol)
    return {symbol for table in todays for symbol in contents.parts(table, day)}


def upstream_of(session: Session) -> dict[str, dict[str, str]]:
    """Content hashes of the partitions read, as their footers have; long windows as one digest."""
    upstream: dict[str, dict[str, str]] = {}
    for read, found in sorted(session.found.items()):
        if read.n <= _NAMED_DAYS:
            named = {str(day): combined_hash(parts) for day, parts in found.items() if parts}
        else:
            first, last = min(found), max(found)
            named = {f"{first}..{last}": _digest(session.lake, {read: found}, ALL, "")}
        upstream.setdefault(read.table, {}).update(named)
    return upstream


def _digest(
    lake: Lake, found: Mapping[Read, Mapping[date, Parts]], symbol: str, made_by: str
) -> str:
    hasher = blake2b(made_by.encode(), digest_size=16)
    for read in sorted(found):
        by_symbol = symbol != ALL and lake.table(read.table).has_symbol
        for day, parts in found[read].items():
            content = parts.get(symbol) if by_symbol else _one_hash(parts)
            hasher.update(f"|{read.table}|{day}|{content}".encode())
    return hasher.hexdigest()


def _one_hash(parts: Parts) -> str:
    if len(parts) == 1:
        return next(iter(parts.values()))
    return blake2b(repr(sorted(parts.items())).encode(), digest_size=16).hexdigest()


def _text(proofs: Mapping[str, Proof]) -> str:
    return json.dumps(
        {
            symbol: [[[r.table, r.n, r.includes_day] for r in proof.reads], proof.digest]
            for symbol, proof in sorted(proofs.items())
        }
    )
