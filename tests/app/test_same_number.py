"""One number everywhere: 50 random points from Python, HTTP and the command line.

Another way to ask is another entry of `WAYS`: a function of the question and the places where it
may be asked, which returns the vol, or None where there is none.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pytest

from tests.app.conftest import set_home
from tests.app.server import serving
from volsurf_app import surface
from volsurf_app.cli import run
from volsurf_app.client import GridSpec, LocalClient
from volsurf_app.http_client import HttpClient
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings


@dataclass(frozen=True)
class Question:
    """A strike of a listed expiry of a session."""

    symbol: str
    day: date
    expiry: date
    root: str
    strike: float


@dataclass(frozen=True)
class Places:
    """Where numbers can be asked for."""

    lake: Lake
    client: HttpClient
    said: Callable[[list[object]], str]


def in_python(asked: Question, at: Places) -> float | None:
    terms = {"expiry": asked.expiry, "root": asked.root, "strike": asked.strike}
    return surface.at(asked.symbol, **terms, on=asked.day, lake=at.lake).implied_vol


def of_the_local_client(asked: Question, at: Places) -> float | None:
    client = LocalClient(at.lake)
    return client.get_implied_vol(asked.symbol, asked.day, asked.expiry, asked.strike).implied_vol


def over_http(asked: Question, at: Places) -> float | None:
    terms = (asked.expiry, asked.strike)
    return at.client.get_implied_vol(asked.symbol, asked.day, *terms).implied_vol


def of_a_grid_over_http(asked: Question, at: Places) -> float | None:
    spec = GridSpec(expiries=[asked.expiry], strikes=[asked.strike])
    return at.client.get_surface(asked.symbol, asked.day, spec).implied_vol[0][0]


def of_greeks_over_http(asked: Question, at: Places) -> float | None:
    terms = (asked.expiry, asked.strike, "CALL", asked.root)
    return at.client.get_greeks(asked.symbol, asked.day, *terms).implied_vol


def on_the_command_line(asked: Question, at: Places) -> float | None:
    words = ["surface", "at", asked.symbol, "--expiry", asked.expiry, "--strike", asked.strike]
    told = json.loads(at.said([*words, "--date", asked.day, "--json"]))
    return told["implied_vol"]


def priced_on_the_command_line(asked: Question, at: Places) -> float | None:
    words = ["surface", "price", asked.symbol, "--expiry", asked.expiry, "--strike", asked.strike]
    told = json.loads(at.said([*words, "--date", asked.day, "--json"]))
    return told["put"]["implied_vol"]


WAYS = (
    in_python,
    of_the_local_client,
    over_http,
    of_a_grid_over_http,
    of_greeks_over_http,
    on_the_command_line,
    priced_on_the_command_line,
)


@pytest.fixture(scope="module")
def lake(filled_home):
    return Lake(filled_home / "lake")


@pytest.fixture(scope="module")
def questions(lake) -> list[Question]:
    """Strikes of fitted expiries, a few beyond the quotes."""
    chance = random.Random(50)
    rows = lake.read("fitted_surfaces").filter(status="fitted", model_type="SVI")
    chosen = chance.choices(rows.rows(named=True), k=50)
    return [
        Question(
            row["symbol"],
            row["quote_date"],
            row["expiration_date"],
            row["root"],
            round(chance.uniform(0.8, 1.15) * row["forward"], 2),
        )
        for row in chosen
    ]


@pytest.fixture(scope="module")
def address(filled_home):
    with serving(Settings(volsurf_home=filled_home)) as address:
        yield address


@pytest.fixture
def places(lake, address, filled_home, monkeypatch, capsys):
    set_home(monkeypatch, filled_home)

    def said(words: list[object]) -> str:
        run([str(word) for word in words])
        return capsys.readouterr().out

    with HttpClient(address.url) as client:
        yield Places(lake, client, said)


@pytest.mark.parametrize("way", WAYS[1:], ids=lambda way: way.__name__)
def test_every_way_gives_the_same_number(way, questions, places):
    known = 0
    for asked in questions:
        first, other = in_python(asked, places), way(asked, places)
        assert first == other, asked  # to the last bit: the same code answers
        known += first is not None
    assert 25 <= known < len(questions)
