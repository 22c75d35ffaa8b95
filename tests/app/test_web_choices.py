"""What a reader may choose besides session and symbol: snapshot, past state, market, model."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from tests.app.conftest import DAYS, own_logging, set_home
from tests.assets.coins import COINS_DAY, EARLY, LATE, record
from volsurf_app import surface
from volsurf_app.cli import run
from volsurf_app.pages import choice, coverage, diagnostics, difference, premium, term_structure
from volsurf_app.queries.seen import markets_of, newest_content, seen_lake, snapshots
from volsurf_resources.lake import Lake
from volsurf_resources.settings import Settings

SCRIPT = Path(__file__).parents[2] / "volsurf_app" / "pages" / "script.py"
NEWEST, BEFORE = DAYS[-2], DAYS[-3]


@pytest.fixture(scope="module")
def home(filled_home, tmp_path_factory):
    """A home of both markets: SPY, and BTC with two snapshots of one day."""
    home = tmp_path_factory.mktemp("both")
    shutil.copytree(filled_home, home, dirs_exist_ok=True)
    for at in (EARLY, LATE):
        record(home / "snapshots", "BTC", at)
    with pytest.MonkeyPatch.context() as patch, own_logging():
        set_home(patch, home)
        assert run(["crypto", "build", "BTC"]) == 0
    return home


@pytest.fixture
def look(home, monkeypatch):
    """Return a page's run at an address."""
    set_home(monkeypatch, home)

    def at(**address: str) -> AppTest:
        test = AppTest.from_file(str(SCRIPT), default_timeout=60)
        for name, value in address.items():
            test.query_params[name] = value
        return test.run()

    return at


@pytest.fixture
def settings(home):
    return Settings(volsurf_home=home)


def words(test: AppTest) -> str:
    parts = (test.warning, test.info, test.caption, test.code, test.error)
    return "\n".join(str(one.value) for kind in parts for one in kind)


def shown(test: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in test.metric}


def test_symbols_of_both_markets_are_offered(look, settings):
    assert {name: own.volsurf_market for name, own in markets_of(settings).items()} == {
        "BTC": "crypto",
        "SPY": "us",
    }
    test = look(symbol="BTC")
    assert not test.exception
    assert list(test.selectbox(key="chosen_symbol").options) == ["BTC", "SPY"]
    assert "BTC · 2026-02-20 · 07:30 UTC · SVI" in words(test)
    test.selectbox(key="chosen_symbol").select("SPY").run()
    assert f"SPY · {NEWEST} · end of day · SVI" in words(test)


def test_each_snapshot_of_a_day_shows_its_own_numbers(look, settings):
    own = settings.for_market("crypto")
    lake = seen_lake(own)
    assert snapshots(lake, "BTC", COINS_DAY) == (["0730", "1300"], "0730")
    test = look(symbol="BTC")
    for name in ("0730", "1300"):
        test.selectbox(key="chosen_snapshot").select(name).run()
        assert not test.exception
        rows = lake.read("fitted_surfaces", [COINS_DAY], snapshot=name)
        rows = rows.filter(status="fitted", model_type="SVI")
        assert shown(test)["Median fit error"] == f"{rows['rmse'].median():.3f} pts"
        point = surface.at(
            "BTC", tenor="30d", log_moneyness=0.0, on=COINS_DAY, snapshot=name, lake=lake
        )
        assert shown(test)["ATM vol, 30 days"] == f"{100 * point.implied_vol:.2f} %"
        assert f"{name[:2]}:{name[2:]} UTC" in words(test)
    assert test.query_params["snapshot"] in ("1300", ["1300"])


@pytest.mark.parametrize(
    "page", [term_structure, premium, diagnostics, coverage, difference], ids=lambda m: m.__name__
)
@pytest.mark.parametrize("snapshot", ["0730", "1300"])
def test_every_page_shows_coins(page, snapshot, home, monkeypatch):
    set_home(monkeypatch, home)

    def script(name: str) -> None:
        from importlib import import_module

        from volsurf_app.pages.choice import choose
        from volsurf_resources.settings import Settings

        import_module(name).draw(choose(Settings()))

    test = AppTest.from_function(script, default_timeout=60, kwargs={"name": page.__name__})
    test.query_params["symbol"], test.query_params["snapshot"] = "BTC", snapshot
    test.run()
    assert not test.exception
    assert "BTC" in words(test)


