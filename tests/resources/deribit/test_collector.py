"""Collecting round the clock: which slot is due, and an hour of faults with a restart in it."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.resources.deribit.clockwork import START, Clock, client_of
from tests.resources.deribit.exchange import TOO_MANY, Exchange
from tests.resources.loopback import Answer, Call
from volsurf_resources.deribit import Deribit, RecordedDeribit
from volsurf_resources.deribit.collector import Collector, due, gaps, slot_of, wake_at
from volsurf_resources.deribit.recordings import Recordings
from volsurf_resources.source import TryLater

QUARTER = timedelta(minutes=15)
BOTH = ("BTC", "ETH")


def at(hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(2026, 2, 20, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "every", "slot"),
    [
        (at(13, 0), 15, at(13, 0)),
        (at(13, 14, 59), 15, at(13, 0)),
        (at(0, 0), 15, at(0, 0)),
        (at(23, 59, 59), 60, at(23, 0)),
        (at(13, 59), 1440, at(0, 0)),
    ],
)
def test_slots_are_cut_from_midnight(moment, every, slot):
    assert slot_of(moment, timedelta(minutes=every)) == slot


def test_what_is_due_is_what_the_slot_lacks():
    have = {("BTC", at(13, 0)), ("BTC", at(13, 15)), ("ETH", at(13, 0))}
    told = [
        due(BOTH, QUARTER, now, lambda symbol, slot: (symbol, slot) in have)
        for now in (at(13, 14), at(13, 15), at(13, 30))
    ]
    assert told == [[], ["ETH"], ["BTC", "ETH"]]


def test_what_is_pending_is_looked_at_soon():
    assert wake_at(QUARTER, at(13, 2), is_pending=False) == at(13, 15)
    assert wake_at(QUARTER, at(13, 2), is_pending=True) == at(13, 2, 30)
    assert wake_at(QUARTER, at(13, 14, 50), is_pending=True) == at(13, 15)


def test_gaps_are_slots_without_a_snapshot():
    stored = [at(13, 1), at(13, 31), at(13, 45)]
    assert gaps(stored, QUARTER, at(13, 0), at(14, 15)) == [at(13, 15), at(14, 0)]
    assert gaps([], QUARTER, at(13, 1), at(13, 16)) == [at(13, 15)]
    assert gaps([], QUARTER, at(13, 0), at(13, 0)) == []


@pytest.mark.parametrize("every", [timedelta(0), timedelta(seconds=90), timedelta(minutes=7)])
def test_slots_must_divide_a_day(tmp_path, every):
    with pytest.raises(ValueError, match="whole minutes that divide a day"):
        Collector(
            lambda symbol: None, Recordings(tmp_path), BOTH, every, now=datetime.now, sleep=print
        )


class Killed(BaseException):
    """The process is gone: nothing catches it, nothing is tidied up."""


def collector(source: Deribit, clock: Clock, symbols=BOTH, take=None) -> Collector:
    return Collector(
        take or source.take,
        source.recordings,
        symbols,
        QUARTER,
        now=clock.now,
        sleep=clock.sleep,
    )


def trouble(clock: Clock):
    """What goes wrong when, by the exchange's clock."""
    failures = {"two": 2}

    def fault(call: Call) -> Answer | None:
        now, is_quotes = clock.now(), call.path == "/get_book_summary_by_currency"
        if is_quotes and failures["two"]:
            failures["two"] -= 1
            return Answer(status=500, body="")
        if at(13, 15) <= now < at(13, 16, 10):
            return TOO_MANY
        if at(13, 30) <= now < at(13, 30, 4) and is_quotes:
            return Answer(body='{"jsonrpc": "2.0", "result": [{"instrument_name"', cut=20)
        if at(13, 45) <= now < at(13, 52):
            return Answer(status=503, body="")
        if at(14, 0) <= now and call.path == "/get_index_price":
            return Answer(status=200, body='{"jsonrpc": "2.0", "error": {"code": -32602}}')
        return None

    return fault


