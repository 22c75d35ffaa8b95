"""Raw rows of one session as `raw_options_chains`: sides, roots, contract names, times.

Belongs here: what is peculiar to option quotes in files. Not here: finding the files.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import polars as pl

from volsurf_resources.archive.cells import (
    cell_date,
    cell_instant,
    cell_number,
    cell_text,
    option_type,
    refuse_unreadable,
    said_by_contract,
)
from volsurf_resources.archive.holdings import Claim, flagged, symbol_text
from volsurf_resources.archive.mapping import Cell, Chains
from volsurf_resources.archive.reader import Part
from volsurf_resources.contracts import (
    exercise_style_of,
    is_adjusted_root,
    roots_of,
    settlement_of,
)
from volsurf_resources.exchange_calendar import previous_session, session_close
from volsurf_resources.source import Unreadable
from volsurf_tables.market import RAW_OPTIONS_CHAINS

_SCHEMA = RAW_OPTIONS_CHAINS.schema
_IDENTITY = ("expiration_date", "option_type", "strike")


def _rows_of_symbol(claim: Claim[Chains], symbol: str) -> tuple[pl.LazyFrame, pl.Expr]:
    """Raw rows of a symbol, and the expression of their date."""
    rows = claim.rows()
    header = rows.collect_schema()
    day = cell_date(claim.table.columns["quote_date"], header, claim.part.name)
    return rows.filter(symbol_text(claim.table, header, claim.part.name) == symbol), day


def session_rows(claim: Claim[Chains], symbol: str, session: date) -> pl.DataFrame:
    """Return one file's rows of a symbol and session in our columns, not yet completed."""
    rows, day = _rows_of_symbol(claim, symbol)
    raw = claim.collected(rows.filter(day == session))
    return _shaped(raw, claim.table, claim.part, claim.where)


def stated_closes(
    claim: Claim[Chains], symbol: str, days: Sequence[date]
) -> list[tuple[date, float]]:
    """Return the underlying that a file states on each of some days."""
    rows, day = _rows_of_symbol(claim, symbol)
    price = cell_number(
        claim.table.columns["underlying_price"], rows.collect_schema(), claim.part.name
    )
    stated = rows.select(day=day, price=price).filter(pl.col("day").is_in(days)).drop_nulls()
    first = stated.group_by("day").agg(pl.col("price").first()).sort("day")
    return list(claim.collected(first).iter_rows())


def _shaped(raw: pl.DataFrame, table: Chains, part: Part, where: str) -> pl.DataFrame:
    """Our columns of the raw rows of one session, both sides."""
    sides = [("CALL", table.call), ("PUT", table.put)] if table.call else [("", {})]
    frames = []
    for side, own in sides:
        cells = {**table.columns, **own}
        if side:
            cells["option_type"] = Cell(constant=side)
        frames.append(_columns(raw, cells, table, part, where))
    return pl.concat(frames)


def _columns(
    raw: pl.DataFrame, cells: dict[str, Cell], table: Chains, part: Part, where: str
) -> pl.DataFrame:
    header = raw.schema
    present = {name: cell for name, cell in cells.items() if _is_given(cell, raw)}
    expressions = {name: _value(name, cell, table, header, part) for name, cell in present.items()}
    if "contract_id" in expressions:
        expressions = {**said_by_contract(expressions["contract_id"]), **expressions}
    expressions["is_adjusted"] = flagged(table.adjusted, header)
    frame = raw.select(**expressions)
    for name, cell in present.items():
        if name != "contract_id":
            told = f"{where}, {name}"
            refuse_unreadable(raw, frame[name], cell, told, tolerant=name not in _IDENTITY)
    unnamed = frame.filter(pl.any_horizontal(pl.col(_IDENTITY).is_null())).height
    if unnamed:
        raise Unreadable(f"{where}: {unnamed} of {frame.height} rows lack one of {_IDENTITY}")
    missing = [pl.lit(None, dtype).alias(n) for n, dtype in _SCHEMA.items() if n not in frame]
    return frame.with_columns(missing).select(_SCHEMA.names())


def _is_given(cell: Cell, raw: pl.DataFrame) -> bool:
    return not cell.needs or cell.is_met_by(frozenset(raw.columns))


def _value(name: str, cell: Cell, table: Chains, header: pl.Schema, part: Part) -> pl.Expr:
    dtype = _SCHEMA[name]
    if dtype == pl.Float64:
        return cell_number(cell, header, part.name)
    if dtype == pl.Date:
        return cell_date(cell, header, part.name)
    if isinstance(dtype, pl.Datetime):
        return cell_instant(cell, header, part.name, table.time_zone)
    text = cell_text(cell, header, part.name)
    if name == "option_type":
        return option_type(text)
    if words := RAW_OPTIONS_CHAINS.column(name).one_of:
        return pl.when(text.is_in(words)).then(text)
    return text.str.to_uppercase()


