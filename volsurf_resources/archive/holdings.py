"""What the files of an archive hold: which symbols on which dates, found once and kept.

Belongs here: matching files to the tables of a mapping, and the index of their sessions.
Not here: reading the rows of a session.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatch
from pathlib import Path

import polars as pl

from volsurf_resources.archive.cells import (
    cell_date,
    cell_text,
    filled_text,
    refuse_unreadable,
    symbol_of_contract,
)
from volsurf_resources.archive.mapping import Chains, FileTable, Flag, Mapping
from volsurf_resources.archive.reader import Part, data_files, open_part, parts_of
from volsurf_resources.source import Unreadable

# symbol -> date -> why that session is refused, empty if it is not
Sessions = dict[str, dict[date, str]]

_INDEXED: dict[tuple[object, ...], Sessions] = {}


@dataclass(frozen=True, slots=True)
class Claim:
    """A part of the archive that a table of the mapping describes."""

    part: Part
    table_name: str
    table: FileTable
    mapping: str

    @property
    def where(self) -> str:
        """File, mapping and table, as errors name them."""
        return f"{self.part} (mapping {self.mapping}, {self.table_name})"

    def rows(self) -> pl.LazyFrame:
        """Return the rows that count, raw."""
        return kept(open_part(self.part, self.table.separator), self.table)


@dataclass(slots=True)
class Claims:
    """Which tables describe which parts, and the files that could not be understood."""

    found: list[Claim] = field(default_factory=list)
    problems: dict[Path, str] = field(default_factory=dict)

    def of(self, kind: str) -> Iterator[Claim]:
        """Claims of one kind of table, in the mapping's order of preference."""
        return (claim for claim in self.found if claim.table_name.startswith(f"{kind}."))


def kept(frame: pl.LazyFrame, table: FileTable) -> pl.LazyFrame:
    """Return the rows that the table's `where` lets through."""
    for column, values in table.where.items():
        frame = frame.filter(filled_text(pl.col(column)).is_in(values))
    return frame


def claim_files(folder: Path, mapping: Mapping) -> Claims:
    """Match every file of a folder to the tables that describe it."""
    claims = Claims()
    tables = list(mapping.tables())
    for path in data_files(folder):
        try:
            for part in parts_of(path):
                claims.found += claim_part(part, folder, mapping.name, tables)
        except Unreadable as error:
            claims.problems[path] = str(error)
    order = {name: n for n, (name, _) in enumerate(tables)}
    claims.found.sort(key=lambda claim: order[claim.table_name])
    return claims


def claim_part(
    part: Part, folder: Path, mapping: str, tables: list[tuple[str, FileTable]]
) -> list[Claim]:
    """Tables that describe one part; `Unreadable` if some name it and none fits its columns."""
    named = [(name, table) for name, table in tables if _is_named(part, folder, table)]
    fitting: list[Claim] = []
    misfits: list[str] = []
    for name, table in named:
        header = frozenset(open_part(part, table.separator).collect_schema().names())
        for column in header & set(table.refuse_columns):
            raise Unreadable(
                f"{part}: column {column} (mapping {mapping}, {name}): "
                f"{table.refuse_columns[column]}"
            )
        if missing := table.missing(header):
            misfits.append(f"{name} needs {missing}, it has {sorted(header)}")
        else:
            fitting.append(Claim(part, name, table, mapping))
    if named and not fitting:
        raise Unreadable(f"{part} does not fit mapping {mapping}: {min(misfits, key=len)}")
    return fitting


def _is_named(part: Part, folder: Path, table: FileTable) -> bool:
    names = {part.name, part.path.name, part.path.relative_to(folder).as_posix()}

    def matches(globs: tuple[str, ...]) -> bool:
        return any(fnmatch(name.casefold(), glob.casefold()) for name in names for glob in globs)

    return matches(table.files) and not matches(table.exclude)


def sessions_in(claim: Claim, table: Chains) -> Sessions:
    """Return what a chain file holds, from its symbol and date columns; cached per process."""
    key = (claim.part, claim.part.fingerprint, claim.mapping, table.model_dump_json())
    if key not in _INDEXED:
        _INDEXED[key] = _scan(claim, table)
    return _INDEXED[key]


def _scan(claim: Claim, table: Chains) -> Sessions:
    rows = claim.rows()
    header = rows.collect_schema()
    cell = table.columns["quote_date"]
    raw_date = [pl.col(name) for name in cell.needs if name in header]
    symbol = symbol_text(table, header, claim.part.name)
    is_refused = flagged(table.refuse, header)
    try:
        distinct = (
            rows.select(symbol.alias("__symbol"), is_refused.alias("__refused"), *raw_date)
            .unique()
            .collect()
        )
    except pl.exceptions.PolarsError as error:
        raise Unreadable(f"{claim.where} cannot be read: {error}") from None
    days = distinct.select(cell_date(cell, header, claim.part.name)).to_series()
    refuse_unreadable(distinct, days, cell, claim.where, tolerant=False)
    held: Sessions = {}
    reason = table.refuse.reason if table.refuse else ""
    for name, day, refused in zip(distinct["__symbol"], days, distinct["__refused"], strict=True):
        if name is not None and day is not None:
            held.setdefault(name, {})
            held[name][day] = reason if refused else held[name].get(day, "")
    if not held:
        raise Unreadable(f"{claim.where} holds no row with a symbol and a date")
    return held


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
