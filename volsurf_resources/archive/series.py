"""Daily series of an archive: bars, dividends, index levels, rate curves.

Belongs here: what is not an option quote. Not here: option quotes.
"""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

import polars as pl

from volsurf_resources.archive.cells import (
    cell_date,
    cell_number,
    cell_text,
    filled_text,
    refuse_unreadable,
)
from volsurf_resources.archive.holdings import Claim
from volsurf_resources.archive.mapping import Bars, Cell, Curves, normalised
from volsurf_resources.rates import par_to_zero, sofr_to_continuous
from volsurf_resources.source import Unreadable

_WORDS = ("symbol", "index", "series", "data_source")
_DATES = ("quote_date", "ex_date", "curve_date")
# An overnight rate older than this beside the curve would bend it with another day's news; one
# beside a one-month bill would bend it with the repo market's month ends.
_CURVE_SPREAD_DAYS = 7
_BILL_TENOR = 0.1
_QUOTES: dict[tuple[object, ...], pl.DataFrame] = {}
_RANK, _SOURCE = "__rank", "__source"


def rows_of(claim: Claim, **equal: str) -> pl.DataFrame:
    """Return every row of a small table in our columns; `equal` keeps one symbol or index."""
    raw_rows = claim.rows()
    header = raw_rows.collect_schema()
    cells = {
        name: cell
        for name, cell in claim.table.columns.items()
        if not cell.needs or cell.is_met_by(frozenset(header))
    }
    for name, value in equal.items():
        text = cell_text(cells[name], header, claim.part.name).str.to_uppercase()
        raw_rows = raw_rows.filter(text == value)
    try:
        raw = raw_rows.collect()
    except pl.exceptions.PolarsError as error:
        raise Unreadable(f"{claim.where} cannot be read: {error}") from None
    frame = raw.select(
        **{name: _value(name, cell, header, claim.part.name) for name, cell in cells.items()}
    )
    for name, cell in cells.items():
        refuse_unreadable(
            raw, frame[name], cell, f"{claim.where}, {name}", tolerant=name not in _DATES
        )
    return _preferred(frame, raw, claim)


def _value(name: str, cell: Cell, header: pl.Schema, file_name: str) -> pl.Expr:
    if name in _DATES:
        return cell_date(cell, header, file_name)
    if name in _WORDS:
        text = cell_text(cell, header, file_name)
        return text if name == "data_source" else text.str.to_uppercase()
    return cell_number(cell, header, file_name)


def _preferred(frame: pl.DataFrame, raw: pl.DataFrame, claim: Claim) -> pl.DataFrame:
    """Add the rank of each row's source, and its name for `data_source`."""
    table = claim.table
    prefer = table.prefer if isinstance(table, Bars) else None
    if prefer is None:
        return frame.with_columns(
            pl.lit(0, pl.Int32).alias(_RANK), pl.lit(table.label).alias(_SOURCE)
        )
    source = raw.select(filled_text(pl.col(prefer.column))).to_series().rename(_SOURCE)
    rank = {word: n for n, word in enumerate(prefer.order)}
    ranks = source.replace_strict(rank, default=None, return_dtype=pl.Int32).rename(_RANK)
    named = (
        pl.select(pl.concat_str(pl.lit(f"{table.label} of "), source)).to_series()
        if table.label
        else source
    )
    return frame.with_columns(ranks, named.rename(_SOURCE)).drop_nulls(_RANK)


def bars(claims: Iterable[Claim], key: str, name: str, symbol: str | None) -> pl.DataFrame:
    """Return daily bars with a close, one row per series and date, best source first."""
    equal = {key: symbol} if symbol else {}
    regular: list[pl.DataFrame] = []
    last_resort: list[pl.DataFrame] = []
    for rank, claim in enumerate(claims):
        is_last = isinstance(claim.table, Bars) and claim.table.last_resort
        rows = rows_of(claim, **equal).drop_nulls([key, "quote_date", "close"])
        rows = rows.with_columns(pl.lit(rank).alias("__table"))
        (last_resort if is_last else regular).append(rows)
    frames = regular if any(rows.height for rows in regular) else last_resort
    if not frames:
        return pl.DataFrame()
    frame = pl.concat(frames, how="diagonal_relaxed").sort(key, "quote_date", "__table", _RANK)
    label = pl.concat_str(
        pl.lit(name),
        pl.when(pl.col(_SOURCE) != "").then(": " + pl.col(_SOURCE)).otherwise(pl.lit("")),
    )
    return frame.unique([key, "quote_date"], keep="first", maintain_order=True).with_columns(
        data_source=label, snapshot=pl.lit("EOD")
    )


