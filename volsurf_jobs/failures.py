"""Why a run failed, in words for a person: summaries and alerts say the same.

Belongs here: finding the cause in a run's events, and the sessions that it cost. Not here: what is
told to whom.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import date

import dagster as dg

from volsurf_jobs.outcomes import Outcome

_MODULE = re.compile(r"^(?:\w+\.)+(?=\w+: )")  # before the name of an error


def causes(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Return the reason of every failed step; of the run itself where no step failed."""
    failures = [event for event in events if event.is_step_failure or event.is_run_failure]
    steps = [event for event in failures if event.is_step_failure]
    return [_cause(event) for event in steps or failures]


def was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a step was ended by Ctrl-C, which Dagster reports as its failure."""
    errors = [event.step_failure_data.error for event in result.all_events if event.is_step_failure]
    return any(e and e.cls_name == dg.DagsterExecutionInterruptedError.__name__ for e in errors)


def note_failing(
    result: dg.ExecuteInProcessResult, days: Sequence[date], tables: Sequence[str],
    outcomes: dict[date, Outcome],
) -> set[date]:  # fmt: skip
    """Return the sessions that failed in `tables`; a run that failed otherwise fails them all."""
    failing = {day for day in days if set(tables) & set(outcomes[day].problems)}
    if not result.success and not failing:
        failing = set(days)
        for day in failing:
            outcomes[day].problems[result.job_def.name] = "; ".join(causes(result.all_events))
    return failing


def _cause(event: dg.DagsterEvent) -> str:
    if event.is_step_failure:
        of_step = event.step_failure_data
        if of_step.user_failure_data and of_step.user_failure_data.description:
            return f"{event.step_key}: {of_step.user_failure_data.description}"
        error = of_step.error
    else:
        error = event.job_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    said = error.message.strip() if error else event.message or "the run failed"
    said = _MODULE.sub("", said)
    return f"{event.step_key}: {said}" if event.is_step_failure else said
