"""Both markets in one workspace, as `dagster dev` loads it, and what each location offers."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from tests.assets.coins import COINS_DAY, LATE, FullExchange, coin_settings, record
from tests.assets.pipeline import settings_of
from tests.browser import BROWSER, CHROMIUM
from tests.jobs.dev_server import dagster_dev
from volsurf_assets.graph import tables
from volsurf_assets.market import MARKET_TABLES
from volsurf_jobs.definitions import definitions_for, lake_of
from volsurf_jobs.home import prepare_home
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES
from volsurf_tables.surfaces import FITTED_SURFACES

LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
  locationOrLoadError { ... on PythonError { message } ... on RepositoryLocation { repositories {
    assetNodes { assetKey { path } isPartitioned } schedules { name } sensors { name } } } } } } } }
"""
MADE = (*MARKET_TABLES, IMPLIED_FORWARDS, OPTION_QUOTES, FITTED_SURFACES)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with one recorded snapshot of a coin."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    settings = settings_of(tmp_path / "home")
    prepare_home(settings)
    record(settings.recordings_path, "BTC", LATE)
    return settings


@pytest.mark.slow
def test_both_markets_are_loaded_and_made_in_one_ui(home, tmp_path):
    """The product's own workspace in `dagster dev`; no exchange is asked, a file is replayed."""
    (file,) = home.recordings_path.rglob("*.json.gz")
    own = {"DERIBIT_RECORDINGS": str(file), "CRYPTO_SYMBOLS": "BTC"}
    workspace = str(home.dagster_home / "workspace.yaml")
    with dagster_dev(home, "-w", workspace, **own) as ui:
        entries = ui.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
        loaded = {one["name"]: one["locationOrLoadError"] for one in entries}
        assert {one["loadStatus"] for one in entries} == {"LOADED"}
        assert set(loaded) == {"volsurf", "crypto"}
        names = [table.name for table in tables()]
        for location, prefix in (("volsurf", []), ("crypto", ["crypto"])):
            (repository,) = loaded[location]["repositories"]
            nodes = {tuple(n["assetKey"]["path"]): n for n in repository["assetNodes"]}
            assert {(*prefix, name) for name in names} <= set(nodes)
            assert all(nodes[*prefix, name]["isPartitioned"] for name in names)
        made = [("crypto", table.name) for table in MADE]
        assert ui.backfill(made, [COINS_DAY]) in {"COMPLETED", "COMPLETED_SUCCESS"}
        assert ui.partitions("crypto", "fitted_surfaces") == (1, 0)
        assert ui.partitions("fitted_surfaces") == (0, 0)
        if CHROMIUM is not None:
            shown = pictured(ui.address, tmp_path / "locations.png")
            assert {"volsurf", "crypto"} <= set(shown)
            assert shown.count("Loaded") == 2
    coins = home.for_market("crypto")
    smiles = lake_of(coins).read("fitted_surfaces", [COINS_DAY])
    assert set(smiles["status"]) == {"fitted"}


def pictured(address, file):
    """Open the page of code locations, keep a picture of it, return its words."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{address}/locations")
        page.get_by_text("crypto").first.wait_for(timeout=60_000)
        page.screenshot(path=file)
        found = page.inner_text("body").split()
        browser.close()
    return found


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
