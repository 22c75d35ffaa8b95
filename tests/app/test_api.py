"""The surface server: right answers, and clear ones to hostile, wrong and early questions."""

import gc
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import polars as pl
import pytest

from tests.app.handmade_session import handmade_session
from tests.app.server import serving
from tests.app.test_client import forwards
from tests.assets.handmade import DAY
from tests.assets.test_surfaces import smiles
from volsurf_app import queries, surface
from volsurf_app.api.application import LOOPBACK, Unprotected, options_of, short_pauses
from volsurf_app.client import LocalClient
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings

ROOT = Path(__file__).parents[2]
EXPIRY = DAY + timedelta(days=60)
POINT = "/v1/SPX/point?tenor=30d&log_moneyness=0.01"


def fill(lake, day=DAY, **named):
    lake.replace("fitted_surfaces", day, smiles(day, **named))
    lake.replace("implied_forwards", day, forwards(smiles(day).drop("reason")))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    fill(Lake(home / "lake"))
    return home


@pytest.fixture(scope="module")
def lake(home):
    return Lake(home / "lake")


@pytest.fixture(scope="module")
def server(home):
    with serving(Settings(volsurf_home=home, serve_max_body_bytes=100_000)) as address:
        yield address


def test_point_is_that_of_python(server, lake):
    status, told, _ = server.ask(POINT)
    point = surface.at("SPX", tenor="30d", log_moneyness=0.01, lake=lake)
    assert status == 200
    for name in ("implied_vol", "std_error", "strike", "forward", "status", "content_hash"):
        assert told[name] == getattr(point, name)
    assert told["units"]["implied_vol"] == "decimal per sqrt(year)"
    assert told["slices"][0]["passes_no_arbitrage"] == point.slices[0].passes_no_arbitrage


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/XYZ/point?tenor=30d&strike=100", 404),
        ("/v1/SPX/point?tenor=30d&strike=100&date=2026-01-03", 404),
        ("/v1/SPX/point?expiry=2031-01-01&strike=100", 404),
        ("/v1/SPX/point?tenor=30d&strike=0", 422),
        ("/v1/SPX/history?tenor=30d&strike=100&start=2026-01-03&end=2026-01-02", 422),
        ("/v1/SPX/history/fitted_surfaces/atm_vol?start=2026-01-03&end=2026-01-02", 422),
        ("/v1/SPX/point?tenor=30d&strike=-1", 422),
        ("/v1/SPX/point?tenor=30d&strike=nan", 422),
        ("/v1/SPX/point?tenor=30d&strike=1e400", 422),
        ("/v1/SPX/point?tenor=30d&strike=100&sql=1", 422),
        ("/v1/SPX/point?tenor=30d", 422),
        ("/v1/SPX/point?tenor=30d&strike=100&delta=0.2", 422),
        ("/v1/SPX/point?tenor=3m&strike=100", 422),
        ("/v1/SPX/point?tenor=30d&strike=100&model=BLACK", 422),
        ("/v1/SPX/point?tenor=30d&strike=100&model=HESTON", 404),
        ("/v1/SPX/point?tenor=30d&strike=100&snapshot=../../etc/passwd", 422),
        ("/v1/SPX/point?tenor=30d&strike=100&known_at=yesterday", 422),
        ("/v1/SPX/point?tenor=30d&strike=100&known_at=2020-01-01T00:00:00Z", 404),
        ("/v1/SPX/point?tenor=30d&strike=100&date=0000-00-00", 422),
        (f"/v1/SPX/point?tenor=30d&strike={quote('1; DROP TABLE fitted_surfaces')}", 422),
        (f"/v1/{quote('SPX; DROP TABLE x', safe='')}/dates", 422),
        ("/v1/..%2F..%2Fetc%2Fpasswd/dates", 404),
        ("/v1/%2e%2e/dates", 422),
        ("/v1/SPX%00/dates", 422),
        ("/v1/SPX/history/..%2Ffitted_surfaces/atm_vol?start=2026-01-01&end=2026-12-31", 404),
        ("/v1/SPX/history/market_rates/zero_rate?start=2026-01-01&end=2026-12-31", 404),
        ("/v1/SPX/history/fitted_surfaces/passwd?start=2026-01-01&end=2026-12-31", 404),
        ("/v1/SPX/history/fitted_surfaces/atm_vol?start=2026-01-01&end=2026-12-31", 422),
        (
            "/v1/SPX/history/fitted_surfaces/atm_vol?start=2026-01-01&end=2026-12-31"
            "&key=model_type:SVI&key=root:SPX&key=expiration_date:x'%20OR%20'1'='1",
            200,
        ),
        ("/v1/SPX/greeks?expiry=2026-13-13&strike=100&option_type=CALL", 422),
        (f"/v1/SPX/greeks?expiry={EXPIRY}&strike=100&option_type=straddle", 422),
        ("/v1/SPX/surface?tenors=30d&deltas=2", 422),
        ("/v1/SPX/surface?" + "&".join(["tenors=30d"] * 300) + "&" + "&deltas=.2" * 300, 413),
        ("/v1/SPX/point?tenor=30d&strike=" + "1" * 60_000, 422),
        ("/v1/SPX/point?tenor=30d&strike=100&model=gvv", 404),
        ("/v1/SPX/point?tenor=30d&strike=100&model=" + "x" * 30, 422),
        ("/v1/XYZ/why?tenor=30d&strike=100", 404),
        (f"/v1/SPX/why?expiry={quote(chr(39) + ' OR 1=1 --')}", 422),
        ("/v1/SPX/why?tenor=20y", 404),
        ("/v1/SPX/why?tenor=30d&snapshot=..%2F1500", 422),
        ("/v1/SPX/why?expiry=2031-01-01&root=..%2F..", 404),
        (f"/v1/SPX/greeks?expiry={EXPIRY}&strike=0&option_type=CALL", 422),
        ("/v1/SPX/history?start=2026-12-31&end=soon&tenor=30d&strike=100", 422),
        ("/nothing", 404),
        ("/", 404),
    ],
)
def test_wrong_questions_are_problems(server, path, status):
    found, told, headers = server.ask(path)
    assert found == status, told
    if status != 200:
        assert headers["content-type"] == "application/problem+json"
        assert told["status"] == status
        assert told["detail"]
        assert "Traceback" not in json.dumps(told)


