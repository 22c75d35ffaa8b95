"""A backfill as the UI starts it: webserver, daemon, code server and runs are real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from volsurf_assets.graph import computed_tables, tables
from volsurf_jobs.definitions import lake_of
from volsurf_jobs.home import prepare_home
from volsurf_resources.exchange_calendar import sessions
from volsurf_resources.settings import Settings

pytestmark = pytest.mark.slow

DAYS = sessions(date(2026, 11, 2), date(2026, 11, 13))
BAD = DAYS[4]
FINISHED = {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
ROOT = Path(__file__).parents[2]

LAUNCH = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status } } }"""
PARTITIONS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionStats { numMaterialized numFailed } } } }"""
FAILURES = """query { runsOrError(filter: {statuses: [FAILURE]}) { ... on Runs { results {
  eventConnection { events { ... on ExecutionStepFailureEvent {
    failureMetadata { metadataEntries { ... on JsonMetadataEntry { jsonString } } } } } } } } } }
"""


class Ui:
    """The GraphQL end of a running `dagster dev`."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> Any:
        answer = httpx.post(
            self._url, json={"query": query, "variables": variables}, timeout=30.0
        ).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def is_up(self) -> bool:
        try:
            repositories = self.ask("{ repositoriesOrError { __typename } }")
        except httpx.HTTPError:
            return False
        return bool(repositories["repositoriesOrError"]["__typename"] == "RepositoryConnection")

    def backfill(self, days: list[date]) -> str:
        """Start a backfill of every table and wait for its end."""
        params = {
            "assetSelection": [{"path": [table.name]} for table in tables()],
            "partitionNames": [str(day) for day in days],
        }
        launched = self.ask(LAUNCH, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched

        def status() -> str:
            found = self.ask(STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
            return str(found["status"])

        wait_until(lambda: status() in FINISHED, 400.0)
        return status()

    def partitions(self, table: str) -> tuple[int, int]:
        """Return how many partitions are materialised, and how many failed."""
        stats = self.ask(PARTITIONS, key={"path": [table]})["assetNodeOrError"]["partitionStats"]
        return stats["numMaterialized"], stats["numFailed"]


def wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(1.0)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    settings = Settings(_env_file=None, volsurf_home=tmp_path / "home")  # type: ignore[call-arg]
    prepare_home(settings)
    (settings.volsurf_home / "lacking.txt").write_text(str(BAD))
    return settings


@pytest.fixture
def ui(home: Settings) -> Iterator[Ui]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster", "dev", "-m", "tests.jobs.served",
               "-h", "127.0.0.1", "-p", str(port)]  # fmt: skip
    environment = os.environ | {
        "DAGSTER_HOME": str(home.dagster_home), "VOLSURF_HOME": str(home.volsurf_home),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    with (home.volsurf_home / "dev.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            found = Ui(port)
            wait_until(found.is_up, 90.0)
            yield found
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30.0)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def test_nine_of_ten_sessions_are_complete_and_a_rerun_completes_the_tenth(
    home: Settings, ui: Ui
) -> None:
    lake = lake_of(home)
    assert ui.backfill(DAYS) == "COMPLETED_FAILED"
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
    assert ui.backfill([BAD]) in {"COMPLETED", "COMPLETED_SUCCESS"}
    for table in tables():
        assert lake.days(table.name) == DAYS, table.name
        assert ui.partitions(table.name) == (10, 0), table.name
