"""The client over HTTP: the same answers and errors as the client in this process."""

import socket
from dataclasses import asdict
from datetime import timedelta

import pytest

from tests.app.handmade_session import handmade_session
from tests.app.server import serving
from tests.app.test_api import EXPIRY
from tests.assets.handmade import DAY
from volsurf_app.client import GridSpec, LocalClient
from volsurf_app.http_client import HttpClient, ServerError
from volsurf_app.questions import BadQuestion, NotStored
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    for table, rows in handmade_session().items():
        Lake(home / "lake").replace(table, DAY, rows)
    settings = Settings(volsurf_home=home, serve_token="word", serve_max_points=500)
    with serving(settings) as address, HttpClient(address.url, token="word") as client:
        yield LocalClient(Lake(home / "lake")), client


QUESTIONS = {
    "surface": lambda c: c.get_surface("SPX", DAY),
    "grid": lambda c: c.get_surface("SPX", None, GridSpec(tenors=(30, "6w"), deltas=(-0.2, 0.2))),
    "listed": lambda c: c.get_surface("SPX", DAY, GridSpec(expiries=[EXPIRY], strikes=[99.0])),
    "vol": lambda c: c.get_implied_vol("spx", DAY, 0.2, 101.5),
    "vol of an expiry": lambda c: c.get_implied_vol("SPX", str(DAY), EXPIRY, 101.5),
    "vol beyond": lambda c: c.get_implied_vol("SPX", DAY, 9.0, 101.5),
    "parameters": lambda c: c.get_svi_params("SPX", DAY),
    "greeks": lambda c: c.get_greeks("SPX", DAY, EXPIRY, 95.0, "PUT", root="SPX"),
    "why": lambda c: c.get_why("SPX", DAY, EXPIRY, 95.0, root="SPX"),
    "why between": lambda c: c.get_why("SPX", None, 0.2),
}
REFUSED = {
    "symbol": (NotStored, lambda c: c.get_svi_params("XYZ", DAY)),
    "day": (NotStored, lambda c: c.get_svi_params("SPX", DAY + timedelta(days=1))),
    "model": (BadQuestion, lambda c: c.get_svi_params("SPX", DAY, model="BLACK")),
    "strike": (BadQuestion, lambda c: c.get_implied_vol("SPX", DAY, 0.2, 0.0)),
    "path": (BadQuestion, lambda c: c.get_svi_params("A;B", DAY)),
    "then": (NotStored, lambda c: c.get_svi_params("SPX", DAY, known_at="2020-01-01T00:00:00Z")),
    "reason": (NotStored, lambda c: c.get_why("SPX", DAY, 9.0)),
    "grid": (BadQuestion, lambda c: c.get_surface("SPX", DAY, GridSpec(tenors=(30,)))),
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_answers_are_the_same(both, name):
    here, there = map(QUESTIONS[name], both)
    if name.startswith("why"):
        assert there == here
        assert here["smiles"][0]["quotes"]
    else:
        assert asdict(there) == asdict(here)


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_the_same(both, name):
    error, question = REFUSED[name]
    for client in both:
        with pytest.raises(error):
            question(client)


def test_server_that_refuses_or_is_not_there(both):
    _, client = both
    with pytest.raises(ServerError, match="at most 500 points"):
        client.get_surface("SPX", DAY, GridSpec(ttes=[0.1] * 30, strikes=[100.0] * 30))
    with (
        HttpClient(f"http://127.0.0.1:{client._connection.port}") as stranger,
        pytest.raises(ServerError, match="token"),
    ):
        stranger.get_svi_params("SPX", DAY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = HttpClient(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(ServerError, match="no answer"):
            nobody.get_svi_params("SPX", DAY)
    with pytest.raises(ValueError, match="http://host:port"):
        HttpClient("127.0.0.1:8000")