def test_tenor_beyond_the_last_expiry_has_no_value_but_a_reason(server):
    status, told, _ = server.ask("/v1/SPX/implied_vol?T=5&K=100")
    assert (status, told["implied_vol"], told["status"]) == (200, None, "outside_expiries")


def test_bodies_are_limited_and_must_be_json(server):
    status, told, _ = server.ask("/v1/SPX/surface", "POST", "{" + " " * 200_000)
    assert (status, told["title"]) == (413, "Request Entity Too Large")
    for body in ("", "null", "{", "[1]", '{"tenors": 3}', '{"tenors": [null]}', "\x00"):
        status, _, _ = server.ask("/v1/SPX/surface", "POST", body)
        assert status == 422, body
    status, _, _ = server.ask("/v1/SPX/surface", "DELETE")
    assert status == 405


def test_a_body_of_fifty_megabytes_is_refused_unread(server):
    try:
        status, told, _ = server.ask("/v1/SPX/points", "POST", "x" * 50_000_000)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server answered and hung up while we were still sending
    else:
        assert status == 413, told
    parts = (b"x" * 10_000 for _ in range(5_000))
    try:
        status, told, _ = server.ask("/v1/SPX/points", "POST", parts)  # length not announced
    except (BrokenPipeError, ConnectionResetError):
        pass
    else:
        assert status == 413, told
    assert server.ask(POINT)[0] == 200


def test_many_points_and_grids_of_one_request(server, lake):
    asked = {"points": [{"tenor": "30d", "delta": -0.25}, {"expiry": str(EXPIRY), "strike": 101}]}
    status, told, _ = server.ask("/v1/SPX/points", "POST", asked)
    assert status == 200
    points = [
        surface.at("SPX", tenor="30d", delta=-0.25, lake=lake),
        surface.at("SPX", expiry=EXPIRY, strike=101.0, lake=lake),
    ]
    assert [p["implied_vol"] for p in told] == [p.implied_vol for p in points]
    grid = {"tenors": ["30d", "60d"], "strikes": [95.0, 100.0]}
    _, by_post, _ = server.ask("/v1/SPX/surface", "POST", grid)
    _, by_get, _ = server.ask("/v1/SPX/surface?tenors=30d&tenors=60d&strikes=95&strikes=100")
    assert by_post == by_get


