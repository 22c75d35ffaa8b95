"""`crypto demo`: from nothing to every table with no network, and never beside real snapshots."""

import io
import socket
from contextlib import redirect_stdout
from datetime import UTC, date, datetime

import pytest

from tests.app.conftest import caller, own_logging, set_home
from tests.assets.coins import LATE, record
from volsurf_app.cli import run
from volsurf_jobs.collecting import source_of_coins
from volsurf_resources.deribit import Deribit, RecordedDeribit
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings
from volsurf_resources.simulated.coins import simulated_snapshot

LAST = date(2026, 2, 20)
DAYS = [date(2026, 2, 19), LAST]
DEMO = ("crypto", "demo", "BTC", "--days", 2, "--date", LAST)


def refuse(*_: object) -> None:
    raise AssertionError("the network was asked")


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The home of a demo of two days, and what it said."""
    home, said = tmp_path_factory.mktemp("coins") / "home", io.StringIO()
    with pytest.MonkeyPatch.context() as patch, own_logging(), redirect_stdout(said):
        set_home(patch, home)
        patch.setattr(socket.socket, "connect", refuse)
        assert run(list(map(str, DEMO))) == 0
    return home, said.getvalue()


@pytest.fixture
def volsurf(first, monkeypatch, capsys):
    set_home(monkeypatch, first[0])
    monkeypatch.setattr(socket.socket, "connect", refuse)
    with own_logging():
        yield caller(capsys)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, capsys):
    """A home without anything, on which the commands are called, and its settings."""
    set_home(monkeypatch, tmp_path / "home")
    with own_logging():
        yield caller(capsys), Settings(volsurf_home=tmp_path / "home").for_market("crypto")


def settings_at(home):
    return Settings(volsurf_home=home).for_market("crypto")


def lake_at(home):
    settings = settings_at(home)
    return Lake(settings.lake_root, calendar=settings.calendar)


def files_in(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*.*") if p.is_file()}


def test_every_table_is_filled_of_simulated_rows(first):
    """R203."""
    lake = lake_at(first[0])
    for table in lake.tables:
        assert set(DAYS) <= set(lake.days(table.name)), table.name
        assert lake.read(table.name, DAYS, snapshot=None).height > 0, table.name
    for table in ("raw_options_chains", "underlying_prices", "index_levels"):
        assert set(lake.read(table, DAYS, snapshot=None)["data_source"]) == {"simulated"}
    premium = lake.read("vrp_metrics", DAYS)
    assert premium.select("vrp_30d", "vrp_60d", "vrp_90d").null_count().row(0) == (0, 0, 0)
    smiles = lake.read("fitted_surfaces", [LAST], snapshot=None)
    assert set(smiles["snapshot"]) == {"0145", "0745"}
    assert set(lake.read("fitted_surfaces", [LAST])["snapshot"]) == {"0745"}


def test_what_was_done_is_told_and_what_to_type_next(first):
    said = first[1]
    assert "2026-02-20 07:45: " in said
    assert "BTC: 2 done" in said
    assert "11 fitted" in said
    assert "ATM 30d" in said
    assert str(first[0] / "snapshots") in said


def test_the_commands_that_it_names_work_with_no_network(volsurf, first):
    lines = [line.strip() for line in first[1].splitlines()]
    named = [line.split("   ")[0] for line in lines if line.startswith("volsurf ")]
    assert len(named) >= 5
    for line in named:
        code, said, errors = volsurf(*line.split()[1:])
        assert (code, bool(said)) == (0, True), (line, errors)
    assert len(list((first[0] / "graphs").glob("BTC_*.png"))) == 11


def test_again_it_writes_nothing_and_a_build_finds_all_done(volsurf, first):
    before = files_in(first[0] / "crypto"), files_in(first[0] / "snapshots")
    code, said, _ = volsurf(*DEMO)
    assert (code, "already in the lake" in said) == (0, True)
    assert volsurf("crypto", "build")[0] == 0
    assert (files_in(first[0] / "crypto"), files_in(first[0] / "snapshots")) == before


@pytest.mark.parametrize("words", [("crypto", "fetch", "BTC"), ("collect", "ETH", "--for", "1m")])
def test_no_real_snapshot_is_put_beside_simulated_ones(words, volsurf):
    code, _, errors = volsurf(*words)
    assert code == 1
    assert "simulated" in errors
    assert "VOLSURF_HOME=" in errors


def test_dagster_replays_a_simulated_home_and_asks_the_exchange_elsewhere(first, tmp_path):
    assert isinstance(source_of_coins(settings_at(first[0])), RecordedDeribit)
    assert isinstance(source_of_coins(settings_at(tmp_path)), Deribit)


def test_no_simulated_snapshot_is_put_beside_real_ones(elsewhere):
    volsurf, settings = elsewhere
    record(settings.recordings_path, "ETH", LATE)
    code, _, errors = volsurf(*DEMO)
    assert code == 1
    assert str(settings.recordings_path) in errors
    assert "VOLSURF_HOME=demo" in errors
    assert not (settings.recordings_path / "BTC").exists()


def test_two_worlds_are_never_mixed(volsurf, monkeypatch):
    monkeypatch.setenv("SIMULATED_SEED", "8")
    code, _, errors = volsurf("crypto", "demo", "BTC", "--days", 1, "--date", "2026-02-21")
    assert (code, "SIMULATED_SEED" in errors) == (1, True)


def test_one_recorded_file_is_no_home_of_a_demo(elsewhere, tmp_path, monkeypatch):
    file = tmp_path / "one.json.gz"
    simulated_snapshot(7, "BTC", datetime(2026, 2, 20, 7, 45, tzinfo=UTC)).save(file)
    monkeypatch.setenv("DERIBIT_RECORDINGS", str(file))
    code, _, errors = elsewhere[0](*DEMO)
    assert (code, str(file) in errors) == (1, True)


def test_a_lake_made_of_the_exchange_takes_no_simulated_day(elsewhere):
    """Also where the recordings that it was made of are gone."""
    volsurf, settings = elsewhere
    record(settings.recordings_path, "BTC", LATE)
    assert volsurf("crypto", "build", "BTC")[0] == 0
    settings.recordings_path.rename(settings.volsurf_home / "put away")
    code, said, _ = volsurf(*DEMO)
    assert code == 1
    assert "do not mix" in said


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("SOL_USDC",), 1, "BTC, ETH"),
        (("--date", "2999-01-01"), 2, "not closed"),
        (("--date", "2023-02-03"), 1, "2024-01-01"),
        (("--days", "0"), 2, "--days"),
    ],
)
def test_what_cannot_be_simulated_is_explained(words, code, told, elsewhere):
    volsurf, settings = elsewhere
    ended, _, errors = volsurf("crypto", "demo", *words)
    assert (ended, told in " ".join(errors.split())) == (code, True), errors
    assert not settings.recordings_path.exists()