def latest_curve(claims: Iterable[Claim], session: date) -> Iterator[dict[str, object]]:
    """Yield tenors of the freshest curve known at a session's end, overnight rate first."""
    best: tuple[date, Claim, dict[float, float]] | None = None
    overnight: tuple[date, Claim, dict[float, float]] | None = None
    for claim in claims:
        table = claim.table
        assert isinstance(table, Curves)
        found = _last_quotes(claim, table, session)
        if found is None:
            continue
        if table.quoted == "overnight":
            overnight = max(overnight, found, key=_day_of) if overnight else found
        elif best is None or found[0] > best[0]:
            best = found
    if best is None:
        best, overnight = overnight, None
    if best is None:
        return
    is_fresh = overnight and best[0] - overnight[0] <= timedelta(days=_CURVE_SPREAD_DAYS)
    if overnight and is_fresh and min(best[2]) > _BILL_TENOR:
        yield from _zero_rates(*overnight)
    yield from _zero_rates(*best)


def _day_of(found: tuple[date, Claim, dict[float, float]]) -> date:
    return found[0]


def _zero_rates(day: date, claim: Claim, quotes: dict[float, float]) -> Iterator[dict[str, object]]:
    table = claim.table
    assert isinstance(table, Curves)
    zeros = quotes
    if table.quoted == "par":
        zeros = par_to_zero(quotes)
    elif table.quoted == "overnight":
        zeros = {tenor: sofr_to_continuous(rate) for tenor, rate in quotes.items()}
    source = table.label or claim.table_name.removeprefix("rates.")
    for tenor, zero in sorted(zeros.items()):
        yield {"tenor_years": tenor, "zero_rate": zero, "source": source, "curve_date": day}


def _last_quotes(
    claim: Claim, table: Curves, session: date
) -> tuple[date, Claim, dict[float, float]] | None:
    quotes = curve_quotes(claim, table)
    last = session if table.published == "same_session" else session - timedelta(days=1)
    known = quotes.filter(pl.col("curve_date") <= last)
    if known.is_empty():
        return None
    day = known["curve_date"].max()
    assert isinstance(day, date)
    rows = known.filter(pl.col("curve_date") == day).select("tenor", "rate")
    return day, claim, dict(rows.iter_rows())


def curve_quotes(claim: Claim, table: Curves) -> pl.DataFrame:
    """Return quotes of a rates file as (curve_date, tenor, rate as decimal); cached per process."""
    key = (claim.part, claim.part.fingerprint, table.model_dump_json())
    if key not in _QUOTES:
        _QUOTES[key] = _read_quotes(claim, table)
    return _QUOTES[key]


def _read_quotes(claim: Claim, table: Curves) -> pl.DataFrame:
    if "series" in table.columns:
        frame = rows_of(claim).with_columns(name=pl.col("series").str.to_lowercase())
    else:
        dated = {"curve_date": table.columns["curve_date"]}
        tenors = {name: Cell(column=(name,), optional=True) for name in table.tenors}
        wide = rows_of(
            Claim(
                claim.part,
                claim.table_name,
                table.model_copy(update={"columns": {**dated, **tenors}}),
                claim.mapping,
            )
        )
        on = [name for name in table.tenors if name in wide.columns]
        frame = wide.unpivot(on, index="curve_date", variable_name="name", value_name="value")
    tenor = {normalised(name): years for name, years in table.tenors.items()}
    return (
        frame.with_columns(
            tenor=pl.col("name").replace_strict(tenor, default=None, return_dtype=pl.Float64),
            rate=pl.col("value") * table.scale,
        )
        .drop_nulls(["curve_date", "tenor", "rate"])
        .select("curve_date", "tenor", "rate")
        .unique(["curve_date", "tenor"], keep="first", maintain_order=True)
        .sort("curve_date", "tenor")
    )
