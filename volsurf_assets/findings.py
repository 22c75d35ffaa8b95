"""What can be wrong with rows: frames in, offending rows or measures out.

Belongs here: the rules behind the checks. Not here: Dagster, or which table a rule applies to
(`checks`).
"""

from collections.abc import Sequence
from datetime import date

import polars as pl

from volsurf_tables.table import Column, Table

TRAILING = 20  # sessions that a measure is compared with
_FEWEST_TRAILING = 5
_FEWEST_CHANGES = 10  # a deviation is less well known than a median
USED = ("fitted", "carried")  # statuses of smiles that have parameters


def repeated_keys(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return the keys that stand in several rows, or lack a value."""
    keys = rows.select(table.key)
    return keys.filter(keys.is_duplicated() | pl.any_horizontal(pl.all().is_null())).unique(
        maintain_order=True
    )


def schema_differences(stored: pl.Schema, table: Table) -> list[str]:
    """Return how the columns of a stored file differ from the contract's."""
    expected = table.schema
    differences = [f"lacks {name}" for name in expected if name not in stored]
    differences += [f"has {name} besides" for name in stored if name not in expected]
    differences += [
        f"{name} is {stored[name]}, not {dtype}"
        for name, dtype in expected.items()
        if name in stored and stored[name] != dtype
    ]
    return differences


def outside_limits(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return key, column and value of whatever the contract calls impossible."""
    found = [
        rows.filter(is_outside).select(
            *table.key, column=pl.lit(column.name), found=pl.col(column.name).cast(pl.String)
        )
        for column in table.columns
        if (is_outside := _is_outside(column)) is not None
    ]
    return pl.concat(found) if found else pl.DataFrame()


def _is_outside(column: Column) -> pl.Expr | None:
    value = pl.col(column.name)
    broken: list[pl.Expr] = []
    if column.low is not None:
        broken.append(value < column.low)
    if column.high is not None:
        broken.append(value > column.high)
    if column.dtype.is_float() and broken:
        broken.append(value.is_nan())
    if column.one_of:
        broken.append(~value.is_in(list(column.one_of)))
    return pl.any_horizontal(broken).fill_null(False) if broken else None


def missing_sessions(stored: Sequence[date], calendar: Sequence[date]) -> list[date]:
    """Return the sessions of the calendar, between the first and last stored, that are absent."""
    if not stored:
        return []
    have, first, last = set(stored), min(stored), max(stored)
    return [day for day in calendar if first <= day <= last and day not in have]


def median_error(smiles: pl.DataFrame) -> pl.DataFrame:
    """Return symbol, quote_date and the median rmse of the smiles fitted, in vol points."""
    fitted = smiles.filter(pl.col("status") == "fitted")
    return fitted.group_by("symbol", "quote_date").agg(measure=pl.median("rmse"))


def arbitrage_share(smiles: pl.DataFrame) -> pl.DataFrame:
    """Return symbol, quote_date and the share of used smiles that allow arbitrage."""
    used = smiles.filter(pl.col("status").is_in(USED))
    return used.group_by("symbol", "quote_date").agg(
        measure=1.0 - pl.col("passes_no_arbitrage").mean()
    )


def numerical_failures(fits: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return the fits that failed as computations, even where a carried one stands in."""
    did_not_converge = pl.col("reason").str.starts_with("no convergence").fill_null(False)
    failed = fits.filter((pl.col("status") == "failed") | did_not_converge)
    return failed.select(*table.key, "reason")


def issue_share(issues: pl.DataFrame, contracts: pl.DataFrame) -> pl.DataFrame:
    """Return symbol, quote_date and the share of contracts with an error or warning."""
    of_day = ("symbol", "quote_date")
    serious = issues.filter(pl.col("severity").is_in(["error", "warning"]))
    broken = serious.group_by(of_day).agg(broken=pl.col("contract_id").n_unique())
    counted = contracts.group_by(of_day).agg(total=pl.col("contract_id").n_unique())
    shares = counted.join(broken, on=of_day, how="left")
    return shares.select(*of_day, measure=pl.col("broken").fill_null(0) / pl.col("total"))


def degraded(
    measures: pl.DataFrame, days: Sequence[date], *, factor: float, margin: float
) -> pl.DataFrame:
    """Return the days whose measure is beyond `factor` x trailing median + `margin`.

    `measures` has symbol, quote_date and measure, of the days and of those before them; the median
    is over up to 20 sessions strictly before, and needs 5.
    """
    trailing = (
        pl.col("measure")
        .shift(1)
        .rolling_median(TRAILING, min_samples=_FEWEST_TRAILING)
        .over("symbol")
    )
    return (
        measures.sort("symbol", "quote_date")
        .with_columns(usual=trailing)
        .filter(
            pl.col("quote_date").is_in(list(days))
            & (pl.col("measure") > factor * pl.col("usual") + margin)
        )
    )


def parameter_values(fits: pl.DataFrame, table: Table, parameters: Sequence[str]) -> pl.DataFrame:
    """Return key, parameter, value and std_error of what was fitted, one row per parameter."""
    fitted = fits.filter(pl.col("status") == "fitted")
    return pl.concat(
        fitted.select(
            *table.key,
            parameter=pl.lit(name),
            value=name,
            std_error=pl.col(f"{name}_std_error").fill_null(0.0),
        )
        for name in parameters
    )


def jumps(values: pl.DataFrame, days: Sequence[date], deviations: float) -> pl.DataFrame:
    """Return the parameters that moved by more than so many standard deviations, old and new.

    `values` are `parameter_values` of the days and of those before them. The deviation is that of
    up to 20 changes strictly before, of which it needs 10, and of the errors of both values.
    """
    series = values.drop("quote_date", "value", "std_error").columns
    value, error, change = pl.col("value"), pl.col("std_error"), pl.col("value").diff()
    past = change.shift(1).rolling_var(TRAILING, min_samples=_FEWEST_CHANGES)
    noise = error**2 + error.shift(1) ** 2
    return (
        values.sort(*series, "quote_date")
        .with_columns(
            before=value.shift(1).over(series),
            change=change.over(series),
            deviation=(past + noise).sqrt().over(series),
        )
        .filter(
            pl.col("quote_date").is_in(list(days))
            & (pl.col("change").abs() > deviations * pl.col("deviation"))
        )
        .select("quote_date", *series, "before", now="value", usual="deviation")
    )


def without_price(contracts: pl.DataFrame, bars: pl.DataFrame) -> pl.DataFrame:
    """Return the symbols and days that have a chain, and no positive close of the underlying."""
    of_day = ("symbol", "quote_date")
    priced = bars.filter(pl.col("close") > 0.0)
    return contracts.select(of_day).unique().join(priced, on=of_day, how="anti").sort(of_day)


def old_curves(rates: pl.DataFrame, days: Sequence[date], most_days: int) -> pl.DataFrame:
    """Return the days without a curve, or with one older than `most_days`, with its age."""
    wanted = pl.DataFrame({"quote_date": list(days)}, schema={"quote_date": pl.Date})
    newest = rates.group_by("quote_date").agg(pl.max("curve_date"))
    age = (pl.col("quote_date") - pl.col("curve_date")).dt.total_days()
    return (
        wanted.join(newest, on="quote_date", how="left")
        .with_columns(age_days=age)
        .filter(age.is_null() | (age > most_days))
    )