def test_a_rewritten_session_is_shown_as_it_was_known(home, settings, look):
    lake = Lake(settings.lake_root)
    before = lake.footer("fitted_surfaces", NEWEST).known_at
    rows = lake.read("fitted_surfaces", [NEWEST])
    lake.replace("fitted_surfaces", NEWEST, rows.with_columns(rmse=pl.col("rmse") + 1.0))
    try:
        median = rows.filter(status="fitted", model_type="SVI")["rmse"].median()
        assert shown(look())["Median fit error"] == f"{median + 1.0:.3f} pts"
        then = seen_lake(settings, known_at=before)
        assert then.read("fitted_surfaces", [NEWEST])["rmse"].equals(rows["rmse"])
        assert then.content_hash("fitted_surfaces", NEWEST) != lake.content_hash(
            "fitted_surfaces", NEWEST
        )
        test = look(known_at=before.isoformat())
        assert shown(test)["Median fit error"] == f"{median:.3f} pts"
        assert f"as known at {before:%Y-%m-%d %H:%M} UTC" in words(test)
    finally:
        lake.replace("fitted_surfaces", NEWEST, rows)


def test_before_anything_was_known_that_is_said(look):
    test = look(known_at="2001-01-01T00:00Z")
    assert not test.exception
    assert "No chain of SPY was known at 2001-01-01 00:00 UTC" in words(test)
    assert not test.metric


def test_a_surface_that_was_not_known_yet_is_not_said_to_be_missing(look, settings):
    at = Lake(settings.lake_root).footer("raw_options_chains", NEWEST).known_at
    test = look(known_at=at.isoformat())
    assert f"No SVI surface of SPY on {NEWEST} was known at {at:%Y-%m-%d %H:%M}" in words(test)
    assert "volsurf eod" not in words(test)


@pytest.mark.parametrize("text", ["soon", "", "2026-13-01"])
def test_a_time_that_is_none_is_now(look, text):
    assert "as known" not in words(look(known_at=text))


def test_a_session_not_yet_known_is_absent(settings):
    lake = Lake(settings.lake_root)
    first, last = (lake.footer("raw_options_chains", day).first_known_at for day in DAYS[-3:-1])
    at = min(first, last) + abs(last - first) / 2
    known = seen_lake(settings, known_at=at).days("raw_options_chains", "SPY")
    assert known == [day for day, since in zip(DAYS[-3:-1], (first, last), strict=True)
                     if since <= at]  # fmt: skip
    ever = datetime.now(UTC) + timedelta(days=1)
    assert seen_lake(settings, known_at=ever).days("raw_options_chains", "SPY") == lake.days(
        "raw_options_chains", "SPY"
    )


def test_who_looks_at_the_newest_session_follows_it_with_all_else_kept(home, settings, look):
    lake = Lake(settings.lake_root)
    test = look(model="SABR")
    expiry = test.selectbox(key="expiry_of_day").value
    older = look(model="SABR")
    older.button(key="back").click().run()
    drawn = newest_content(lake, "SPY")
    day = DAYS[-1]
    for name in ("raw_options_chains", "sabr_smiles"):
        rows = lake.read(name, [NEWEST]).with_columns(quote_date=pl.lit(day))
        lake.replace(name, day, rows)
    try:
        assert newest_content(lake, "SPY") != drawn
        test.run()
        older.run()
        assert test.select_slider(key="chosen_day").value == day
        assert test.toast[0].value == f"SPY: new session {day}"
        assert test.selectbox(key="chosen_model").value == "SABR"
        assert test.selectbox(key="expiry_of_day").value[1] == expiry[1]
        assert older.select_slider(key="chosen_day").value == BEFORE
    finally:
        for name in ("raw_options_chains", "sabr_smiles"):
            lake.path(name, day).unlink()


def test_neighbours_are_the_sessions_beside(settings):
    newest = choice.newest(settings)
    assert (newest.symbol, newest.day) == ("SPY", NEWEST)
    assert [near.day for near in newest.neighbours()] == [BEFORE]


@pytest.mark.parametrize("model", ["SABR", "HESTON", "POLYNOMIAL"])
def test_why_tells_of_every_model(look, model):
    test = look(model=model)
    test.session_state["why_smile"] = True
    test.run()
    assert not test.exception
    told = "\n".join(one.value for one in test.markdown)
    assert f"**Fit** of {model}, fitted" in told
    assert f"--model {model.lower()}" in words(test)
