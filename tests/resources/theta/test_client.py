"""One terminal and everything it can answer: each reaction, the pauses, the log, the cache."""

import asyncio
import itertools
import logging
import socket
import time
from collections import Counter
from datetime import UTC, datetime

import polars as pl
import pytest

from tests.resources.loopback import Answer
from tests.resources.theta.fake_terminal import FakeTerminal
from tests.resources.theta.samples import RATES_SAMPLE
from volsurf_resources.backoff import Backoff
from volsurf_resources.source import NotAllowed, TryLater, Unreadable
from volsurf_resources.theta.cache import ResponseCache
from volsurf_resources.theta.client import ThetaClient
from volsurf_resources.theta.endpoints import RATES
from volsurf_resources.theta.reactions import REACTIONS, reaction_to

QUICK = Backoff(scale=1e-5, jitter=lambda most: most)
PARAMS = {"symbol": "SOFR", "start_date": "2025-11-04", "end_date": "2025-11-08"}
GOOD = Answer(body=RATES_SAMPLE)


@pytest.fixture
def terminal():
    with FakeTerminal() as terminal:
        yield terminal


def ask(url: str, times: int = 1, is_final: bool = False, **options) -> pl.DataFrame:
    async def run() -> pl.DataFrame:
        client = ThetaClient(url=url, **{"concurrency": 2, "backoff": QUICK} | options)
        try:
            asked = [
                client.get(RATES.path, PARAMS, RATES.columns, is_final=is_final)
                for _ in range(times)
            ]
            return pl.concat(await asyncio.gather(*asked))
        finally:
            await client.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "requests", "error", "advice"),
    [
        (400, 1, NotAllowed, "check symbol, dates and expiration"),
        (401, 1, NotAllowed, "key was refused"),
        (403, 1, NotAllowed, "THETA_TIER"),
        (404, 1, NotAllowed, "update the Theta Terminal"),
        (410, 1, NotAllowed, "version 2"),
        (418, 1, NotAllowed, "check symbol"),
        (429, 7, TryLater, "too many requests"),
        (470, 3, TryLater, "no cause"),
        (471, 1, NotAllowed, "THETA_TIER"),
        (473, 1, NotAllowed, "check symbol"),
        (474, 7, TryLater, "lost the vendor's servers"),
        (475, 3, TryLater, "could not read"),
        (476, 1, NotAllowed, "one spelling of the host"),
        (477, 3, TryLater, "ask again"),
        (478, 1, NotAllowed, "restart the one terminal"),
        (500, 6, TryLater, "servers have trouble"),
        (502, 6, TryLater, "servers have trouble"),
        (503, 6, TryLater, "servers have trouble"),
        (504, 6, TryLater, "servers have trouble"),
        (570, 1, NotAllowed, "too large"),
        (571, 11, TryLater, "still starting"),
        (572, 3, TryLater, "failed inside"),
    ],
)
def test_a_status_that_stays_ends_in_its_error(terminal, status, requests, error, advice):
    terminal.script(RATES.path, *[Answer(status=status, body="the vendor's words")] * 20)
    with pytest.raises(error, match=f"HTTP {status}: the vendor's words; .*{advice}"):
        ask(terminal.url)
    assert len(terminal.asked(RATES.path)) == requests


def test_every_known_status_is_tried_above():
    (marks,) = test_a_status_that_stays_ends_in_its_error.pytestmark
    assert {status for status in REACTIONS if isinstance(status, int)} <= {
        case[0] for case in marks.args[1]
    }


@pytest.mark.parametrize("status", [429, 470, 474, 475, 477, 500, 502, 503, 504, 571, 572])
def test_a_status_that_passes_is_asked_through(terminal, status):
    terminal.script(RATES.path, Answer(status=status), Answer(status=status), GOOD)
    assert ask(terminal.url).height == 3
    assert len(terminal.asked(RATES.path)) == 3


def test_472_is_empty_in_the_right_schema(terminal):
    terminal.script(RATES.path, Answer(status=472, body="No data found for your request"))
    frame = ask(terminal.url)
    assert frame.is_empty()
    assert frame.schema == pl.Schema(RATES.columns)


def test_pauses_grow_to_the_cap_and_are_jittered():
    backoff = Backoff(cap_s=30.0, jitter=lambda most: most)
    pauses = [backoff.pause_s(reaction_to(429), n) for n in range(8)]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert [backoff.pause_s(reaction_to(474), n) for n in range(3)] == [10.0, 15.0, 25.0]
    drawn = {Backoff().pause_s(reaction_to(429), 3) for _ in range(50)}
    assert len(drawn) == 50
    assert 0.0 <= min(drawn) < max(drawn) <= 8.0


def test_the_terminal_sees_the_pauses_grow(terminal):
    terminal.script(RATES.path, *[Answer(status=429)] * 4, GOOD)
    ask(terminal.url, backoff=Backoff(scale=0.02, jitter=lambda most: most))
    at = [call.at for call in terminal.asked(RATES.path)]
    gaps = [late - early for early, late in itertools.pairwise(at)]
    assert all(gap >= 0.02 * 2**n for n, gap in enumerate(gaps))


def test_a_key_that_the_terminal_could_not_verify_ends_without_a_storm(terminal):
    terminal.script(RATES.path, *[Answer(status=474, body="disconnected")] * 9)
    terminal.script("/terminal/mdds/status", Answer(body="UNVERIFIED"))
    with pytest.raises(NotAllowed, match="THETADATA_API_KEY"):
        ask(terminal.url)
    assert len(terminal.calls) == 2


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_cut_body_is_thrown_away_and_asked_again(terminal, is_chunked):
    body = "created,rate\r\n" + "2025-11-04,4.0000\r\n" * 500
    whole = Answer(body=body, is_chunked=is_chunked)
    cuts = [Answer(body=body, is_chunked=is_chunked, cut=n) for n in (0, 5000, 5001)]
    terminal.script(RATES.path, *cuts, whole)
    assert ask(terminal.url).height == 500
    terminal.script(RATES.path, *cuts * 2)
    with pytest.raises(TryLater, match="ended in the middle"):
        ask(terminal.url)


