"""One exchange and everything it can answer: each reaction, the pauses, the pace, the clock."""

import json
import socket
from datetime import timedelta

import pytest

from tests.resources.deribit.clockwork import Clock, client_of
from tests.resources.deribit.exchange import TOO_MANY, Exchange, error
from tests.resources.loopback import Answer
from volsurf_resources.deribit.reactions import REACTIONS
from volsurf_resources.source import NoData, NotAllowed, TryLater, Unreadable

METHOD, PATH = "get_index_price", "/get_index_price"
PARAMS = {"index_name": "btc_usd"}


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def exchange(clock):
    with Exchange(clock.now) as exchange:
        yield exchange


def ask(exchange: Exchange, clock: Clock, **options):
    client = client_of(exchange.url, clock, **options)
    try:
        return client.get(METHOD, PARAMS)
    finally:
        client.close()


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("code", [code for code in REACTIONS if isinstance(code, int)])
def test_an_error_in_the_body_decides_whatever_the_status(exchange, clock, code, status):
    reaction = REACTIONS[code]
    exchange.script(PATH, *[error(code, "said", status, param="x")] * 20)
    with pytest.raises(reaction.error, match=f"{code}: .*said.*; {reaction.advice[:30]}"):
        ask(exchange, clock)
    assert len(exchange.asked(PATH)) == 1 + reaction.retries


@pytest.mark.parametrize(
    ("answer", "requests", "kind"),
    [
        (Answer(status=502, body="<html>bad gateway</html>"), 6, TryLater),
        (Answer(status=599, body=""), 6, TryLater),
        (Answer(status=429, body="slow down"), 13, TryLater),
        (Answer(status=403, body="not here"), 1, NotAllowed),
        (Answer(status=418, body="{}"), 1, NotAllowed),
        (error(13020, "not_found"), 1, NoData),
        (error(99999, "news"), 1, NotAllowed),
        (Answer(body="[1, 2]"), 1, Unreadable),
        (Answer(body='{"jsonrpc": "2.0"}'), 1, Unreadable),
        (Answer(body='{"jsonrpc": "2.0", "result": {"index_pr'), 5, TryLater),
        (Answer(body="<html>welcome to the hotel</html>"), 5, TryLater),
        (Answer(body=json.dumps({"result": 1}), cut=5), 5, TryLater),
    ],
)
def test_what_stays_wrong_ends_in_its_error(exchange, clock, answer, requests, kind):
    exchange.script(PATH, *[answer] * 20)
    with pytest.raises(kind):
        ask(exchange, clock)
    assert len(exchange.asked(PATH)) == requests


def test_two_failures_then_success(exchange, clock):
    exchange.script(PATH, Answer(status=503, body=""), Answer(body='{"result": {', cut=4))
    assert ask(exchange, clock).result["index_price"] == 67_000.0
    assert [round(pause, 1) for pause in clock.slept if pause >= 0.5] == [1.0, 0.5]


def test_a_minute_of_too_many_requests_is_waited_for(exchange, clock):
    until = clock.now() + timedelta(seconds=60)
    exchange.fault = lambda call: TOO_MANY if clock.now() < until else None
    assert ask(exchange, clock).result["index_price"] == 67_000.0
    assert timedelta(0) <= clock.now() - until < timedelta(seconds=35)
    assert len(exchange.calls) <= 8


def test_too_many_requests_for_ever_are_given_up_within_minutes(exchange, clock):
    exchange.fault = lambda call: TOO_MANY
    start = clock.now()
    with pytest.raises(TryLater, match="stop other programs"):
        ask(exchange, clock)
    assert timedelta(minutes=2) < clock.now() - start < timedelta(minutes=10)


def test_nobody_listens(clock):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(TryLater, match="nobody listens there: check the network"):
            client_of(url, clock).get(METHOD, PARAMS)


def test_silence_is_asked_again_then_named(exchange, clock):
    exchange.script(PATH, *[Answer(body="{}", delay_s=0.3)] * 3)
    with pytest.raises(TryLater, match="DERIBIT_TIMEOUT_S"):
        ask(exchange, clock, timeout_s=0.05)
    assert len(exchange.asked(PATH)) == 3


def test_requests_are_spaced_and_instruments_more_so(exchange, clock):
    client = client_of(exchange.url, clock)
    start = clock.now()
    for _ in range(11):
        client.get(METHOD, PARAMS)
    assert (clock.now() - start).total_seconds() == pytest.approx(2.0, abs=1e-3)
    start = clock.now()
    for _ in range(4):
        client.get("get_instruments", {"currency": "BTC", "kind": "option"})
    assert (clock.now() - start).total_seconds() == pytest.approx(3.2, abs=0.3)
    assert client.calls == {METHOD: 11, "get_instruments": 4}
    client.close()


@pytest.mark.parametrize("minutes", [-5, 0, 5])
def test_the_clock_is_compared_with_the_exchanges(clock, minutes):
    with Exchange(lambda: clock.now() - timedelta(minutes=minutes)) as exchange:
        answer = ask(exchange, clock)
    assert answer.clock_offset_s == pytest.approx(60 * minutes, abs=1.0)
    assert not answer.is_testnet


def test_an_envelope_without_times_tells_no_offset(exchange, clock):
    exchange.script(PATH, Answer(body='{"result": {}, "testnet": true}'))
    answer = ask(exchange, clock)
    assert (answer.clock_offset_s, answer.is_testnet) == (None, True)


def test_the_address_may_end_in_its_path(exchange, clock):
    client = client_of(f"{exchange.url}/api/v2/", clock)
    assert client.get(METHOD, PARAMS).result["index_price"] == 67_000.0
    client.close()
    with pytest.raises(ValueError, match="DERIBIT_URL needs http"):
        client_of("www.deribit.com", clock)
