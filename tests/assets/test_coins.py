"""Coins through every table: prices in coin, snapshots of one day side by side, bad quotes."""

from datetime import timedelta
from shutil import copytree

import numpy as np
import polars as pl
import pytest

from tests.assets.coins import (
    COINS_DAY,
    EARLY,
    LATE,
    SHARES,
    FullExchange,
    coin_settings,
    fill_coins,
    record,
)
from tests.resources.deribit.clockwork import Clock, client_of
from tests.resources.loopback import Answer
from volsurf_app import surface
from volsurf_assets.graph import RECIPES
from volsurf_assets.stochastic_vol import heston_surfaces
from volsurf_resources.deribit import Deribit
from volsurf_resources.lake import Lake
from volsurf_tables.market import INDEX_LEVELS
from volsurf_tables.quotes import IMPLIED_FORWARDS, OPTION_QUOTES
from volsurf_tables.surfaces import FITTED_SURFACES, IS_STANDARD

NEXT_DAY = COINS_DAY + timedelta(days=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    settings = coin_settings(tmp_path_factory.mktemp("coins"), "BTC", "ETH")
    for symbol in settings.symbols:
        record(settings.recordings_path, symbol, EARLY, LATE, EARLY + timedelta(days=1))
    return settings


@pytest.fixture(scope="module")
def lake(settings):
    return fill_coins(settings, [COINS_DAY, NEXT_DAY])[0]


def smiles(lake, day=COINS_DAY, **named):
    return lake.read("fitted_surfaces", [day], **named).filter(IS_STANDARD)


def test_both_coins_reach_every_table(lake):
    for table in lake.tables:
        days = {COINS_DAY, NEXT_DAY} - ({COINS_DAY} if table.name == "index_levels" else set())
        assert days <= set(lake.days(table.name)) or table.name == "index_levels", table.name
    assert set(smiles(lake)["symbol"]) == {"BTC", "ETH"}


def test_parity_in_coin_gives_the_forward_that_prices_were_made_with(lake):
    """The exchange prices by Black on spot e^(0.03 T), within half a vol point: so F is exact."""
    rows = lake.read("implied_forwards", [COINS_DAY], snapshot=None)
    spot = pl.when(pl.col("symbol") == "BTC").then(67_000.0).otherwise(2_000.0)
    made = rows.with_columns(made=spot * (0.03 * pl.col("tte_years")).exp())
    assert rows.height == 12
    assert (made["forward"] / made["made"] - 1.0).abs().max() < 2e-5
    assert set(rows["discount_factor"]) == {1.0}
    assert set(rows["status"]) == {"estimated"}


def test_vols_solved_in_dollars_are_those_the_coin_prices_were_made_of(lake):
    quotes = lake.read("option_quotes", [COINS_DAY], snapshot=None)
    raw = lake.read("raw_options_chains", [COINS_DAY], snapshot=None)
    theirs = raw.select("snapshot", "contract_id", "vendor_iv", "price_unit")
    both = quotes.join(theirs, on=["snapshot", "contract_id"])
    both = both.filter("is_liquid", "is_out_of_the_money")
    assert set(both["price_unit"]) == {"coin"}
    assert np.abs((both["iv_mid"] - both["vendor_iv"]).to_numpy()).max() < 5e-4
    assert (both["unit_value"] - both["forward"]).abs().max() < 1e-6
    width = (both["iv_ask"] - both["iv_bid"]).to_numpy()
    assert np.allclose(width, 0.005, atol=2e-4)


def test_two_snapshots_of_a_day_have_surfaces_each_and_the_early_one_is_the_days(lake):
    """R003."""
    both = smiles(lake, snapshot=None, symbols=["BTC"])
    assert both.group_by("snapshot").len().sort("snapshot").rows() == [("0730", 3), ("1300", 3)]
    assert set(both["status"]) == {"fitted"}
    early, late = (smiles(lake, snapshot=s, symbols=["BTC"]) for s in ("0730", "1300"))
    gap = (early["tte_years"] - late["tte_years"]).to_numpy()
    assert gap == pytest.approx((LATE - EARLY).total_seconds() / (365 * 86_400), rel=1e-6)
    assert smiles(lake, symbols=["BTC"]).equals(early)
    usual = surface.at("BTC", tenor=10, log_moneyness=0.0, on=COINS_DAY, lake=lake)
    named = {
        s: surface.at("BTC", tenor=10, log_moneyness=0.0, on=COINS_DAY, snapshot=s, lake=lake)
        for s in ("0730", "1300")
    }
    assert usual.implied_vol == named["0730"].implied_vol != named["1300"].implied_vol
    assert usual.snapshot == "0730"


def test_a_quiet_index_of_the_coin_itself_starts_heston_at_its_last_parameters(
    settings, lake, tmp_path
):
    """R288 for coins: BTC by DVOL_BTC, which hardly moved; of ETH no index is stored."""
    copytree(settings.lake_root, tmp_path / "lake")
    copied = Lake(tmp_path / "lake", calendar=settings.calendar)
    for day, close in ((COINS_DAY, 50.0), (NEXT_DAY, 51.0)):
        bar = {"index": "DVOL_BTC", "quote_date": day, "snapshot": "EOD", "close": close}
        copied.replace("index_levels", day, pl.DataFrame([bar], INDEX_LEVELS.schema))
    heston_surfaces.refresh(copied, settings, NEXT_DAY)
    btc, eth = copied.read("heston_surfaces", [NEXT_DAY]).sort("symbol").iter_rows(named=True)
    assert btc["start_reason"] == f"DVOL_BTC moved by +2.0 % since {COINS_DAY}"
    assert (btc["start"], btc["status"]) == ("warm", "fitted")
    assert btc["vix_change_pct"] == pytest.approx(2.0)
    assert (eth["start"], eth["start_reason"]) == (
        "full", f"no level of DVOL_ETH is known of {COINS_DAY}, {NEXT_DAY}"
    )  # fmt: skip


def test_each_snapshot_is_compared_with_the_official_one_of_the_day_before(lake):
    changes = lake.read("surface_changes", [NEXT_DAY], snapshot=None, symbols=["BTC"])
    assert set(changes["previous_date"]) == {COINS_DAY}
    assert lake.read("vrp_metrics", [COINS_DAY], snapshot=None)["snapshot"].to_list() == ["EOD"] * 2


def test_the_same_recordings_give_the_same_tables_elsewhere_and_later(settings, lake, tmp_path):
    """R209, R210: nothing depends on when or where a snapshot is replayed."""
    other = coin_settings(tmp_path, "BTC", "ETH").model_copy(
        update={"deribit_recordings": settings.recordings_path}
    )
    again, _ = fill_coins(other)
    for table in lake.tables:
        first, second = (x.content_hash(table.name, COINS_DAY) for x in (lake, again))
        assert first == second, table.name


SPOT_CHECKS = {
    "no_bid": ({"bid_price": None}, "not_two_sided"),
    "no_ask": ({"ask_price": None}, "not_two_sided"),
    "zeros": ({"bid_price": 0.0, "ask_price": 0.0}, "not_two_sided"),
    "crossed": ({"bid_price": 0.09, "ask_price": 0.01}, "bid_not_above_ask"),
    "negative": ({"bid_price": -0.01}, "price_positive"),
    "no_number": ({"ask_price": float("nan")}, "not_two_sided"),
    "beyond_any_vol": ({"bid_price": 1.2, "ask_price": 1.3}, "no_iv"),
}


@pytest.mark.parametrize("name", SPOT_CHECKS)
def test_a_bad_quote_is_named_and_costs_nothing_else(name, tmp_path):
    changed, reason = SPOT_CHECKS[name]
    settings = coin_settings(tmp_path)
    record(settings.recordings_path, "BTC", LATE, **{"BTC_28FEB26_67000_C": changed})
    lake, stored = fill_coins(settings)
    assert stored.fetched == ("BTC",)
    quotes = lake.read("option_quotes", [COINS_DAY])
    assert quotes.height == 120
    bad = quotes.filter(pl.col("contract_id") == "BTC-28FEB26-67000-C").row(0, named=True)
    assert reason in bad["reject_reason"].split(";")
    others = quotes.filter(pl.col("contract_id") != "BTC-28FEB26-67000-C")
    assert others["is_liquid"].mean() > 0.7
    assert set(smiles(lake)["status"]) == {"fitted"}


def test_a_mark_outside_its_quote_is_an_issue_and_counted_with_the_snapshot(tmp_path):
    settings = coin_settings(tmp_path)
    record(settings.recordings_path, "BTC", LATE, **{"BTC_28FEB26_67000_C": {"mark_price": 0.5}})
    lake, stored = fill_coins(settings)
    issues = lake.read("quote_issues", [COINS_DAY])
    found = issues.filter(pl.col("rule") == "mark_outside_quote")
    assert found["contract_id"].to_list() == ["BTC-28FEB26-67000-C"]
    assert "1 mark_outside_quote" in stored.odd


def of_one_expiry(**changed):
    """Changes to every option that expires on 28 February."""
    strikes = (f"{round(67_000 * share, -2):g}" for share in SHARES)
    return {f"BTC_28FEB26_{strike}_{side}": changed for strike in strikes for side in "CP"}


def test_marks_can_be_the_prices_and_are_never_mixed_with_quotes(tmp_path):
    """PRICE_SOURCE: forwards, vols and fits are of marks; its change makes all tables again."""
    tables = (IMPLIED_FORWARDS, OPTION_QUOTES, FITTED_SURFACES)
    quotes, marks = (coin_settings(tmp_path, price_source=s) for s in ("quotes", "marks"))
    bare = {"BTC_21FEB26_67000_C": {"mark_price": 0}} | of_one_expiry(mark_price=None)
    record(quotes.recordings_path, "BTC", LATE, **bare)
    lake, _ = fill_coins(quotes)
    before = {table.name: lake.content_hash(table.name, COINS_DAY) for table in lake.tables}
    assert all(recipe.stale_symbols(lake, marks, COINS_DAY) is None for recipe in RECIPES)
    fill_coins(marks)
    for table in tables:
        assert set(lake.read(table.name, [COINS_DAY])["price_source"]) == {"marks"}
    theirs = lake.read("raw_options_chains", [COINS_DAY]).select("contract_id", "mark", "vendor_iv")
    rows = lake.read("option_quotes", [COINS_DAY]).join(theirs, on="contract_id")
    liquid = rows.filter("is_liquid")
    assert (liquid["price"] == liquid["mark"]).all()
    assert (liquid["price"] != liquid["mid"]).any()
    assert (liquid["iv_mid"] - liquid["vendor_iv"]).abs().max() < 5e-4
    unmarked = rows.filter("is_tradable", pl.col("mark").fill_null(0.0) == 0.0)
    assert unmarked.height > 20
    assert set(unmarked["iv_status"]) == {"no_mark"}
    assert unmarked["reject_reason"].str.contains("no_mark").all()
    issues = lake.read("quote_issues", [COINS_DAY]).filter(pl.col("rule") == "no_mark")
    assert issues.height >= unmarked.height
    smile = smiles(lake).sort("expiration_date")
    assert smile["status"].to_list() == ["fitted", "skipped", "fitted"]
    assert smile["reason"][1] == "0 strikes to fit, needs 6"
    fill_coins(quotes)
    assert {t.name: lake.content_hash(t.name, COINS_DAY) for t in lake.tables} == before


def test_all_that_is_odd_of_a_snapshot_is_told_and_costs_no_fit(tmp_path):
    """Test network, clocks five minutes apart, no instruments, an index of another market."""
    settings = coin_settings(tmp_path)
    clock = Clock(LATE)
    cut = Answer(body='{"jsonrpc": "2.0", "result": [{"instrument_name"', cut=20)
    index = Answer(body='{"jsonrpc": "2.0", "result": {"index_price": 60000.0}}')
    faults = {"get_instruments": cut, "get_index_price": index}
    with FullExchange(lambda: clock.now() - timedelta(minutes=5), is_testnet=True) as exchange:
        exchange.extra = [{"instrument_name": "BTC-MOON", "base_currency": "BTC"}]
        exchange.fault = lambda call: faults.get(call.path.removeprefix("/"))
        client = client_of(exchange.url, clock)
        with Deribit(recordings=settings.recordings_path, client=client) as source:
            assert source.record("BTC").is_partial
    lake, stored = fill_coins(settings)
    assert stored.fetched == ("BTC",)
    (partial,) = stored.partial
    assert "instruments: TryLater" in partial
    told = {odd.partition(" ")[2] for odd in stored.odd}
    assert {"testnet", "flat_vols", "clock", "index_apart", "unknown_instrument"} <= told
    raw = lake.read("raw_options_chains", [COINS_DAY])
    assert raw.height == 120
    assert set(raw["data_source"]) == {"deribit testnet"}
    assert set(raw["quote_time"].dt.truncate("1m")) == {LATE.replace(minute=55, hour=12, second=0)}
    assert lake.read("option_quotes", [COINS_DAY]).height == 120
    assert set(smiles(lake)["status"]) == {"fitted"}


def test_options_that_settled_before_the_snapshot_are_kept_and_not_fitted(tmp_path):
    """An expiry of today after 08:00 has no time left; one of tomorrow's is fitted."""
    settings = coin_settings(tmp_path)
    record(settings.recordings_path, "BTC", EARLY)
    (file,) = settings.recordings_path.glob("BTC/*/*.json.gz")
    from volsurf_resources.deribit import Snapshot

    whole = Snapshot.load(file)
    for row in [*whole.summaries, *whole.instruments]:
        row["instrument_name"] = row["instrument_name"].replace("21FEB26", "19FEB26")
    whole.save(file)
    lake, stored = fill_coins(settings)
    forwards = lake.read("implied_forwards", [COINS_DAY]).sort("expiration_date")
    assert forwards["status"].to_list() == ["failed", "estimated", "estimated"]
    assert forwards["reason"][0] == "expired"
    assert smiles(lake).sort("expiration_date")["status"].to_list() == ["skipped", *["fitted"] * 2]
    assert any("expired" in odd for odd in stored.odd)


def test_an_expiry_of_minutes_is_kept_told_and_not_fitted(tmp_path):
    """The official snapshot of each day has one: it is taken just before 08:00."""
    settings = coin_settings(tmp_path)
    at = EARLY.replace(minute=45)
    record(settings.recordings_path, "BTC", at, days_to_expiry=(0, 1, 8, 36))
    lake, stored = fill_coins(settings)
    assert lake.read("option_quotes", [COINS_DAY]).height == 160
    assert "40 expires_at_once" in stored.odd
    first, *others = smiles(lake).sort("expiration_date").iter_rows(named=True)
    assert first["tte_years"] == pytest.approx(895 / (365 * 86_400))
    assert first["status"] == "skipped"
    assert first["reason"].endswith("strikes to fit, needs 6")
    assert {row["status"] for row in others} == {"fitted"}


def test_linear_options_are_priced_in_dollars(tmp_path):
    settings = coin_settings(tmp_path, "XRP_USDC")
    record(settings.recordings_path, "XRP_USDC", LATE)
    lake, _ = fill_coins(settings)
    forwards = lake.read("implied_forwards", [COINS_DAY])
    made = 0.6 * np.exp(0.03 * forwards["tte_years"].to_numpy())
    assert np.abs(forwards["forward"].to_numpy() / made - 1.0).max() < 1e-4
    assert set(lake.read("option_quotes", [COINS_DAY])["unit_value"]) == {1.0}
    assert "fitted" in set(smiles(lake)["status"])
