"""A running `dagster dev`: webserver, daemon, code servers and runs are real processes.

Belongs here: starting and ending it on a free port of this machine, and its GraphQL end.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from volsurf_resources.settings import Settings

FINISHED = {"COMPLETED", "COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
ROOT = Path(__file__).parents[2]

LAUNCH = """mutation($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) { __typename
    ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
STATUS = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status } } }"""
PARTITIONS = """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  partitionStats { numMaterialized numFailed } } } }"""

Key = Sequence[str]


class Ui:
    """The GraphQL end of a running `dagster dev`."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> Any:
        answer = httpx.post(
            f"{self.address}/graphql", json={"query": query, "variables": variables}, timeout=30.0
        ).json()
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def is_up(self) -> bool:
        try:
            repositories = self.ask("{ repositoriesOrError { __typename } }")
        except httpx.HTTPError:
            return False
        return bool(repositories["repositoriesOrError"]["__typename"] == "RepositoryConnection")

    def backfill(self, keys: Sequence[Key], days: Sequence[date]) -> str:
        """Start a backfill of some assets and wait for its end."""
        params = {
            "assetSelection": [{"path": list(key)} for key in keys],
            "partitionNames": [str(day) for day in days],
        }
        launched = self.ask(LAUNCH, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched

        def status() -> str:
            found = self.ask(STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
            return str(found["status"])

        wait_until(lambda: status() in FINISHED, 400.0)
        return status()

    def partitions(self, *key: str) -> tuple[int, int]:
        """Return how many partitions are materialised, and how many failed."""
        found = self.ask(PARTITIONS, key={"path": list(key)})
        stats = found["assetNodeOrError"]["partitionStats"]
        return stats["numMaterialized"], stats["numFailed"]


def wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(1.0)


@contextmanager
def dagster_dev(settings: Settings, *words: str, **own: str) -> Iterator[Ui]:
    """Serve what `words` load on the instance of a home; `own` are variables of its environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dagster", "dev", *words, "-h", "127.0.0.1", "-p", str(port)]
    home = {"DAGSTER_HOME": str(settings.dagster_home), "VOLSURF_HOME": str(settings.volsurf_home)}
    environment = os.environ | home | {"PYTHONPATH": str(ROOT)} | own
    with (settings.volsurf_home / "dev.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            found = Ui(port)
            wait_until(found.is_up, 120.0)
            yield found
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30.0)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
