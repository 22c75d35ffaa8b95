"""Sessions of the simulated market, through every table, in this process and on a real instance."""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest

from volsurf_assets.graph import RECIPES, tables
from volsurf_jobs.alerts import of_failed_run
from volsurf_jobs.definitions import lake_of
from volsurf_jobs.home import PROCESS_TAG, bury_dead_runs, open_instance, prepare_home
from volsurf_jobs.outcomes import Outcome, Step
from volsurf_jobs.proving import look_ahead
from volsurf_jobs.ranges import neighbours
from volsurf_jobs.recomputing import differences
from volsurf_jobs.replay import replay
from volsurf_jobs.running import Runner
from volsurf_resources.calendars import NEW_YORK
from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.lake_errors import NoHome
from volsurf_resources.settings import Settings
from volsurf_resources.simulated import SimulatedMarket
from volsurf_tables.market import UNDERLYING_PRICES

DAYS = sessions(date(2026, 11, 9), date(2026, 11, 11))
BAD = DAYS[1]
NOW = datetime(2026, 11, 16, 12, tzinfo=UTC)
COMPUTED = [recipe.table.name for recipe in RECIPES]


def settings_of(home: Path) -> Settings:
    return Settings(_env_file=None, volsurf_home=home)  # type: ignore[call-arg]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


def runner_of(home: Path, instance: dg.DagsterInstance, fail_on: tuple[date, ...] = ()) -> Runner:
    source = SimulatedMarket(seed=7, symbols=("SPY",), fail_on=fail_on)
    return Runner(settings_of(home), instance, source=source, clock=lambda: NOW)


