"""Both markets in one workspace, as `dagster dev` loads it, and what each location offers."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import dagster as dg
import pytest

from tests.assets.coins import FullExchange, coin_settings
from tests.assets.pipeline import settings_of
from volsurf_jobs.definitions import definitions_for
from volsurf_jobs.home import prepare_home


@pytest.mark.slow
def test_both_code_locations_load_in_one_workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    home = prepare_home(settings_of(tmp_path / "home"))
    own = {"VOLSURF_HOME": str(tmp_path / "home"), "DAGSTER_HOME": str(home)}
    words = ["definitions", "validate", "--workspace", str(home / "workspace.yaml")]
    ended = subprocess.run(
        [sys.executable, "-m", "dagster", *words],
        env=os.environ | own, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    for location in ("volsurf_jobs.definitions", "volsurf_jobs.crypto"):
        assert location in ended.stdout + ended.stderr


def test_each_market_has_its_schedules_and_coins_collect_only_when_told(tmp_path):
    found = {}
    for market in ("us", "crypto"):
        definitions = definitions_for(settings_of(tmp_path).for_market(market))
        found[market] = {s.name: s.default_status for s in definitions.schedules or ()}
    running, stopped = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED
    assert found == {
        "us": {"end_of_day_schedule": running},
        "crypto": {"crypto__end_of_day_schedule": stopped, "collecting_schedule": stopped},
    }


def test_the_collecting_job_keeps_one_snapshot_per_coin_and_slot(tmp_path):
    now = datetime.now(UTC)
    with FullExchange(lambda: now) as exchange:
        settings = coin_settings(tmp_path, "BTC", "ETH").model_copy(
            update={"deribit_url": exchange.url}
        )
        job = definitions_for(settings).resolve_job_def("collect")
        assert job.execute_in_process().success
        assert job.execute_in_process().success
    kept = sorted(path.parts[-3] for path in settings.recordings_path.rglob("*.json.gz"))
    assert kept in (["BTC", "ETH"], ["BTC", "BTC", "ETH", "ETH"])  # a slot may have ended between
