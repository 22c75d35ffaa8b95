"""One run over many sessions: a bad day fails alone, the good ones are logged as made.

Belongs here: the loop over the partitions of a run. Dagster has no failure of single partitions, so
the good days are logged one by one before the step fails (docs: partitions and backfills).
"""

import logging
from collections.abc import Callable, Iterable
from datetime import date
from time import perf_counter

import dagster as dg

from volsurf_assets.intake import SessionFailed
from volsurf_assets.metadata import Metadata
from volsurf_resources.source import TryLater

Listener = Callable[[str, date, str | None], None]  # table, session, reason of failure if any

_log = logging.getLogger("volsurf.assets")


def each_day(
    context: dg.AssetExecutionContext,
    make: Callable[[date], Metadata],
    progress: Listener,
    last: Callable[[date], Metadata] | None = None,
    retries: dg.RetryPolicy | None = None,
) -> dg.MaterializeResult[None]:
    """Make every partition of a run; `last` adds to the metadata of the last one.

    Raises
    ------
    dg.RetryRequested
        After all days were tried, if a pause may help one that failed. Dagster's own application of
        a policy would also retry a defect of the code, and Ctrl-C.
    dg.Failure
        If any failed otherwise; its metadata names the days and reasons.
    """
    made: dict[str, Metadata] = {}
    failed: dict[str, Exception] = {}
    name = context.asset_key.path[-1]
    days = list(context.partition_keys)
    for key in days:
        day, began = date.fromisoformat(key), perf_counter()
        try:
            made[key] = make(day)
            _log.info("%s of %s took %.3f s", name, key, perf_counter() - began)
            progress(name, day, None)
        except Exception as error:
            unexpected = None if _is_expected(error) else error
            _log.warning("%s of %s failed: %s", name, key, reason(error), exc_info=unexpected)
            failed[key] = error
            progress(name, day, reason(error))
    if made and last is not None:
        made[max(made)].update(last(date.fromisoformat(max(made))))
    if failed:
        for key, metadata in made.items():
            context.log_event(
                dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata)
            )
        _ask_for_retry(context, failed.values(), retries)
        raise _failure(failed, len(days))
    if len(days) == 1:
        return dg.MaterializeResult(metadata=made[days[0]])
    for key, metadata in made.items():
        context.add_asset_metadata(metadata, partition_key=key)
    return dg.MaterializeResult()


def reason(error: Exception) -> str:
    """Return an error as one line: what the event log and the summaries say."""
    return str(error) if isinstance(error, SessionFailed) else f"{type(error).__name__}: {error}"


def attempt(context: dg.AssetExecutionContext) -> int:
    """Return how often this step was tried before in its run."""
    return context.op_execution_context.retry_number


def _ask_for_retry(
    context: dg.AssetExecutionContext,
    errors: Iterable[Exception],
    retries: dg.RetryPolicy | None,
) -> None:
    tried = attempt(context)
    if retries and tried < retries.max_retries and any(map(_may_retry, errors)):
        raise dg.RetryRequested(
            max_retries=retries.max_retries, seconds_to_wait=retries.calculate_delay(tried + 1)
        )


def _failure(failed: dict[str, Exception], n_days: int) -> dg.Failure:
    reasons = {key: reason(error) for key, error in failed.items()}
    alike: dict[str, list[str]] = {}
    for key, words in reasons.items():
        alike.setdefault(words, []).append(key)
    shown = "; ".join(f"{_days(keys)}: {words}" for words, keys in list(alike.items())[:5])
    return dg.Failure(
        f"{len(failed)} of {n_days} sessions failed: {shown}",
        metadata={"failed_days": dg.MetadataValue.json(reasons)},
        allow_retries=False,
    )


def _days(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more"


def _may_retry(error: Exception) -> bool:
    return isinstance(error, TryLater) or (isinstance(error, SessionFailed) and error.may_retry)


def _is_expected(error: Exception) -> bool:
    return isinstance(error, SessionFailed)
