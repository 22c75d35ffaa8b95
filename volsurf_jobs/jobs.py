"""The jobs: what can be run as one.

Belongs here: selections of assets, and the steps that are no asset. Not here: when they run
(`schedules`, `sensors`).
"""

from typing import Any

import dagster as dg

from volsurf_assets.computed_assets import OWNERS
from volsurf_assets.each_day import Listener, reason
from volsurf_assets.graph import RECIPES, computed_tables
from volsurf_assets.intake import Clock
from volsurf_assets.market import MARKET_TABLES, POOLS
from volsurf_assets.metadata import written_metadata
from volsurf_assets.partitions import PLACES, Place
from volsurf_assets.settling import settle
from volsurf_jobs.collecting import collector, exchange
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings

INGEST, COMPUTE, END_OF_DAY = "ingest", "compute", "end_of_day"
PUBLISH, SETTLE, COLLECT = "publish", "settle", "collect"
MAX_RUNTIME = {"dagster/max_runtime": "14400"}


def published_database(place: Place) -> dg.AssetsDefinition:
    """Return the asset of a market's published copy."""

    @dg.asset(
        key=place.key("published_database"),
        deps=[place.key(table.name) for table in computed_tables()],
        group_name="presentation",
        kinds={"duckdb"},
        owners=OWNERS,
        description="The copy of the lake that dashboards and any DuckDB client open.",
    )
    def asset(
        lake: dg.ResourceParam[Lake],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
    ) -> dg.MaterializeResult[None]:
        """Bring the copy up to the lake; drop replaced versions that are kept no longer."""
        from volsurf_resources.published import publish

        pruned = lake.prune_history(clock())
        published = publish(lake, settings.published_path)
        return dg.MaterializeResult(
            metadata={
                "dagster/uri": published.path.as_uri(),
                "dagster/row_count": published.rows,
                "changed": published.changed,
                "versions_pruned": pruned,
            }
        )

    return asset


def asset_jobs(place: Place) -> list[Any]:
    """Return the jobs that are selections of a market's assets."""
    fetched = dg.AssetSelection.assets(*(place.key(table.name) for table in MARKET_TABLES))
    computed = dg.AssetSelection.assets(*(place.key(table.name) for table in computed_tables()))
    published = dg.AssetSelection.assets(place.key("published_database"))
    selections = {
        INGEST: (fetched, "Fetch what the market said."),
        COMPUTE: (computed, "Compute every table from what is stored."),
        END_OF_DAY: (fetched | computed, "One session from the source to the variance premium."),
        PUBLISH: (published, "Publish the DuckDB copy."),
    }
    return [
        dg.define_asset_job(name, selection, description=meaning, tags=MAX_RUNTIME)
        for name, (selection, meaning) in selections.items()
    ]


class Reach(dg.Config):
    """How far settling goes: with `missing_too`, sessions that were only ingested are computed."""

    missing_too: bool = False


@dg.op(out=dg.Out(dg.Nothing))
def settle_lake(
    context: dg.OpExecutionContext,
    config: Reach,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    progress: dg.ResourceParam[Listener],
) -> None:
    """Remake what has become stale, and log each partition as materialised."""
    failed: dict[str, str] = {}
    everything = settle(
        RECIPES, lake, settings, missing_too=config.missing_too, run_id=context.run.run_id
    )
    for settled in everything:
        problem = None if settled.error is None else reason(settled.error)
        progress(settled.table, settled.day, problem)
        if problem is not None:
            failed[f"{settled.table} {settled.day}"] = problem
            continue
        asset = PLACES[settings.volsurf_market].key(settled.table)
        where = lake.path(settled.table, settled.day).as_uri()
        context.log_event(
            dg.AssetMaterialization(
                asset,
                partition=str(settled.day),
                metadata=written_metadata(settled.written, where),
            )
        )
    if failed:
        (first, why), *_ = failed.items()
        raise dg.Failure(
            f"{len(failed)} partitions could not be made again; {first}: {why}",
            metadata={"failed": dg.MetadataValue.json(failed)},
            allow_retries=False,
        )


@dg.job(name=SETTLE, description="Remake what its inputs have outdated.", tags=MAX_RUNTIME)
def settle_job() -> None:
    """Remake what its inputs have outdated."""
    settle_lake()


@dg.op(out=dg.Out(dg.Nothing), pool=POOLS["crypto"])
def collect_snapshots(context: dg.OpExecutionContext, settings: dg.ResourceParam[Settings]) -> None:
    """Keep a snapshot of every coin whose quarter of an hour has none yet."""
    with exchange(settings) as source:
        taken = collector(source, settings.symbols).step()
    for one in taken:
        partial = f", without {'; '.join(one.missing)}" if one.missing else ""
        context.log.info(
            f"{one.symbol} {one.slot}: {one.error or one.file or 'was there'}{partial}"
        )
    if failed := [f"{one.symbol}: {one.error}" for one in taken if one.error is not None]:
        raise dg.Failure("; ".join(failed), allow_retries=False)


@dg.job(name=COLLECT, description="Keep the coins' snapshots of now as files.", tags=MAX_RUNTIME)
def collect_job() -> None:
    """Keep the coins' snapshots of now as files."""
    collect_snapshots()
