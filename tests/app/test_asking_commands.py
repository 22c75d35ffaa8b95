"""`volsurf surface`, `why` and `serve`: what they print stands in the store, and how they end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.app.conftest import DAYS
from volsurf_app import surface
from volsurf_app.client import STANDARD_GRID
from volsurf_app.http_client import HttpClient, ServerError
from volsurf_app.questions import when, where
from volsurf_resources.lake import Lake

DAY = DAYS[1]


@pytest.fixture
def lake(filled_home):
    return Lake(filled_home / "lake")


@pytest.fixture
def fitted(lake):
    rows = lake.read("fitted_surfaces", [DAY], symbols=["SPY"])
    return rows.filter(status="fitted", model_type="SVI").sort("tte_years").row(4, named=True)


def test_point_is_printed_with_its_support(volsurf, lake):
    point = surface.at("SPY", tenor="30d", delta=-0.25, lake=lake)
    code, said, _ = volsurf("surface", "at", "SPY", "--tenor", "30d", "--delta", "-0.25")
    assert code == 0
    assert f"{100 * point.implied_vol:.4f} %" in said
    assert f"{100 * point.std_error:.4f} vol points" in said
    assert point.content_hash[:12] in said
    for used in point.slices:
        assert f"from {used.root} {used.expiration_date}: {used.status}" in said


def test_point_as_json_is_the_whole_answer(volsurf, lake):
    code, said, _ = volsurf("surface", "at", "SPY", "--tenor", "30d", "-k", "0.01", "--json")
    told = json.loads(said)
    point = surface.at("SPY", tenor="30d", log_moneyness=0.01, lake=lake)
    assert code == 0
    assert told["implied_vol"] == point.implied_vol
    assert told["units"] == point.units


def test_grid_is_that_of_python_and_printed_in_percent(volsurf, lake):
    asked = [word for days in (30, 90) for word in ("--tenor", f"{days}d")]
    asked += [word for k in (-0.05, 0.0, 0.9) for word in ("-k", k)]
    times, places = [when(tenor=30), when(tenor=90)], where(log_moneyness=[-0.05, 0.0, 0.9])
    grid = surface.points("SPY", times, places, lake=lake)
    code, said, _ = volsurf("surface", "grid", "SPY", *asked)
    assert code == 0
    assert f"{100 * grid.implied_vol[1][0]:.2f}" in said
    assert "no quotes support" in said
    told = json.loads(volsurf("surface", "grid", "SPY", *asked, "--json")[1])
    assert told["implied_vol"] == grid.implied_vol
    assert told["status"] == grid.status
    usual = json.loads(volsurf("surface", "grid", "SPY", "--json")[1])
    assert len(usual["implied_vol"]) == len(STANDARD_GRID.tenors)
    assert volsurf("surface", "grid", "SPY", "--tenor", "30d")[0] == 2
    assert volsurf("surface", "grid", "SPY", "--date", "2026-01-03")[0] == 1


@pytest.mark.parametrize("way", ["--tte", "--tenor", "--expiry"])
def test_price_of_any_strike_equals_the_curve(volsurf, lake, fitted, way):
    when = {"--tte": "0.1", "--tenor": "40d", "--expiry": str(fitted["expiration_date"])}[way]
    given = {"tte": 0.1} if way == "--tte" else {way[2:]: when}
    strike = round(fitted["forward"])
    words = ("surface", "price", "SPY", "--strike", strike, way, when)
    code, said, _ = volsurf(*words)
    point = surface.at("SPY", **given, strike=float(strike), lake=lake)
    assert code == 0
    assert f"{100 * point.implied_vol:.4f} %" in said
    code, said, _ = volsurf(*words, "--json")
    told = json.loads(said)
    call, put = told["call"], told["put"]
    assert call["implied_vol"] == put["implied_vol"] == point.implied_vol
    parity = call["discount_factor"] * (call["forward"] - strike)
    assert call["price"] - put["price"] == pytest.approx(parity, abs=1e-9)


def test_svi_parameters_are_the_stored_ones(volsurf, lake, fitted):
    code, said, _ = volsurf("surface", "svi", "SPY", "--date", DAY)
    key = [str(fitted["expiration_date"]), fitted["root"]]
    (line,) = (row for row in said.splitlines() if row.split()[:2] == key)
    assert code == 0
    assert f"{fitted['svi_a']:.4g}" in line
    assert f"{fitted['rmse']:.3f}" in line


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("SPY", "--tenor", "30d", "--delta", "0.001"), 1, "outside_strikes"),
        (("SPY", "--tenor", "1d", "--delta", "0.5"), 1, "outside_expiries"),
        (("XYZ", "--tenor", "30d", "--delta", "0.5"), 1, "there are"),
        (("SPY", "--expiry", "2031-01-01", "--delta", "0.5"), 1, "nearest are"),
        (("SPY", "--tenor", "3m", "--delta", "0.5"), 2, "a tenor is"),
        (("SPY", "--tenor", "30d", "--strike", "0"), 2, "positive"),
        (("SPY", "--tenor", "30d"), 2, "one of"),
        (("SPY", "--tenor", "30d", "--strike", "1", "--delta", "0.1"), 2, "one of"),
        (("SP/../Y", "--tenor", "30d", "--strike", "1"), 2, "no symbol"),
    ],
)
def test_questions_without_answer_end_clearly(volsurf, words, code, told):
    ended, said, errors = volsurf("surface", "at", *words)
    assert ended == code
    assert told in " ".join((said + errors).split())
    assert "Traceback" not in said + errors


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("XYZ", "--tenor", "30d"), 1, "there are SPY"),
        (("SPY", "--expiry", "2031-01-01"), 1, "nearest are"),
        (("SPY", "--tenor", "20y"), 1, "expiries reach from"),
        (("SPY", "--tenor", "20y", "--strike", "600"), 1, "outside_expiries"),
        (("SPY", "--tenor", "30d", "--date", "2026-01-03"), 1, "nearest sessions are"),
        (("SPY", "--tenor", "30d", "--snapshot", "1500"), 1, "1500"),
        (("SPY", "--tenor", "30d", "--model", "convex"), 1, "SMILE_MODELS"),
        (("SPY", "--tenor", "30d", "--known-at", "2020-01-01T00:00:00Z"), 1, "was known at"),
        (("SPY", "--tenor", "30d", "--strike", "0"), 2, "positive"),
        (("SPY", "--tenor", "30d", "--model", "black"), 2, "one of SVI"),
        (("SPY", "--tenor", "30d", "--snapshot", "../x"), 2, "EOD or HHMM"),
        (("SPY", "--tenor", "30d", "--known-at", "soon"), 2, "a time is written"),
        (("SPY", "--expiry", "1' OR '1'='1"), 2, "YYYY-MM-DD"),
        (("SPY; DROP TABLE x", "--tenor", "30d"), 2, "no symbol"),
        (("../../etc", "--tenor", "30d"), 2, "no symbol"),
        (("SPY",), 2, "one of tenor"),
    ],
)
def test_why_without_answer_ends_clearly(volsurf, words, code, told):
    ended, said, errors = volsurf("why", *words)
    assert ended == code
    assert told in " ".join((said + errors).replace("│", " ").split())
    assert "Traceback" not in said + errors


@pytest.mark.parametrize("model", ["ssvi", "sabr", "heston", "gvv", "polynomial"])
def test_any_model_can_be_asked(volsurf, lake, fitted, model):
    expiry, strike = fitted["expiration_date"], float(round(fitted["forward"]))
    words = ("--expiry", expiry, "--strike", strike, "--model", model, "--json")
    point = surface.at("SPY", expiry=expiry, strike=strike, model=model, lake=lake)
    _, at, _ = volsurf("surface", "at", "SPY", *words)
    _, price, _ = volsurf("surface", "price", "SPY", *words)
    _, why, _ = volsurf("why", "SPY", *words)
    told = [json.loads(at), json.loads(price)["put"], json.loads(why)["point"]]
    assert [one["implied_vol"] for one in told] == [point.implied_vol] * 3
    assert {one["model"] for one in told} == {point.model}


def test_why_lists_quotes_rules_pairs_fit_and_files(volsurf, lake, fitted):
    expiry, strike = fitted["expiration_date"], round(fitted["forward"])
    code, said, _ = volsurf("why", "SPY", "--date", DAY, "--expiry", expiry, "--strike", strike)
    assert code == 0
    quotes = lake.read("option_quotes", [DAY]).filter(
        root=fitted["root"], expiration_date=expiry, is_liquid=True, is_out_of_the_money=True
    )
    assert sum(name in said for name in quotes["contract_id"]) >= fitted["num_points"]
    assert f"{fitted['svi_rho']:.6g}" in said
    assert "not_two_sided" in said
    assert lake.content_hash("raw_options_chains", DAY)[:12] in said
    assert "certificate of" in said
    code, said, _ = volsurf("why", "SPY", "--date", DAY, "--expiry", expiry, "--json")
    told = json.loads(said)
    assert told["point"] is None
    used = [quote for quote in told["smiles"][0]["quotes"] if quote["verdict"] == "used"]
    assert len(used) == fitted["num_points"]


def test_server_of_the_command_answers_and_ends(filled_home, lake):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "volsurf_app", "serve", "--port", str(port)]
    environment = os.environ | {"VOLSURF_HOME": str(filled_home)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert f"http://127.0.0.1:{port}/docs" in server.stdout.readline()
            with patiently(HttpClient(f"http://127.0.0.1:{port}")) as client:
                told = client.get_svi_params("SPY", DAY)
            assert told.content_hash == lake.content_hash("fitted_surfaces", DAY, "SPY")
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(30.0) == 0


def patiently(client, seconds=60.0):
    """Wait until the server is there."""
    end = time.monotonic() + seconds
    while True:
        try:
            client.get_svi_params("SPY", DAY)
        except ServerError:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.1)
        else:
            return client


def test_taken_port_is_told(volsurf):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, _ = volsurf("serve", "--port", taken.getsockname()[1])
    assert code == 1


def test_serving_strangers_needs_a_token(volsurf):
    code, _, errors = volsurf("serve", "--host", "0.0.0.0")
    assert code == 2
    assert "SERVE_TOKEN" in errors
