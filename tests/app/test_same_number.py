"""One number everywhere: 50 random points from Python, HTTP, command line, web page and graph.

Another way to ask is another entry of `WAYS`: a function of the question and the places where it
may be asked, which returns the vol, or None where there is none.
"""

import json
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from functools import cache

import polars as pl
import pytest

from tests.app.conftest import set_home
from tests.app.server import serving
from tests.app.web_home import SurfacePage, browsing, serving_pages
from tests.browser import CHROMIUM
from volsurf_app import queries, surface
from volsurf_app.cli import run
from volsurf_app.client import GridSpec, LocalClient
from volsurf_app.http_client import HttpClient
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings

LAST_BITS = 1e-12  # a graph takes logarithms of all strikes at once, which NumPy rounds otherwise
_EXPIRY = ("symbol", "quote_date", "expiration_date", "root")


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
    page: Callable[[], SurfacePage]


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


def of_the_graph(asked: Question, at: Places) -> float | None:
    """Read the model's vol at a listed strike, which the graph draws where quotes reach."""
    terms = {"root": asked.root, "statuses": ("fitted",)}
    (graph,) = queries.smile_pictures(at.lake, asked.symbol, asked.day, asked.expiry, **terms)
    drawn = graph.curve.filter(~pl.col("is_extrapolated"))["strike"]
    if not drawn[0] <= asked.strike <= drawn[-1]:
        return None
    return graph.quotes.filter(pl.col("strike") == asked.strike)["model_vol"][0]


def on_the_web_page(asked: Question, at: Places) -> float | None:
    return at.page().vol(asked.symbol, asked.day, asked.expiry, asked.root, asked.strike)


def of_a_grid_on_the_command_line(asked: Question, at: Places) -> float | None:
    words = ["surface", "grid", asked.symbol, "--expiry", asked.expiry, "--strike", asked.strike]
    told = json.loads(at.said([*words, "--date", asked.day, "--json"]))
    return told["implied_vol"][0][0]


def of_why_on_the_command_line(asked: Question, at: Places) -> float | None:
    words = ["why", asked.symbol, "--expiry", asked.expiry, "--strike", asked.strike]
    told = json.loads(at.said([*words, "--date", asked.day, "--json"]))
    return told["point"]["implied_vol"]


WAYS = (
    in_python,
    of_the_local_client,
    over_http,
    of_a_grid_over_http,
    of_greeks_over_http,
    on_the_command_line,
    priced_on_the_command_line,
    of_the_graph,
    pytest.param(
        on_the_web_page,
        id="on_the_web_page",
        marks=[pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium")],
    ),
)


@pytest.fixture(scope="module")
def lake(filled_home):
    return Lake(filled_home / "lake")


@pytest.fixture(scope="module")
def questions(lake) -> list[Question]:
    """Listed strikes of fitted expiries, a few beyond the quotes, session by session."""
    chance = random.Random(50)
    rows = lake.read("fitted_surfaces").filter(status="fitted", model_type="SVI")
    contracts = lake.read("option_quotes").partition_by(_EXPIRY, as_dict=True)
    found = []
    for row in chance.choices(rows.rows(named=True), k=50):
        place = tuple(row[name] for name in _EXPIRY)
        about = chance.uniform(0.8, 1.15) * row["forward"]
        strike = min(contracts[place]["strike"], key=lambda listed, at=about: abs(listed - at))
        symbol, *when = place
        found.append(Question(symbol, *when, strike))
    return sorted(found, key=lambda asked: (asked.day, asked.expiry, asked.strike))


@pytest.fixture(scope="module")
def address(filled_home):
    with serving(Settings(volsurf_home=filled_home)) as address:
        yield address


@pytest.fixture(scope="module")
def page(filled_home):
    """Open the page of the surface once it is asked for."""
    with ExitStack() as stack:

        @cache
        def opened() -> SurfacePage:
            served = stack.enter_context(serving_pages(filled_home))
            return SurfacePage(stack.enter_context(browsing()), served)

        yield opened


@pytest.fixture
def places(lake, address, page, filled_home, monkeypatch, capsys):
    set_home(monkeypatch, filled_home)

    def said(words: list[object]) -> str:
        run([str(word) for word in words])
        return capsys.readouterr().out

    with HttpClient(address.url) as client:
        yield Places(lake, client, said, page)


@pytest.mark.parametrize("way", WAYS[1:])
def test_every_way_gives_the_same_number(way, questions, places):
    known = 0
    for asked in questions:
        first, other = in_python(asked, places), way(asked, places)
        if way is of_the_graph and first is not None:
            first = pytest.approx(first, rel=LAST_BITS)
        assert other == first, asked  # to the last bit: the same code answers
        known += first is not None
    assert 25 <= known < len(questions)
