"""What a mapping says: which files hold which table, and how their words become ours.

Belongs here: the grammar of `volsurf.toml` and of the shipped `mappings/*.toml`. Not here: any
vendor's words (those are the TOML files), and any reading.
"""

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

import polars as pl
from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from volsurf_tables.market import INDEX_LEVELS, RAW_OPTIONS_CHAINS, UNDERLYING_PRICES

KINDS = ("chains", "underlying", "dividends", "rates", "index_levels")
_FILLED_BY_US = {
    *("snapshot", "ingestion_timestamp", "open_interest_date", "is_adjusted", "data_source"),
}


def normalised(header: str) -> str:
    """Return a column's name as it is compared: no blanks, no brackets, no capitals."""
    return header.strip().strip("[]\ufeff").strip().casefold()


Header = Annotated[str, AfterValidator(normalised)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cell(_Strict):
    """Where one of our columns comes from, and what must be done to it.

    The value is the first filled one among `column`, else the mean of the columns in `mean`; or it
    is a `constant`, or what the group of the pattern `file_name` finds in the file's name. `part`
    picks one piece of a text cut at `separator`; `words` translates it, other words are nothing.
    Numbers in `nulls` say that nothing was reported; the rest is multiplied by `scale`; `thousands`
    and `decimal` are the marks in their texts. Dates follow one of `format` (strptime, or
    `unix_s`, `unix_ms`).
    """

    column: tuple[Header, ...] = ()
    mean: tuple[Header, ...] = ()
    constant: str | float | None = None
    file_name: str | None = None
    separator: str = " "
    part: int | None = None
    strip_prefix: str = ""
    words: dict[str, str] = {}
    nulls: tuple[float, ...] = ()
    scale: float = 1.0
    thousands: str = ""
    decimal: str = "."
    format: tuple[str, ...] = ("%Y-%m-%d",)
    optional: bool = False

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: Any) -> Any:
        if isinstance(value, str | list):
            value = {"column": value}
        if isinstance(value, dict):
            value = dict(value)
            for key in ("column", "format"):
                if isinstance(value.get(key), str):
                    value[key] = [value[key]]
        return value

    @model_validator(mode="after")
    def _has_one_origin(self) -> "Cell":
        origins = (self.column or self.mean, self.constant is not None, self.file_name)
        if sum(map(bool, origins)) != 1:
            raise ValueError("needs exactly one of column (or mean), constant, file_name")
        return self

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns of the file that the value is made of."""
        return (*self.column, *self.mean)

    def is_met_by(self, header: frozenset[str]) -> bool:
        """Whether a file with these columns can give the value."""
        if any(name in header for name in self.column):
            return True
        return not self.needs or (bool(self.mean) and header.issuperset(self.mean))


class Flag(_Strict):
    """Rows whose `column` holds one of `values` (or, with `unless`, anything else)."""

    column: Header
    values: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    reason: str = ""
    optional: bool = False


class FileTable(_Strict):
    """What all tables say: the files by glob (any matches), the columns, the rows that count.

    A file that is named here and lacks the columns is an error, unless it need not fit.
    """

    allowed: ClassVar[frozenset[str]] = frozenset()
    files: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    must_fit: bool = True
    separator: str = ","
    label: str = ""
    where: dict[Header, tuple[str, ...]] = {}
    refuse_columns: dict[Header, str] = {}
    columns: dict[str, Cell]

    @model_validator(mode="after")
    def _knows_its_columns(self) -> "FileTable":
        if unknown := sorted(set(self.columns) - self.allowed):
            raise ValueError(f"unknown columns {unknown}; known are {sorted(self.allowed)}")
        return self

    def cells(self) -> Iterator[tuple[str, Cell]]:
        """Every (our column, cell) that the table names."""
        yield from self.columns.items()

    def missing(self, header: frozenset[str]) -> list[str]:
        """Columns that the mapping needs and a file with this header lacks."""
        lacking = {
            " or ".join(cell.needs)
            for _, cell in self.cells()
            if not cell.optional and not cell.is_met_by(header)
        }
        return sorted(lacking | {name for name in self.where if name not in header})


def _names(schema: pl.Schema, *others: str) -> frozenset[str]:
    return frozenset({*schema, *others} - _FILLED_BY_US)


class Chains(FileTable):
    """Files of option quotes: one row per contract, or per strike with `call` and `put` sides.

    Quotes are as of their `quote_time` column, else of `minutes_before_close`. A pattern
    `file_date` finds the day, month or year of a file in its name: the others stay closed.
    """

    allowed: ClassVar[frozenset[str]] = _names(RAW_OPTIONS_CHAINS.schema)
    call: dict[str, Cell] = {}
    put: dict[str, Cell] = {}
    minutes_before_close: float = 0.0
    time_zone: str = "America/New_York"
    open_interest_of: Literal["same_session", "previous_session"] = "previous_session"
    file_date: str = ""
    adjusted: Flag | None = None
    adjusted_roots: tuple[str, ...] = ()
    refuse: Flag | None = None
    underlying_is_close: bool = False

    def cells(self) -> Iterator[tuple[str, Cell]]:
        """Every (our column, cell) that the table names, on both sides."""
        yield from super().cells()
        yield from self.call.items()
        yield from self.put.items()

    def missing(self, header: frozenset[str]) -> list[str]:
        """Columns that the mapping needs and a file with this header lacks."""
        flags = [flag for flag in (self.adjusted, self.refuse) if flag and not flag.optional]
        lacking = {flag.column for flag in flags if flag.column not in header}
        return sorted(lacking | set(super().missing(header)))

    @model_validator(mode="after")
    def _names_a_contract(self) -> "Chains":
        named = {name for name, _ in self.cells()}
        if self.call:
            named.add("option_type")
        if "contract_id" in named:
            named |= {"symbol", "expiration_date", "option_type", "strike"}
        needed = {"symbol", "quote_date", "expiration_date", "option_type", "strike", "bid", "ask"}
        if lacking := sorted(needed - named):
            raise ValueError(f"a chain needs the columns {lacking}")
        return self


class Prefer(_Strict):
    """Keep one source per series and date: the first in `order` that has a value."""

    column: Header
    order: tuple[str, ...]


class DailyBars(FileTable):
    """Daily bars. A `last_resort` serves only series that no other table knows."""

    prefer: Prefer | None = None
    last_resort: bool = False

    def missing(self, header: frozenset[str]) -> list[str]:
        """Columns that the mapping needs and a file with this header lacks."""
        column = {self.prefer.column} if self.prefer else set()
        return sorted((column - header) | set(super().missing(header)))


class Bars(DailyBars):
    """Daily bars of the underlyings, as traded."""

    allowed: ClassVar[frozenset[str]] = _names(UNDERLYING_PRICES.schema)


class Levels(DailyBars):
    """Daily bars of volatility indices."""

    allowed: ClassVar[frozenset[str]] = _names(INDEX_LEVELS.schema)


class Dividends(FileTable):
    """Cash dividends by ex-date."""

    allowed: ClassVar[frozenset[str]] = frozenset({"symbol", "ex_date", "amount"})


class Curves(FileTable):
    """Rates: one column per tenor, or rows of `series` and `value`; `tenors` gives years.

    `quoted` says what the numbers are: bond-equivalent par yields, continuous zero rates, or a
    simple overnight rate (ACT/360), which is put before the first tenor of the curve. What is
    `published` the next session is not known at the end of its own.
    """

    allowed: ClassVar[frozenset[str]] = frozenset({"curve_date", "series", "value"})
    tenors: dict[Header, float]
    quoted: Literal["par", "zero", "overnight"] = "par"
    scale: float = 0.01
    published: Literal["same_session", "next_session"] = "same_session"

    def missing(self, header: frozenset[str]) -> list[str]:
        """Columns that the mapping needs and a file with this header lacks."""
        has_tenor = "series" in self.columns or not header.isdisjoint(self.tenors)
        lacking = set() if has_tenor else {f"one of {sorted(self.tenors)}"}
        return sorted(lacking | set(super().missing(header)))


class Mapping(_Strict):
    """One archive's layout. Tables have names, so that another mapping can extend them.

    `own` names the tables (kind.name) that are not taken from the mappings that it `extends`.
    `splits` states, by symbol and ex-date, the new shares per old that no file tells.
    """

    name: str
    about: str = ""
    is_detectable: bool = True
    extends: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()
    chains: dict[str, Chains] = {}
    underlying: dict[str, Bars] = {}
    dividends: dict[str, Dividends] = {}
    rates: dict[str, Curves] = {}
    index_levels: dict[str, Levels] = {}
    splits: dict[str, dict[date, float]] = {}

    def tables(self) -> Iterator[tuple[str, FileTable]]:
        """Every table as (kind.name, table), in the order in which they are preferred."""
        for kind in KINDS:
            for name, table in getattr(self, kind).items():
                yield f"{kind}.{name}", table
