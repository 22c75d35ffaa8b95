"""How a function of one session becomes the asset of a table.

Belongs here: the loop over partitions, provenance, metadata, the failure of single days. Not here:
what any table computes (its family's module) or how it is stored (volsurf_resources).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from volsurf_assets.partitions import trading_days
from volsurf_assets.session import Proofs, Session
from volsurf_resources.lake import Lake, Provenance
from volsurf_resources.settings import Settings
from volsurf_tables.table import Table

OWNERS = ["team:volatility"]
Compute = Callable[[Session], pl.DataFrame]
Picture = Callable[[pl.DataFrame], str]
Metadata = dict[str, Any]

_log = logging.getLogger("volsurf.assets")


class Scope(dg.Config):
    """What a run may narrow: the symbols (all if empty), and whether to redo what is fresh."""

    symbols: list[str] = []
    force: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one table is made from one session: for assets, replays and proofs alike."""

    table: Table
    compute: Compute
    reads: tuple[Table, ...]
    code_version: str
    picture: Picture | None = None

    def session(
        self, lake: Lake, settings: Settings, day: date, symbols: Sequence[str] = ()
    ) -> Session:
        """Open the lake as this recipe may see it on `day`: its upstream, and its own past."""
        declared = tuple(table.name for table in (*self.reads, self.table))
        return Session(lake, settings, day, tuple(symbols), declared)

    def is_fresh(self, session: Session) -> bool:
        """Whether what is stored is what the session's inputs, code and settings still give."""
        fingerprint = session.settings.fingerprint
        return Proofs(session.lake).is_fresh(
            self.table, session.day, self.code_version, fingerprint
        )

    def make(self, session: Session, run_id: str = "") -> Metadata:
        """Compute and store one partition; return what the event log should say of it."""
        lake, settings = session.lake, session.settings.fingerprint
        frame = self.compute(session)
        written = lake.replace(
            self.table,
            session.day,
            frame,
            symbols=session.symbols or None,
            provenance=Provenance(
                code_version=self.code_version,
                settings_hash=settings,
                run_id=run_id,
                source="computed",
                upstream=upstream_of(lake, session.reads, session.day),
            ),
        )
        if session.symbols:
            Proofs(lake).forget(self.table, session.day)
        else:
            Proofs(lake).keep(self.table, session, self.code_version, settings)
        return {
            "dagster/partition_row_count": written.rows,
            "content_hash": written.content_hash,
            "changed": written.changed,
        }


RECIPES: dict[str, Recipe] = {}


def table_asset(
    table: Table,
    *,
    reads: Sequence[Table],
    code_version: str,
    picture: Picture | None = None,
    kinds: Sequence[str] = ("polars", "parquet"),
) -> Callable[[Compute], dg.AssetsDefinition]:
    """Make the asset of a computed table from a function of one session.

    Parameters
    ----------
    table
        What is made.
    reads
        Upstream tables; reading any other is refused.
    code_version
        Grows whenever the function would give other numbers.
    picture
        Draws a small Markdown picture of the last partition of a run.
    """

    def decorate(compute: Compute) -> dg.AssetsDefinition:
        recipe = Recipe(table, compute, tuple(reads), code_version, picture)
        RECIPES[table.name] = recipe

        @dg.asset(
            name=table.name,
            partitions_def=trading_days,
            backfill_policy=dg.BackfillPolicy.single_run(),
            deps=[upstream.name for upstream in reads],
            group_name=table.group,
            description=table.meaning,
            kinds=set(kinds),
            owners=OWNERS,
            code_version=code_version,
            metadata=table_metadata(table, reads),
        )
        def asset(
            context: dg.AssetExecutionContext,
            config: Scope,
            lake: dg.ResourceParam[Lake],
            settings: dg.ResourceParam[Settings],
        ) -> dg.MaterializeResult:
            def one(day: date) -> Metadata:
                session = recipe.session(lake, settings, day, config.symbols)
                if not config.force and not config.symbols and recipe.is_fresh(session):
                    return {"changed": False, "skipped": "inputs unchanged"}
                return recipe.make(session, context.run_id)

            return each_day(context, one)

        return asset

    return decorate


def each_day(
    context: dg.AssetExecutionContext, make: Callable[[date], Metadata]
) -> dg.MaterializeResult:
    """Make every partition of a run; one bad day fails alone, the good days are logged as made.

    Raises
    ------
    dg.Failure
        After all days were tried, if any failed; its metadata names the days and reasons.
    """
    made: dict[str, Metadata] = {}
    failed: dict[str, str] = {}
    days = list(context.partition_keys)
    for day in days:
        try:
            made[day] = make(date.fromisoformat(day))
        except Exception as error:  # noqa: BLE001 a bad day must not cost the good ones
            _log.exception("%s of %s failed", context.asset_key.to_user_string(), day)
            failed[day] = f"{type(error).__name__}: {error}"
    if failed:
        for day, metadata in made.items():
            context.log_event(
                dg.AssetMaterialization(context.asset_key, partition=day, metadata=metadata)
            )
        raise dg.Failure(
            f"{len(failed)} of {len(days)} sessions failed: {'; '.join(failed.values())}",
            metadata={"failed_days": failed},
            allow_retries=any(reason.startswith("TryLater") for reason in failed.values()),
        )
    if len(days) == 1:
        return dg.MaterializeResult(metadata=made[days[0]])
    for day, metadata in made.items():
        context.add_asset_metadata(metadata, partition_key=day)
    return dg.MaterializeResult()
