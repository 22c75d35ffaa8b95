"""One run over many sessions: a bad day fails alone, the good ones are logged as made.

Belongs here: the loop over the partitions of a run. Dagster has no failure of single partitions, so
the good days are logged one by one before the step fails (docs: partitions and backfills).
"""

import logging
from collections.abc import Callable
from datetime import date

import dagster as dg

from volsurf_assets.metadata import Metadata
from volsurf_resources.source import TryLater

Listener = Callable[[str, date, str | None], None]  # table, session, reason of failure if any

_log = logging.getLogger("volsurf.assets")


class SessionFailed(Exception):
    """A session that could not be made whole; `may_retry` says whether a pause may help."""

    def __init__(self, message: str, *, may_retry: bool = False) -> None:
        super().__init__(message)
        self.may_retry = may_retry


def each_day(
    context: dg.AssetExecutionContext,
    make: Callable[[date], Metadata],
    progress: Listener,
    last: Callable[[date], Metadata] | None = None,
) -> dg.MaterializeResult[None]:
    """Make every partition of a run; `last` adds to the metadata of the last one.

    Raises
    ------
    dg.Failure
        After all days were tried, if any failed; its metadata names the days and reasons.
    """
    made: dict[str, Metadata] = {}
    failed: dict[str, Exception] = {}
    name = context.asset_key.to_user_string()
    days = list(context.partition_keys)
    for key in days:
        day = date.fromisoformat(key)
        try:
            made[key] = make(day)
            progress(name, day, None)
        except Exception as error:
            _log.warning("%s of %s failed", name, key, exc_info=not _is_expected(error))
            failed[key] = error
            progress(name, day, reason(error))
    if made and last is not None:
        made[max(made)].update(last(date.fromisoformat(max(made))))
    if failed:
        _fail(context, made, failed)
    if len(days) == 1:
        return dg.MaterializeResult(metadata=made[days[0]])
    for key, metadata in made.items():
        context.add_asset_metadata(metadata, partition_key=key)
    return dg.MaterializeResult()


def reason(error: Exception) -> str:
    """Return an error as one line: what the event log and the summaries say."""
    return str(error) if isinstance(error, SessionFailed) else f"{type(error).__name__}: {error}"


def _fail(
    context: dg.AssetExecutionContext, made: dict[str, Metadata], failed: dict[str, Exception]
) -> None:
    for key, metadata in made.items():
        context.log_event(
            dg.AssetMaterialization(context.asset_key, partition=key, metadata=metadata)
        )
    reasons = {key: reason(error) for key, error in failed.items()}
    raise dg.Failure(
        f"{len(failed)} of {len(failed) + len(made)} sessions failed: "
        + "; ".join(f"{key}: {words}" for key, words in list(reasons.items())[:5]),
        metadata={"failed_days": dg.MetadataValue.json(reasons)},
        allow_retries=any(_may_retry(error) for error in failed.values()),
    )


def _may_retry(error: Exception) -> bool:
    return isinstance(error, TryLater) or (isinstance(error, SessionFailed) and error.may_retry)


def _is_expected(error: Exception) -> bool:
    return isinstance(error, SessionFailed)
