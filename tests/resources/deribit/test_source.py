"""The whole way from requests to frames: live, kept on disk, replayed; and what is odd, named."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from tests.resources.deribit.clockwork import START, Clock, client_of
from tests.resources.deribit.exchange import SPOT, Exchange, ms, names
from tests.resources.loopback import Answer
from volsurf_resources.deribit import Deribit, RecordedDeribit, Snapshot
from volsurf_resources.deribit.days import to_settlement, utc_day
from volsurf_resources.deribit.findings import findings, staleness
from volsurf_resources.deribit.names import Option, market_of, parse_option
from volsurf_resources.deribit.taking import take
from volsurf_resources.deribit.translation import chain, underlying_prices
from volsurf_resources.source import MarketSource, NoData, NotAllowed, TryLater, Unreadable
from volsurf_tables.market import (
    INDEX_LEVELS,
    MARKET_RATES,
    RAW_OPTIONS_CHAINS,
    UNDERLYING_PRICES,
)

TODAY = START.date()
BUSY = Answer(status=503, body="")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def exchange(clock):
    with Exchange(clock.now) as exchange:
        yield exchange


@pytest.fixture
def source(exchange, clock, tmp_path):
    with Deribit(recordings=tmp_path, client=client_of(exchange.url, clock)) as source:
        yield source


def schema_of(table):
    return {name: table.schema[name] for name in table.content}


def found(snapshot: Snapshot) -> dict[str, list[str | None]]:
    """Contracts by finding."""
    rows = findings(snapshot).group_by("finding", maintain_order=True).agg("contract_id")
    return dict(rows.iter_rows())


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("BTC-6MAR26-65000-C", ("BTC", date(2026, 3, 6), "CALL", 65000.0)),
        ("ETH-25DEC26-2000-P", ("ETH", date(2026, 12, 25), "PUT", 2000.0)),
        ("BTC_USDC-27DEC24-100000-C", ("BTC_USDC", date(2024, 12, 27), "CALL", 100000.0)),
        ("XRP_USDC-30JUN23-0d625-C", ("XRP_USDC", date(2023, 6, 30), "CALL", 0.625)),
        ("BTC-27MAR26", None),
        ("BTC-PERPETUAL", None),
        ("BTC-31FEB26-65000-C", None),
        ("BTC-1XXX26-65000-C", None),
        ("SPXW  261016P05800000", None),
        ("", None),
    ],
)
def test_names_say_what_the_contract_is(name, option):
    told = None
    if option:
        told = Option(
            root=option[0], expiration_date=option[1], option_type=option[2], strike=option[3]
        )
    assert parse_option(name) == told


def test_symbols_say_where_to_ask():
    btc, xrp = market_of("BTC"), market_of("XRP_USDC")
    assert (btc.currency, btc.price_index, btc.price_unit) == ("BTC", "btc_usd", "coin")
    assert (btc.perpetual, btc.volatility_index) == ("BTC-PERPETUAL", "DVOL_BTC")
    assert (xrp.currency, xrp.price_index, xrp.price_unit) == ("USDC", "xrp_usdc", "USD")
    assert (xrp.perpetual, xrp.volatility_index) == ("XRP_USDC-PERPETUAL", None)
    with pytest.raises(NotAllowed, match="was 'btc usd'"):
        market_of("btc usd")


def test_it_is_a_market_source(source, tmp_path):
    sources: list[MarketSource] = [source, RecordedDeribit(tmp_path)]
    assert {own.name for own in sources} == {"deribit"}


@pytest.mark.parametrize(
    ("symbol", "unit"), [("BTC", "coin"), ("ETH", "coin"), ("XRP_USDC", "USD")]
)
def test_a_chain_takes_three_requests(source, exchange, symbol, unit):
    rows = source.chain(symbol, TODAY)
    assert sum(source.usage().values()) == 3
    assert rows.schema == schema_of(RAW_OPTIONS_CHAINS)
    assert sorted(rows["contract_id"]) == sorted(names(symbol, TODAY))
    assert rows["price_unit"].unique().to_list() == [unit]
    assert rows["snapshot"].unique().to_list() == ["1300"]
    assert rows["quote_time"].unique().to_list() == [START]
    assert rows["index_price"].unique().to_list() == [SPOT[symbol]]
    assert rows["settlement"].unique().to_list() == ["0800UTC"]
    apart = rows.group_by("expiration_date").agg(pl.col("underlying_price").n_unique())
    assert apart["underlying_price"].to_list() == [1, 1, 1]
    for name, mark in rows.select("contract_id", "mark").iter_rows():
        own = exchange.summary(name)
        assert mark == pytest.approx(own["mark_price"], rel=1e-5, abs=1e-9)
    assert rows["vendor_iv"].is_between(0.4, 1.5).all()
    assert rows["vendor_delta"].null_count() == rows.height


def test_tickers_bring_greeks_in_house_units(source):
    name = names("BTC", TODAY)[0]
    row = chain(source.take("BTC", tickers=[name])).filter(contract_id=name).row(0, named=True)
    assert (row["bid_size"], row["ask_size"], row["volume"]) == (12.5, 0.1, 7.5)
    assert row["vendor_iv_bid"] is None  # 0 is not solvable
    assert row["vendor_iv_ask"] == pytest.approx(row["vendor_iv"] + 0.01)
    greeks = [row[f"vendor_{g}"] for g in ("delta", "gamma", "vega", "theta", "rho")]
    assert greeks == pytest.approx([0.5, 1e-5, 4000.0, -60.0 * 365, 300.0])


def test_all_tickers_and_their_progress(source, exchange):
    told = []
    snapshot = source.take("ETH", tickers="every", progress=lambda n, of: told.append((n, of)))
    assert len(snapshot.tickers) == len(names("ETH", TODAY)) == 30
    assert told == [(n, 30) for n in range(1, 31)]
    assert chain(snapshot)["vendor_delta"].null_count() == 0


def test_decimals_may_be_strings(source):
    snapshot = source.take("BTC", tickers=names("BTC", TODAY)[:4])

    def as_text(value):
        if isinstance(value, dict):
            return {k: as_text(v) for k, v in value.items()}
        return str(value) if isinstance(value, float) else value

    text = replace(
        snapshot,
        summaries=[as_text(row) for row in snapshot.summaries],
        tickers=[as_text(row) for row in snapshot.tickers],
        index_price=str(snapshot.index_price),
    )
    assert_frame_equal(chain(text), chain(snapshot))
    assert_frame_equal(findings(text), findings(snapshot))


@pytest.mark.parametrize("name", ["own.json", "own.json.gz"])
def test_a_kept_snapshot_replays_identically(source, tmp_path, name):
    taken = source.take("BTC", history_since=START - timedelta(days=2))
    path = tmp_path / "kept" / name
    assert taken.save(path)
    assert not taken.save(path, replace=False)
    again = Snapshot.load(path)
    assert_frame_equal(chain(again), chain(taken))
    assert (again.taken_at, again.missing, again.candles) == (
        taken.taken_at,
        taken.missing,
        taken.candles,
    )
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_a_replay_needs_nobody_and_no_clock(exchange, clock, source, tmp_path):
    live = source.chain("BTC", TODAY)
    asked = len(exchange.calls)
    clock.sleep(86_400 * 30)
    recorded = RecordedDeribit(tmp_path)
    assert_frame_equal(recorded.chain("BTC", TODAY), live)
    assert_frame_equal(source.chain("BTC", TODAY), live)
    assert len(exchange.calls) == asked
    assert recorded.sessions("BTC", TODAY - timedelta(days=9), clock.now().date()) == [TODAY]


def test_snapshots_of_a_day_stand_side_by_side(source, clock, tmp_path):
    clock.at = datetime(2026, 2, 20, 6, 30, 4, tzinfo=UTC)
    for _ in range(4):
        source.record("BTC")
        clock.sleep(1795)
    recorded = RecordedDeribit(tmp_path)
    labels = ["0630", "0659", "0729", "0759"]
    assert recorded.snapshots("BTC", TODAY) == source.snapshots("BTC", TODAY) == labels
    assert recorded.official("BTC", TODAY) == source.official("BTC", TODAY) == "0759"
    assert recorded.official("ETH", TODAY) is None
    side_by_side = recorded.chain("BTC", TODAY)
    assert side_by_side["snapshot"].unique(maintain_order=True).to_list() == labels
    assert side_by_side.n_unique(RAW_OPTIONS_CHAINS.key) == side_by_side.height
    times = side_by_side.group_by("snapshot").agg(pl.col("quote_time").unique())
    assert times["quote_time"].list.len().to_list() == [1] * 4
    assert_frame_equal(
        recorded.chain("BTC", TODAY, snapshot="0659"), side_by_side.filter(snapshot="0659")
    )
    odd = recorded.findings("BTC", TODAY)
    assert_frame_equal(odd, source.findings("BTC", TODAY))
    assert odd["snapshot"].unique(maintain_order=True).to_list() == labels
    assert odd.columns[:5] == ["symbol", "quote_date", "snapshot", "contract_id", "finding"]
    with pytest.raises(NoData, match="2026-02-20, 0815: nobody recorded it; there is 0630, 0659"):
        recorded.chain("BTC", TODAY, snapshot="0815")


def test_a_day_seen_only_after_eight_has_its_first_snapshot(source, clock):
    for _ in range(2):
        source.record("ETH")
        clock.sleep(600)
    assert source.snapshots("ETH", TODAY) == ["1300", "1310"]
    assert source.official("ETH", TODAY) == "1300"


def test_only_the_present_can_be_asked_for(source):
    with pytest.raises(NoData, match="nobody recorded it; there is nothing of that day"):
        source.chain("BTC", TODAY - timedelta(days=1))
    with pytest.raises(TryLater, match="that day has not come"):
        source.chain("BTC", TODAY + timedelta(days=1))
    with pytest.raises(NoData, match="nobody recorded"):
        source.chain("BTC", TODAY, snapshot="0700")
    with pytest.raises(NoData, match="SOL has no options"):
        source.take("SOL")
    assert source.sessions("BTC", TODAY - timedelta(days=3), TODAY) == [TODAY]


def test_bars_are_the_hours_up_to_settlement(source, exchange, clock):
    rows = source.underlying("BTC", TODAY - timedelta(days=60), TODAY + timedelta(days=1))
    assert rows.schema == schema_of(UNDERLYING_PRICES)
    assert rows.height == 61  # tomorrow's is not over
    assert rows["quote_date"].is_sorted()
    assert len(exchange.asked("/get_tradingview_chart_data")) == 3
    bar = rows.row(17, named=True)
    spot = SPOT["BTC"]
    assert (bar["open"], bar["low"]) == pytest.approx((spot * 1.008, spot * 0.99))
    assert bar["close"] == pytest.approx(spot * 1.007)
    assert bar["high"] == pytest.approx(spot * 1.023 * 1.01)
    assert bar["volume"] == 48.0
    clock.at = datetime(2026, 2, 20, 7, 59, tzinfo=UTC)
    assert source.underlying("BTC", TODAY, TODAY).is_empty()


def test_a_day_may_begin_elsewhere(exchange, clock, tmp_path):
    client = client_of(exchange.url, clock)
    with Deribit(recordings=tmp_path, client=client, day_range=utc_day) as source:
        rows = source.underlying("ETH", TODAY - timedelta(days=1), TODAY)
    assert rows["quote_date"].to_list() == [TODAY - timedelta(days=1)]
    assert rows["close"][0] == pytest.approx(SPOT["ETH"] * 1.023)


def test_volatility_indices_are_paged_and_in_points(source, exchange):
    start = TODAY - timedelta(days=10)
    rows = source.index_levels(start, TODAY)
    assert rows.schema == schema_of(INDEX_LEVELS)
    assert dict(rows["index"].value_counts().iter_rows()) == {"DVOL_BTC": 11, "DVOL_ETH": 11}
    assert rows.row(0)[3:7] == pytest.approx((50.0, 52.0, 49.0, 51.0 + 7 / 24))
    assert len(exchange.asked("/get_volatility_index_data")) == 6
    tomorrow = TODAY + timedelta(days=1)
    assert source.index_levels(tomorrow, tomorrow).is_empty()


def test_history_can_travel_with_a_snapshot(source, tmp_path):
    since = datetime(2026, 2, 9, 8, tzinfo=UTC)
    source.record("BTC", history_since=since)
    recorded = RecordedDeribit(tmp_path)
    days = (date(2026, 2, 10), date(2026, 2, 19))
    assert_frame_equal(recorded.underlying("BTC", *days), source.underlying("BTC", *days))
    levels = source.index_levels(*days).filter(index="DVOL_BTC")
    assert_frame_equal(recorded.index_levels(*days), levels)


def test_without_history_the_index_makes_the_bar(source, clock, tmp_path):
    for spot in (67_000.0, 68_000.0, 66_000.0):
        taken = replace(source.take("BTC"), index_price=spot)
        source.recordings.keep(taken, taken.taken_at)
        clock.sleep(900)
    bar = RecordedDeribit(tmp_path).underlying("BTC", TODAY, TODAY).row(0)
    assert bar[3:8] == (67_000.0, 68_000.0, 66_000.0, 66_000.0, None)


def test_the_exchange_values_at_rate_zero(source):
    rows = source.rates(TODAY)
    assert rows.schema == schema_of(MARKET_RATES)
    assert rows["zero_rate"].to_list() == [0.0, 0.0]


def test_delivery_prices_and_trades(source, exchange):
    rows = source.delivery_prices("BTC", TODAY - timedelta(days=1200), TODAY)
    assert rows.height == 1201
    assert rows.row(-1) == (TODAY, 67_020.0)
    assert len(exchange.asked("/get_delivery_prices")) == 2
    trades = source.trades("BTC", START - timedelta(hours=20), START)
    assert trades.height == trades["trade_id"].n_unique() == 1200
    assert trades["trade_time"].is_sorted()
    assert trades["vendor_iv"].unique().to_list() == [0.5]
    with pytest.raises(ValueError, match="trades are kept for 1 day"):
        source.trades("BTC", START - timedelta(hours=25), START)


def test_two_failures_of_each_question_leave_a_whole_snapshot(source, exchange):
    for path in ("/get_book_summary_by_currency", "/get_instruments", "/get_index_price"):
        exchange.script(path, BUSY, Answer(body='{"jsonrpc": "2.0", "resu', cut=10))
    snapshot = source.take("BTC")
    assert not snapshot.is_partial
    assert sum(source.usage().values()) == 9
    assert chain(snapshot).height == 30


def test_bars_of_no_numbers_are_void():
    day = to_settlement(TODAY)[0]
    hours = [[ms(day + timedelta(hours=n)), "3.0", 4, 2, 3.5, 1.0] for n in range(4)]
    hours[1][2] = None
    hours[2][4] = "?"
    told = underlying_prices(hours[::-1], "BTC", [TODAY], to_settlement)
    assert told.row(0)[3:8] == (3.0, 4.0, 2.0, 3.5, 2.0)
    assert underlying_prices(hours[1:3], "BTC", [TODAY], to_settlement).is_empty()


def test_a_snapshot_without_its_terms_is_partial(source, exchange):
    exchange.script("/get_instruments", *[BUSY] * 9)
    exchange.script("/get_index_price", *[BUSY] * 9)
    snapshot = source.take("BTC")
    assert snapshot.is_partial
    assert [part.partition(":")[0] for part in snapshot.missing] == ["instruments", "index price"]
    assert chain(snapshot).height == 30
    told = findings(snapshot).filter(finding="partial")["explanation"].to_list()
    assert told == list(snapshot.missing)
    assert "not_listed" not in found(snapshot)


def test_without_quotes_there_is_no_snapshot(source, exchange):
    exchange.script("/get_book_summary_by_currency", *[BUSY] * 9)
    with pytest.raises(TryLater, match="get_book_summary_by_currency"):
        source.take("BTC")


def test_tickers_that_fail_are_named_and_the_rest_given_up(source, exchange):
    wanted = names("BTC", TODAY)
    snapshot = source.take("BTC", tickers=[*wanted[:2], "BTC-1JAN27-1-C"])
    assert [t["instrument_name"] for t in snapshot.tickers] == wanted[:2]
    assert len(snapshot.missing) == 1
    assert "ticker BTC-1JAN27-1-C: NoData" in snapshot.missing[0]
    exchange.fault = lambda call: BUSY if call.path == "/ticker" else None
    snapshot = source.take("BTC", tickers="every")
    assert snapshot.tickers == []
    assert "more tickers: not asked for" in snapshot.missing[-1]
    assert len(exchange.asked("/ticker")) < 3 + 6 * 16


def test_each_oddity_is_named_and_nothing_lost(source, exchange):
    odd = names("BTC", TODAY)
    at = {"creation_timestamp": ms(START)}
    exchange.changes = {
        odd[0]: {"bid_price": None, "ask_price": 0},
        odd[1]: {"mark_price": 0.9},
        odd[2]: {"bid_price": 0.5, "ask_price": 0.4},
        odd[3]: {"bid_price": -0.1},
        odd[4]: {"underlying_price": None, "mark_price": None},
        odd[5]: {"creation_timestamp": None},
        odd[6]: {"creation_timestamp": ms(START - timedelta(hours=5))},
    }
    exchange.extra = [
        {"instrument_name": "BTC-20FEB26-67000-C", "mark_iv": 44.0} | at,
        {"instrument_name": "BTC-MOON", "base_currency": "BTC"} | at,
        {"base_currency": "BTC"} | at,
    ]
    snapshot = source.take("BTC")
    rows = chain(snapshot)
    assert rows.height == 31
    told = found(snapshot)
    assert set(odd[:1]) <= set(told["no_bid"]) & set(told["no_ask"])
    assert odd[1] in told["mark_outside_quote"]
    assert told["crossed"] == [odd[2]]
    assert told["negative_price"] == [odd[3]]
    assert set(told["no_underlying"]) == {odd[4], "BTC-20FEB26-67000-C"}
    assert told["no_time"] == [odd[5]]
    assert told["old_quote"] == [odd[6]]
    assert told["expired"] == told["not_listed"] == ["BTC-20FEB26-67000-C"]
    assert told["unknown_instrument"] == ["BTC-MOON", ""]
    assert rows.filter(contract_id=odd[3])["bid"].item() == -0.1
    assert rows.filter(contract_id=odd[0]).select("bid", "ask").row(0) == (0.0, 0.0)


def test_an_expiry_in_minutes_is_named(source, clock):
    clock.at = datetime(2026, 2, 21, 7, 48, tzinfo=UTC)
    snapshot = source.take("BTC")
    early = replace(
        snapshot,
        summaries=[
            row | {"instrument_name": row["instrument_name"].replace("22FEB", "21FEB")}
            for row in snapshot.summaries
        ],
    )
    rows = findings(early).filter(finding="expires_at_once")
    assert rows["value"].unique().to_list() == [12.0]
    assert rows.height == 10


def test_an_index_far_from_every_expiry_is_named(source):
    snapshot = source.take("BTC")
    assert "index_apart" not in found(snapshot)
    rows = findings(replace(snapshot, index_price="60000.0")).filter(finding="index_apart")
    assert rows["value"].item() == pytest.approx(67 / 60 - 1, abs=1e-3)


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_clock_five_minutes_off_is_named_and_not_used(clock, tmp_path, minutes):
    off = timedelta(minutes=minutes)
    with (
        Exchange(lambda: clock.now() - off) as exchange,
        Deribit(recordings=tmp_path, client=client_of(exchange.url, clock)) as source,
    ):
        snapshot = source.take("BTC")
    assert snapshot.taken_at == pytest.approx(clock.now() - off, abs=timedelta(seconds=2))
    row = findings(snapshot).row(by_predicate=pl.col("finding") == "clock", named=True)
    assert row["value"] == pytest.approx(60 * minutes, abs=2.0)
    assert "whose time is used" in row["explanation"]


def test_test_networks_are_named(clock, tmp_path):
    with (
        Exchange(clock.now, is_testnet=True) as exchange,
        Deribit(recordings=tmp_path, client=client_of(exchange.url, clock)) as source,
    ):
        snapshot = source.take("BTC")
    assert chain(snapshot)["data_source"].unique().to_list() == ["deribit testnet"]
    assert {"testnet", "flat_vols"} <= set(found(snapshot))
    assert "flat_vols" in found(replace(snapshot, is_testnet=False))


def test_stale_data_are_explained(source):
    snapshot = source.take("BTC")
    assert staleness(snapshot, START + timedelta(hours=23)) is None
    told = staleness(snapshot, START + timedelta(days=10)) or ""
    assert told.startswith(
        "the snapshot of BTC was taken on 2026-02-20 13:00 UTC, 10 days ago: 2 of its 3 expiries"
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"options": [', b'{"options": []}', b'{"format": "other"}', b"[]", b"\x1f\x8bxx"],
)
def test_a_damaged_file_is_named(tmp_path, body):
    path = tmp_path / "broken.json"
    path.write_bytes(body)
    with pytest.raises(Unreadable, match=r"broken\.json is no "):
        Snapshot.load(path)


def test_the_other_programs_file_is_read(source, tmp_path: Path):
    """theta-surface keeps one list: terms, each with its ticker, decimals as strings."""
    snapshot = source.take("BTC", tickers="every")
    tickers = {row["instrument_name"]: row for row in snapshot.tickers}
    terms = {row["instrument_name"]: row for row in snapshot.instruments}
    options = [terms[name] | {"ticker_data": tickers[name]} for name in terms]
    path = tmp_path / "loose.json"
    path.write_text(json.dumps({"options": options}))
    theirs = RecordedDeribit(path)
    assert theirs.sessions("BTC", TODAY, TODAY) == [TODAY]
    assert_frame_equal(
        theirs.chain("BTC", TODAY), chain(replace(snapshot, label="1300")), check_row_order=True
    )


@pytest.fixture(scope="module")
def usual():
    """A snapshot with both summaries and tickers."""
    clock = Clock()
    with Exchange(clock.now) as exchange:
        client = client_of(exchange.url, clock)
        snapshot = take(client, market_of("BTC"), tickers=names("BTC", TODAY)[:3])
        client.close()
    return snapshot


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.floats(), max_size=2),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_value_in_a_row_costs_the_others(usual, data):
    """Whatever a field holds: a row per option's name, and the other rows as they were."""
    part = data.draw(st.sampled_from(["summaries", "tickers", "instruments"]))
    rows = [dict(row) for row in getattr(usual, part)]
    row = rows[data.draw(st.integers(0, len(rows) - 1))]
    name = row["instrument_name"]
    for field in data.draw(st.lists(st.sampled_from(sorted(row)), min_size=1, max_size=3)):
        row[field] = data.draw(ODD)
    changed = replace(usual, **{part: rows})
    findings(changed)
    others = pl.col("contract_id") != name
    assert_frame_equal(chain(changed).filter(others), chain(usual).filter(others))
    if row["instrument_name"] == name:
        assert chain(changed).height == chain(usual).height


def test_an_expiry_other_than_the_names_is_named(source):
    snapshot = source.take("BTC")
    other = ms(datetime(2026, 2, 21, 9, tzinfo=UTC))
    terms = [snapshot.instruments[0] | {"expiration_timestamp": other}, *snapshot.instruments[1:]]
    told = found(replace(snapshot, instruments=terms[:-1]))
    assert told["other_expiry"] == [snapshot.instruments[0]["instrument_name"]]
    assert told["not_listed"] == [snapshot.instruments[-1]["instrument_name"]]
    told = found(replace(snapshot, summaries=snapshot.summaries[1:]))
    assert told["no_quote"] == [snapshot.instruments[0]["instrument_name"]]
