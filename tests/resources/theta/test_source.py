"""The market source over a fake terminal that keeps the vendor's rules."""

import asyncio
import gc
import os
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import UTC, date, datetime

import polars as pl
import pytest

from tests.resources.loopback import Answer
from tests.resources.theta import market
from tests.resources.theta.fake_terminal import FakeTerminal
from volsurf_resources import exchange_calendar as calendar
from volsurf_resources.contracts import osi
from volsurf_resources.source import MarketSource, NoData, NotAllowed, TryLater
from volsurf_resources.theta import Backoff, ThetaData
from volsurf_tables.market import INDEX_LEVELS, MARKET_RATES, RAW_OPTIONS_CHAINS, UNDERLYING_PRICES

QUICK = Backoff(scale=1e-4)
SESSION = date(2024, 11, 14)
TODAY = date(2024, 11, 15)
EVENING = datetime(2024, 11, 15, 22, 40, tzinfo=UTC)  # 17:40 in New York

EOD = "/option/history/eod"
GREEKS = "/option/history/greeks/eod"
OPEN_INTEREST = "/option/history/open_interest"


@pytest.fixture(params=["value", "standard"])
def tier(request):
    return request.param


@pytest.fixture
def terminal(tier):
    with FakeTerminal(today=TODAY, tier=tier) as terminal:
        yield terminal


@pytest.fixture
def theta(terminal, tier):
    with theta_of(terminal, tier) as theta:
        yield theta


def theta_of(terminal: FakeTerminal, tier: str, **options) -> ThetaData:
    return ThetaData(
        url=terminal.url, tier=tier, **{"now": lambda: EVENING, "backoff": QUICK} | options
    )


def schema_of(table) -> pl.Schema:
    return pl.Schema({name: table.schema[name] for name in table.content})


def test_a_chain_holds_every_contract_once(theta, tier):
    source: MarketSource = theta
    chain = source.chain("SPY", SESSION)
    assert source.name == "theta"
    assert chain.schema == schema_of(RAW_OPTIONS_CHAINS)
    assert chain["contract_id"].is_unique().all()
    expected = {
        osi(c.root, c.expiration, c.right, c.strike): c for c in market.contracts("SPY", SESSION)
    }
    assert set(chain["contract_id"]) == set(expected)
    for row in chain.sample(20, seed=1).iter_rows(named=True):
        contract = expected[row["contract_id"]]
        assert (row["bid"], row["ask"]) == contract.bid_ask
        assert row["open_interest"] == contract.open_interest
        assert row["open_interest_date"] == date(2024, 11, 13)
        assert row["quote_time"] == calendar.session_close(SESSION)
        assert row["underlying_price"] == contract.spot
        if tier == "standard":
            assert row["vendor_iv"] == pytest.approx(contract.vol, abs=1e-4)
            assert row["vendor_theta"] == pytest.approx(365 * contract.greeks()["theta"], abs=0.02)
        else:
            assert row["vendor_iv"] is None


def test_a_tier_is_asked_for_what_it_has(theta, terminal, tier):
    theta.chain("SPY", SESSION)
    paths = {call.path for call in terminal.calls}
    without_greeks = {EOD, OPEN_INTEREST, "/stock/history/eod"}
    assert paths == (without_greeks if tier == "value" else {GREEKS, OPEN_INTEREST})


def test_a_free_account_has_chains_without_open_interest():
    with FakeTerminal(today=TODAY, tier="free") as terminal, theta_of(terminal, "free") as theta:
        chain = theta.chain("SPY", SESSION)
        assert chain.height == 130
        assert chain["open_interest"].null_count() == 130
        assert theta.chain("SPY", TODAY).height == 130  # by listed expirations, most of them empty
        terminal.script("/option/list/expirations", Answer(status=472))
        with pytest.raises(TryLater):
            theta.chain("NOPE", TODAY)


def test_all_roots_of_an_index_come_together_and_apart(theta):
    chain = theta.chain("SPX", SESSION)
    assert set(chain["symbol"]) == {"SPX"}
    assert set(chain["root"]) == {"SPX", "SPXW"}
    settled = chain.select("root", "settlement").unique().sort("root").rows()
    assert settled == [("SPX", "AM"), ("SPXW", "PM")]
    assert set(chain["exercise_style"]) == {"european"}
    assert chain["contract_id"].is_unique().all()


def test_expiries_can_be_bounded(theta):
    near, far = date(2024, 12, 1), date(2025, 1, 15)
    chain = theta.chain("SPY", SESSION, exp_min=near, exp_max=far)
    assert chain.height > 0
    assert chain["expiration_date"].is_between(near, far).all()


