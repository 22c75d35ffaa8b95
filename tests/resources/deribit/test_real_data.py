"""The recorded chain of 2026-02-20, where VOLSURF_REAL_DATA has it: counts, parity, greeks, time.

Counts and forwards are those of an independent reading of the same file with the standard library;
greeks are compared with the exchange's own.
"""

import os
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.resources.deribit.clockwork import Clock, client_of
from tests.resources.deribit.exchange import Exchange
from volsurf_resources.deribit import Deribit, RecordedDeribit, Snapshot
from volsurf_resources.deribit.findings import findings, staleness
from volsurf_resources.deribit.translation import chain

FOLDER = os.environ.get("VOLSURF_REAL_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="VOLSURF_REAL_DATA names no folder of data")
FILE = Path(FOLDER or "") / "deribit_btc_20260220.json"
DAY = date(2026, 2, 20)
SECONDS = 0.3
# Median of the expiry's own underlying, to the dollar.
FORWARDS = {
    date(2026, 2, 21): 67033, date(2026, 2, 22): 66930, date(2026, 2, 23): 66924,
    date(2026, 2, 24): 66903, date(2026, 2, 27): 66852, date(2026, 3, 6): 66899,
    date(2026, 3, 13): 66963, date(2026, 3, 27): 67034, date(2026, 4, 24): 67182,
    date(2026, 6, 26): 67630, date(2026, 9, 25): 68338, date(2026, 12, 25): 69084,
}  # fmt: skip


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return Snapshot.load(FILE)


@pytest.fixture(scope="module")
def rows(snapshot) -> pl.DataFrame:
    return chain(snapshot)


def test_the_recorded_chain_is_read_whole(snapshot, rows):
    assert snapshot.taken_at == datetime(2026, 2, 20, 13, 36, 17, 866_000, UTC)
    assert (snapshot.symbol, snapshot.label, rows.height) == ("BTC", "1336", 880)
    assert rows["open_interest"].sum() == pytest.approx(429_092.3)
    assert rows["last"].null_count() == 155
    assert rows["vendor_iv_bid"].null_count() == 275
    assert rows["vendor_iv_ask"].null_count() == 0
    assert (rows["mark"] == 0.0).sum() == 22
    middle = rows.group_by("expiration_date").agg(pl.col("underlying_price").median())
    assert dict(middle.iter_rows()) == pytest.approx(FORWARDS, abs=1.0)


def test_its_oddities_are_named(snapshot):
    told = dict(findings(snapshot).group_by("finding").len().iter_rows())
    assert told == {"no_bid": 29, "no_mark": 22, "mark_outside_quote": 10}
    stale = staleness(snapshot, datetime(2026, 11, 20, tzinfo=UTC)) or ""
    assert "2026-02-20 13:36 UTC, 272 days ago: 11 of its 12 expiries have passed" in stale


def test_units_are_the_house_units(rows):
    """Black on each quote's own underlying and time gives back delta, gamma, vega and mark."""
    known = rows.filter(pl.col("vendor_iv") > 0.0).sort("contract_id")
    expiry = known["expiration_date"].dt.combine(datetime.min.time().replace(hour=8))
    left = expiry.dt.replace_time_zone("UTC") - known["quote_time"]
    tte = left.dt.total_microseconds().to_numpy() / (365 * 86_400e6)
    vol, forward, strike = (
        known[name].to_numpy() for name in ("vendor_iv", "underlying_price", "strike")
    )
    deviation = vol * np.sqrt(tte)
    d1 = np.log(forward / strike) / deviation + 0.5 * deviation
    density = np.exp(-0.5 * d1**2) / np.sqrt(2.0 * np.pi)
    gap = {
        "vendor_vega": forward * density * np.sqrt(tte),
        "vendor_gamma": density / (forward * deviation),
    }
    assert np.abs(known["vendor_vega"].to_numpy() - gap["vendor_vega"]).max() < 3.0
    assert np.abs(known["vendor_gamma"].to_numpy() - gap["vendor_gamma"]).max() < 6e-6
    at_the_money = (np.abs(np.log(forward / strike)) < 0.02) & (tte > 7 / 365)
    theta = -0.5 * forward * density * vol / np.sqrt(tte)
    ratio = known["vendor_theta"].to_numpy()[at_the_money] / theta[at_the_money]
    assert np.abs(ratio - 1.0).max() < 1e-3


def test_parity_in_coin_gives_the_expirys_own_underlying(rows):
    """c - p = 1 - K / F in coin, from mids of liquid strikes: within 0.1 % of the exchange's."""
    mid = pl.when((pl.col("bid") > 0.0) & (pl.col("ask") > 0.0)).then(
        0.5 * (pl.col("bid") + pl.col("ask"))
    )
    wide = rows.with_columns(mid=mid).pivot(
        "option_type", index=["expiration_date", "strike"], values=["mid", "underlying_price"]
    )
    near = (pl.col("strike") / pl.col("underlying_price_CALL") - 1.0).abs() < 0.05
    forward = pl.col("strike") / (1.0 - pl.col("mid_CALL") + pl.col("mid_PUT"))
    implied = wide.filter(near).group_by("expiration_date").agg(forward.median().alias("forward"))
    for day, value in implied.iter_rows():
        assert value == pytest.approx(FORWARDS[day], rel=1e-3)


def test_a_saved_copy_replays_identically(snapshot, rows, tmp_path):
    snapshot.save(tmp_path / "copy.json.gz")
    replayed = RecordedDeribit(tmp_path).chain("BTC", DAY)
    assert_frame_equal(replayed, rows)


def test_the_same_chain_comes_over_the_wire(snapshot, rows, tmp_path):
    """Served by a loopback exchange, quotes and vols in one answer: the same numbers."""
    clock = Clock(snapshot.taken_at)
    with Exchange(clock.now) as exchange:
        exchange.play(snapshot)
        client = client_of(exchange.url, clock)
        with Deribit(recordings=tmp_path, client=client) as source:
            bulk = source.chain("BTC", DAY)
            assert sum(source.usage().values()) == 3
            whole = source.take("BTC", tickers="every")
    same = ["contract_id", "strike", "bid", "ask", "mark", "vendor_iv", "underlying_price"]
    assert_frame_equal(bulk.select(same), rows.select(same))
    assert bulk["vendor_delta"].null_count() == 880
    assert_frame_equal(chain(whole), rows)


def test_file_to_frame_takes_no_time():
    best = min(_elapsed() for _ in range(5))
    assert best < SECONDS


def _elapsed() -> float:
    started = perf_counter()
    chain(Snapshot.load(FILE))
    return perf_counter() - started
