"""What a table is: its columns, their units and limits, its key and its version.

Belongs here: the vocabulary of the contract. Not here: any particular table, and no I/O.
"""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: what it holds, in which unit, and what is impossible in it.

    `low` and `high` are inclusive bounds, `one_of` the only words allowed; null is allowed outside
    the key. `is_provenance` marks a column that says when or how a row was loaded: it is stored,
    but two contents that differ only there are the same content. `formerly` lists the names under
    which older versions of the table stored the column.
    """

    name: str
    dtype: pl.DataType
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    one_of: tuple[str, ...] = ()
    is_provenance: bool = False
    formerly: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table of the lake. The `key` columns identify a row; the rest may be null.

    `group` is the layer it belongs to, `date` the column that says which partition a row belongs
    to. `version` grows with every change of the columns, so that a file written by an older one
    is recognised and read through.
    """

    name: str
    group: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    date: str = "quote_date"
    version: int = 1

    def __post_init__(self) -> None:
        """Refuse a contract that contradicts itself."""
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name} needs distinct column names, was {names}")
        if missing := {*self.key, self.date} - set(names):
            raise ValueError(
                f"{self.name} needs its key and date among its columns, lacks {missing}"
            )

    @property
    def schema(self) -> pl.Schema:
        """Column names and types, in the order in which they are stored."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    @property
    def content(self) -> tuple[str, ...]:
        """Columns that make up the content: all but the provenance."""
        return tuple(column.name for column in self.columns if not column.is_provenance)

    @property
    def has_symbol(self) -> bool:
        """Whether one date holds several symbols, each replaceable alone."""
        return "symbol" in self.key

    def column(self, name: str) -> Column:
        """Return the column called `name`; KeyError with the table's name if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")
