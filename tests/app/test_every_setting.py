"""Every setting is heard: changing it, and nothing else, changes what the platform does.

The table below names for each setting another value and what to look at; whatever it needs besides
is in force in both cases.
"""

import asyncio
import io
import logging
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import polars as pl
import pytest

from tests.app.conftest import own_logging
from tests.assets.handmade import DAY, bars, expiry, in_days, lake_of
from tests.assets.pipeline import LATER, make
from tests.resources.loopback import Answer
from tests.resources.test_alerting import ALERT, mails, posts
from tests.resources.theta.fake_terminal import FakeTerminal
from volsurf_app.api.application import application
from volsurf_app.api.application import options_of as listening
from volsurf_app.cli.arguments import symbol_of
from volsurf_app.web_server import options_of
from volsurf_assets.intake import Intake, SessionFailed
from volsurf_assets.judgements import View, fit_error, heston_error
from volsurf_jobs.definitions import definitions_for, source_of
from volsurf_jobs.definitions import lake_of as lake_in_force
from volsurf_resources.alerting import Alerter
from volsurf_resources.deribit import Deribit
from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.logbook import keep_log
from volsurf_resources.settings import Settings
from volsurf_resources.source import SourceError
from volsurf_tables.market import INDEX_LEVELS
from volsurf_tables.stochastic_vol import HESTON_SURFACES
from volsurf_tables.variance import VRP_METRICS

__all__ = ["mails", "posts"]

NOW = datetime(2026, 11, 19, 2, tzinfo=UTC)
SERVED = date(2024, 11, 14)  # a session of the fake terminal
PAST = last_sessions(DAY, 30)[:-1]


@dataclass
class World:
    """What a look may use: folders, servers, and chains made by hand."""

    home: Path
    terminal: FakeTerminal
    webhook: tuple[int, list[Any], list[int]]
    mail: tuple[int, list[str]]
    chain: pl.DataFrame


@dataclass(frozen=True)
class Case:
    """Another value of a setting, what shows it, and what is in force besides."""

    other: object
    look: Callable[[Settings, World], object]
    given: dict[str, object] = field(default_factory=dict)


def place(settings: Settings, world: World) -> object:
    return lake_in_force(settings).path("vrp_metrics", DAY)


def fetched(settings: Settings, world: World) -> object:
    """Symbols that the asset of the underlying stores when a run names none."""
    import dagster as dg

    definitions = definitions_for(settings, clock=lambda: NOW)
    with dg.DagsterInstance.ephemeral() as instance, redirect_stdout(io.StringIO()):
        definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey("underlying_prices")],
            partition_key=str(DAY),
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    footer = lake_in_force(settings).footer("underlying_prices", DAY)
    return set(footer.parts) if footer else None


def ingested(settings: Settings, world: World) -> object:
    intake = Intake(lake_in_force(settings), source_of(settings), settings, lambda: NOW, ["SPY"])
    try:
        return intake.rates(DAY).fetched
    except SessionFailed as error:
        return str(error)


def published(settings: Settings, world: World) -> object:
    definitions_for(settings, clock=lambda: LATER).resolve_job_def("publish").execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    )
    files = settings.volsurf_home.rglob("*")
    return sorted(path.name for path in files if path.suffix in (".duckdb", ".parquet"))


def published_after_changes(settings: Settings, world: World) -> object:
    lake = lake_in_force(settings)
    for close in (100.0, 101.0):
        lake.replace("underlying_prices", DAY, bars([close]))
    kept = settings.history_root / "underlying_prices" / str(DAY)
    (version,) = kept.iterdir()
    return len([name for name in published(settings, world) if name == version.name])


def answered(settings: Settings, world: World) -> object:
    """What the source says of itself and of one session, or why it says nothing."""
    source = source_of(settings)
    try:
        return source.name, source.underlying("SPY", DAY, DAY)["close"].to_list()
    except SourceError as error:
        return source.name, str(error)


def served(settings: Settings, world: World) -> object:
    try:
        source = source_of(settings)
        return source.chain("SPY", DAY).select("bid", "ask").hash_rows().to_list()
    except SourceError as error:
        return str(error)


def asked(settings: Settings, world: World) -> object:
    """What reached the terminal when a chain was asked for twice."""
    world.terminal.calls.clear()
    for _ in range(2):
        try:
            source_of(settings).chain("SPY", SERVED)
        except SourceError:
            break
    return sorted(
        (call.path, call.headers.get("Authorization"), sorted(call.params.items()))
        for call in world.terminal.calls
    )


