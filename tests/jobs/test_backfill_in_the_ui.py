"""A backfill as the UI starts it, in real processes."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.jobs.dev_server import Ui, dagster_dev
from volsurf_assets.graph import computed_tables, tables
from volsurf_jobs.definitions import lake_of
from volsurf_jobs.home import prepare_home
from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.settings import Settings

pytestmark = pytest.mark.slow

DAYS = sessions(date(2026, 11, 2), date(2026, 11, 13))
BAD = DAYS[4]
EVERYTHING = [(table.name,) for table in tables()]
FAILURES = """query { runsOrError(filter: {statuses: [FAILURE]}) { ... on Runs { results {
  eventConnection { events { ... on ExecutionStepFailureEvent {
    failureMetadata { metadataEntries { ... on JsonMetadataEntry { jsonString } } } } } } } } } }
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    settings = Settings(_env_file=None, volsurf_home=tmp_path / "home")  # type: ignore[call-arg]
    prepare_home(settings)
    (settings.volsurf_home / "lacking.txt").write_text(str(BAD))
    return settings


@pytest.fixture
def ui(home: Settings) -> Iterator[Ui]:
    with dagster_dev(home, "-m", "tests.jobs.served") as served:
        yield served


def test_nine_of_ten_sessions_are_complete_and_a_rerun_completes_the_tenth(
    home: Settings, ui: Ui
) -> None:
    lake = lake_of(home)
    assert ui.backfill(EVERYTHING, DAYS) == "COMPLETED_FAILED"
    good = [day for day in DAYS if day != BAD]
    for table in computed_tables():
        if table.name == "realized_volatility":
            continue  # needs no chain: complete on all ten
        assert lake.days(table.name) == good, table.name
        assert ui.partitions(table.name)[0] == 9, table.name
    assert lake.days("raw_options_chains") == good
    assert ui.partitions("raw_options_chains") == (9, 1)
    said = str(ui.ask(FAILURES))
    assert str(BAD) in said
    assert "the vendor has no chain of SPY" in said

    (home.volsurf_home / "lacking.txt").write_text("")
    assert ui.backfill(EVERYTHING, [BAD]) in {"COMPLETED", "COMPLETED_SUCCESS"}
    for table in tables():
        assert lake.days(table.name) == DAYS, table.name
        assert ui.partitions(table.name) == (10, 0), table.name
