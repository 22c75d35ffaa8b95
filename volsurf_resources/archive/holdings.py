"""What the files of an archive hold: which symbols on which dates, found once and kept.

Belongs here: matching files to the tables of a mapping, and the index of their sessions.
Not here: reading the rows of a session.
"""

import re
from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from volsurf_resources.archive.cells import (
    cell_date,
    cell_text,
    few,
    refuse_unreadable,
    symbol_of_contract,
    trimmed,
)
from volsurf_resources.archive.mapping import Chains, FileTable, Flag, Mapping
from volsurf_resources.archive.reader import Part, data_files, header_of, open_part, parts_of
from volsurf_resources.source import Unreadable

# symbol -> date -> why that session is refused, empty if it is not
Sessions = dict[str, dict[date, str]]

_INDEXED: dict[tuple[object, ...], Sessions] = {}

T = TypeVar("T", bound=FileTable)


@dataclass(frozen=True, slots=True)
class Claim(Generic[T]):
    """A part of the archive that a table of the mapping describes."""

    part: Part
    table_name: str
    table: T
    mapping: str

    @property
    def where(self) -> str:
        """File, mapping and table, as errors name them."""
        return f"{self.part} (mapping {self.mapping}, {self.table_name})"

    def rows(self) -> pl.LazyFrame:
        """Return the rows that count, raw."""
        frame = open_part(self.part, self.table.separator)
        for column, values in self.table.where.items():
            frame = frame.filter(trimmed(pl.col(column)).is_in(values))
        return frame

    def collected(self, rows: pl.LazyFrame) -> pl.DataFrame:
        """Read rows; `Unreadable` if the file turns out to be damaged."""
        try:
            return rows.collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise Unreadable(f"{self.where} cannot be read: {error}") from None


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that could not be understood: why, and which tables of the mapping it is named by."""

    reason: str
    tables: tuple[FileTable, ...]


@dataclass(slots=True)
class Claims:
    """Which tables describe which parts, and the files that could not be understood."""

    found: list[Claim[Any]] = field(default_factory=list)
    problems: dict[str, Problem] = field(default_factory=dict)

    def of(self, kind: type[T]) -> list[Claim[T]]:
        """Claims of one kind of table, in the mapping's order of preference."""
        return [claim for claim in self.found if isinstance(claim.table, kind)]

    def faults_of(self, kind: type[FileTable]) -> list[str]:
        """What is wrong with files that may hold a table of one kind."""
        return [
            problem.reason
            for problem in self.problems.values()
            if any(isinstance(table, kind) for table in problem.tables)
        ]


def claim_files(folder: Path, mapping: Mapping) -> Claims:
    """Match every file of a folder to the tables that describe it."""
    claims = Claims()
    tables = list(mapping.tables())
    for path in data_files(folder):
        try:
            parts = parts_of(path)
        except Unreadable as error:
            claims.problems[path.name] = Problem(str(error), tuple(table for _, table in tables))
            continue
        for part in parts:
            try:
                claims.found += claim_part(part, folder, mapping)
            except Unreadable as error:
                named = (table for _, table in tables if _is_named(part, folder, table))
                claims.problems[str(part)] = Problem(str(error), tuple(named))
    order = {name: n for n, (name, _) in enumerate(tables)}
    claims.found.sort(key=lambda claim: order[claim.table_name])
    return claims


def claim_part(part: Part, folder: Path, mapping: Mapping) -> list[Claim[Any]]:
    """Tables that describe one part; `Unreadable` if some name it and none fits its columns."""
    fitting: list[Claim[Any]] = []
    misfits: list[str] = []
    for name, table in mapping.tables():
        if not _is_named(part, folder, table):
            continue
        header = header_of(part, table.separator)
        refused = sorted(header & set(table.refuse_columns))
        if refused:
            told = table.refuse_columns[refused[0]]
            misfits.append(f"{name} refuses a file with the column {refused[0]}: {told}")
        elif missing := table.missing(header):
            if table.must_fit:
                misfits.append(f"{name} needs the columns {missing}, the file has {_few(header)}")
        else:
            fitting.append(Claim(part, name, table, mapping.name))
    if misfits and not fitting:
        raise Unreadable(f"{part} does not fit mapping {mapping.name}: {min(misfits, key=len)}")
    return fitting


def _few(header: frozenset[str]) -> str:
    names = sorted(header)
    only = ": is the separator right?" if len(names) == 1 else ""
    return f"{names[:40]}{only}"