def contents(home: Path) -> dict[tuple[str, date], str | None]:
    lake = lake_of(settings_of(home))
    return {
        (table.name, day): lake.content_hash(table.name, day)
        for table in tables()
        for day in lake.days(table.name)
    }


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three sessions, loaded in order."""
    home = tmp_path_factory.mktemp("home")
    with dg.DagsterInstance.ephemeral() as instance:
        summary = runner_of(home, instance).run_sessions(DAYS)
    assert summary.is_good, [outcome.reason for outcome in summary.outcomes]
    return home


def test_every_session_is_complete_in_every_table(loaded: Path) -> None:
    lake = lake_of(settings_of(loaded))
    for table in tables():
        assert lake.days(table.name) == DAYS, table.name
    with duckdb.connect(settings_of(loaded).published_path, read_only=True) as connection:
        counted = connection.execute("SELECT count(*) FROM fitted_surfaces").fetchall()
    assert counted == [(lake.read("fitted_surfaces").height,)]


def test_a_rerun_fetches_computes_and_writes_nothing(
    loaded: Path, instance: dg.DagsterInstance
) -> None:
    before = contents(loaded)
    steps: list[Step] = []
    summary = runner_of(loaded, instance, fail_on=tuple(DAYS)).run_sessions(
        DAYS, on_progress=steps.append
    )
    assert [o.status for o in summary.outcomes] == ["skipped"] * 3
    assert summary.outcomes[0].reason == "already in the lake"
    assert steps == []
    assert contents(loaded) == before


def test_force_does_it_all_again_and_finds_the_same(
    loaded: Path, instance: dg.DagsterInstance
) -> None:
    before = contents(loaded)
    summary = runner_of(loaded, instance).run_sessions(DAYS[-1:], force=True)
    assert [o.status for o in summary.outcomes] == ["done"]
    assert contents(loaded) == before


def test_loading_backwards_ends_with_the_same_contents(
    loaded: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    runner = runner_of(tmp_path, instance)
    assert runner.run_sessions(DAYS[1:]).is_good
    assert runner.run_sessions(DAYS[:1]).is_good
    assert contents(tmp_path) == contents(loaded)


def test_a_replay_finds_what_is_stored(loaded: Path) -> None:
    assert replay(settings_of(loaded), DAYS[-1]) == []
    with pytest.raises(LookupError, match="nothing is computed for 2026-10-01"):
        replay(settings_of(loaded), date(2026, 10, 1))


def test_nothing_looks_ahead(loaded: Path) -> None:
    settings = settings_of(loaded)
    assert list(look_ahead(lake_of(settings), settings, DAYS[:2])) == []


def test_a_replay_names_what_was_tampered_with(loaded: Path) -> None:
    lake, table = lake_of(settings_of(loaded)), tables()[-1]
    stored = lake.read(table.name, [DAYS[0]])
    column = next(c.name for c in table.columns if c.dtype == pl.Float64())
    tampered = stored.with_columns(pl.lit(0.123).alias(column))
    found = list(differences(table, DAYS[0], tampered, stored))
    assert {(d.column, d.stored) for d in found} == {(column, "0.123")}
    assert len(list(differences(table, DAYS[0], stored.clear(), stored))) == stored.height


def test_one_bad_day_fails_alone_and_a_rerun_completes_it(
    tmp_path: Path,
    instance: dg.DagsterInstance,
    loaded: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    summary = runner_of(tmp_path, instance, fail_on=(BAD,)).run_sessions(DAYS)
    told = f"raw_options_chains of {BAD} failed: SPY: NoData"
    assert told in caplog.text
    (log,) = (tmp_path / "logs").iterdir()
    assert told in log.read_text()
    assert [o.day for o in summary.of("failed")] == [BAD]
    assert "NoData" in summary.of("failed")[0].reason
    good = [str(day) for day in DAYS if day != BAD]
    for table in COMPUTED:
        assert sorted(instance.get_materialized_partitions(dg.AssetKey(table))) == good, table
    steps: list[Step] = []
    again = runner_of(tmp_path, instance).run_sessions(DAYS, on_progress=steps.append)
    assert again.is_good
    assert {s.day for s in steps if s.table == "raw_options_chains"} == {BAD}
    assert contents(tmp_path) == contents(loaded)


def test_days_that_cannot_be_had_say_why(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    sunday, future, old = date(2026, 11, 15), date(2026, 11, 17), date(2019, 12, 31)
    today = date(2026, 11, 16)
    summary = runner_of(tmp_path, instance).run_sessions([sunday, future, old, today])
    reasons = {outcome.day: outcome.reason for outcome in summary.outcomes}
    assert "the exchange is closed" in reasons[sunday]
    assert "in the future" in reasons[future]
    assert "INGESTION_START_DATE is 2020-01-01" in reasons[old]
    assert "has not closed" in reasons[today]
    assert {o.status for o in summary.outcomes} == {"failed"}


def test_days_before_the_tables_begin_say_so(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = settings_of(tmp_path).model_copy(update={"ingestion_start_date": date(2010, 1, 4)})
    runner = Runner(settings, instance, clock=lambda: NOW)
    days = [date(2014, 12, 31), date(2015, 1, 2)]
    summary = runner.run_sessions(days, compute=False, bars_before=30)
    assert "the tables begin at 2015-01-02" in summary.outcomes[0].reason
    assert summary.outcomes[1].status == "done"


def test_computing_what_was_not_ingested_says_so(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    summary = runner_of(tmp_path, instance).run_sessions(DAYS[:1], ingest=False)
    assert "ingest it first" in summary.outcomes[0].reason


@pytest.mark.parametrize("force", [False, True])
def test_a_source_that_cannot_be_set_up_fails_with_its_reason(
    tmp_path: Path, instance: dg.DagsterInstance, loaded: Path, force: bool
) -> None:
    home = loaded if force else tmp_path
    before = contents(home)
    settings = settings_of(home).model_copy(update={"volsurf_source": "archive"})
    runner = Runner(settings, instance, clock=lambda: NOW)
    summary = runner.run_sessions(DAYS[:1], force=force, compute=False)
    assert not summary.is_good
    assert "NotAllowed: VOLSURF_SOURCE=archive needs VOLSURF_ARCHIVE" in (
        summary.outcomes[0].reason
    )
    assert contents(home) == before
    (failed,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert "needs VOLSURF_ARCHIVE" in of_failed_run(instance, failed).detail


@pytest.mark.parametrize("table", ["raw_options_chains", "fitted_surfaces"])
def test_a_damaged_file_is_made_again_by_running_its_date(
    loaded: Path, tmp_path: Path, instance: dg.DagsterInstance, table: str
) -> None:
    home = shutil.copytree(loaded, tmp_path / "home")
    lake_of(settings_of(home)).path(table, DAYS[1]).write_bytes(b"no Parquet")
    summary = runner_of(home, instance).run_sessions([DAYS[1]], ["SPY"])
    assert summary.is_good, summary.outcomes[0].reason
    assert contents(home) == contents(loaded)


def test_a_copy_that_cannot_be_published_is_a_failure(
    loaded: Path, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    (tmp_path / "file").write_text("")
    settings = settings_of(loaded).model_copy(update={"duckdb_path": tmp_path / "file/x.duckdb"})
    summary = Runner(settings, instance, clock=lambda: NOW).run_sessions(DAYS)
    assert [outcome.status for outcome in summary.outcomes] == ["skipped", "skipped", "failed"]
    assert "publish: published_database: FileExistsError" in summary.outcomes[-1].reason


def test_only_the_tables_asked_for_and_their_inputs_are_made(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    runner = runner_of(tmp_path, instance)
    runner.run_sessions(DAYS[:1], tables=["implied_forwards"], bars_before=3)
    assert runner.lake.days("implied_forwards") == DAYS[:1]
    assert runner.lake.days("fitted_surfaces") == []
    assert len(runner.lake.days(UNDERLYING_PRICES.name)) == 4
    with pytest.raises(ValueError, match="no computed table"):
        runner.run_sessions(DAYS[:1], tables=["surface"])


def test_runs_of_killed_processes_are_buried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = settings_of(tmp_path)
    with open_instance(home) as instance:
        assert (prepare_home(home) / "dagster.yaml").exists()
        assert instance.telemetry_enabled is False
        for process in ("99999999", "1"):
            run = instance.create_run_for_job(
                dg.JobDefinition(graph_def=dg.GraphDefinition("nothing"), name="nothing"),
                status=dg.DagsterRunStatus.STARTED,
                tags={PROCESS_TAG: f"{socket.gethostname()}:{process}"},
            )
        assert bury_dead_runs(instance) == 1
        (alive,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        assert alive.run_id == run.run_id


def test_an_explicit_dagster_home_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))
    assert prepare_home(settings_of(tmp_path)) == tmp_path / "elsewhere"


def test_tables_that_fail_alike_are_named_together() -> None:
    outcome = Outcome(DAYS[0], problems={"a": "no file", "b": "late", "c": "no file"})
    assert outcome.reason == "a, c: no file; b: late"


def test_a_home_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "file/dagster"))
    with pytest.raises(NoHome, match=r"file/dagster cannot be written .* set VOLSURF_HOME"):
        prepare_home(settings_of(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_of_somebody_else_is_named(tmp_path: Path) -> None:
    home = prepare_home(settings_of(tmp_path))
    home.chmod(0o500)
    try:
        with pytest.raises(NoHome, match=r"dagster cannot be written .* set VOLSURF_HOME"):
            prepare_home(settings_of(tmp_path))
    finally:
        home.chmod(0o700)


def test_neighbours_have_no_session_between_them() -> None:
    gap = [*sessions(date(2026, 11, 19), date(2026, 12, 2))]
    assert [len(chunk) for chunk in neighbours(gap, NEW_YORK, 5)] == [5, 4]
    assert [len(chunk) for chunk in neighbours([*gap[:2], *gap[3:]], NEW_YORK)] == [2, 6]
    assert list(neighbours([], NEW_YORK)) == []
