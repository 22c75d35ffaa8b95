"""What makes things run, or somebody be told, besides the clock.

Belongs here: looking, and asking for a run or sending an alert. Not here: what an alert says
(`alerts`) or what a run does (`jobs`).
"""

from datetime import date, timedelta
from hashlib import blake2b
from pathlib import Path

import dagster as dg

from volsurf_assets.graph import RECIPES
from volsurf_assets.intake import Clock, usable_footer
from volsurf_assets.market import MARKET_TABLES, SESSIONS_PER_RUN
from volsurf_assets.settling import stale_partitions
from volsurf_jobs.alerts import of_missing, tell_of_run
from volsurf_jobs.jobs import INGEST, PUBLISH, SETTLE
from volsurf_jobs.ranges import neighbours, range_tags
from volsurf_resources.alerting import Alerter
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_resources.source import MarketSource
from volsurf_tables.market import RAW_OPTIONS_CHAINS

GRACE = timedelta(hours=3)  # from the close until a session counts as missing
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
_RUNNING = dg.DefaultSensorStatus.RUNNING

Answer = dg.SensorResult | dg.SkipReason


@dg.sensor(
    job_name=INGEST,
    minimum_interval_seconds=60,
    default_status=_RUNNING,
    description="New or changed files in the archive: their sessions are loaded.",
)
def archive_files(
    context: dg.SensorEvaluationContext,
    source: dg.ResourceParam[MarketSource],
    settings: dg.ResourceParam[Settings],
) -> Answer:
    """Ask for the sessions of files that are new or have changed; `stale_partitions` follows."""
    from volsurf_resources.archive import Archive

    if not isinstance(source, Archive):
        return dg.SkipReason("VOLSURF_SOURCE is not archive")
    cursor, found = source.new_sessions(context.cursor)
    days = _days_by_symbols(found, settings)
    if not days:
        return dg.SensorResult(skip_reason="no new files", cursor=cursor)
    stamp = blake2b(cursor.encode(), digest_size=8).hexdigest()
    requests = [
        dg.RunRequest(
            run_key=f"{symbols}/{chunk[0]}/{stamp}",
            tags=range_tags(chunk),
            run_config=_fetching(symbols),
        )
        for symbols, of_symbols in days.items()
        for chunk in neighbours(of_symbols, settings.calendar, SESSIONS_PER_RUN)
    ]
    return dg.SensorResult(run_requests=requests, cursor=cursor)


def _days_by_symbols(
    found: dict[str, list[date]], settings: Settings
) -> dict[tuple[str, ...], list[date]]:
    """Return the sessions that are wanted, by the symbols that each has news of."""
    symbols: dict[date, list[str]] = {}
    for symbol in settings.symbols:
        for day in found.get(symbol, []):
            if day >= settings.ingestion_start_date:
                symbols.setdefault(day, []).append(symbol)
    days: dict[tuple[str, ...], list[date]] = {}
    for day in sorted(symbols):
        days.setdefault(tuple(symbols[day]), []).append(day)
    return days


def _fetching(symbols: tuple[str, ...]) -> dict[str, object]:
    config = {"config": {"symbols": list(symbols)}}
    return {"ops": {table.name: config for table in MARKET_TABLES if table.has_symbol}}


@dg.sensor(
    name="stale_partitions",
    job_name=SETTLE,
    minimum_interval_seconds=60,
    default_status=_RUNNING,
    description="Partitions that lack, or whose inputs, code or settings have changed: made again.",
)
def stale_partitions_sensor(
    context: dg.SensorEvaluationContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
) -> Answer:
    """Ask for one settling run when nothing else is running and something is stale."""
    state = f"{lake_state(lake)}/{settings.fingerprint}/{[r.code_version for r in RECIPES]}"
    if context.cursor == state:
        return dg.SkipReason("the lake has not changed")
    if _is_busy(context.instance):
        return dg.SkipReason("runs are in progress")
    if next(stale_partitions(RECIPES, lake, settings, missing_too=True), None) is None:
        return dg.SensorResult(skip_reason="nothing is stale", cursor=state)
    config = {"ops": {"settle_lake": {"config": {"missing_too": True}}}}
    return dg.SensorResult([dg.RunRequest(run_key=state, run_config=config)], cursor=state)


@dg.sensor(
    job_name=PUBLISH,
    minimum_interval_seconds=60,
    default_status=_RUNNING,
    description="The lake has changed since the last copy: it is published again.",
)
def published_is_behind(
    context: dg.SensorEvaluationContext, lake: dg.ResourceParam[Lake]
) -> Answer:
    """Ask for a new copy when nothing is running and the lake has changed."""
    state = lake_state(lake)
    if not state or context.cursor == state:
        return dg.SkipReason("the lake has not changed")
    if _is_busy(context.instance):
        return dg.SkipReason("runs are in progress")
    return dg.SensorResult([dg.RunRequest(run_key=state)], cursor=state)


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=_RUNNING,
    description="A session that closed hours ago and is not in the lake: one alert for each.",
)
def missing_session(
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.SkipReason:
    """Tell of a missing session, once."""
    day = lake.calendar.latest_closed_session(clock() - GRACE)
    footer = usable_footer(lake, RAW_OPTIONS_CHAINS.name, day)
    stored = {} if footer is None else footer.parts
    missing = [symbol for symbol in settings.symbols if symbol not in stored]
    if day < min(lake.days(RAW_OPTIONS_CHAINS.name), default=date.max):
        return dg.SkipReason("the lake begins later")
    sent = sum(Alerter(settings).send(alert) for alert in of_missing(day, missing))
    return dg.SkipReason(f"{day}: {len(missing)} symbols missing, {sent} alerts sent")


@dg.run_failure_sensor(
    default_status=_RUNNING,
    monitored_jobs=None,
    description="A run failed: an alert with the reasons.",
)
def run_failure(context: dg.RunFailureSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """Tell of a failed run, and of the checks that failed in it."""
    tell_of_run(context.instance, context.dagster_run, settings)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=_RUNNING,
    description="A run went through, and some of its checks did not: an alert for each.",
)
def failed_checks(context: dg.RunStatusSensorContext, settings: dg.ResourceParam[Settings]) -> None:
    """Tell of the failed checks of a run that itself succeeded."""
    tell_of_run(context.instance, context.dagster_run, settings)


def lake_state(lake: Lake) -> str:
    """Return a word that changes whenever any partition is replaced: the folders' times."""
    folders = (Path(lake.root) / table.name for table in lake.tables)
    times = [folder.stat().st_mtime_ns for folder in folders if folder.is_dir()]
    return f"{max(times)}-{sum(times)}" if times else ""


def _is_busy(instance: dg.DagsterInstance) -> bool:
    return instance.get_runs_count(dg.RunsFilter(statuses=_UNFINISHED)) > 0


SENSORS = (
    archive_files,
    stale_partitions_sensor,
    published_is_behind,
    missing_session,
    run_failure,
    failed_checks,
)
