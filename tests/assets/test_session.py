from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.assets.tiny import DAYS, LEVELS, RECIPES, means, put, tiny_lake, tiny_settings
from volsurf_assets.session import Read, Session, days_of
from volsurf_assets.settling import settle, stale_partitions
from volsurf_resources.calendars import NEW_YORK
from volsurf_tables.market import MARKET_RATES


def test_a_session_sees_its_past_and_never_its_future(tmp_path: Path) -> None:
    lake = tiny_lake(tmp_path)
    for n, day in enumerate(DAYS):
        put(lake, day, SPY=float(n))
    session = Session(lake, tiny_settings(tmp_path), DAYS[4], declared=("levels",))
    assert session.read(LEVELS)["level"].to_list() == [4.0]
    assert session.window(LEVELS, 3)["level"].to_list() == [2.0, 3.0, 4.0]
    assert session.before(LEVELS, 2)["level"].to_list() == [2.0, 3.0]
    assert set(session.found) == {
        Read("levels", 1, True), Read("levels", 3, True), Read("levels", 2, False)
    }  # fmt: skip


def test_a_session_refuses_what_was_not_declared(tmp_path: Path) -> None:
    session = means.session(tiny_lake(tmp_path), tiny_settings(tmp_path), DAYS[0])
    with pytest.raises(ValueError, match="not market_rates"):
        session.read(MARKET_RATES)


def test_spans_count_sessions_of_the_exchange_not_calendar_days() -> None:
    assert [str(d) for d in days_of(Read("levels", 2, False), DAYS[0], NEW_YORK)] == [
        "2026-10-29",
        "2026-10-30",
    ]


def test_a_partition_is_fresh_until_its_inputs_code_or_settings_change(tmp_path: Path) -> None:
    lake, settings = tiny_lake(tmp_path), tiny_settings(tmp_path)
    for day in DAYS[:3]:
        put(lake, day, SPY=1.0)
    assert means.refresh(lake, settings, DAYS[2]) is not None
    assert means.refresh(lake, settings, DAYS[2]) is None
    assert replace(means, code_version="2").stale_symbols(lake, settings, DAYS[2]) is None
    assert means.stale_symbols(lake, tiny_settings(tmp_path, min_dte=3), DAYS[2]) is None
    put(lake, DAYS[0], SPY=2.0)  # two sessions before: inside the window
    assert means.stale_symbols(lake, settings, DAYS[2]) is None
    written = means.refresh(lake, settings, DAYS[2])
    assert written is not None
    assert written.changed


def test_only_the_symbols_that_changed_are_made_again(tmp_path: Path) -> None:
    lake, settings = tiny_lake(tmp_path), tiny_settings(tmp_path)
    put(lake, DAYS[0], SPY=1.0, QQQ=5.0)
    means.refresh(lake, settings, DAYS[0])
    put(lake, DAYS[0], QQQ=6.0, IWM=7.0)
    assert means.stale_symbols(lake, settings, DAYS[0]) == ("IWM", "QQQ")
    means.refresh(lake, settings, DAYS[0], symbols=["QQQ"])
    assert means.stale_symbols(lake, settings, DAYS[0]) == ("IWM",)
    means.refresh(lake, settings, DAYS[0])
    assert means.stale_symbols(lake, settings, DAYS[0]) == ()
    assert lake.read("means", [DAYS[0]])["mean"].to_list() == [7.0, 6.0, 1.0]