def test_columns_may_come_in_any_order_with_strangers(theta, terminal, tier):
    before = theta.chain("SPY", SESSION)
    path = GREEKS if tier == "standard" else EOD
    params = terminal.asked(path)[0].params
    _, body = terminal.market.answer(path, params)
    table = [line.split(",") for line in body.split()]
    turned = "\r\n".join(",".join(["x", *reversed(line)]) for line in table)
    terminal.script(path, Answer(body=turned + "\r\n"))
    assert theta.chain("SPY", SESSION).equals(before)


@pytest.mark.parametrize(
    ("session", "error", "match"),
    [
        (date(2024, 11, 16), NoData, "does not trade on that day"),
        (date(2024, 11, 28), NoData, "does not trade on that day"),
        (date(2024, 11, 18), TryLater, "nothing before 2024-11-18 22:25 UTC"),
        (date(2012, 5, 1), NotAllowed, "starts on"),
    ],
)
def test_impossible_sessions_are_refused_without_a_request(theta, terminal, session, error, match):
    with pytest.raises(error, match=match):
        theta.chain("SPY", session)
    assert terminal.calls == []


def test_a_session_without_data_is_no_data_and_an_unknown_symbol_too(theta, terminal):
    terminal.market.missing.add(date(2024, 11, 12))
    with pytest.raises(NoData, match="SPY has no chain of 2024-11-12"):
        theta.chain("SPY", date(2024, 11, 12))
    with pytest.raises(NoData, match="NOPE"):
        theta.chain("NOPE", date(2024, 11, 13))


def test_today_is_asked_by_expiration_and_is_late_rather_than_missing(theta, terminal):
    assert theta.chain("SPY", TODAY).height == 130
    assert {call.params.get("expiration") for call in terminal.calls} >= {"2024-11-22"}
    assert "*" not in {call.params.get("expiration") for call in terminal.calls}
    terminal.market.missing.update({SESSION, TODAY})
    for session in (SESSION, TODAY):
        with pytest.raises(TryLater, match="its report may be late"):
            theta.chain("SPY", session)


def test_before_its_report_today_is_refused(terminal, tier):
    early = datetime(2024, 11, 15, 22, 10, tzinfo=UTC)
    with theta_of(terminal, tier, now=lambda: early) as theta:
        with pytest.raises(TryLater, match="nothing before 2024-11-15 22:25 UTC"):
            theta.chain("SPY", TODAY)
        assert theta.sessions("SPY", SESSION, TODAY) == [SESSION]


@pytest.mark.parametrize(
    "symptom", [Answer(status=570, body="too large"), Answer(status=475), Answer(delay_s=0.6)]
)
def test_what_is_too_large_for_one_day_is_split_by_expiration(terminal, tier, symptom):
    path = GREEKS if tier == "standard" else EOD
    with theta_of(terminal, tier, timeout_s=0.4) as theta:
        whole = theta.chain("SPY", SESSION)
        terminal.calls.clear()
        terminal.script(path, symptom)
        again = theta.chain("SPY", SESSION)
    assert again.equals(whole)
    assert terminal.asked(path)[0].params["expiration"] == "*"
    assert len(terminal.asked(path)) == 1 + 5


def test_a_too_large_window_is_halved():
    with FakeTerminal(today=TODAY, tier="value") as terminal, theta_of(terminal, "value") as theta:
        terminal.script(OPEN_INTEREST, Answer(status=570))
        chains = dict(theta.chains("SPY", date(2024, 11, 11), date(2024, 11, 14)))
        spans = [
            (c.params["start_date"], c.params["end_date"]) for c in terminal.asked(OPEN_INTEREST)
        ]
        assert sorted(spans) == [
            ("2024-11-11", "2024-11-12"),
            ("2024-11-11", "2024-11-14"),
            ("2024-11-13", "2024-11-14"),
        ]
        assert all(chain["open_interest"].null_count() == 0 for chain in chains.values())


def test_a_batch_is_one_request_but_greeks_are_one_per_session(theta, terminal, tier):
    start, end = date(2024, 10, 1), date(2024, 10, 31)
    days = []
    for day, chain in theta.chains("SPY", start, end, batch=10):
        assert set(chain["quote_date"]) == {day}
        days.append(day)
        if len(days) == 1:
            asked = len(terminal.calls)
    assert days == calendar.sessions(start, end)
    assert asked < len(terminal.calls), "the next batch was asked for before it was needed"
    assert len(terminal.asked(OPEN_INTEREST)) == 3
    path, requests = (GREEKS, 23) if tier == "standard" else (EOD, 3)
    assert len(terminal.asked(path)) == requests