def _is_named(part: Part, folder: Path, table: FileTable) -> bool:
    names = {part.name, part.path.name, part.path.relative_to(folder).as_posix()}

    def matches(globs: tuple[str, ...]) -> bool:
        return any(fnmatch(name.casefold(), glob.casefold()) for name in names for glob in globs)

    return matches(table.files) and not matches(table.exclude)


def may_hold(claim: Claim[Any], symbol: str | None, start: date, end: date) -> bool:
    """Whether the name of a file leaves room for a symbol and a range of dates."""
    cell = claim.table.columns.get("symbol")
    if symbol and cell and not cell.needs:
        header = pl.Schema()
        told: str = pl.select(cell_text(cell, header, claim.part.name).str.to_uppercase()).item()
        if told != symbol:
            return False
    named = _named_dates(claim.table, str(claim.part))
    return named is None or (named[0] <= end and start <= named[1])


def _named_dates(table: FileTable, name: str) -> tuple[date, date] | None:
    """First and last date of a file whose name tells its day, month or year."""
    pattern = table.file_date if isinstance(table, Chains) else ""
    found = re.search(pattern, name, flags=re.IGNORECASE) if pattern else None
    digits = re.sub(r"\D", "", found[1]) if found else ""
    year, month, day = (int(piece or 0) for piece in (digits[:4], digits[4:6], digits[6:]))
    try:
        if day:
            return date(year, month, day), date(year, month, day)
        if month:
            return date(year, month, 1), date(year, month, monthrange(year, month)[1])
        return (date(year, 1, 1), date(year, 12, 31)) if year else None
    except ValueError:  # digits that are no date tell nothing
        return None


def sessions_in(claim: Claim[Chains]) -> Sessions:
    """Return what a chain file holds, from its symbol and date columns; cached per process."""
    key = (claim.part, claim.part.fingerprint, claim.mapping, claim.table.model_dump_json())
    if key not in _INDEXED:
        _INDEXED[key] = _scan(claim)
    return _INDEXED[key]


def _scan(claim: Claim[Chains]) -> Sessions:
    rows, table = claim.rows(), claim.table
    header = rows.collect_schema()
    cell = table.columns["quote_date"]
    dates = [pl.col(name) for name in cell.needs if name in header]
    symbol = symbol_text(table, header, claim.part.name)
    is_refused = flagged(table.refuse, header)
    wanted = rows.select(symbol.alias("__symbol"), is_refused.alias("__refused"), *dates)
    distinct = claim.collected(wanted.group_by(pl.all()).agg(pl.len().alias("__rows")))
    days = distinct.select(cell_date(cell, header, claim.part.name)).to_series()
    refuse_unreadable(distinct, days, cell, claim.where, tolerant=False)
    _refuse_nameless(claim, distinct.filter(days.is_not_null()))
    held: Sessions = {}
    reason = table.refuse.reason if table.refuse else ""
    for name, day, refused in zip(distinct["__symbol"], days, distinct["__refused"], strict=True):
        if name is not None and day is not None:
            of_symbol = held.setdefault(name, {})
            of_symbol[day] = reason if refused else of_symbol.get(day, "")
    if not held:
        raise Unreadable(f"{claim.where} holds no row with a symbol and a date")
    return held


def _refuse_nameless(claim: Claim[Chains], distinct: pl.DataFrame) -> None:
    """Rows without a symbol would be lost to every session: no more than a few are bad rows."""
    nameless = int(distinct.filter(pl.col("__symbol").is_null())["__rows"].sum())
    total = int(distinct["__rows"].sum())
    if few(nameless, total):
        return
    told = "symbol" if "symbol" in claim.table.columns else "OSI contract"
    raise Unreadable(f"{claim.where}: {nameless} of {total} rows name no {told}")


def symbol_text(table: FileTable, header: pl.Schema, file_name: str) -> pl.Expr:
    """Return the expression of the underlying's ticker, in capitals."""
    cell = table.columns.get("symbol")
    if cell is None:
        return symbol_of_contract(cell_text(table.columns["contract_id"], header, file_name))
    return cell_text(cell, header, file_name).str.to_uppercase()


def flagged(flag: Flag | None, header: pl.Schema) -> pl.Expr:
    """Return the expression that is true on the rows that a flag marks."""
    if flag is None or flag.column not in header:
        return pl.lit(False)
    text = pl.col(flag.column).cast(pl.String).str.strip_chars().fill_null("")
    if flag.values:
        return text.is_in(flag.values)
    return ~text.is_in(flag.unless)