def test_empty_store_and_half_filled_store(tmp_path):
    with serving(Settings(volsurf_home=tmp_path / "nowhere")) as server:
        assert server.ask("/health")[1]["status"] == "empty"
        status, told, _ = server.ask(POINT)
        assert status == 404
        assert "volsurf demo" in told["detail"]
        assert server.ask("/v1/symbols")[1] == {"symbols": []}
        assert server.ask("/v1/SPX/dates")[0] == 404
        assert not (tmp_path / "nowhere").exists()
        lake = Lake(tmp_path / "nowhere" / "lake")
        lake.replace("fitted_surfaces", DAY, smiles())
        assert server.ask(POINT)[0] == 200
        assert server.ask("/v1/SPX/greeks?tenor=30d&strike=100&option_type=CALL")[1]["status"] == (
            "no_forward"
        )
        assert server.ask(f"/v1/SPX/why?expiry={EXPIRY}&strike=100")[0] == 404
        assert server.ask("/health")[1]["symbols"]["SPX"]["last_session"] == str(DAY)


def test_symbols_of_every_market_are_served(tmp_path, monkeypatch):
    """R007: one process answers for funds and coins, each out of the lake of its market."""
    settings = Settings(volsurf_home=tmp_path)
    lakes = queries.open_lakes(settings)
    funds, coins = lakes.of("SPY"), lakes.of("BTC")
    funds.replace("fitted_surfaces", DAY, smiles(symbol="SPY"))
    coins.replace("fitted_surfaces", DAY, smiles(symbol="BTC", level=0.5, snapshot="1600"))
    question = {"tenor": "30d", "log_moneyness": 0.01}
    monkeypatch.setenv("VOLSURF_HOME", str(tmp_path))
    with serving(settings) as server:
        for symbol, lake in {"SPY": funds, "BTC": coins}.items():
            there = surface.at(symbol, **question, lake=lake).implied_vol
            told = server.ask(f"/v1/{symbol}/point?tenor=30d&log_moneyness=0.01")[1]
            assert told["implied_vol"] == there
            assert surface.at(symbol, **question).implied_vol == there
            assert LocalClient().get_implied_vol(symbol, None, T=0.1, K=told["strike"]).implied_vol
            assert server.ask(f"/v1/{symbol}/dates")[1]["dates"] == [str(DAY)]
        _, told, _ = server.ask("/v1/BTC/point?tenor=30d&log_moneyness=0.01&snapshot=1300")
        assert told["detail"].endswith("the snapshots of that day are 1600")
        health = server.ask("/health")[1]["symbols"]
    assert {"BTC", "SPY"} == set(health)
    assert health["BTC"]["last_closed_session"] >= health["SPY"]["last_closed_session"]


def test_damaged_file_is_a_problem_that_passes(tmp_path):
    lake = Lake(tmp_path / "lake")
    fill(lake)
    whole = lake.path("fitted_surfaces", DAY).read_bytes()
    lake.path("fitted_surfaces", DAY).write_bytes(whole[:200])
    with serving(Settings(volsurf_home=tmp_path)) as server:
        status, told, headers = server.ask(POINT)
        assert (status, headers["retry-after"]) == (503, "5")
        assert str(tmp_path) not in json.dumps(told)
        lake.replace("fitted_surfaces", DAY, smiles())
        assert server.ask(POINT)[0] == 200


def test_nothing_is_written(server, home):
    def contents():
        return {path: path.stat().st_mtime_ns for path in home.rglob("*")}

    before = contents()
    for path in (POINT, "/v1/SPX/surface", "/health", "/metrics", "/v1/SPX/dates", "/openapi.json"):
        assert server.ask(path)[0] == 200
    assert contents() == before


