"""The event log whose connections are kept holds what Dagster's own would hold."""

import sqlite3
from contextlib import closing

import dagster as dg
import pytest

from volsurf_jobs.event_log import PooledEventLog, pooled_instance
from volsurf_jobs.ranges import RANGE_END, RANGE_START

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def rows() -> dg.MaterializeResult:
    return dg.MaterializeResult()


@dg.multi_asset_check(
    specs=[dg.AssetCheckSpec(name, asset=rows, partitions_def=DAYS) for name in ("low", "high")]
)
def limits():
    for name in ("low", "high"):
        yield dg.AssetCheckResult(asset_key=rows.key, check_name=name, passed=name == "low")


@dg.asset_check(asset=rows)
def everything():
    return dg.AssetCheckResult(passed=True)


def held(home, query):
    with closing(sqlite3.connect(home / "history" / "runs" / "index.db")) as connection:
        return sorted(connection.execute(query), key=str)


def after_a_run(instance):
    tags = {RANGE_START: "2026-01-02", RANGE_END: "2026-01-04"}
    result = dg.materialize([rows, limits, everything], instance=instance, tags=tags)
    assert result.success
    checks = [
        instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
        for key in (everything.check_key, *limits.check_keys)
    ]
    return [[record.status for record in history] for history in checks]


@pytest.fixture
def home(tmp_path):
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    return tmp_path


def test_it_holds_the_same_rows(home, tmp_path_factory):
    other = tmp_path_factory.mktemp("plain")
    (other / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    with pooled_instance(home) as pooled, dg.DagsterInstance.from_config(str(other)) as plain:
        assert isinstance(pooled.event_log_storage, PooledEventLog)
        assert after_a_run(pooled) == after_a_run(plain)
    for query in (
        "SELECT asset_key, check_name, partition, execution_status FROM asset_check_executions",
        "SELECT asset_key, partition, dagster_event_type, step_key FROM event_logs",
    ):
        assert held(home, query) == held(other, query)
        assert held(home, query)
