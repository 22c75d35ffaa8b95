"""The checks of every table: those that follow from its contract, and those that need judgement.

Belongs here: what a contract implies, and the Dagster side of every check. Not here: looks that
need judgement (`judgements`), or the rules (`findings`). A check is named as the sentence that is
true when it passes; it names the sessions where it does not. Structural checks block what is
downstream, the others warn.
"""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from volsurf_assets import findings
from volsurf_assets.intake import Clock
from volsurf_assets.judgements import JUDGEMENTS, Check, Finding, View, shown
from volsurf_assets.partitions import Place
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_tables.table import Table


def contract_checks(table: Table) -> tuple[Check, ...]:
    """Return the checks that a table's contract implies."""

    def key(view: View) -> Finding:
        return _day_by_day(
            view, lambda day: findings.repeated_keys(view.rows(table, [day], *table.key), table)
        )

    def limits(view: View) -> Finding:
        limited = [c.name for c in table.columns if c.low is not None or c.high or c.one_of]
        columns = dict.fromkeys((*table.key, *limited))
        return _day_by_day(
            view, lambda day: findings.outside_limits(view.rows(table, [day], *columns), table)
        )

    return (
        Check("key_is_unique", table, f"One row per {', '.join(table.key)}.", key, True),
        Check(
            "schema_matches", table, "The stored columns are those of the contract.",
            lambda view: _schema(view, table), True,
        ),
        Check("values_within_limits", table, "No value is beyond its column's limits.", limits),
    )  # fmt: skip


def _day_by_day(view: View, offending: Callable[[date], pl.DataFrame]) -> Finding:
    found = [(day, rows) for day in view.days if not (rows := offending(day)).is_empty()]
    return Finding(tuple(day for day, _ in found), shown(rows for _, rows in found))


def _schema(view: View, table: Table) -> Finding:
    wrong: dict[date, list[str]] = {}
    for day in view.days:
        footer = view.lake.footer(table.name, day)
        if footer is None or footer.schema_version < table.version:
            continue  # nothing there, or an older version that is read through
        stored = pl.read_parquet_schema(view.lake.path(table.name, day))
        if differences := findings.schema_differences(pl.Schema(stored), table):
            wrong[day] = differences
    return Finding(tuple(wrong), tuple(f"{day}: {', '.join(d)}" for day, d in wrong.items()))


def checks_of(table: Table) -> tuple[Check, ...]:
    """Return all checks of a table."""
    return (*contract_checks(table), *(check for check in JUDGEMENTS if check.table is table))


def as_asset_checks(table: Table, place: Place) -> dg.AssetChecksDefinition:
    """Wrap all checks of a table: one step, one result each for the sessions of the run."""
    checks = checks_of(table)

    @dg.multi_asset_check(
        name=f"{place.step(table.name)}_checks",
        specs=[
            dg.AssetCheckSpec(
                check.name,
                asset=place.key(table.name),
                description=check.meaning,
                blocking=check.is_blocking,
            )
            for check in checks
        ],
        can_subset=True,
    )
    def run(
        context: dg.AssetCheckExecutionContext,
        lake: dg.ResourceParam[Lake],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
    ) -> Iterable[dg.AssetCheckResult]:
        view = View(lake, _days(context, lake, table), settings, clock)
        chosen = {key.name for key in context.selected_asset_check_keys}
        for check in checks:
            if check.name in chosen:
                yield _result(check, place.key(table.name), check.look(view))

    return run


def _days(context: dg.AssetCheckExecutionContext, lake: Lake, table: Table) -> tuple[date, ...]:
    """Return the sessions of the run that are stored; all of the lake's, run without partition."""
    stored = lake.days(table.name)
    if not context.has_partition_key and not context.run.tags.get(_RANGE):
        return tuple(stored)
    return tuple(sorted(set(map(date.fromisoformat, context.partition_keys)) & set(stored)))


_RANGE = "dagster/asset_partition_range_start"


def _result(check: Check, asset: dg.AssetKey, finding: Finding) -> dg.AssetCheckResult:
    said: dict[str, Any] = {name: dg.MetadataValue.float(v) for name, v in finding.measures}
    if finding.dates:
        said["dates"] = [str(day) for day in finding.dates]
    if finding.details:
        said["offending"] = list(finding.details)
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=check.name,
        passed=finding.is_true,
        severity=dg.AssetCheckSeverity.ERROR if check.is_blocking else dg.AssetCheckSeverity.WARN,
        metadata=said,
    )
