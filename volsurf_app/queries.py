"""Questions to the lake, answered as frames.

Belongs here: every look at stored tables that the app takes. Nothing is written, and nothing is
computed that a table holds. Not here: how an answer is printed or drawn.
"""

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from statistics import median

import polars as pl

from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.lake import Lake
from volsurf_resources.logbook import daily_paths
from volsurf_resources.settings import Settings

SMILE_COLUMNS = (
    *("root", "expiration_date", "tte_years", "atm_vol", "skew_25delta", "rmse", "max_error"),
    *("inside_spread_share", "num_points", "violations", "status", "reason"),
)


def open_lake(settings: Settings) -> Lake:
    """Return the lake that the settings name."""
    return Lake(settings.lake_root, history=settings.history_root)


def symbols(lake: Lake) -> list[str]:
    """Return the symbols of the newest stored chains and bars."""
    found: set[str] = set()
    for table in ("raw_options_chains", "underlying_prices"):
        for day in lake.days(table)[-1:]:
            footer = lake.footer(table, day)
            found.update(footer.parts if footer else ())
    return sorted(found)


def smiles(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return the smiles of a session, one row per root and expiry, with errors and outcome.

    `violations` counts butterfly and calendar arbitrage together.
    """
    rows = lake.read("fitted_surfaces", [day], symbols=[symbol])
    counts = ("butterfly_arbitrage_violations", "calendar_arbitrage_violations")
    rows = rows.with_columns(violations=pl.sum_horizontal(counts))
    return rows.sort("expiration_date", "root").select(SMILE_COLUMNS)


def term_structure(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return the power laws of a session."""
    return lake.read("term_structure_params", [day], symbols=[symbol])


def premium(lake: Lake, symbol: str, days: Sequence[date] | None = None) -> pl.DataFrame:
    """Return implied against realised volatility by session."""
    return lake.read("vrp_metrics", days, symbols=[symbol])


def premium_by_tenor(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the premium of sessions as rows of quote_date, days, implied, realised, premium."""
    tenors = [
        rows.select(
            "quote_date",
            days=pl.lit(n),
            implied=f"implied_vol_{n}d",
            realised=f"realized_vol_{n}d",
            premium=f"vrp_{n}d",
        )
        for n in (30, 60, 90)
    ]
    return pl.concat(tenors).sort("quote_date", "days")


def overview(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    """Return one row per session: level, skew, realised, premium, fit error, outcome.

    Columns: quote_date, atm_vol_30d, skew_30d, rv_21d, vrp_30d, vrp_zscore (decimals but for the
    z-score), fit_error (median rmse of the smiles, vol points), fitted, carried, skipped, failed
    (numbers of smiles), status.
    """
    asked = pl.DataFrame({"quote_date": list(days)}, schema={"quote_date": pl.Date})
    vrp = premium(lake, symbol, days).select(
        "quote_date", "vrp_30d", "vrp_zscore", atm_vol_30d="implied_vol_30d", vrp_status="status"
    )
    realised = lake.read("realized_volatility", days, symbols=[symbol])
    joined = asked.join(vrp, on="quote_date", how="left")
    joined = joined.join(realised.select("quote_date", "rv_21d"), on="quote_date", how="left")
    joined = joined.join(_skews(lake, symbol, days), on="quote_date", how="left")
    joined = joined.join(_fits(lake, symbol, days), on="quote_date", how="left")
    return joined.select(
        *("quote_date", "atm_vol_30d", "skew_30d", "rv_21d", "vrp_30d", "vrp_zscore", "fit_error"),
        *(pl.col(outcome).fill_null(0) for outcome in ("fitted", "carried", "skipped", "failed")),
        status=pl.when(pl.col("fit_error").is_null())
        .then(pl.lit("no surface"))
        .otherwise(pl.col("vrp_status").fill_null("no premium")),
    )


def _skews(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    points = lake.read("surface_points", days, symbols=[symbol])
    points = points.filter(pl.col("tenor_days") == 30, pl.col("axis") == "delta")
    put = pl.col("implied_vol").filter(pl.col("coordinate") == -0.25).first()
    call = pl.col("implied_vol").filter(pl.col("coordinate") == 0.25).first()
    return points.group_by("quote_date").agg(skew_30d=put - call)


def _fits(lake: Lake, symbol: str, days: Sequence[date]) -> pl.DataFrame:
    fits = lake.read("fitted_surfaces", days, symbols=[symbol])
    outcomes = ("fitted", "carried", "skipped", "failed")
    return fits.group_by("quote_date").agg(
        pl.col("rmse").filter(pl.col("status") == "fitted").median().alias("fit_error"),
        *((pl.col("status") == outcome).sum().alias(outcome) for outcome in outcomes),
    )


def coverage(lake: Lake, symbol: str, start: date, end: date) -> pl.DataFrame:
    """Return table, quote_date, is_present for every session of a range and every table.

    Tables without symbols (rates, index levels) count as present with any rows of the date.
    """
    rows = []
    for table in lake.tables:
        there = {day for day in lake.days(table.name) if start <= day <= end}
        found = {day for day in there if _has(lake, table.name, day, symbol)}
        rows += [(table.name, day, day in found) for day in sessions(start, end)]
    schema = {"table": pl.String, "quote_date": pl.Date, "is_present": pl.Boolean}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _has(lake: Lake, table: str, day: date, symbol: str) -> bool:
    footer = lake.footer(table, day)
    if footer is None or not footer.parts:
        return False
    return symbol in footer.parts or not lake.table(table).has_symbol


def first_and_last(lake: Lake, symbol: str) -> tuple[date, date] | None:
    """Return the first and last session with a chain of the symbol; None if there is none."""
    days = lake.days("raw_options_chains", symbol)
    return (days[0], days[-1]) if days else None


def last_writes(lake: Lake) -> pl.DataFrame:
    """Return, per table, its newest date: rows, when it became known, by which run and source."""
    rows = []
    for table in lake.tables:
        for day in lake.days(table.name)[-1:]:
            footer = lake.footer(table.name, day)
            if footer is not None:
                origin = footer.provenance
                rows.append(
                    (table.name, day, footer.rows, footer.known_at, origin.source, origin.run_id)
                )
    names = ("table", "quote_date", "rows", "known_at", "source", "run_id")
    return pl.DataFrame(rows, schema=list(names), orient="row")


def issues(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return how many contracts of a session break each quality rule."""
    rows = lake.read("quote_issues", [day], symbols=[symbol])
    return rows.group_by("rule", "severity").len("contracts").sort("contracts", descending=True)


def fit_summary(fits: pl.DataFrame) -> str:
    """Say in a line how many smiles were fitted and how well."""
    errors = fits.filter(pl.col("status") == "fitted")["rmse"].drop_nulls().to_list()
    counts = fits["status"].value_counts().sort("status").rows()
    told = ", ".join(f"{n} {status}" for status, n in counts) or "no smiles"
    return f"{told}; median RMSE {median(errors):.3f} vol points" if errors else told


def api_calls(log: Path) -> pl.DataFrame:
    """Return calls to the vendor by day and status, as the log tells: calls, rows, median ms."""
    lines = [line for path in daily_paths(log) for line in path.read_text().splitlines()]
    told = pl.DataFrame({"line": lines}, schema={"line": pl.String})
    told = told.filter(pl.col("line").str.contains('"volsurf.theta"', literal=True))
    found = told.select(
        day=pl.col("line").str.extract(r'"time": "(\d{4}-\d{2}-\d{2})'),
        status=pl.col("line").str.extract(r"GET \S+ status=(\S+) "),
        ms=pl.col("line").str.extract(r" ms=(\d+) ").cast(pl.Float64),
        rows=pl.col("line").str.extract(r' rows=(\d+)"').cast(pl.Int64),
    )
    counted = found.drop_nulls("status").group_by("day", "status")
    return counted.agg(
        calls=pl.len(), rows=pl.col("rows").sum(), median_ms=pl.col("ms").median()
    ).sort("day", "status")


def last_run(log: Path) -> tuple[str, str] | None:
    """Return when the last run ended and what came of it, as the log tells; None if it does not."""
    for path in reversed(daily_paths(log)):
        for line in reversed(path.read_text().splitlines()):
            if '"volsurf.runs"' in line:
                told = json.loads(line)
                return told["time"][:19].replace("T", " "), told["message"]
    return None


def vendor_differences(lake: Lake, symbol: str, day: date) -> pl.DataFrame:
    """Return how far our vols and deltas are from the vendor's, expiry by expiry.

    Liquid out-of-the-money quotes that both have solved: median difference (ours minus the
    vendor's) and median distance, vols in vol points.
    """
    identity = ["quote_date", "snapshot", "contract_id"]
    theirs = lake.read("raw_options_chains", [day], symbols=[symbol])
    ours = lake.read("option_quotes", [day], symbols=[symbol])
    both = ours.filter("is_liquid", "is_out_of_the_money", pl.col("iv_mid") > 0.0).join(
        theirs.filter(pl.col("vendor_iv") > 0.0).select(*identity, "vendor_iv", "vendor_delta"),
        on=identity,
    )
    vol = 100.0 * (pl.col("iv_mid") - pl.col("vendor_iv"))
    delta = pl.col("delta") - pl.col("vendor_delta")
    return (
        both.group_by("root", "expiration_date")
        .agg(
            quotes=pl.len(),
            vol_difference=vol.median(),
            vol_distance=vol.abs().median(),
            delta_distance=delta.abs().median(),
        )
        .sort("expiration_date", "root")
    )
