"""The simulated exchange of coins: one law behind its quotes, no look-ahead, its words."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from volsurf_math.black import undiscounted_price
from volsurf_resources.deribit import Snapshot, translation
from volsurf_resources.deribit.findings import findings
from volsurf_resources.deribit.names import option_name, parse_option
from volsurf_resources.deribit.recordings import Recordings
from volsurf_resources.simulated.coin_listings import expiries, strikes
from volsurf_resources.simulated.coin_quotes import SMALL_TICK, TICK, TICK_CHANGE, coin_chain
from volsurf_resources.simulated.coin_world import make_coin_world, step_of
from volsurf_resources.simulated.coins import simulated_snapshot
from volsurf_resources.source import NoData

SEED = 7
AT = datetime(2026, 2, 20, 7, 45, tzinfo=UTC)
LATER = datetime(2026, 2, 21, 13, 0, tzinfo=UTC)
CASES = [("BTC", AT), ("ETH", datetime(2025, 8, 13, 13, 0, tzinfo=UTC))]
HOURS = 60 * 24


def chain_of(symbol: str, at: datetime, seed: int = SEED) -> pl.DataFrame:
    """What is listed, without what has expired."""
    chain = coin_chain(make_coin_world(seed, symbol, at.year), seed, symbol, at)
    return chain.filter(pl.col("price").is_not_null())


def sides(chain: pl.DataFrame) -> pl.DataFrame:
    """Calls beside the puts of the same strike, suffixed."""
    same = ["expiration_date", "strike"]
    return chain.filter("is_call").join(chain.filter(~pl.col("is_call")), on=same, suffix="_put")


def test_a_snapshot_is_the_same_whatever_was_asked_before():
    after = simulated_snapshot(SEED, "BTC", LATER, history_hours=HOURS)
    second = simulated_snapshot(SEED, "BTC", AT, history_hours=HOURS)
    make_coin_world.cache_clear()
    assert simulated_snapshot(SEED, "BTC", AT, history_hours=HOURS) == second
    make_coin_world.cache_clear()
    assert simulated_snapshot(SEED, "BTC", LATER, history_hours=HOURS) == after
    assert simulated_snapshot(SEED + 1, "BTC", AT).summaries != second.summaries


def test_what_was_said_of_the_past_stays():
    """Each bar whose hour has ended is the same when told a day later; none is of the future."""
    early, late = (simulated_snapshot(SEED, "ETH", at, history_hours=HOURS) for at in (AT, LATER))
    for name in ("candles", "levels"):
        told = {bar[0]: bar for bar in getattr(late, name)}
        bars = getattr(early, name)
        assert bars[-1][0] == 1000 * AT.replace(minute=0).timestamp()
        whole = [bar for bar in bars[:-1] if bar[0] in told]
        assert len(whole) > HOURS - 48
        assert all(told[bar[0]] == bar for bar in whole)
        assert all(low <= min(o, c) and max(o, c) <= high for _, o, high, low, c, *_ in bars)


def test_a_longer_world_begins_as_the_shorter_one():
    short, long = (make_coin_world(SEED, "BTC", year) for year in (2024, 2025))
    for name in ("high", "low", "traded"):
        np.testing.assert_array_equal(getattr(short, name), getattr(long, name)[: short.high.size])
    for name in ("spot", "variance", "level", "rho", "carry"):
        np.testing.assert_array_equal(getattr(short, name), getattr(long, name)[: short.spot.size])


def test_the_expiries_are_those_that_the_exchange_listed():
    """The 12 in theta-surface's recorded file, of 2026-02-20 13:36 UTC."""
    listed = (
        *("2026-02-21", "2026-02-22", "2026-02-23", "2026-02-24", "2026-02-27", "2026-03-06"),
        *("2026-03-13", "2026-03-27", "2026-04-24", "2026-06-26", "2026-09-25", "2026-12-25"),
    )
    at = AT.replace(hour=13, minute=36)
    assert [e.day for e in expiries(at)] == list(map(date.fromisoformat, listed))
    before = [e.day for e in expiries(AT)]
    assert before[0] == AT.date()
    assert date(2026, 2, 24) not in before


def test_a_strike_once_listed_stays():
    world = make_coin_world(SEED, "BTC", 2026)
    for expiry in expiries(AT):
        known = set[float]()
        for hours in range(-200, 1, 7):
            if expiry in expiries(at := AT + timedelta(hours=hours)):
                now = set(strikes(world, expiry, at).tolist())
                assert known <= now
                known = now
        assert len(known) > 10


