"""The Dagster asset around a recipe: one partition per session, any range of them in one run.

Belongs here: what Dagster shows of a computed table, and what a run of it may narrow. Not here: how
a partition is made (`recipe`), or the assets of what a source says (`market`).
"""

from datetime import date

import dagster as dg
from pydantic import Field

from volsurf_assets.each_day import Listener, each_day
from volsurf_assets.metadata import Metadata, table_metadata, written_metadata
from volsurf_assets.partitions import Place
from volsurf_assets.recipe import Recipe
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings

OWNERS = ["team:volatility"]


class Scope(dg.Config):
    """What a run may narrow: the symbols (all if empty), and whether to redo what is fresh."""

    symbols: list[str] = Field(default_factory=list)
    force: bool = False


def as_asset(recipe: Recipe, place: Place) -> dg.AssetsDefinition:
    """Wrap a recipe: one partition per session, computed in one run over any range."""
    table = recipe.table

    @dg.asset(
        key=place.key(table.name),
        partitions_def=place.partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        deps=[place.key(upstream.name) for upstream in recipe.reads],
        group_name=table.group,
        description=table.meaning,
        kinds=set(recipe.kinds),
        owners=OWNERS,
        tags={"layer": table.group},
        code_version=recipe.code_version,
        freshness_policy=place.freshness,
        metadata=table_metadata(table, place, recipe.reads),
    )
    def asset(
        context: dg.AssetExecutionContext,
        config: Scope,
        lake: dg.ResourceParam[Lake],
        settings: dg.ResourceParam[Settings],
        progress: dg.ResourceParam[Listener],
    ) -> dg.MaterializeResult[None]:
        def make(day: date) -> Metadata:
            written = recipe.refresh(
                lake,
                settings,
                day,
                symbols=config.symbols,
                force=config.force,
                run_id=context.run.run_id,
            )
            return written_metadata(written, lake.path(table.name, day).as_uri())

        return each_day(context, make, progress, lambda day: drawn(recipe, lake, day))

    return asset


def drawn(recipe: Recipe, lake: Lake, day: date) -> Metadata:
    """Return the picture of a stored partition, if its recipe draws one."""
    if recipe.picture is None:
        return {}
    return {"picture": dg.MetadataValue.md(recipe.picture(lake.read(recipe.table.name, [day])))}