def test_a_batch_up_to_today_keeps_today_apart(theta):
    chains = dict(theta.chains("SPX", date(2024, 11, 13), date(2024, 12, 31)))
    assert list(chains) == [date(2024, 11, 13), SESSION, TODAY]
    assert {chain.height for chain in chains.values()} == {208}


def test_a_chain_stands_without_an_underlying_that_the_account_may_not_read(caplog):
    with FakeTerminal(today=TODAY, tier="value") as terminal:
        refusal = Answer(status=403, body="needs an index subscription")
        terminal.script("/index/history/eod", refusal)
        terminal.script("/index/at_time/price", refusal)
        with theta_of(terminal, "value") as theta:
            eod = theta.chain("SPX", SESSION)
        with theta_of(terminal, "value", snapshot_time="15:45:00") as theta:
            snapshot = theta.chain("SPX", SESSION)
    for chain in (eod, snapshot):
        assert chain.height == 208
        assert chain["underlying_price"].null_count() == 208
    assert caplog.text.count("going on without SPX") == 2


def test_a_chain_stands_without_greeks_where_their_history_starts_later(caplog):
    with (
        FakeTerminal(today=TODAY, tier="standard") as terminal,
        theta_of(terminal, "standard") as theta,
    ):
        terminal.script(GREEKS, Answer(status=403, body="greeks of SPY start in 2017"))
        chain = theta.chain("SPY", date(2016, 11, 14))
    assert chain.height == 130
    assert chain["vendor_iv"].null_count() == 130
    assert chain["underlying_price"].null_count() == 0
    assert "without greeks" in caplog.text


def test_a_batched_chain_equals_the_single_one(theta):
    batched = dict(theta.chains("SPX", date(2024, 11, 11), SESSION))
    assert batched[SESSION].equals(theta.chain("SPX", SESSION))


def test_long_ranges_are_cut_into_years_and_clamped_to_the_tier():
    with FakeTerminal(today=TODAY, tier="value") as terminal, theta_of(terminal, "value") as theta:
        bars = theta.underlying("SPY", date(2018, 1, 1), date(2024, 11, 14))
        assert bars.schema == schema_of(UNDERLYING_PRICES)
        assert bars["quote_date"].to_list() == calendar.sessions(date(2020, 1, 1), SESSION)
        spans = sorted(
            (date.fromisoformat(c.params["start_date"]), date.fromisoformat(c.params["end_date"]))
            for c in terminal.calls
        )
        assert spans[0][0] == date(2020, 1, 1)
        assert len(spans) == 5
        assert all((end - start).days < 365 for start, end in spans)
        assert theta.underlying("SPY", date(2018, 1, 1), date(2018, 2, 1)).is_empty()


def test_a_snapshot_is_synchronous_and_named_by_its_utc_time():
    with (
        FakeTerminal(today=TODAY, tier="value") as terminal,
        theta_of(terminal, "value", snapshot_time="15:45:00") as theta,
    ):
        winter, summer = theta.chain("SPY", SESSION), theta.chain("SPY", date(2024, 7, 2))
        index, short = theta.chain("SPX", SESSION), theta.chain("SPY", date(2024, 7, 3))
        paths = {call.path for call in terminal.calls}
    assert set(winter["snapshot"]) == {"2045"}
    assert set(summer["snapshot"]) == {"1945"}
    assert set(short["snapshot"]) == {"1645"}  # 12:45, as far before the early bell
    assert (winter["quote_time"] == winter["underlying_time"]).all()
    assert winter["quote_time"][0] == datetime(2024, 11, 14, 20, 45, tzinfo=UTC)
    assert winter["underlying_price"][0] == pytest.approx(market.spot("SPY", SESSION))
    assert index["underlying_price"][0] == pytest.approx(market.spot("SPX", SESSION))
    assert winter["open_interest"].null_count() == 0
    assert "/option/at_time/quote" in paths
    assert EOD not in paths


def test_rates_are_asked_once_a_quarter_and_known_at_the_end(theta, terminal):
    curve = theta.rates(SESSION)
    assert curve.schema == schema_of(MARKET_RATES)
    assert curve.height == 12
    assert curve["curve_date"].max() == date(2024, 11, 13)
    assert theta.rates(date(2024, 11, 13)).height == 12
    assert len(terminal.calls) == 12
    with pytest.raises(NoData, match="no rates"):
        theta.rates(date(1999, 11, 4))