def completed(
    frame: pl.DataFrame, table: Chains, symbol: str, session: date, source: str
) -> pl.DataFrame:
    """Return a session's rows in the schema, each with a contract name of its own."""
    close = session_close(session) - timedelta(minutes=table.minutes_before_close)
    as_of = previous_session(session) if table.open_interest_of == "previous_session" else session
    has_interest = pl.col("open_interest").is_not_null()
    has_underlying = pl.col("underlying_price").is_not_null()
    quote_time = pl.coalesce(pl.col("quote_time"), pl.lit(close, _SCHEMA["quote_time"]))
    frame = frame.with_columns(
        snapshot=pl.lit("EOD"),
        strike=pl.col("strike").round(3),
        quote_time=quote_time,
        underlying_time=pl.when(has_underlying).then(
            pl.coalesce(pl.col("underlying_time"), quote_time)
        ),
        open_interest_date=pl.when(has_interest).then(pl.lit(as_of)),
        price_unit=pl.col("price_unit").fill_null("USD"),
        data_source=pl.lit(source),
    )
    named = _with_listing(_with_roots(frame, symbol), symbol, table)
    exact = named.unique(maintain_order=True)
    return _with_contract_id(exact).drop("ingestion_timestamp").sort("contract_id")


def _with_roots(frame: pl.DataFrame, symbol: str) -> pl.DataFrame:
    """Fill roots that a file does not give.

    An underlying with several roots: an expiry that lists a contract twice merges two roots, and
    its rows keep an empty one; else the expiry's settlement tells the root.
    """
    if frame["root"].null_count() == 0:
        return frame
    roots = roots_of(symbol)
    if len(roots) == 1:
        return frame.with_columns(pl.col("root").fill_null(symbol))
    distinct = frame.unique()
    twice = distinct.filter(distinct.select(*_IDENTITY).is_duplicated())
    merged = set(twice["expiration_date"])

    def root(expiration: date) -> str:
        if expiration in merged:
            return ""
        return roots[0] if settlement_of(roots[0], expiration) == "AM" else roots[-1]

    known = {day: root(day) for day in frame["expiration_date"].unique()}
    guess = pl.col("expiration_date").replace_strict(known, return_dtype=pl.String)
    return frame.with_columns(root=pl.coalesce(pl.col("root"), guess))


def _with_listing(frame: pl.DataFrame, symbol: str, table: Chains) -> pl.DataFrame:
    """Add style, settlement and whether the deliverable is standard, by root and expiry."""
    listed = frame.select("root", "expiration_date").unique()
    pairs = list(listed.iter_rows())
    rules = listed.with_columns(
        __style=pl.Series(
            [exercise_style_of(root or symbol) for root, _ in pairs], dtype=pl.String
        ),
        __settlement=pl.Series(
            [settlement_of(root, day) if root else None for root, day in pairs], dtype=pl.String
        ),
        __adjusted=pl.Series(
            [is_adjusted_root(root, symbol) or root in table.adjusted_roots for root, _ in pairs],
            dtype=pl.Boolean,
        ),
    )
    return (
        frame.join(rules, on=["root", "expiration_date"], how="left", maintain_order="left")
        .select(
            pl.exclude("exercise_style", "settlement", "is_adjusted", "^__.*$"),
            exercise_style=pl.coalesce("exercise_style", "__style"),
            settlement=pl.coalesce("settlement", "__settlement"),
            is_adjusted=pl.col("is_adjusted") | pl.col("__adjusted"),
        )
        .select(_SCHEMA.names())
    )


def _with_contract_id(frame: pl.DataFrame) -> pl.DataFrame:
    """Name each row by OSI; a second quote of the same name is numbered #2, and so on."""
    osi = pl.concat_str(
        pl.col("root").str.pad_end(6),
        pl.col("expiration_date").dt.strftime("%y%m%d"),
        pl.col("option_type").str.slice(0, 1),
        (pl.col("strike") * 1000).round().cast(pl.Int64).cast(pl.String).str.zfill(8),
    )
    nth = pl.int_range(1, pl.len() + 1).over("contract_id")
    return frame.with_columns(contract_id=osi).with_columns(
        contract_id=pl.when(nth > 1)
        .then(pl.concat_str("contract_id", pl.lit("#"), nth.cast(pl.String)))
        .otherwise("contract_id")
    )