def test_store_rewritten_meanwhile(tmp_path):
    """Readers see one version or the next, never an error and never a mixture."""
    lake = Lake(tmp_path / "lake")
    fill(lake)
    versions, done = {}, threading.Event()

    def rewrite():
        for n in range(60):
            level = 0.2 + 0.001 * (n % 7)
            fill(lake, level=level)
            done.wait(0.01)
        done.set()

    for n in range(7):
        fill(lake, level=0.2 + 0.001 * n)
        point = surface.at("SPX", tenor="30d", log_moneyness=0.01, lake=lake)
        versions[point.content_hash] = point.implied_vol
    with serving(Settings(volsurf_home=tmp_path)) as server:
        writer = threading.Thread(target=rewrite)
        writer.start()
        seen = []
        while not done.is_set():
            status, told, _ = server.ask(POINT)
            seen.append((status, told.get("implied_vol"), told.get("content_hash")))
        writer.join()
    assert {status for status, _, _ in seen} == {200}
    assert all(versions[content] == vol for _, vol, content in seen)
    assert len({content for _, _, content in seen}) > 1


def test_every_question_while_another_process_rewrites_the_store(tmp_path):
    lake = Lake(tmp_path / "lake")
    for table, rows in handmade_session().items():
        lake.replace(table, DAY, rows)
    span = f"start={DAY}&end={DAY}"
    questions = (
        POINT,
        "/v1/SPX/point?tenor=45d&delta=-0.4",
        f"/v1/SPX/greeks?expiry={EXPIRY}&strike=100&option_type=PUT",
        "/v1/SPX/surface?tenors=30d&tenors=90d&strikes=95&strikes=105",
        "/v1/SPX/svi_params",
        f"/v1/SPX/why?expiry={EXPIRY}&strike=100",
        f"/v1/SPX/history?{span}&tenor=30d&log_moneyness=0",
        f"/v1/SPX/history/fitted_surfaces/atm_vol?{span}&key=root:SPX&key=model_type:SVI"
        f"&key=expiration_date:{EXPIRY}",
        "/v1/SPX/dates",
        "/health",
    )
    command = [sys.executable, "-m", "tests.app.handmade_session", str(lake.root)]
    seen = set()
    with (
        serving(Settings(volsurf_home=tmp_path)) as server,
        subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT) as writer,
        ThreadPoolExecutor(4) as crowd,
    ):
        try:
            while len(seen) < 4:  # versions of the surface
                answers = list(crowd.map(server.ask, questions))
                assert [status for status, _, _ in answers] == [200] * len(questions)
                seen.add(answers[0][1]["content_hash"])
        finally:
            writer.stdin.close()
    assert writer.returncode == 0