def test_a_body_that_is_complete_for_http_but_not_for_us_is_asked_again(terminal):
    short = RATES_SAMPLE.rstrip().rpartition(",")[0]
    terminal.script(RATES.path, Answer(body=short), GOOD)
    assert ask(terminal.url).height == 3


def test_a_stalled_answer_is_asked_again_then_given_up(terminal):
    slow = Answer(body=RATES_SAMPLE, delay_s=0.3)
    terminal.script(RATES.path, slow, GOOD)
    assert ask(terminal.url, timeout_s=0.1).height == 3
    terminal.script(RATES.path, slow, slow, slow)
    with pytest.raises(TryLater, match="THETA_TIMEOUT_S"):
        ask(terminal.url, timeout_s=0.1)


def test_html_is_refused_at_once(terminal):
    terminal.script(RATES.path, Answer(body="<html>router login</html>"))
    with pytest.raises(Unreadable, match="another program"):
        ask(terminal.url)
    assert len(terminal.calls) == 1


def test_without_a_terminal_the_message_says_how_to_start_one(caplog):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        caplog.at_level(logging.INFO, "volsurf.theta"),
        pytest.raises(TryLater, match=r"java -jar ThetaTerminalv3\.jar.*THETA_API_URL"),
    ):
        ask(f"http://127.0.0.1:{port}")
    assert len([line for line in caplog.messages if line.startswith("GET")]) == 2


@pytest.mark.parametrize("concurrency", [1, 2, 4, 8])
def test_never_more_requests_at_once_than_allowed(concurrency):
    with FakeTerminal(hold_s=0.01) as terminal:
        terminal.script(RATES.path, Answer(status=429), *[GOOD] * 20)
        assert ask(terminal.url, times=20, concurrency=concurrency).height == 60
        assert 1 <= terminal.peak <= concurrency


def test_a_free_account_keeps_to_its_requests_per_minute(terminal):
    terminal.script(RATES.path, *[GOOD] * 6)
    started = time.monotonic()
    ask(terminal.url, times=6, concurrency=6, per_minute=3, backoff=Backoff(scale=0.005))
    at = sorted(call.at - started for call in terminal.calls)
    assert at[3] >= 60.0 * 0.005


def test_every_call_is_logged_and_counted_and_the_key_is_never_shown(terminal, caplog):
    terminal.script(RATES.path, Answer(status=500, body="key s3cret-key is odd"), GOOD)

    async def run() -> dict:
        client = ThetaClient(url=terminal.url, concurrency=1, api_key="s3cret-key", backoff=QUICK)
        await client.get(RATES.path, PARAMS | {"note": "s3cret-key"}, RATES.columns)
        await client.close()
        return client.usage

    with caplog.at_level(logging.DEBUG):
        usage = asyncio.run(run())
    assert usage == {datetime.now(UTC).date(): 2}
    calls = [
        line for line in caplog.messages if line.startswith(f"GET {terminal.url}/v3{RATES.path}?")
    ]
    assert [line.split("status=")[1].split(" ")[0] for line in calls] == ["500", "200"]
    assert calls[1].endswith("rows=3")
    assert all(" ms=" in line for line in calls)
    ours = [record.getMessage() for record in caplog.records if record.name == "volsurf.theta"]
    assert not any("s3cret" in line for line in ours)
    assert terminal.calls[0].headers["Authorization"] == "Bearer s3cret-key"


def test_a_wrong_key_is_one_request_and_an_error_without_the_key(terminal):
    terminal.script(RATES.path, Answer(status=401, body="bad key wrong-key"))
    with pytest.raises(NotAllowed) as refusal:
        ask(terminal.url, api_key="wrong-key")
    assert "wrong-key" not in str(refusal.value)
    assert len(terminal.calls) == 1


def test_a_kept_answer_is_not_asked_for_again(terminal, tmp_path):
    cache = ResponseCache(tmp_path)
    terminal.script(RATES.path, GOOD, GOOD, GOOD)
    first = ask(terminal.url, is_final=True, cache=cache)
    assert ask(terminal.url, is_final=True, cache=cache).equals(first)
    assert len(terminal.calls) == 1
    ask(terminal.url, is_final=False, cache=cache)
    assert len(terminal.calls) == 2
    (file,) = tmp_path.rglob("*.gz")
    file.write_bytes(file.read_bytes()[:-12])
    assert ask(terminal.url, is_final=True, cache=cache).equals(first)
    assert len(terminal.calls) == 3


def test_only_whole_answers_are_kept(terminal, tmp_path):
    bad = [Answer(status=472), Answer(status=400), Answer(body="<html>")]
    terminal.script(RATES.path, *bad)
    seen = Counter()
    for _ in bad:
        try:
            ask(terminal.url, is_final=True, cache=ResponseCache(tmp_path))
        except (NotAllowed, Unreadable) as error:
            seen[type(error)] += 1
    assert seen == {NotAllowed: 1, Unreadable: 1}
    assert not list(tmp_path.rglob("*.*"))


def test_an_address_without_a_scheme_is_refused():
    with pytest.raises(ValueError, match="THETA_API_URL needs http"):
        ThetaClient(url="127.0.0.1:25503", concurrency=1)