def asked_slowly(settings: Settings, world: World) -> object:
    path = "/stock/history/eod"
    world.terminal.script(path, Answer(status=472, delay_s=0.3), Answer(status=472))
    world.terminal.calls.clear()
    with suppress(SourceError):
        source_of(settings).underlying("SPY", SERVED, SERVED)
    return len(world.terminal.calls)


def asked_of_coins(settings: Settings, world: World) -> object:
    """What reached the exchange when bars were asked for; its first answer is slow."""
    path = urlsplit(settings.deribit_url).path + "/api/v2/public/get_tradingview_chart_data"
    world.terminal.script(path, Answer(status=404, delay_s=0.3))
    world.terminal.calls.clear()
    source = source_of(settings)
    assert isinstance(source, Deribit)
    with suppress(SourceError), source:
        source.underlying("BTC", SERVED, SERVED)
    return [call.path for call in world.terminal.calls]


def kept(settings: Settings, world: World) -> object:
    """Where the source of coins keeps a snapshot."""
    source = source_of(settings)
    assert isinstance(source, Deribit)
    return source.recordings.file_of("BTC", NOW)


def computed(settings: Settings, world: World) -> object:
    only = ["implied_forwards", "option_quotes", "quote_issues", "fitted_surfaces"]
    lake = lake_in_force(settings)
    lake_of(settings.volsurf_home, world.chain, only=[])
    make(lake, settings, [DAY], only)
    return [lake.content_hash(name, DAY) for name in only[1:]]


def other_models(settings: Settings, world: World) -> object:
    only = ["implied_forwards", "option_quotes", "sabr_smiles", "smile_models"]
    lake = lake_in_force(settings)
    lake_of(settings.volsurf_home, world.chain, only=[])
    make(lake, settings, [DAY], only)
    return [lake.content_hash(name, DAY) for name in only[2:]]


def degraded(settings: Settings, world: World) -> object:
    computed(settings, world)
    return fit_error(View(lake_in_force(settings), (DAY,), settings, lambda: NOW)).dates


def calibrated(settings: Settings, world: World) -> object:
    """The row of Heston's model, one session after one that was fitted."""
    lake, _ = lake_of(settings.volsurf_home, world.chain, only=["implied_forwards"])
    levels = {"index": "VIX", "snapshot": "EOD"}
    for day, level in ((PAST[-1], 20.0), (DAY, 20.5)):
        rows = pl.DataFrame([levels | {"quote_date": day, "close": level}], INDEX_LEVELS.schema)
        lake.replace("index_levels", day, rows)
    last = {"symbol": "SPX", "quote_date": PAST[-1], "snapshot": "EOD", "status": "fitted",
            "kappa": 2.0, "theta": 0.04, "sigma": 0.5, "rho": -0.5, "v0": 0.04}  # fmt: skip
    lake.replace("heston_surfaces", PAST[-1], pl.DataFrame([last], HESTON_SURFACES.schema))
    make(lake, settings, [DAY], ["option_quotes", "heston_surfaces"])
    return lake.read("heston_surfaces", [DAY]).rows()


def poorly_calibrated(settings: Settings, world: World) -> object:
    calibrated(settings, world)
    return heston_error(View(lake_in_force(settings), (DAY,), settings, lambda: NOW)).dates


def premium(settings: Settings, world: World) -> object:
    """The row of a session with 29 sessions of its own past."""
    lake, _ = lake_of(
        settings.volsurf_home, world.chain, bars(100.0 + np.arange(30.0) % 3), only=[]
    )
    for n, day in enumerate(PAST):
        row = {"symbol": "SPX", "quote_date": day, "snapshot": "EOD", "vrp_30d": 0.01 * (n % 7)}
        lake.replace("vrp_metrics", day, pl.DataFrame([row], schema=VRP_METRICS.schema))
    make(lake, settings, [DAY])
    return lake.read("vrp_metrics", [DAY]).select("vrp_zscore", "num_history").rows()


def posted(settings: Settings, world: World) -> object:
    Alerter(settings).send(ALERT)
    return len(world.webhook[1])


def mailed(settings: Settings, world: World) -> object:
    world.mail[1].clear()
    was_sent = Alerter(settings).send(ALERT)
    return was_sent, [line for line in "".join(world.mail[1]).splitlines() if ":" in line][:4]


def logged(settings: Settings, world: World) -> object:
    with own_logging():
        keep_log(settings)
        logging.getLogger("volsurf.test").info("a word")
    written = sorted(world.home.rglob("*-????-??-??*"))
    return [(path.name, path.read_text().count("\n")) for path in written]