@pytest.mark.parametrize("n", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_at_once_are_answered_or_told_to_wait(home, n):
    with serving(Settings(volsurf_home=home, serve_max_at_once=8)) as server:
        with ThreadPoolExecutor(64) as crowd:
            statuses = list(crowd.map(lambda _: server.ask(POINT)[0], range(n)))
        assert set(statuses) <= {200, 429}
        assert statuses.count(200) > 0
        assert server.ask(POINT)[0] == 200


def test_what_is_loaded_is_kept_out_of_collections_while_it_serves():
    with short_pauses():
        assert gc.get_freeze_count() > 10_000
    assert gc.get_freeze_count() == 0


def test_rate_is_limited_for_each_address(home):
    with serving(Settings(volsurf_home=home, serve_rate_per_s=5.0)) as server:
        answers = [server.ask("/health") for _ in range(12)]
    assert [status for status, _, _ in answers[:5]] == [200] * 5
    refused = [(told, headers) for status, told, headers in answers if status == 429]
    assert refused
    assert refused[0][1]["retry-after"] == "1"
    assert "5 requests a second" in refused[0][0]["detail"]


def test_token_is_asked_of_everyone_where_one_is_set(home):
    with serving(Settings(volsurf_home=home, serve_token="word")) as server:
        assert server.ask("/health")[0] == 200
        for wrong in ({}, {"Authorization": "Bearer"}, {"Authorization": "Bearer words"}):
            status, _, headers = server.ask(POINT, headers=wrong)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert server.ask(POINT, headers={"Authorization": "Bearer word"})[0] == 200


def test_strangers_are_served_only_with_a_token(home):
    settings = Settings(volsurf_home=home)
    assert options_of(settings)["host"] in LOOPBACK
    with pytest.raises(Unprotected, match="SERVE_TOKEN"):
        options_of(settings, "0.0.0.0")
    options_of(Settings(volsurf_home=home, serve_token="word"), "0.0.0.0")


def test_health_and_metrics_tell_how_fresh_the_data_are(server):
    _, health, _ = server.ask("/health")
    assert health["status"] in ("ok", "stale")
    assert health["symbols"]["SPX"]["last_session"] == str(DAY)
    server.ask("/v1/XYZ/dates")
    _, text, headers = server.ask("/metrics")
    assert headers["content-type"].startswith("text/plain")
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    behind = float(lines['volsurf_sessions_behind{symbol="SPX"}'])
    assert behind == health["symbols"]["SPX"]["sessions_behind"]
    assert float(lines['volsurf_requests_total{route="/v1/{symbol}/dates",status="404"}']) >= 1
    assert datetime.fromisoformat(health["symbols"]["SPX"]["known_at"]) < datetime.now(UTC)


def test_head_is_answered_as_get_without_the_body(server):
    """Monitors ask so whether a server is there (RFC 9110, 9.3.2)."""
    for path, status in (("/health", 200), ("/v1/XYZ/dates", 404)):
        asked = Request(f"{server.url}{path}", method="HEAD")
        try:
            answer = urlopen(asked, timeout=10)
        except HTTPError as error:
            answer = error
        with answer:
            assert (answer.status, answer.read()) == (status, b"")
            assert int(answer.headers["content-length"]) > 0


def test_history_of_a_point_and_of_a_column(server, lake):
    span = f"start={DAY - timedelta(days=9)}&end={DAY}"
    _, told, _ = server.ask(f"/v1/SPX/history?{span}&tenor=30d&delta=-0.25")
    point = surface.at("SPX", tenor="30d", delta=-0.25, lake=lake)
    assert [row["implied_vol"] for row in told["rows"]] == [point.implied_vol]
    key = f"key=root:SPX&key=model_type:SVI&key=expiration_date:{EXPIRY}"
    _, told, _ = server.ask(f"/v1/SPX/history/fitted_surfaces/atm_vol?{span}&{key}")
    stored = lake.read("fitted_surfaces").filter(pl.col("expiration_date") == EXPIRY)
    assert told["values"] == stored["atm_vol"].to_list()
    assert (told["unit"], told["dates"]) == ("decimal", [str(DAY)])


@pytest.mark.filterwarnings("ignore::Warning")
def test_its_own_description_holds(home):
    """Requests made up from the OpenAPI document: no 5xx, answers as described."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.strategies import booleans
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    checks = [not_a_server_error, status_code_conformance]
    checks += [content_type_conformance, response_schema_conformance]
    with serving(Settings(volsurf_home=home)) as server:
        schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        for result in schema.get_all_operations():
            operation = result.ok()

            @given(case=operation.as_strategy(), is_stored=booleans())
            @settings(
                max_examples=15,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def tried(case, is_stored):
                if is_stored and "symbol" in case.path_parameters:
                    case.path_parameters["symbol"] = "SPX"
                case.call_and_validate(base_url=server.url, checks=checks)

            tried()


def test_no_file_outside_the_store_is_read(tmp_path):
    """A partition that points elsewhere by its name cannot be asked for."""
    secret = Path(tmp_path / "secret.parquet")
    smiles().write_parquet(secret)
    fill(Lake(tmp_path / "home" / "lake"))
    with serving(Settings(volsurf_home=tmp_path / "home")) as server:
        for name in ("../secret", "..%2F..%2Fsecret", quote(str(secret), safe="")):
            path = f"/v1/SPX/history/{name}/svi_a?start=2020-01-01&end=2027-01-01"
            assert server.ask(path)[0] == 404
