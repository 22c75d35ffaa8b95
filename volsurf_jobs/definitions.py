"""The composition root: the only place that names concrete resources.

Belongs here: which source, lake and clock the assets get, and all that Dagster should load. `defs`
is what `dagster dev` and `dg` find; `definitions_for` builds the same for other settings.
"""

import warnings
from datetime import UTC, date, datetime

import dagster as dg

from volsurf_assets.checks import as_asset_checks
from volsurf_assets.each_day import Listener
from volsurf_assets.graph import all_assets, tables
from volsurf_assets.intake import Clock
from volsurf_assets.partitions import PLACES
from volsurf_jobs.jobs import asset_jobs, collect_job, published_database, settle_job
from volsurf_jobs.schedules import schedules_of
from volsurf_jobs.sensors import SENSORS
from volsurf_resources.lake import Lake
from volsurf_resources.logbook import keep_log
from volsurf_resources.settings import Settings
from volsurf_resources.source import MarketSource, NotAllowed


def utc_now() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


def silent(table: str, day: date, problem: str | None) -> None:
    """Tell nobody of a session's end."""


def lake_of(settings: Settings) -> Lake:
    """Return the lake of a home."""
    return Lake(
        settings.lake_root,
        history=settings.history_root,
        retention_days=settings.history_retention_days,
        calendar=settings.calendar,
    )


def source_of(settings: Settings) -> MarketSource:
    """Return the source that the settings name; coins have one of their own."""
    if settings.volsurf_market == "crypto":
        from volsurf_jobs.collecting import source_of_coins

        return source_of_coins(settings)
    if settings.volsurf_source == "theta":
        from volsurf_resources.theta import ThetaData

        key = settings.theta_api_key
        return ThetaData(
            url=settings.theta_api_url,
            tier=settings.theta_tier,
            timeout_s=settings.theta_timeout_s,
            api_key=None if key is None else key.get_secret_value(),
            snapshot_time=settings.theta_snapshot_time,
            cache_dir=settings.cache_root / "theta" if settings.theta_cache else None,
        )
    if settings.volsurf_source == "archive":
        from volsurf_resources.archive import Archive

        if settings.volsurf_archive is None:
            raise NotAllowed("VOLSURF_SOURCE=archive needs VOLSURF_ARCHIVE: the folder of files")
        return Archive(settings.volsurf_archive, settings.volsurf_archive_mapping)
    from volsurf_resources.simulated import SimulatedMarket

    return SimulatedMarket(seed=settings.simulated_seed, dirt=settings.simulated_dirt)


def definitions_for(
    settings: Settings,
    *,
    source: MarketSource | None = None,
    clock: Clock = utc_now,
    progress: Listener = silent,
) -> dg.Definitions:
    """Return all that Dagster should load of a market, on the settings' lake, source and log."""
    keep_log(settings)
    market = settings.volsurf_market
    place = PLACES[market]
    definitions = dg.Definitions(
        assets=[*all_assets(place), published_database(place)],
        asset_checks=[as_asset_checks(table, place) for table in tables()],
        jobs=[*asset_jobs(place), settle_job, *([collect_job] if market == "crypto" else [])],
        schedules=schedules_of(market),
        sensors=SENSORS,
        executor=dg.in_process_executor,
        resources={
            "lake": lake_of(settings),
            "settings": settings,
            "source": dg.ResourceDefinition(lambda _: source or source_of(settings)),
            "clock": dg.ResourceDefinition.hardcoded_resource(clock),
            "progress": dg.ResourceDefinition.hardcoded_resource(progress),
        },
    )
    with warnings.catch_warnings():
        # Ingestion runs in short chunks, computing in one: a job of both is meant.
        warnings.filterwarnings("ignore", message=".*varying BackfillPolicies.*")
        definitions.resolve_all_job_defs()
    return definitions


defs = definitions_for(Settings())