def test_symbols_alone_or_together_give_the_same(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    together, alone = tiny_lake(tmp_path / "a"), tiny_lake(tmp_path / "b")
    for lake in (together, alone):
        put(lake, DAYS[0], SPY=1.0, QQQ=5.0)
    means.refresh(together, settings, DAYS[0])
    for symbol in ("SPY", "QQQ"):
        means.refresh(alone, settings, DAYS[0], symbols=[symbol])
    assert together.content_hash("means", DAYS[0]) == alone.content_hash("means", DAYS[0])


def test_a_removed_symbol_is_removed_downstream(tmp_path: Path) -> None:
    lake, settings = tiny_lake(tmp_path), tiny_settings(tmp_path)
    put(lake, DAYS[0], SPY=1.0, QQQ=5.0)
    means.refresh(lake, settings, DAYS[0])
    lake.replace("levels", DAYS[0], LEVELS.schema.to_frame(), symbols=["QQQ"])
    means.refresh(lake, settings, DAYS[0])
    assert lake.read("means", [DAYS[0]])["symbol"].to_list() == ["SPY"]


def test_a_lost_or_damaged_proof_costs_a_recomputation_only(tmp_path: Path) -> None:
    lake, settings = tiny_lake(tmp_path), tiny_settings(tmp_path)
    put(lake, DAYS[0], SPY=1.0)
    means.refresh(lake, settings, DAYS[0])
    proof = tmp_path / "lake" / ".proofs" / "means" / f"{DAYS[0]}.json"
    proof.write_text("{not json")
    again = means.refresh(lake, settings, DAYS[0])
    assert again is not None
    assert not again.changed
    assert means.refresh(lake, settings, DAYS[0]) is None


def test_a_damaged_partition_is_made_again(tmp_path: Path) -> None:
    lake, settings = tiny_lake(tmp_path), tiny_settings(tmp_path)
    put(lake, DAYS[0], SPY=1.0)
    means.refresh(lake, settings, DAYS[0])
    before = lake.content_hash("means", DAYS[0])
    lake.path("means", DAYS[0]).write_bytes(b"PAR1 not really")
    assert means.refresh(lake, settings, DAYS[0]) is not None
    assert lake.content_hash("means", DAYS[0]) == before


def test_a_change_while_computing_leaves_the_partition_stale(tmp_path: Path) -> None:
    lake, settings = tiny_lake(tmp_path), tiny_settings(tmp_path)
    put(lake, DAYS[0], SPY=1.0)

    def meddling(session: Session) -> pl.DataFrame:
        frame = means.compute(session)
        put(lake, DAYS[0], SPY=9.0)
        return frame

    replace(means, compute=meddling).refresh(lake, settings, DAYS[0])
    assert means.stale_symbols(lake, settings, DAYS[0]) is None
    means.refresh(lake, settings, DAYS[0])
    assert lake.read("means", [DAYS[0]])["mean"].to_list() == [9.0]


def test_settling_makes_every_order_of_loading_equal(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path)
    forwards, backwards = tiny_lake(tmp_path / "a"), tiny_lake(tmp_path / "b")
    for lake, order in ((forwards, DAYS), (backwards, DAYS[::-1])):
        for n, day in enumerate(order):
            put(lake, day, SPY=float(day.day), QQQ=float(day.day % 3 + (n < 0)))
            means.refresh(lake, settings, day)
        list(settle(RECIPES, lake, settings))
    for day in DAYS:
        assert forwards.content_hash("means", day) == backwards.content_hash("means", day)
    assert list(stale_partitions(RECIPES, backwards, settings)) == []
    assert list(settle(RECIPES, backwards, settings)) == []


def test_one_partition_that_fails_does_not_leave_the_others_stale(tmp_path: Path) -> None:
    lake, settings = tiny_lake(tmp_path), tiny_settings(tmp_path)
    for day in DAYS[:4]:
        put(lake, day, SPY=1.0)
        means.refresh(lake, settings, day)
    put(lake, DAYS[1], SPY=2.0)

    def fragile(session: Session) -> pl.DataFrame:
        if session.day == DAYS[2]:
            raise RuntimeError("no")
        return means.compute(session)

    settled = list(settle([replace(means, compute=fragile)], lake, settings))
    assert [(s.day, s.error is None) for s in settled] == [
        (DAYS[1], True), (DAYS[2], False), (DAYS[3], True)
    ]  # fmt: skip


def test_provenance_names_what_was_read(tmp_path: Path) -> None:
    lake, settings = tiny_lake(tmp_path), tiny_settings(tmp_path)
    put(lake, DAYS[0], SPY=1.0)
    means.refresh(lake, settings, DAYS[0], run_id="run")
    stored = lake.provenance("means", DAYS[0])
    assert stored is not None
    assert (stored.code_version, stored.run_id) == ("1", "run")
    assert stored.settings_hash == settings.fingerprint
    assert list(stored.upstream) == ["levels", "means"]
    assert str(DAYS[0]) in stored.upstream["levels"]
