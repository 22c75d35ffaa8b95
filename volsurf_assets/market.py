"""The market tables as assets: what the vendor said, fetched session by session.

Belongs here: the Dagster side of ingestion. Not here: what is fetched and kept (`intake`) or how
(volsurf_resources). Materialising a session asks the source again, unless the run says
`only_missing`; an unchanged answer writes nothing.
"""

from collections.abc import Callable
from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from volsurf_assets.computed_assets import OWNERS
from volsurf_assets.each_day import Listener, attempt, each_day
from volsurf_assets.intake import CODE_VERSION, Clock, Intake, Stored
from volsurf_assets.metadata import Metadata, table_metadata, written_metadata
from volsurf_assets.partitions import Place
from volsurf_resources.calendars import Market
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_resources.source import MarketSource
from volsurf_tables.market import (
    INDEX_LEVELS,
    MARKET_RATES,
    RAW_OPTIONS_CHAINS,
    UNDERLYING_PRICES,
)
from volsurf_tables.table import Table

SESSIONS_PER_RUN = 21  # a bad session marks its run as failed: so runs are short
POOLS: dict[Market, str] = {"us": "theta", "crypto": "deribit"}
RETRIES = dg.RetryPolicy(
    max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)

FetchDay = Callable[[Intake, date, list[date]], Stored]


class Fetch(dg.Config):
    """What a run may narrow: the symbols (settings' own if empty), and to what is not stored."""

    symbols: list[str] = Field(default_factory=list)
    only_missing: bool = False
    retries: bool = True  # after a pause, where the source says that it may help


def _market_asset(table: Table, fetch: FetchDay, place: Place) -> dg.AssetsDefinition:
    @dg.asset(
        key=place.key(table.name),
        partitions_def=place.partitions,
        backfill_policy=dg.BackfillPolicy.multi_run(SESSIONS_PER_RUN),
        pool=POOLS[place.market],
        group_name=table.group,
        description=table.meaning,
        kinds={"polars", "parquet"},
        owners=OWNERS,
        tags={"layer": table.group},
        code_version=CODE_VERSION,
        freshness_policy=place.freshness,
        metadata=table_metadata(table, place),
    )
    def asset(
        context: dg.AssetExecutionContext,
        config: Fetch,
        lake: dg.ResourceParam[Lake],
        source: dg.ResourceParam[MarketSource],
        settings: dg.ResourceParam[Settings],
        clock: dg.ResourceParam[Clock],
        progress: dg.ResourceParam[Listener],
    ) -> dg.MaterializeResult[None]:
        intake = Intake(
            lake=lake,
            source=source,
            settings=settings,
            clock=clock,
            symbols=config.symbols or settings.symbols,
            only_missing=config.only_missing or attempt(context) > 0,
            run_id=context.run.run_id,
        )
        days = [date.fromisoformat(key) for key in context.partition_keys]

        def make(day: date) -> Metadata:
            return _metadata(fetch(intake, day, days), lake.path(table.name, day).as_uri())

        return each_day(context, make, progress, retries=RETRIES if config.retries else None)

    return asset


def _metadata(stored: Stored, uri: str) -> Metadata:
    said: dict[str, Any] = written_metadata(stored.written, uri)
    if stored.fetched:
        said["fetched"] = ", ".join(stored.fetched)
    if stored.missing:
        said["missing"] = f"the source has nothing for {', '.join(stored.missing)}"
    if stored.partial:
        said["partial"] = "; ".join(stored.partial)
    if stored.odd:
        said["odd"] = ", ".join(stored.odd)
    return said


_FETCHING: dict[Table, FetchDay] = {
    RAW_OPTIONS_CHAINS: lambda intake, day, _: intake.chains(day),
    UNDERLYING_PRICES: Intake.underlying,
    MARKET_RATES: lambda intake, day, _: intake.rates(day),
    INDEX_LEVELS: Intake.indices,
}
MARKET_TABLES = tuple(_FETCHING)


def market_assets(place: Place) -> list[dg.AssetsDefinition]:
    """Return the assets of what a market's source says."""
    return [_market_asset(table, fetch, place) for table, fetch in _FETCHING.items()]
