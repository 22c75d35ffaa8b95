"""The commands for coins: from a loopback exchange to files, surfaces, pictures, and back."""

import os
import re
import signal
import subprocess
import sys
import time
from shutil import copytree, ignore_patterns

import pytest

from tests.app.conftest import caller, own_logging, set_home
from tests.assets.coins import COINS_DAY, EARLY, LATE, FullExchange, record
from tests.resources.loopback import Answer
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings


@pytest.fixture(scope="module")
def exchange():
    with FullExchange() as served:
        yield served


@pytest.fixture
def volsurf(tmp_path, exchange, monkeypatch, capsys):
    set_home(monkeypatch, tmp_path / "home")
    monkeypatch.setenv("DERIBIT_URL", exchange.url)
    exchange.fault = lambda call: None
    with own_logging():
        yield caller(capsys)


def test_fetch_build_graphs(volsurf, tmp_path, exchange):
    """R200 to R203: no key, saved to a file, built and drawn without another request."""
    code, said, _ = volsurf("crypto", "fetch", "BTC", "--history", 2)
    assert code == 0
    assert "BTC: 120 options at" in said
    assert "partial" not in said
    (file,) = (tmp_path / "home" / "snapshots" / "BTC").glob("*/BTC_*Z.json.gz")
    asked = len(exchange.calls)
    code, said, errors = volsurf("crypto", "build", "--trace", tmp_path / "trace")
    assert code == 0, errors
    assert "3 fitted" in said
    assert re.search(r"BTC: 1 done \(\d+\.\d s\)", said)
    assert len(list((tmp_path / "trace").glob("*.csv"))) == 2
    (tmp_path / "file").touch()
    code, _, errors = volsurf("crypto", "build", "--trace", tmp_path / "file" / "trace")
    assert (code, "--trace" in errors) == (2, True)
    code, said, _ = volsurf("show", "surface", "BTC")
    assert code == 0
    assert re.search(r"quotes of \d\d:\d\d UTC, BTC", said)
    assert "bid coin" in said
    code, said, _ = volsurf("crypto", "graphs", "BTC", "--out", tmp_path / "graphs")
    assert code == 0
    assert len(list((tmp_path / "graphs").glob("BTC_*.png"))) == 3
    assert len(exchange.calls) == asked
    written = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "home" / "crypto").rglob("*.p*")
    }
    assert volsurf("crypto", "build")[0] == 0
    now = {path: path.stat().st_mtime_ns for path in (tmp_path / "home" / "crypto").rglob("*.p*")}
    assert now == written
    code, said, _ = volsurf("status")
    assert code == 0
    assert "market crypto: BTC" in said
    code, said, _ = volsurf("analyze", "vendor", "BTC", "--date", file.parent.name)
    assert (code, "vega" in said) == (0, True)


def test_a_new_snapshot_of_the_day_is_built_beside_the_other(volsurf, tmp_path):
    folder = tmp_path / "home" / "snapshots"
    record(folder, "BTC", LATE)
    code, said, errors = volsurf("crypto", "build", "BTC")
    assert code == 0, errors
    assert "stale: the snapshot of BTC was taken on 2026-02-20 13:00 UTC" in said  # R204
    record(folder, "BTC", EARLY)
    assert volsurf("crypto", "build", "BTC", "--date", COINS_DAY)[0] == 0
    settings = Settings(volsurf_home=tmp_path / "home").for_market("crypto")
    lake = Lake(settings.lake_root, calendar=settings.calendar)
    stored = lake.read("fitted_surfaces", [COINS_DAY], snapshot=None)
    assert set(stored["snapshot"]) == {"0730", "1300"}
    assert set(lake.read("fitted_surfaces", [COINS_DAY])["snapshot"]) == {"0730"}


def test_status_shows_both_markets_of_a_home(filled_home, tmp_path, monkeypatch, capsys):
    home = tmp_path / "home"
    copytree(filled_home, home, ignore=ignore_patterns("dagster"))
    set_home(monkeypatch, home)
    record(home / "snapshots", "BTC", LATE)
    with own_logging():
        volsurf = caller(capsys)
        assert volsurf("crypto", "build", "BTC")[0] == 0
        code, said, _ = volsurf("status")
    assert code == 0
    equity, coins = said.split("market crypto: BTC")
    assert "SPY: sessions stored" in equity
    assert "BTC: sessions stored" in coins
    assert "fitted_surfaces" in equity
    assert "fitted_surfaces" in coins


