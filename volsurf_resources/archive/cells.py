"""Raw cells as values of our columns: text to numbers, dates, instants, words, and what fails.

Belongs here: the meaning of a `Cell`. Not here: which file or table it is for.
"""

import re

import polars as pl

from volsurf_resources.archive.mapping import Cell
from volsurf_resources.contracts import symbol_of
from volsurf_resources.source import Unreadable

_NOTHING = ("nan", "na", "n/a", "null", "none", ".", "-", "nd")
_OSI = r"^([A-Z0-9]{1,6}?) *(\d{6})([CP])(\d{1,8})$"  # some vendors drop leading zeros
_SIDES = {"C": "CALL", "P": "PUT"}
_FEW_CELLS, _FEW_SHARE = 3, 0.05
_UNIX = {"unix_s": 1_000_000, "unix_ms": 1_000}


def trimmed(column: pl.Expr) -> pl.Expr:
    """Cell as text without blanks around it; null where it is empty."""
    text = column.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


def told_text(column: pl.Expr) -> pl.Expr:
    """Cell of a number or date as text; null where it says that there is nothing."""
    text = trimmed(column)
    return pl.when(~text.str.to_lowercase().is_in(_NOTHING)).then(text)


def cell_text(cell: Cell, header: pl.Schema, file_name: str) -> pl.Expr:
    """Return the expression of a word: first filled column, constant, or part of the file name."""
    if cell.file_name is not None:
        found = re.search(cell.file_name, file_name, flags=re.IGNORECASE)
        if found is None:
            raise Unreadable(f"the name {file_name} does not match {cell.file_name!r}")
        text = pl.lit(found[1])
    elif cell.constant is not None:
        text = pl.lit(str(cell.constant))
    else:
        text = pl.coalesce([trimmed(pl.col(name)) for name in cell.needs if name in header])
    if cell.part is not None:
        text = text.str.split(cell.separator).list.get(cell.part, null_on_oob=True)
        text = text.str.strip_chars()
    if cell.strip_prefix:
        text = text.str.strip_prefix(cell.strip_prefix)
    if cell.words:
        return text.replace_strict(cell.words, default=None, return_dtype=pl.String)
    return text


def cell_number(cell: Cell, header: pl.Schema, file_name: str) -> pl.Expr:
    """Return the expression of a number, scaled; null where there is none."""
    if cell.constant is not None or cell.file_name is not None or cell.part is not None:
        return _cleaned(cell_text(cell, header, file_name).cast(pl.Float64, strict=False), cell)
    numbers = [_number(name, header, cell) for name in cell.column if name in header]
    if cell.mean and all(name in header for name in cell.mean):
        pair = [_number(name, header, cell) for name in cell.mean]
        numbers.append(pl.sum_horizontal(*pair, ignore_nulls=False) / len(pair))
    return pl.coalesce(numbers)


def _number(name: str, header: pl.Schema, cell: Cell) -> pl.Expr:
    column = pl.col(name)
    if not header[name].is_numeric():
        column = told_text(column)
        if cell.thousands:
            column = column.str.replace_all(cell.thousands, "", literal=True)
        if cell.decimal != ".":
            column = column.str.replace(cell.decimal, ".", literal=True)
    return _cleaned(column.cast(pl.Float64, strict=False), cell)


def _cleaned(number: pl.Expr, cell: Cell) -> pl.Expr:
    good = number.is_finite()
    if cell.nulls:
        good &= ~number.is_in(cell.nulls)
    return pl.when(good).then(number * cell.scale)


def cell_date(cell: Cell, header: pl.Schema, file_name: str) -> pl.Expr:
    """Return the expression of a date, read by the cell's formats."""
    name = next((name for name in cell.needs if name in header), None)
    if name and header[name].is_temporal():
        return pl.col(name).cast(pl.Date)
    return _parsed(cell, cell_text(cell, header, file_name), "UTC").dt.date()


def cell_instant(cell: Cell, header: pl.Schema, file_name: str, time_zone: str) -> pl.Expr:
    """Return the expression of an instant in UTC; a naive one is of `time_zone`."""
    name = next((name for name in cell.needs if name in header), None)
    dtype = header[name] if name else None
    if isinstance(dtype, pl.Datetime) and name:
        instant = pl.col(name)
        if dtype.time_zone is None:
            instant = _in_zone(instant, time_zone)
    else:
        instant = _parsed(cell, cell_text(cell, header, file_name), time_zone)
    return instant.dt.convert_time_zone("UTC").cast(pl.Datetime("us", "UTC"))


def _parsed(cell: Cell, text: pl.Expr, time_zone: str) -> pl.Expr:
    read = []
    for form in cell.format:
        if form in _UNIX:
            micros = text.cast(pl.Float64, strict=False) * _UNIX[form]
            read.append(micros.cast(pl.Int64).cast(pl.Datetime("us", "UTC")))
        elif "%H" in form or "%I" in form:
            read.append(_in_zone(text.str.to_datetime(form, strict=False), time_zone))
        else:
            day = text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
            read.append(_in_zone(day, time_zone))
    return pl.coalesce([expr.dt.convert_time_zone("UTC") for expr in read])


def _in_zone(instant: pl.Expr, time_zone: str) -> pl.Expr:
    return instant.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")


def symbol_of_contract(contract: pl.Expr) -> pl.Expr:
    """Return the expression of the underlying of OSI names, padded or compact."""
    root = contract.str.to_uppercase().str.extract(_OSI, 1)
    return root.map_elements(symbol_of, return_dtype=pl.String)


def option_type(text: pl.Expr) -> pl.Expr:
    """Return CALL or PUT from a word that begins with C or P, in any case."""
    letter = text.str.to_uppercase().str.slice(0, 1)
    return letter.replace_strict(_SIDES, default=None, return_dtype=pl.String)


def said_by_contract(contract: pl.Expr) -> dict[str, pl.Expr]:
    """Return the expressions of the columns that an OSI name gives."""
    return {
        "symbol": symbol_of_contract(contract),
        "root": contract.str.extract(_OSI, 1),
        "expiration_date": contract.str.extract(_OSI, 2).str.to_date("%y%m%d", strict=False),
        "option_type": option_type(contract.str.extract(_OSI, 3)),
        "strike": contract.str.extract(_OSI, 4).cast(pl.Float64) / 1000.0,
    }


def few(bad: int, total: int) -> bool:
    """Whether so many unreadable cells are bad rows, and not a sign of a wrong mapping."""
    return bad == 0 or (bad < total and bad <= max(_FEW_CELLS, _FEW_SHARE * total))


def refuse_unreadable(
    raw: pl.DataFrame, values: pl.Series, cell: Cell, where: str, *, tolerant: bool
) -> None:
    """Raise `Unreadable` for texts that became no value: all or many of them, or any at all.

    When tolerant, a few unreadable cells are bad data, which the row carries as null.
    """
    names = [name for name in cell.needs if name in raw.columns]
    if not any(raw.schema[name] == pl.String for name in names) or cell.part is not None:
        return
    filled = raw.select(pl.coalesce([told_text(pl.col(name)) for name in names])).to_series()
    failed = filled.is_not_null() & values.is_null()
    if cell.nulls:
        failed &= ~filled.cast(pl.Float64, strict=False).is_in(cell.nulls).fill_null(False)
    bad, total = int(failed.sum()), int(filled.is_not_null().sum())
    if bad and not (tolerant and few(bad, total)):
        raise Unreadable(
            f"{where}: column {' or '.join(names)}: {bad} of {total} cells cannot be read as "
            f"{values.dtype}, the first is {filled.filter(failed)[0]!r}"
        )