def statuses(*requests: tuple[str, dict[str, Any]]) -> Callable[[Settings, World], object]:
    """What the surface server answers to some requests that come at once."""

    async def asked(settings: Settings) -> list[int]:
        transport = httpx.ASGITransport(application(settings)[1])
        async with httpx.AsyncClient(transport=transport, base_url="http://volsurf") as client:
            calls = [client.request(method, **given) for method, given in requests]
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    return lambda settings, _: asyncio.run(asked(settings))


TERMINAL: dict[str, object] = {"volsurf_source": "theta", "theta_tier": "standard"}
FILES: dict[str, object] = {"volsurf_source": "archive"}
COINS: dict[str, object] = {"volsurf_market": "crypto", "deribit_url": "{terminal}"}
MAIL: dict[str, object] = {"alert_email_to": "desk@example.org", "smtp_host": "127.0.0.1"}

CASES: dict[str, Case] = {
    "volsurf_home": Case("{home}/second", place),
    "volsurf_source": Case("archive", answered, {"volsurf_archive": "{home}/files"}),
    "volsurf_symbols": Case("SPY,QQQ", fetched),
    "volsurf_market": Case("crypto", place),
    "crypto_symbols": Case(("SOL",), lambda settings, _: settings.market_of("SOL")),
    "default_symbol": Case("QQQ", lambda settings, _: symbol_of(None, settings)),
    "ingestion_start_date": Case("2026-11-19", ingested),
    "duckdb_path": Case("{home}/other.duckdb", published),
    "history_retention_days": Case(0, published_after_changes),
    "volsurf_archive": Case("{home}/other", answered, FILES | {"volsurf_archive": "{home}/files"}),
    "volsurf_archive_mapping": Case(
        "optionsdx", answered, FILES | {"volsurf_archive": "{home}/files"}
    ),
    "simulated_seed": Case(8, answered),
    "simulated_dirt": Case(0.2, served),
    "theta_api_key": Case("a-token", asked, TERMINAL),
    "theta_api_url": Case("{terminal}/gateway", asked, TERMINAL),
    "theta_tier": Case("value", asked, {"volsurf_source": "theta", "theta_tier": "standard"}),
    "theta_timeout_s": Case(0.1, asked_slowly, TERMINAL),
    "theta_cache": Case(True, asked, TERMINAL),
    "theta_snapshot_time": Case("15:45:00", asked, TERMINAL),
    "deribit_url": Case("{terminal}/gateway", asked_of_coins, COINS),
    "deribit_timeout_s": Case(0.1, asked_of_coins, COINS),
    "deribit_recordings": Case("{home}/other", kept, COINS),
    "max_spread_pct": Case(1.0, computed),
    "wide_spread_pct": Case(1.5, computed),
    "min_open_interest": Case(1000.0, computed),
    "min_volume": Case(100.0, computed),
    "min_dte": Case(45, computed),
    "max_dte": Case(60, computed),
    "min_moneyness": Case(0.97, computed),
    "max_moneyness": Case(1.03, computed),
    "min_iv": Case(0.2, computed),
    "max_iv": Case(0.2, computed),
    "parity_tolerance": Case(10.0, computed),
    "svi_max_iterations": Case(1, computed),
    "svi_tolerance": Case(0.5, computed),
    "min_strikes_per_fit": Case(60, computed),
    "fit_cap_std_devs": Case(1.5, computed),
    "fit_side": Case("CALLS", computed),
    "fit_weighting": Case("equal", computed),
    "price_source": Case("marks", computed),
    "sabr_beta": Case(1.0, other_models),
    "smile_models": Case("polynomial", other_models),
    "max_fit_rmse_vol_points": Case(1e-6, degraded),
    "heston_lower": Case("0.1,0.05,0.01,-0.99,0.05", calibrated),
    "heston_upper": Case("10,1,0.02,0.99,1", calibrated),
    "heston_start": Case("9,0.5,0.02,0.9,0.9", calibrated, {"heston_global_rmse_vol_points": 0.0}),
    "heston_objective": Case("relative_price", calibrated),
    "heston_feller_penalty": Case(
        10.0, calibrated, {"heston_upper": "0.2,1,2,0.99,1", "heston_lower": "0.1,0.01,1,-0.9,0.01"}
    ),
    "heston_max_options": Case(30, calibrated),
    "heston_warm_start_vix_pct": Case(1.0, calibrated),
    "heston_global_rmse_vol_points": Case(0.0, calibrated),
    "max_heston_rmse_vol_points": Case(1e-3, poorly_calibrated),
    "vrp_window": Case(21, premium),
    "vrp_min_history": Case(30, premium),
    "alert_webhook_url": Case("{webhook}", posted),
    "alert_email_to": Case("desk@example.org", mailed, {"smtp_host": "127.0.0.1"}),
    "alert_email_from": Case("lake@example.org", mailed, MAIL),
    "smtp_host": Case("no..host", mailed, MAIL),
    "smtp_port": Case(1, mailed, MAIL),
    # The server of the test offers no encryption: credentials are not sent to it.
    "smtp_user": Case("lake", mailed, MAIL | {"smtp_password": "word"}),
    "smtp_password": Case("word", mailed, MAIL | {"smtp_user": "lake"}),
    "streamlit_port": Case(8502, lambda settings, _: options_of(settings)["server.port"]),
    "serve_host": Case("localhost", lambda settings, _: listening(settings)["host"]),
    "serve_port": Case(8001, lambda settings, _: listening(settings)["port"]),
    "serve_token": Case("word", statuses(("GET", {"url": "/v1/symbols"}))),
    "serve_rate_per_s": Case(1.0, statuses(*[("GET", {"url": "/v1/symbols"})] * 3)),
    "serve_max_at_once": Case(1, statuses(*[("GET", {"url": "/v1/symbols"})] * 3)),
    "serve_max_points": Case(10, statuses(("GET", {"url": "/v1/SPY/surface"}))),
    "serve_max_body_bytes": Case(
        9, statuses(("POST", {"url": "/v1/SPY/surface", "json": {"tenors": ["30d"]}}))
    ),
    "log_level": Case("WARNING", logged),
    "log_file": Case("{home}/other.log", logged),
}


