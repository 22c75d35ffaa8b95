"""Rate curves of an archive: the freshest one that was known at a session's end.

Belongs here: choosing and joining curves, and their conventions. Not here: bars and quotes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import groupby

import polars as pl

from volsurf_resources.archive.holdings import Claim
from volsurf_resources.archive.mapping import Cell, Curves
from volsurf_resources.archive.series import rows_of
from volsurf_resources.rates import par_to_zero, sofr_to_continuous

# An overnight rate older than this beside the curve would bend it with another day's news; one
# beside a one-month bill would bend it with the repo market's month ends.
_SPREAD_DAYS = 7
_BILL_TENOR = 0.1

_QUOTES: dict[tuple[object, ...], pl.DataFrame] = {}


@dataclass(frozen=True, slots=True)
class _Curve:
    """What one table quoted on one date: tenor in years -> rate, decimal."""

    day: date
    table: Curves
    source: str
    quotes: dict[float, float]

    def zero_rates(self) -> dict[float, float]:
        if self.table.quoted == "par":
            return par_to_zero(self.quotes)
        if self.table.quoted == "overnight":
            return {tenor: sofr_to_continuous(rate) for tenor, rate in self.quotes.items()}
        return self.quotes


def latest_curve(claims: Sequence[Claim[Curves]], session: date) -> Iterator[dict[str, object]]:
    """Yield (tenor_years, zero_rate, source, curve_date) of what was known at a session's end.

    Of curves of the same date the mapping's first table wins. A curve that begins after one month
    gets the overnight rate in front.
    """
    tables = [list(group) for _, group in groupby(claims, key=lambda claim: claim.table_name)]
    known = [curve for table in tables if (curve := _last_known(table, session))]
    curves = [curve for curve in known if curve.table.quoted != "overnight"]
    overnight = [curve for curve in known if curve.table.quoted == "overnight"]
    chosen = [max(curves or overnight, key=lambda curve: curve.day)] if known else []
    if curves and overnight and min(chosen[0].quotes) > _BILL_TENOR:
        front = max(overnight, key=lambda curve: curve.day)
        if chosen[0].day - front.day <= timedelta(days=_SPREAD_DAYS):
            chosen.insert(0, front)
    for curve in chosen:
        for tenor, rate in sorted(curve.zero_rates().items()):
            yield {
                "tenor_years": tenor,
                "zero_rate": rate,
                "source": curve.source,
                "curve_date": curve.day,
            }


def _last_known(claims: Sequence[Claim[Curves]], session: date) -> _Curve | None:
    """Last date with at least half of the tenors that its week quotes."""
    table = claims[0].table
    quotes = pl.concat([_quotes(claim) for claim in claims]).unique(
        ["curve_date", "tenor"], keep="first", maintain_order=True
    )
    last = session if table.published == "same_session" else session - timedelta(days=1)
    known = quotes.filter(pl.col("curve_date") <= last)
    if known.is_empty():
        return None
    end = pl.col("curve_date").max()
    tenors = (
        known.filter(pl.col("curve_date") > end - timedelta(days=_SPREAD_DAYS))
        .group_by("curve_date")
        .agg(pl.len().alias("n"))
        .filter(2 * pl.col("n") >= pl.col("n").max())
    )
    day: date = tenors.select(end).item()
    rows = known.filter(pl.col("curve_date") == day).sort("tenor").select("tenor", "rate")
    source = table.label or claims[0].table_name.removeprefix("rates.")
    return _Curve(day, table, source, dict(rows.iter_rows()))


def _quotes(claim: Claim[Curves]) -> pl.DataFrame:
    """Quotes of a file as (curve_date, tenor, rate); cached per process."""
    key = (claim.part, claim.part.fingerprint, claim.table.model_dump_json())
    if key not in _QUOTES:
        _QUOTES[key] = _read(claim)
    return _QUOTES[key]


def _read(claim: Claim[Curves]) -> pl.DataFrame:
    table = claim.table
    if "series" in table.columns:
        frame = rows_of(claim).with_columns(name=pl.col("series").str.to_lowercase())
    else:
        frame = _unpivoted(claim)
    return (
        frame.with_columns(
            tenor=pl.col("name").replace_strict(
                table.tenors, default=None, return_dtype=pl.Float64
            ),
            rate=pl.col("value") * table.scale,
        )
        .drop_nulls(["curve_date", "tenor", "rate"])
        .select("curve_date", "tenor", "rate")
    )


def _unpivoted(claim: Claim[Curves]) -> pl.DataFrame:
    """One row per date and tenor of a file with a column per tenor."""
    tenors = {name: Cell(column=(name,), optional=True) for name in claim.table.tenors}
    columns = {"curve_date": claim.table.columns["curve_date"], **tenors}
    wide = rows_of(replace(claim, table=claim.table.model_copy(update={"columns": columns})))
    on = [name for name in tenors if name in wide.columns]
    return wide.unpivot(on, index="curve_date", variable_name="name", value_name="value")