def test_an_hour_of_faults_and_a_restart_has_no_gap_and_no_duplicate(tmp_path):
    clock = Clock()
    end = at(14, 10)
    with Exchange(clock.now) as exchange:
        exchange.fault = trouble(clock)
        client = client_of(exchange.url, clock)
        with Deribit(recordings=tmp_path, client=client) as source:

            def take_until_killed(symbol: str):
                snapshot = source.take(symbol)
                if symbol == "ETH" and clock.now() >= at(13, 30):
                    raise Killed  # with the answer in hand, nothing written
                return snapshot

            with pytest.raises(Killed):
                list(collector(source, clock, take=take_until_killed).run(end))
        clock.sleep(200)
        client = client_of(exchange.url, clock)
        with Deribit(recordings=tmp_path, client=client) as source:
            second = collector(source, clock)
            outcomes = list(second.run(end))
            told = {symbol: second.gaps(symbol, at(13, 0)) for symbol in BOTH}

    slots = [at(13, 0), at(13, 15), at(13, 30), at(13, 45), at(14, 0)]
    recorded = RecordedDeribit(tmp_path)
    for symbol in BOTH:
        assert recorded.recordings.instants(symbol) == slots
    assert told == {"BTC": [], "ETH": []}
    # The restart took ETH's 13:30, not BTC's again.
    assert [(o.symbol, o.slot) for o in outcomes[:1]] == [("ETH", at(13, 30))]
    kept = [(o.symbol, o.slot) for o in outcomes if o.file]
    assert len(kept) == len(set(kept)) == 5
    failed = [o for o in outcomes if o.error]
    assert failed
    assert {o.slot for o in failed} == {at(13, 45)}
    # Without an index price from 14:00 on, snapshots are there, and marked.
    assert {o.slot for o in outcomes if o.missing} == {at(14, 0)}
    last = recorded.recordings.snapshot("BTC", at(14, 0))
    assert last.is_partial
    assert last.missing[0].startswith("index price: NotAllowed")
    # Each snapshot's time lies in its slot.
    for symbol in BOTH:
        for slot in slots:
            own = recorded.recordings.snapshot(symbol, slot)
            assert slot_of(own.taken_at, QUARTER) == slot
    chains = recorded.chain("BTC", START.date())
    assert chains.n_unique(["snapshot", "contract_id"]) == chains.height == 5 * 30
    assert not list(tmp_path.rglob(".*"))


def test_the_slot_is_that_of_the_exchanges_clock(tmp_path):
    """Our clock is five minutes ahead: 13:16 here is 13:11 there, a slot that is taken."""
    clock = Clock(at(13, 16))
    ahead = timedelta(minutes=5)
    with (
        Exchange(lambda: clock.now() - ahead) as exchange,
        Deribit(recordings=tmp_path, client=client_of(exchange.url, clock)) as source,
    ):
        own = collector(source, clock, ("BTC",))
        assert [o.slot for o in own.run(at(13, 29))] == [at(13, 0), at(13, 15)]
    assert source.recordings.instants("BTC") == [at(13, 0), at(13, 15)]


def test_two_collectors_keep_one_snapshot(tmp_path):
    clock = Clock()
    with (
        Exchange(clock.now) as exchange,
        Deribit(recordings=tmp_path, client=client_of(exchange.url, clock)) as source,
    ):
        taken = source.take("BTC")
        first = collector(source, clock, ("BTC",), take=lambda symbol: taken)
        slow = collector(source, clock, ("BTC",), take=lambda symbol: (first.step(), taken)[1])
        outcome = slow.step()[0]
        assert outcome.file is None
        assert outcome.error is None
        assert first.step() == []
    assert len(source.recordings.instants("BTC")) == 1


def test_a_slot_that_passed_is_told_as_a_gap(tmp_path):
    clock = Clock()

    def take(symbol: str):
        raise TryLater("down")

    own = Collector(take, Recordings(tmp_path), ("BTC",), QUARTER, now=clock.now, sleep=clock.sleep)
    outcomes = list(own.run(at(13, 31)))
    assert all(str(o.error) == "down" for o in outcomes)
    assert own.gaps("BTC", START) == [at(13, 15)]