def test_every_setting_is_tried() -> None:
    assert set(CASES) == set(Settings.model_fields)


@pytest.fixture(scope="module")
def chain() -> pl.DataFrame:
    """Two expiries of a noisy smile, with some pairs away from parity."""
    generator = np.random.default_rng(7)
    parts = []
    for n in (30, 90):
        strikes = np.arange(80.0, 121.0)
        vol = 0.2 + 0.3 * np.log(strikes / 100.0) ** 2 + generator.normal(0.0, 0.01, strikes.size)
        parts.append(expiry(in_days(n), lambda _, v=vol: np.tile(v, 2), strikes=strikes))
    rows = pl.concat(parts)
    is_off = (pl.col("strike") == 90.0) & (pl.col("option_type") == "CALL")
    return rows.with_columns(
        *(pl.when(is_off).then(pl.col(side) + 1.0).otherwise(side) for side in ("bid", "ask")),
        open_interest=51.0 + pl.int_range(pl.len()) % 17 * 300.0,
    )


@pytest.fixture(scope="module")
def terminal():
    with FakeTerminal(today=SERVED + timedelta(days=1), tier="pro") as serving:
        yield serving


@pytest.fixture(scope="module")
def usual() -> dict[object, str]:
    """What was seen where nothing was changed, by what was looked at."""
    return {}


@pytest.mark.parametrize("name", CASES)
def test_changing_it_changes_what_is_done(
    name, tmp_path, monkeypatch, chain, terminal, usual, request
):
    monkeypatch.chdir(tmp_path)
    for setting in Settings.model_fields:
        monkeypatch.delenv(setting.upper(), raising=False)
    hook = request.getfixturevalue("posts") if name.startswith("alert_webhook") else (0, [], [])
    mail = request.getfixturevalue("mails") if "mail" in name or "smtp" in name else (0, [])
    case = CASES[name]

    def seen(home: Path, **changed: object) -> str:
        (home / "files").mkdir(parents=True)
        (home / "other").mkdir()
        besides = {"volsurf_home": home, "theta_api_url": terminal.url, "smtp_port": mail[0] or 25}
        words = {"home": home, "terminal": terminal.url, "webhook": f"http://127.0.0.1:{hook[0]}/"}
        filled = {
            key: value.format(**words) if isinstance(value, str) else value
            for key, value in (besides | case.given | changed).items()
        }
        settings = Settings(_env_file=None, **filled)  # type: ignore[call-arg, arg-type]
        world = World(home, terminal, hook, mail, chain)
        return repr(case.look(settings, world)).replace(str(home), "HOME")

    looked_at = (case.look, *sorted(case.given.items()))
    if looked_at not in usual:
        usual[looked_at] = seen(tmp_path / "usual")
        assert seen(tmp_path / "again") == usual[looked_at], "it is not the same twice"
    assert seen(tmp_path / "changed", **{name: case.other}) != usual[looked_at]
