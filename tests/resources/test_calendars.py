"""Calendars of the markets, and what a lake does with days that have several snapshots."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from tests.resources.lake_rows import BARS, CHAINS, DAY, rows
from volsurf_resources.calendars import CALENDARS, NEW_YORK, ROUND_THE_CLOCK
from volsurf_resources.lake import Lake

SATURDAY = date(2026, 11, 21)


def lake_with(tmp_path, *snapshots, calendar=ROUND_THE_CLOCK, table=CHAINS):
    lake = Lake(tmp_path / "lake", calendar=calendar)
    frames = [rows(table, symbols=["BTC"], snapshot=s, seed=n) for n, s in enumerate(snapshots)]
    lake.replace(table, DAY, pl.concat(frames))
    return lake


def test_coins_have_no_holidays():
    assert ROUND_THE_CLOCK.is_session(SATURDAY)
    assert not NEW_YORK.is_session(SATURDAY)
    year = ROUND_THE_CLOCK.sessions(date(2024, 1, 1), date(2024, 12, 31))
    assert len(year) == 366
    assert ROUND_THE_CLOCK.last_sessions(year[-1], 366) == year
    assert ROUND_THE_CLOCK.previous_session(date(2024, 3, 1)) == date(2024, 2, 29)
    assert ROUND_THE_CLOCK.closures(2024, 2026) == ()


def test_the_day_of_coins_is_settled_at_eight():
    eight = datetime(2026, 11, 21, 8, tzinfo=UTC)
    assert ROUND_THE_CLOCK.session_close(SATURDAY) == eight
    assert ROUND_THE_CLOCK.latest_closed_session(eight) == SATURDAY
    just_before = eight - timedelta(seconds=1)
    assert ROUND_THE_CLOCK.latest_closed_session(just_before) == SATURDAY - timedelta(days=1)
    assert ROUND_THE_CLOCK.available_from(SATURDAY) == eight.replace(hour=0)


@pytest.mark.parametrize("calendar", CALENDARS.values())
def test_sessions_agree_with_each_other(calendar):
    days = calendar.sessions(date(2026, 1, 1), date(2026, 3, 1))
    assert all(map(calendar.is_session, days))
    assert calendar.last_sessions(days[-1], len(days)) == days
    assert [calendar.previous_session(day) for day in days[1:]] == days[:-1]
    assert calendar.latest_closed_session(calendar.session_close(days[5])) == days[5]


@pytest.mark.parametrize(
    ("snapshots", "official"),
    [
        (("0745", "0800", "0815"), "0745"),
        (("0015", "0759", "2345"), "0759"),
        (("1331", "0930"), "0930"),
        (("0800", "0815"), "0800"),
        (("0745", "EOD"), "EOD"),
    ],
)
def test_the_official_snapshot_of_coins_is_the_last_before_eight(tmp_path, snapshots, official):
    lake = lake_with(tmp_path, *snapshots)
    assert set(lake.read(CHAINS, [DAY])["snapshot"]) == {official}
    assert set(lake.read(CHAINS, [DAY], snapshot="EOD")["snapshot"]) == {official}
    assert set(lake.read(CHAINS, [DAY], snapshot=None)["snapshot"]) == set(snapshots)
    assert set(lake.read(CHAINS, [DAY], snapshot=snapshots[0])["snapshot"]) == {snapshots[0]}


def test_each_symbol_and_day_has_its_own_official_snapshot(tmp_path):
    lake = Lake(tmp_path / "lake", calendar=ROUND_THE_CLOCK)
    btc = rows(BARS, symbols=["BTC"], snapshot="0745")
    lake.replace(BARS, DAY, pl.concat([btc, rows(BARS, symbols=["ETH"], snapshot="0730")]))
    next_day = DAY + timedelta(days=1)
    lake.replace(BARS, next_day, rows(BARS, day=next_day, symbols=["BTC"], snapshot="1200"))
    found = lake.read(BARS).select("symbol", "snapshot", "quote_date").rows()
    assert found == [("BTC", "0745", DAY), ("ETH", "0730", DAY), ("BTC", "1200", next_day)]


def test_a_day_of_new_york_without_end_has_no_official_snapshot(tmp_path):
    lake = lake_with(tmp_path, "1545", calendar=NEW_YORK)
    assert lake.read(CHAINS, [DAY]).is_empty()
    assert lake.read(CHAINS, [DAY], snapshot="1545").height == 1


def test_a_snapshot_is_put_beside_the_others(tmp_path):
    lake = lake_with(tmp_path, "0745", "0800")
    both = pl.concat([lake.read(CHAINS, snapshot="0745"), rows(CHAINS, symbols=["ETH"])])
    lake.replace(CHAINS, DAY, both.filter(pl.col("symbol") == "ETH"), symbols=["ETH"])
    new = rows(CHAINS, symbols=["BTC"], snapshot="0800", seed=9)
    written = lake.replace(CHAINS, DAY, new, symbols=["BTC"], snapshots=["0800"])
    assert written.changed
    stored = lake.read(CHAINS, [DAY], snapshot=None)
    assert sorted(stored.select("symbol", "snapshot").rows()) == [
        ("BTC", "0745"), ("BTC", "0800"), ("ETH", "EOD"),
    ]  # fmt: skip
    now = stored.filter(pl.col("snapshot") == "0800").drop("ingestion_timestamp")
    assert now.equals(new.drop("ingestion_timestamp"))
    again = lake.replace(CHAINS, DAY, new, symbols=["BTC"], snapshots=["0800"])
    assert not again.changed