def test_marks_are_the_prices_where_a_user_says_so(volsurf, tmp_path):
    record(tmp_path / "home" / "snapshots", "BTC", LATE)
    settings = Settings(volsurf_home=tmp_path / "home").for_market("crypto")
    lake = Lake(settings.lake_root, calendar=settings.calendar)

    def sources() -> set[str]:
        tables = ("implied_forwards", "option_quotes", "fitted_surfaces")
        return {s for table in tables for s in lake.read(table, [COINS_DAY])["price_source"]}

    code, said, errors = volsurf("crypto", "build", "BTC", "--prices", "marks")
    assert code == 0, errors
    assert "made of marks; PRICE_SOURCE=marks keeps it so" in " ".join(said.split())
    assert "errors in vol points, to the vendor's marks" in said
    assert sources() == {"marks"}
    code, said, _ = volsurf("crypto", "build", "BTC")
    assert code == 0
    assert "marks" not in said
    assert sources() == {"quotes"}


def test_what_could_not_be_had_is_said(volsurf, exchange):
    """R206: the quotes are there, the list of instruments never comes."""
    missing = Answer(status=400, body='{"error": {"code": -32602, "message": "Invalid params"}}')
    exchange.fault = lambda call: missing if call.path.endswith("get_instruments") else None
    code, said, _ = volsurf("crypto", "fetch", "BTC", "--history", 0)
    assert code == 0
    assert "partial, without instruments" in said


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("crypto", "build", "ETH"), 1, "volsurf crypto fetch ETH"),
        (("crypto", "fetch", "DOGE"), 1, "DOGE"),
        (("collect", "BTC", "--every", "7m"), 2, "divide a day"),
        (("collect", "BTC", "--every", "soon"), 2, "no duration"),
    ],
)
def test_what_cannot_be_done_is_explained(volsurf, words, code, told):
    ended, _, errors = volsurf(*words)
    assert ended == code
    assert told in " ".join(errors.split())


@pytest.mark.parametrize("words", [("publish",), ("status",)])
def test_a_process_ends_without_a_word(words, tmp_path):
    """With DuckDB opened, and without: libraries count what is left of them at the end."""
    command = [sys.executable, "-m", "volsurf_app", *words]
    own = {"VOLSURF_HOME": str(tmp_path / "home")}
    ended = subprocess.run(
        command, env=os.environ | own, cwd=tmp_path, capture_output=True, check=False
    )
    assert ended.returncode == 0
    assert ended.stderr == b""


def test_collecting_ends_cleanly_and_goes_on_where_it_ended(tmp_path, exchange):
    exchange.fault = lambda call: None
    own = {
        "VOLSURF_HOME": str(tmp_path / "home"),
        "DERIBIT_URL": exchange.url,
        "DERIBIT_RECORDINGS": "",
    }
    # Where a shell started the tests in the background, they and their children ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def collect(said: str) -> str:
        """Run until `said` stands there, then press Ctrl-C."""
        words = [sys.executable, "-u", "-m", "volsurf_app", "collect", "BTC", "--every", "1d"]
        with subprocess.Popen(
            words, stdout=subprocess.PIPE, text=True, env=os.environ | own, cwd=tmp_path
        ) as process:
            try:
                told, deadline = "", time.monotonic() + 30.0
                while said not in told and time.monotonic() < deadline:
                    told += process.stdout.readline()
                time.sleep(1.0)
                process.send_signal(signal.SIGINT)
                told += process.communicate(timeout=20.0)[0]
            finally:
                process.kill()
        assert process.returncode == 0
        return told

    first = collect(": kept")
    assert first.endswith("stopped\n1 snapshots kept\n")
    assert collect("Ctrl-C ends it").endswith("stopped\n0 snapshots kept\n")
    assert len(list((tmp_path / "home" / "snapshots").glob("BTC/*/*.gz"))) == 1
