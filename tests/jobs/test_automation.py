"""The schedule, the sensors and the alerts, without a daemon."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import polars as pl
import pytest

from tests.resources.test_alerting import posts  # noqa: F401 a fixture
from volsurf_jobs.alerts import of_failed_checks, of_failed_run, tell_of_run
from volsurf_jobs.definitions import definitions_for, lake_of
from volsurf_jobs.ranges import RANGE_END, RANGE_START
from volsurf_jobs.running import Runner
from volsurf_jobs.sensors import (
    archive_files,
    missing_session,
    published_is_behind,
    stale_partitions_sensor,
)
from volsurf_resources.archive import Archive
from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.settings import Settings
from volsurf_resources.simulated import SimulatedMarket
from volsurf_tables.market import RAW_OPTIONS_CHAINS

NEW_YORK = ZoneInfo("America/New_York")
DAYS = sessions(date(2026, 11, 9), date(2026, 11, 10))
NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)


def settings_of(home: Path, **changed: Any) -> Settings:
    return Settings(_env_file=None, volsurf_home=home, **changed)  # type: ignore[call-arg]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.mark.parametrize(
    ("day", "partition"),
    [
        (date(2026, 11, 20), "2026-11-20"),  # Friday
        (date(2026, 11, 21), None),  # Saturday
        (date(2026, 11, 22), None),
        (date(2026, 11, 26), None),  # Thanksgiving
        (date(2026, 11, 27), "2026-11-27"),  # early close
        (date(2026, 3, 9), "2026-03-09"),  # first session of summer time
    ],
)
def test_the_schedule_runs_at_1730_new_york_on_sessions(
    tmp_path: Path, instance: dg.DagsterInstance, day: date, partition: str | None
) -> None:
    definitions = definitions_for(settings_of(tmp_path))
    schedule = definitions.resolve_schedule_def("end_of_day_schedule")
    assert schedule.cron_schedule == "30 17 * * *"
    assert schedule.execution_timezone == "America/New_York"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    tick = datetime(day.year, day.month, day.day, 17, 30, tzinfo=NEW_YORK)
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=tick,
        repository_def=definitions.get_repository_def(),
    )
    requests = schedule.evaluate_tick(context).run_requests or []
    assert [request.partition_key for request in requests] == ([partition] if partition else [])


def test_all_sensors_run_from_the_start(tmp_path: Path) -> None:
    sensors = definitions_for(settings_of(tmp_path)).get_repository_def().sensor_defs
    assert {sensor.name for sensor in sensors} == {
        "archive_files", "failed_checks", "missing_session", "published_is_behind", "run_failure",
        "stale_partitions",
    }  # fmt: skip
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.RUNNING}


def test_new_files_ask_for_their_sessions_once(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    found = {"SPY": sessions(date(2026, 10, 1), date(2026, 11, 10)), "QQQ": list(DAYS)}

    class Fresh(Archive):
        def __init__(self) -> None: ...

        def new_sessions(self, since: str | None = None) -> tuple[str, dict[str, list[date]]]:
            return "seen", {} if since == "seen" else found

    settings = settings_of(tmp_path, volsurf_symbols="SPY,QQQ")
    context = dg.build_sensor_context(instance=instance, cursor=None)
    result = archive_files(context, source=Fresh(), settings=settings)
    assert isinstance(result, dg.SensorResult)
    assert result.cursor == "seen"
    requests = result.run_requests or []
    spans = [(r.tags[RANGE_START], r.tags[RANGE_END]) for r in requests]
    assert spans == [
        ("2026-10-01", "2026-10-29"), ("2026-10-30", "2026-11-06"), ("2026-11-09", "2026-11-10")
    ]  # fmt: skip
    config = requests[-1].run_config["ops"]["raw_options_chains"]["config"]
    assert config["symbols"] == ["SPY", "QQQ"]
    again = dg.build_sensor_context(instance=instance, cursor="seen")
    nothing = archive_files(again, source=Fresh(), settings=settings)
    assert isinstance(nothing, dg.SensorResult)
    assert not nothing.run_requests


def test_other_sources_have_no_files(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    context = dg.build_sensor_context(instance=instance)
    answer = archive_files(context, source=SimulatedMarket(), settings=settings_of(tmp_path))
    assert isinstance(answer, dg.SkipReason)


def test_what_was_only_ingested_is_computed_and_published(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings, source = settings_of(tmp_path), SimulatedMarket(symbols=("SPY",))
    lake, cursors = lake_of(settings), dict[str, str | None]()

    def asks(sensor: Any, **resources: Any) -> list[dg.RunRequest]:
        cursor = cursors.get(sensor.name)
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        answer = sensor(context, lake=lake, **resources)
        if isinstance(answer, dg.SkipReason):
            return []
        cursors[sensor.name] = answer.cursor
        return list(answer.run_requests or [])

    assert asks(published_is_behind) == []
    Runner(settings, instance, source=source, clock=lambda: NOW).run_sessions(DAYS, compute=False)
    (request,) = asks(stale_partitions_sensor, settings=settings)
    settle = definitions_for(settings, source=source).resolve_job_def("settle")
    assert settle.execute_in_process(run_config=request.run_config, instance=instance).success
    assert lake.days("fitted_surfaces") == DAYS
    assert instance.get_materialized_partitions(dg.AssetKey("vrp_metrics")) == set(map(str, DAYS))
    assert asks(stale_partitions_sensor, settings=settings) == []
    assert asks(stale_partitions_sensor, settings=settings) == []
    assert len(asks(published_is_behind)) == 1
    assert asks(published_is_behind) == []


def test_a_missing_session_is_told_once(
    tmp_path: Path,
    posts: Any,  # noqa: F811
) -> None:
    port, received, _ = posts
    settings = settings_of(
        tmp_path, volsurf_symbols="SPY,QQQ", alert_webhook_url=f"http://127.0.0.1:{port}/"
    )
    lake = lake_of(settings)

    def look(now: datetime) -> None:
        missing_session(lake=lake, settings=settings, clock=lambda: now)

    friday_evening = datetime(2026, 11, 20, 23, tzinfo=UTC)
    look(friday_evening)
    assert received == []  # an empty lake misses nothing
    chain = SimulatedMarket(symbols=("SPY",)).chain("SPY", DAYS[0]).unique("contract_id")
    rows = chain.with_columns(ingestion_timestamp=pl.lit(NOW))
    lake.replace(RAW_OPTIONS_CHAINS.name, DAYS[0], rows)
    look(datetime(2026, 11, 9, 23, tzinfo=UTC))  # within the grace
    assert received == []
    look(datetime(2026, 11, 10, 0, 1, tzinfo=UTC))
    assert [post["id"] for post in received] == ["missing/QQQ/2026-11-09"]
    look(datetime(2026, 11, 10, 12, tzinfo=UTC))
    assert len(received) == 1
    look(friday_evening)  # Friday itself is within the grace
    saturday, sunday = (datetime(2026, 11, day, 23, tzinfo=UTC) for day in (21, 22))
    look(saturday)
    look(sunday)
    assert [post["id"] for post in received[1:]] == [
        f"missing/{symbol}/2026-11-{day}" for day in (19, 20) for symbol in ("SPY", "QQQ")
    ]


def test_a_failed_run_and_failed_checks_are_told_once(
    tmp_path: Path,
    posts: Any,  # noqa: F811
    instance: dg.DagsterInstance,
) -> None:
    port, received, _ = posts
    settings = settings_of(tmp_path, alert_webhook_url=f"http://127.0.0.1:{port}/")
    source = SimulatedMarket(symbols=("SPY",), fail_on=(DAYS[0],))
    runner = Runner(settings, instance, source=source, clock=lambda: NOW)
    runner.run_sessions(DAYS[:1])
    assert len(received) == 1
    assert received[0]["title"] == "ingest 2026-11-09 failed"
    assert "NoData" in received[0]["detail"]
    runner.run_sessions(DAYS[:1])
    assert len(received) == 1


def test_checks_worth_an_alert_become_one_per_session(instance: dg.DagsterInstance) -> None:
    @dg.asset_check(asset="fitted_surfaces")
    def fit_quality_has_not_degraded() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={"dates": ["2026-11-09", "2026-11-10"], "offending": ["SPY, 0.5, 0.1"]},
        )

    @dg.asset_check(asset="fitted_surfaces")
    def coverage_above_95_percent() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN)

    @dg.asset
    def fitted_surfaces() -> None: ...

    result = dg.materialize(
        [fitted_surfaces, fit_quality_has_not_degraded, coverage_above_95_percent],
        instance=instance,
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    alerts = list(of_failed_checks(instance, run))
    assert [alert.id for alert in alerts] == [
        f"check/fitted_surfaces/fit_quality_has_not_degraded/2026-11-{day}" for day in ("09", "10")
    ]
    assert alerts[0].severity == "warning"
    assert "SPY, 0.5, 0.1" in alerts[0].detail


def test_nothing_is_looked_up_while_alerts_are_off(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    @dg.op
    def breaks() -> None:
        raise RuntimeError("broken")

    @dg.job
    def fragile() -> None:
        breaks()

    result = fragile.execute_in_process(instance=instance, raise_on_error=False)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert tell_of_run(instance, run, settings_of(tmp_path)) == 0
    alert = of_failed_run(instance, run)
    assert alert.title == "fragile failed"
    assert "broken" in alert.detail


def test_the_workspace_of_the_repository_is_that_of_a_home():
    root = Path(__file__).parents[2]
    shipped = root / "volsurf_jobs" / "workspace.yaml"
    assert shipped.read_text() == (root / "workspace.yaml").read_text()
