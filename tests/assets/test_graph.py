"""The whole graph against a snapshot: a changed dependency or group shows up in review.

After a meant change, write the snapshot anew: `python -m tests.assets.test_graph`.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from volsurf_assets.checks import as_asset_checks, checks_of
from volsurf_assets.graph import RECIPES, all_assets, in_order, tables
from volsurf_assets.market import market_assets
from volsurf_assets.metadata import table_metadata
from volsurf_assets.partitions import PLACES, trading_days
from volsurf_resources.calendars import Market
from volsurf_resources.exchange_calendar import is_session, sessions
from volsurf_tables.catalogue import TABLES

SNAPSHOT = Path(__file__).parents[1] / "reference" / "graph.json"


def graph(market: Market = "us") -> dict[str, Any]:
    found: dict[str, Any] = {}
    place = PLACES[market]
    for definition in all_assets(place):
        for spec in definition.specs:
            found[spec.key.to_user_string()] = {
                "group": spec.group_name,
                "deps": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
                "kinds": sorted(spec.kinds),
                "owners": list(spec.owners),
            }
    for table in tables():
        found[place.key(table.name).to_user_string()]["checks"] = [
            check.name for check in checks_of(table)
        ]
    return found


def test_the_graph_is_the_one_that_was_reviewed() -> None:
    assert graph() == json.loads(SNAPSHOT.read_text())


def test_coins_have_the_same_graph_under_a_prefix_of_their_own() -> None:
    alike = json.loads(json.dumps(graph("crypto")).replace("crypto/", ""))
    assert alike == graph()


def test_every_table_of_the_catalogue_is_one_asset() -> None:
    assert sorted(graph()) == sorted(table.name for table in TABLES)


def test_no_table_is_read_before_it_is_made() -> None:
    made = {asset.key.to_user_string() for asset in market_assets(PLACES["us"])}
    for recipe in RECIPES:
        assert {table.name for table in recipe.reads} <= made
        made.add(recipe.table.name)
    assert in_order(reversed(RECIPES)) == in_order(RECIPES)


def test_columns_are_documented_with_unit_limits_and_lineage() -> None:
    recipe = next(r for r in RECIPES if r.table.name == "fitted_surfaces")
    said = table_metadata(recipe.table, PLACES["us"], recipe.reads)
    schema = {column.name: column for column in said["dagster/column_schema"].columns}
    assert schema["svi_rho"].description == "Tilt. [-]"
    assert schema["svi_rho"].constraints.other == [">= -1", "<= 1"]
    assert not schema["symbol"].constraints.nullable
    lineage = said["dagster/column_lineage"].deps_by_column
    assert {dep.asset_key.to_user_string() for dep in lineage["forward"]} <= {
        table.name for table in recipe.reads
    }
    assert lineage["forward"]


def test_partitions_are_the_sessions_of_the_exchange() -> None:
    keys = trading_days.get_partition_keys(current_time=datetime(2026, 11, 20, 12, tzinfo=UTC))
    first = datetime.fromisoformat(keys[0]).date()
    last = datetime.fromisoformat(keys[-1]).date()
    assert keys == [str(day) for day in sessions(first, last)]
    assert keys[-1] == "2026-11-20"


def test_the_calendar_knows_the_holidays_of_the_next_200_days() -> None:
    in_200_days = datetime.now(UTC) + timedelta(days=200)
    keys = trading_days.get_partition_keys(current_time=in_200_days)
    today = datetime.now(UTC).date()
    assert all(is_session(datetime.fromisoformat(key).date()) for key in keys if key > str(today))
    next_christmas = f"{(in_200_days + timedelta(days=165)).year}-12-25"
    later = trading_days.get_partition_keys(current_time=in_200_days + timedelta(days=365))
    assert next_christmas not in later


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_checks_load_and_structural_ones_block(table: Any) -> None:
    specs = {spec.name: spec for spec in as_asset_checks(table, PLACES["us"]).check_specs}
    blocking = {name for name, spec in specs.items() if spec.blocking}
    assert blocking == {"key_is_unique", "schema_matches"}


def test_computed_assets_run_once_over_a_range_and_ingestion_in_short_runs() -> None:
    for asset in all_assets(PLACES["us"]):
        policy = asset.backfill_policy
        assert policy is not None
        is_market = asset.key in {a.key for a in market_assets(PLACES["us"])}
        assert policy.max_partitions_per_run == (21 if is_market else None)
        assert policy == (
            dg.BackfillPolicy.multi_run(21) if is_market else dg.BackfillPolicy.single_run()
        )


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(graph(), indent=1, sort_keys=True) + "\n")