@pytest.mark.parametrize(("symbol", "at"), CASES)
def test_true_prices_are_of_one_forward_and_one_vol_a_strike(symbol, at):
    """Parity in coin, c - p = 1 - K/F; Black's price of the vol, where a price carries one."""
    chain = chain_of(symbol, at)
    both = sides(chain)
    assert both.height == chain.height / 2
    gap = both["price"] - both["price_put"] - (1.0 - both["strike"] / both["forward"])
    assert gap.abs().max() < 1e-9
    near = chain.filter(
        (pl.col("strike") / pl.col("forward")).log().abs()
        < 2 * pl.col("vol") * pl.col("tte").sqrt()
    )
    strike, forward, vol, tte, call = (
        near[name].to_numpy() for name in ("strike", "forward", "vol", "tte", "is_call")
    )
    black = undiscounted_price(forward, strike, vol**2 * tte, call) / forward
    np.testing.assert_allclose(near["price"].to_numpy(), black, atol=1e-9)


@pytest.mark.parametrize(("symbol", "at"), CASES)
def test_the_true_price_lies_between_quotes_on_ticks(symbol, at):
    chain = chain_of(symbol, at).filter(pl.col("spoilt").is_null())
    bid, ask, price = (chain[name].to_numpy() for name in ("bid", "ask", "price"))
    assert (bid <= price + 1e-12).all()
    assert ((ask >= price - 1e-12) | (ask == 0.0)).all()
    for side in (bid, ask):
        tick = np.where(side > TICK_CHANGE + 1e-9, TICK, SMALL_TICK)
        np.testing.assert_allclose(side / tick, np.round(side / tick), atol=1e-6)
    assert 0.02 < (bid == 0.0).mean() < 0.4


@pytest.mark.parametrize(("symbol", "at"), CASES)
def test_spreads_at_the_money_are_half_a_point_to_three(symbol, at):
    chain = chain_of(symbol, at).filter(pl.col("tte") > 5 / 365, pl.col("spoilt").is_null())
    near = chain.filter((pl.col("strike") / pl.col("forward") - 1.0).abs() < 0.03)
    vega = (near["tte"] / (2.0 * np.pi)).sqrt()
    points = 100.0 * (near["ask"] - near["bid"]) / vega
    assert 0.5 < points.median() < 3.0


@pytest.mark.parametrize(("symbol", "at"), CASES)
def test_only_what_was_planted_is_odd(symbol, at):
    snapshot = simulated_snapshot(SEED, symbol, at)
    found = dict(findings(snapshot)["finding"].value_counts().iter_rows())
    assert (found.pop("crossed"), found.pop("expired")) == (1, 2)
    assert found.pop("mark_outside_quote") == 4  # three, and the crossed one's
    assert set(found) <= {"no_bid", "no_ask", "no_mark", "expires_at_once"}


@pytest.mark.parametrize("symbol", ["BTC", "ETH"])
def test_the_volatility_index_is_that_of_the_law(symbol):
    world = make_coin_world(SEED, symbol, AT.year)
    steps = [step_of(AT), step_of(AT) - 5000]
    for i in steps:
        fair = world.law(i).log_contract_variance(30 / 365)
        assert world.volatility_index(i, i)[0] == pytest.approx(100.0 * fair**0.5, rel=1e-12)


def test_options_cost_more_than_what_they_insure_on_average():
    """The premium: DVOL less the vol that was realised, over years and coins."""
    gaps = []
    for symbol, seed in (("BTC", 1), ("BTC", 2), ("ETH", 3), ("ETH", 4)):
        world = make_coin_world(seed, symbol, 2026)
        squares = np.diff(np.log(world.spot)) ** 2
        months = squares[: squares.size // 2880 * 2880].reshape(-1, 2880)
        realised = 100.0 * np.sqrt(months.sum(axis=1) * 365 / 30)
        gaps.append(
            (
                world.volatility_index(0, world.spot.size)[:-1:2880][: realised.size] - realised
            ).mean()
        )
    assert 1.0 < np.mean(gaps) < 8.0


def test_a_recorded_snapshot_is_read_back_as_the_exchanges_and_says_that_it_is_none(tmp_path):
    snapshot = simulated_snapshot(SEED, "BTC", AT, history_hours=48)
    recordings = Recordings(tmp_path)
    assert recordings.keep(snapshot, AT) is not None
    assert recordings.snapshot("BTC", AT) == snapshot
    assert recordings.is_simulated
    chain = translation.chain(snapshot)
    assert chain.height == len(snapshot.summaries) == len(snapshot.instruments)
    assert set(chain["data_source"]) == {"simulated"}
    assert set(chain["price_unit"]) == {"coin"}
    names = [row["instrument_name"] for row in snapshot.summaries]
    assert [option_name(parse_option(name)) for name in names] == names
    assert isinstance(snapshot, Snapshot)


@pytest.mark.parametrize("name", ["XRP_USDC-30JUN23-0d625-C", "BTC-6MAR26-65000-P"])
def test_names_are_spelt_as_they_are_read(name):
    assert option_name(parse_option(name)) == name


@pytest.mark.parametrize(
    ("symbol", "at", "told"),
    [("SOL_USDC", AT, "BTC, ETH"), ("BTC", datetime(2023, 5, 1, tzinfo=UTC), "2024-01-01")],
)
def test_what_the_world_lacks_is_said(symbol, at, told):
    with pytest.raises(NoData, match=told):
        simulated_snapshot(SEED, symbol, at)
