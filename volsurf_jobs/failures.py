"""Why a run failed, in words for a person: summaries and alerts say the same.

Belongs here: finding the cause in a run's events. Not here: what is told to whom.
"""

from collections.abc import Iterable

import dagster as dg


def causes(events: Iterable[dg.DagsterEvent]) -> list[str]:
    """Return the reason of every failed step; of the run itself where no step failed."""
    failures = [event for event in events if event.is_step_failure or event.is_run_failure]
    steps = [event for event in failures if event.is_step_failure]
    return [_cause(event) for event in steps or failures]


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
    return f"{event.step_key}: {said}" if event.is_step_failure else said
