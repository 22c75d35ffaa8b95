"""The jobs: what can be run as one.

Belongs here: selections of assets, and the steps that are no asset. Not here: when they run
(`schedules`, `sensors`).
"""

from datetime import date

import dagster as dg

from volsurf_assets.each_day import Listener, reason
from volsurf_assets.graph import RECIPES, computed_tables
from volsurf_assets.intake import Clock
from volsurf_assets.market import MARKET_ASSETS
from volsurf_assets.metadata import written_metadata
from volsurf_assets.settling import settle
from volsurf_assets.table_asset import OWNERS
from volsurf_resources.lake import Lake, Written
from volsurf_resources.settings import Settings

MAX_RUNTIME = {"dagster/max_runtime": "14400"}

_market = dg.AssetSelection.assets(*MARKET_ASSETS)
_computed = dg.AssetSelection.assets(*(table.name for table in computed_tables()))

ingest = dg.define_asset_job(
    "ingest", _market, description="Fetch what the market said.", tags=MAX_RUNTIME
)
compute = dg.define_asset_job(
    "compute", _computed, description="Compute every table from what is stored.", tags=MAX_RUNTIME
)
end_of_day = dg.define_asset_job(
    "end_of_day",
    _market | _computed,
    description="One session from the source to the variance premium.",
    tags=MAX_RUNTIME,
)


@dg.asset(
    deps=[table.name for table in computed_tables()],
    group_name="presentation",
    kinds={"duckdb"},
    owners=OWNERS,
    description="The copy of the lake that dashboards and any DuckDB client open.",
)
def published_database(
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
    clock: dg.ResourceParam[Clock],
) -> dg.MaterializeResult[None]:
    """Bring the published copy up to the lake; drop replaced versions that are kept no longer."""
    from volsurf_resources.published import publish as bring_up

    pruned = lake.prune_history(clock())
    published = bring_up(lake, settings.published_path)
    return dg.MaterializeResult(
        metadata={
            "dagster/uri": published.path.as_uri(),
            "dagster/row_count": published.rows,
            "changed": published.changed,
            "versions_pruned": pruned,
        }
    )


publish = dg.define_asset_job(
    "publish",
    dg.AssetSelection.assets(published_database),
    description="Publish the DuckDB copy.",
)


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
        context.log_event(_made(lake, settled.table, settled.day, settled.written))
    if failed:
        (first, why), *_ = failed.items()
        raise dg.Failure(
            f"{len(failed)} partitions could not be made again; {first}: {why}",
            metadata={"failed": dg.MetadataValue.json(failed)},
            allow_retries=False,
        )


def _made(lake: Lake, table: str, day: date, written: Written | None) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        table,
        partition=str(day),
        metadata=written_metadata(written, lake.path(table, day).as_uri()),
    )


@dg.job(name="settle", description="Remake what its inputs have outdated.", tags=MAX_RUNTIME)
def settle_job() -> None:
    """Remake what its inputs have outdated."""
    settle_lake()
