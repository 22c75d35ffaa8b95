"""What is worth an alert, and what to do about it.

Belongs here: turning failed runs, failed checks and missing sessions into alerts. Not here: how
they are sent (volsurf_resources), or when one looks (`sensors`).
"""

import json
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from volsurf_jobs.failures import causes
from volsurf_resources.alerting import Alert, Alerter
from volsurf_resources.settings import Settings

_ALERTING_CHECKS = {
    "fit_error_is_small": "look at the fits of these sessions: `volsurf status`, then the UI",
    "parameters_have_not_jumped": "compare the quotes of both sessions; a move of the market is "
    "seen in surface_changes as well",
    "fit_quality_has_not_degraded": "compare the quotes of these sessions with those before",
    "quote_quality_has_not_degraded": "look at quote_issues of these sessions; fetch them again "
    "if the source was at fault",
    "arbitrage_share_below_1_percent": "look at fitted_surfaces where passes_no_arbitrage is false",
    "no_numerical_failures": "look at the reasons in the table and report the fit",
    "key_is_unique": "the partition is damaged: run it again with force",
    "schema_matches": "the partition is damaged: run it again with force",
}


def tell_of_run(instance: dg.DagsterInstance, run: dg.DagsterRun, settings: Settings) -> int:
    """Send the alerts of a finished run; return how many went out."""
    alerter = Alerter(settings)
    if not alerter.channels:
        return 0
    alerts = list(of_failed_checks(instance, run))
    if run.status is dg.DagsterRunStatus.FAILURE:
        alerts.append(of_failed_run(instance, run))
    return sum(alerter.send(alert) for alert in alerts)


def of_missing(day: date, symbols: Sequence[str]) -> Iterator[Alert]:
    """Yield an alert for each symbol whose latest closed session is not in the lake."""
    for symbol in symbols:
        yield Alert(
            id=f"missing/{symbol}/{day}",
            severity="error",
            title=f"{symbol} {day} is missing",
            detail=f"The session of {day} has closed and the lake has no chain of {symbol}.",
            action=f"check the source, then run `volsurf eod` or `volsurf ingest daily {symbol}`",
        )


def of_failed_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Alert:
    """Return the alert of a run that failed: the steps and the first reasons."""
    failures = instance.get_records_for_run(
        run.run_id, of_type={dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    ).records
    events = (record.event_log_entry.dagster_event for record in failures)
    reasons = causes(event for event in events if event is not None)
    days = _days_of(run)
    return Alert(
        id=f"run/{run.job_name}/{days or run.run_id}/{'; '.join(reasons)[:200]}",
        severity="error",
        title=f"{run.job_name} {days} failed".replace("  ", " "),
        detail="\n".join(reasons) or "The run ended without telling why.",
        action=f"look at run {run.run_id} in the UI; materialise the failed sessions again",
    )


def of_failed_checks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Iterator[Alert]:
    """Yield an alert for each check of a run that failed and is worth one, by its sessions."""
    records = instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    for record in records:
        event = record.event_log_entry.dagster_event
        found: Any = None if event is None else event.event_specific_data
        if found is None or found.passed or found.check_name not in _ALERTING_CHECKS:
            continue
        table = found.asset_key.to_user_string()
        said = {name: value.value for name, value in found.metadata.items()}
        for day in said.get("dates", []) or [_days_of(run)]:
            yield Alert(
                id=f"check/{table}/{found.check_name}/{day}",
                severity="warning",
                title=f"{table} {day}: not true that {found.check_name.replace('_', ' ')}",
                detail=json.dumps(said, default=str),
                action=_ALERTING_CHECKS[found.check_name],
            )


def _days_of(run: dg.DagsterRun) -> str:
    first = run.tags.get("dagster/asset_partition_range_start")
    last = run.tags.get("dagster/asset_partition_range_end")
    if first is None or last is None:
        return run.tags.get("dagster/partition", "")
    return first if first == last else f"{first}..{last}"