def test_index_levels_come_for_every_index_and_472_means_none(theta, terminal):
    terminal.script("/index/history/eod", Answer(status=472))
    levels = theta.index_levels(date(2024, 11, 1), SESSION)
    assert levels.schema == schema_of(INDEX_LEVELS)
    assert levels["index"].n_unique() == 4
    assert theta.index_levels(date(2024, 11, 9), date(2024, 11, 10)).is_empty()


def test_indices_outside_the_plan_are_left_out_but_a_refused_key_is_not_hidden(theta, terminal):
    terminal.script("/index/history/eod", *[Answer(status=403)] * 5)
    assert theta.index_levels(SESSION, SESSION).is_empty()
    terminal.script("/index/history/eod", *[Answer(status=401)] * 5)
    with pytest.raises(NotAllowed, match="key was refused"):
        theta.index_levels(SESSION, SESSION)


def test_sessions_are_those_listed_in_order(theta, terminal):
    terminal.market.missing.add(date(2024, 11, 6))
    days = theta.sessions("SPY", date(2024, 11, 4), date(2024, 12, 31))
    assert days == [d for d in calendar.sessions(date(2024, 11, 4), TODAY) if d.day != 6]
    assert theta.sessions("SPX", SESSION, TODAY) == [SESSION, TODAY]
    assert theta.sessions("NOPE", SESSION, TODAY) == []


def test_with_a_cache_the_second_run_makes_no_network_call(terminal, tier, tmp_path):
    with theta_of(terminal, tier, cache_dir=tmp_path) as theta:
        first = theta.chain("SPY", SESSION), theta.rates(date(2024, 6, 5))
    asked = len(terminal.calls)
    with theta_of(terminal, tier, cache_dir=tmp_path) as theta:
        again = theta.chain("SPY", SESSION), theta.rates(date(2024, 6, 5))
        assert theta.usage() == {}
    assert len(terminal.calls) == asked
    assert all(a.equals(b) for a, b in zip(first, again, strict=True))


def test_an_unfinished_session_is_never_kept(terminal, tier, tmp_path):
    with theta_of(terminal, tier, cache_dir=tmp_path) as theta:
        theta.chain("SPY", TODAY)
    assert not list(tmp_path.rglob("*.gz"))


def test_one_failure_ends_the_whole_question(theta, terminal):
    terminal.script(OPEN_INTEREST, Answer(status=403, body="needs PRO"))
    with pytest.raises(NotAllowed, match="needs PRO"):
        theta.chain("SPX", SESSION)
    assert theta.chain("SPX", SESSION).height == 208


def test_threads_share_one_limit(tier):
    with FakeTerminal(today=TODAY, tier=tier, hold_s=0.01) as terminal:
        with theta_of(terminal, tier) as theta:
            days = calendar.sessions(date(2024, 11, 4), SESSION)
            threads = [threading.Thread(target=theta.chain, args=("SPY", day)) for day in days]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert terminal.peak <= {"value": 2, "standard": 4}[tier]
        assert sum(theta.usage().values()) == len(terminal.calls)


def test_it_works_inside_a_running_loop_and_after_close(theta):
    async def inside() -> str:
        return theta.status()

    assert asyncio.run(inside()) == "CONNECTED"
    assert theta.chain("SPX", SESSION).height == 208  # more requests than may run at once
    theta.close()
    assert theta.chain("SPX", SESSION).height == 208


def test_one_that_is_forgotten_closes_itself(terminal, tier):
    theta_of(terminal, tier).chain("SPY", SESSION)
    gc.collect()
    ours = [thread for thread in threading.enumerate() if thread.name == "volsurf-theta"]
    for thread in ours:
        thread.join(5.0)
    assert not any(thread.is_alive() for thread in ours)


def test_closing_cancels_what_still_runs(terminal, tier):
    terminal.hold_s = 0.2
    with theta_of(terminal, tier) as theta, ThreadPoolExecutor() as pool:
        chain = pool.submit(theta.chain, "SPY", SESSION)
        while not terminal.calls:
            time.sleep(0.001)
        theta.close()
        with pytest.raises(CancelledError):
            chain.result(5.0)


def test_status_without_a_terminal_says_how_to_start_one():
    with (
        ThetaData(url="http://127.0.0.1:1", backoff=QUICK) as theta,
        pytest.raises(TryLater, match="start the Theta Terminal"),
    ):
        theta.status()


@pytest.mark.skipif("VOLSURF_THETA_LIVE" not in os.environ, reason="needs a Theta Terminal")
def test_a_live_terminal_serves_last_months_spy():
    with ThetaData(tier="free") as theta:
        day = calendar.last_sessions(datetime.now(UTC).date(), 20)[0]
        assert theta.chain("SPY", day).height > 1000
