"""The zero curve out of the vendor's SOFR and Treasury prints.

Belongs here: which prints were known, and which make one curve. Not here: the conventions of
yields (`volsurf_resources.rates`).
"""

from collections import defaultdict
from datetime import date

import polars as pl

from volsurf_resources.rates import par_to_zero, sofr_to_continuous
from volsurf_resources.theta.translation import DAYS_PER_YEAR, END_OF_DAY, in_schema
from volsurf_tables.market import MARKET_RATES

SOFR = "SOFR"
TREASURIES = {
    "TREASURY_M1": 1 / 12,
    "TREASURY_M3": 0.25,
    "TREASURY_M6": 0.5,
    **{f"TREASURY_Y{years}": float(years) for years in (1, 2, 3, 5, 7, 10, 20, 30)},
}


def market_rates(prints: pl.DataFrame, session: date) -> pl.DataFrame:
    """Return the zero curve that was known when `session` ended, in the schema of `market_rates`.

    `prints` are rows of (series, created, rate in percent). The Treasury curve of a day is out
    after the close and SOFR on the next morning, so the session's own date is not used. The
    Treasury curve is the newest of those with the most tenors, so that none is mixed of two days.
    """
    known = prints.filter(pl.col("created") < session, pl.col("rate").is_not_null())
    days: dict[date, dict[str, float]] = defaultdict(dict)
    for series, day, rate in known.select("series", "created", "rate").iter_rows():
        days[day][series] = rate / 100.0
    rows = []
    if overnight := max((day for day in days if SOFR in days[day]), default=None):
        rate = sofr_to_continuous(days[overnight][SOFR])
        rows.append((1.0 / DAYS_PER_YEAR, rate, SOFR, overnight))
    curves = {day: days[day].keys() & TREASURIES.keys() for day in days}
    newest = max(curves, key=lambda day: (len(curves[day]), day), default=None)
    if newest and curves[newest]:
        series_of = {TREASURIES[series]: series for series in curves[newest]}
        zeros = par_to_zero({tenor: days[newest][name] for tenor, name in series_of.items()})
        rows += [(tenor, zero, series_of[tenor], newest) for tenor, zero in zeros.items()]
    names = ["tenor_years", "zero_rate", "source", "curve_date"]
    curve = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.lit(session).alias("quote_date"), pl.lit(END_OF_DAY).alias("snapshot")
    )
    return in_schema(curve, MARKET_RATES)
