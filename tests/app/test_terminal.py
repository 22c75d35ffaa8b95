"""What is seen in a terminal: `show`, and the dashboard driven by real key presses."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from threading import Event, Thread

import polars as pl
import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from tests.app.conftest import DAYS
from volsurf_app import queries
from volsurf_app.charts import Series, Size, chart, line_chart, term_chart
from volsurf_app.cli.console import console
from volsurf_app.terminal import app as app_module
from volsurf_app.terminal.app import Dashboard
from volsurf_app.terminal.content import View
from volsurf_app.terminal.sections import SECTIONS
from volsurf_app.terminal.widgets import Chart, Help
from volsurf_resources.lake import Lake

FIRST, LAST = DAYS[:2]
SIZES = [(80, 24), (200, 50)]
MODELS = ["SVI", "SSVI", "SABR", "HESTON", "GAMMA_VANNA_VOLGA", "POLYNOMIAL"]  # as fitted
Script = Callable[[Dashboard, Pilot[None]], Awaitable[None]]


@pytest.fixture(scope="module")
def lake(filled_home):
    return Lake(filled_home / "lake")


@pytest.fixture
def own_lake(filled_home, tmp_path):
    """A lake of this test's own, without the newer session's surface."""
    shutil.copytree(filled_home / "lake", tmp_path / "lake")
    own = Lake(tmp_path / "lake")
    own.path("fitted_surfaces", LAST).unlink()
    return own


def drive(lake: Lake, script: Script, *, size=(80, 24), folder=Path("exports"), day=LAST) -> None:
    """Open the dashboard and do what a script says, as a user would."""

    async def run() -> None:
        app = Dashboard(lake, View(symbol="SPY", day=day), folder)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await script(app, pilot)

    asyncio.run(run())


def text(app: Dashboard, selector: str) -> str:
    return str(app.screen_stack[0].query_one(selector, Static).content)


def cells(app: Dashboard, selector: str) -> list[list[str]]:
    table = app.query_one(selector, DataTable)
    return [[str(cell) for cell in table.get_row_at(n)] for n in range(table.row_count)]


def stored_smiles(lake: Lake, day=LAST) -> pl.DataFrame:
    rows = lake.read("fitted_surfaces", [day], symbols=["SPY"])
    return rows.filter(pl.col("model_type") == "SVI").sort("expiration_date", "root")


@pytest.mark.parametrize("size", SIZES)
def test_the_first_section_shows_smiles_and_greeks_as_stored(lake, size):
    async def script(app, pilot):
        smiles = stored_smiles(lake)
        shown = cells(app, "#first")
        assert [row[0] for row in shown] == smiles["expiration_date"].cast(pl.String).to_list()
        for row, vol, skew in zip(shown, smiles["atm_vol"], smiles["skew_25delta"], strict=True):
            assert row[2] == ("-" if vol is None else f"{100 * vol:.2f}")
            assert row[3] == ("-" if skew is None else f"{100 * skew:.2f}")
        expiry = shown[app.query_one("#first", DataTable).cursor_row][0]
        quotes = lake.read("option_quotes", [LAST], symbols=["SPY"]).sort("strike", "option_type")
        own = quotes.filter(pl.col("expiration_date").cast(pl.String) == expiry, root="SPY")
        chain = cells(app, "#second")
        assert len(chain) == own.height > 20
        for row, quote in zip(chain, own.iter_rows(named=True), strict=True):
            assert row[0] == f"{quote['strike']:g}"
            assert row[1] == quote["option_type"].lower()
            for place, column, scale, digits in (
                *((4, "iv_mid", 100, ".2f"), (5, "delta", 1, ".3f"), (6, "gamma", 1, ".3g")),
                *((7, "theta", 1, ".2f"), (8, "vega", 1, ".2f"), (9, "rho", 1, ".2f")),
            ):
                value = quote[column]
                assert row[place] == ("-" if value is None else f"{scale * value:{digits}}")
        assert app.content.parts[1].rows.equals(
            own.select(app.content.parts[1].rows.columns), null_equal=True
        )

    drive(lake, script, size=size)


@pytest.mark.parametrize("size", SIZES)
def test_keys_go_through_all_sections_and_nothing_leaves_the_screen(lake, size):
    async def script(app, pilot):
        seen = []
        for name in SECTIONS:
            seen.append(app.section)
            assert app.section == name
            assert app.query_one("#first", DataTable).row_count == app.content.parts[0].rows.height
            for widget in app.query("#title, #headline, Chart, DataTable, #keys"):
                if widget.display:
                    assert app.screen.region.contains_region(widget.region), (name, widget)
                    assert widget.region.area > 0
            chart = app.query_one(Chart)
            if chart.display:
                drawn = chart.render().plain.splitlines()
                assert len(drawn) <= chart.size.height
                assert max(map(len, drawn)) <= chart.size.width
            await pilot.press("tab")
            await pilot.pause()
        assert seen == list(SECTIONS)
        assert app.section == seen[0]
        await pilot.press("shift+tab")
        await pilot.pause()
        assert app.section == seen[-1]
        await pilot.press("3")
        await pilot.pause()
        assert app.section == "term"
        assert len(text(app, "#keys")) <= 78

    drive(lake, script, size=size)


def test_arrows_step_expiries_and_hold_at_the_ends(lake):
    async def script(app, pilot):
        expiries = stored_smiles(lake).select("root", "expiration_date").rows()
        start = app.query_one("#first", DataTable).cursor_row
        await pilot.press("right")
        await pilot.pause()
        assert (app.view.root, app.view.expiration) == expiries[start + 1]
        assert text(app, "#headline").startswith(" ".join(map(str, expiries[start + 1])))
        await pilot.press("2", "left", "left")
        await pilot.pause()
        assert (app.view.root, app.view.expiration) == expiries[start - 1]
        picture = queries.smile_picture(lake, "SPY", LAST, expiries[start - 1][1])
        rows = app.content.parts[0].rows
        assert rows.equals(picture.quotes.filter("is_used"))
        for row, quote in zip(cells(app, "#first"), rows.iter_rows(named=True), strict=True):
            assert row[5:7] == [
                f"{100 * quote['model_vol']:.2f}",
                f"{quote['error_vol_points']:.3f}",
            ]
        await pilot.press(*["left"] * (start + 3))
        await pilot.pause()
        assert (app.view.root, app.view.expiration) == expiries[0]

    drive(lake, script)


def test_brackets_step_sessions_and_keep_the_expiry_where_it_exists(lake):
    async def script(app, pilot):
        await pilot.press("right", "[")
        await pilot.pause()
        assert app.view.day == FIRST
        shared = stored_smiles(lake, FIRST).select("root", "expiration_date").rows()
        assert app.view.expiration is None or (app.view.root, app.view.expiration) in shared
        assert f"{FIRST}" in text(app, "#title")
        assert f"{app.content.parts[0].rows.height}" == str(stored_smiles(lake, FIRST).height)
        await pilot.press("[", "]", "]")
        await pilot.pause()
        assert app.view.day == LAST

    drive(lake, script)


def test_the_premium_and_the_history_are_those_of_the_tables(lake):
    async def script(app, pilot):
        await pilot.press("4")
        await pilot.pause()
        premium = lake.read("vrp_metrics", [FIRST, LAST], symbols=["SPY"]).sort("quote_date")
        shown = {row[0]: row for row in cells(app, "#first")}
        for row in premium.iter_rows(named=True):
            own = shown[str(row["quote_date"])]
            assert own[3] == f"{100 * row['vrp_30d']:.2f}"
            score = row["vrp_zscore"]
            assert own[6] == ("-" if score is None else f"{score:.2f}")
        await pilot.press("5")
        await pilot.pause()
        points = lake.read("surface_points", [LAST], symbols=["SPY"])
        points = points.filter(pl.col("model_type") == "SVI", tenor_days=30)
        (atm,) = points.filter(axis="log_moneyness", coordinate=0.0)["implied_vol"]
        put, call = (
            points.filter(axis="delta", coordinate=x)["implied_vol"][0] for x in (-0.25, 0.25)
        )
        newest = cells(app, "#first")[0]
        assert newest[:3] == [str(LAST), f"{100 * atm:.2f}", f"{100 * (put - call):.2f}"]
        smiles = stored_smiles(lake).filter(pl.col("expiration_date").cast(pl.String) == newest[3])
        (rho,) = smiles.filter(root="SPY")["svi_rho"]
        assert newest[6] == f"{rho:.4g}"

    drive(lake, script)


def test_the_view_moves_on_when_a_newer_session_lands(own_lake, filled_home, monkeypatch):
    monkeypatch.setattr(app_module, "LOOKS_EVERY", 0.05)
    landing = Lake(filled_home / "lake").read("fitted_surfaces", [LAST], snapshot=None)

    async def until(pilot, is_so):
        for _ in range(100):
            if is_so():
                return True
            await pilot.pause(0.05)
        return False

    async def script(app, pilot):
        assert app.view.day == FIRST
        own_lake.replace("fitted_surfaces", LAST, landing)
        assert await until(pilot, lambda: app.view.day == LAST)
        assert cells(app, "#first")[0][0] == str(landing["expiration_date"].min())
        changed = landing.with_columns(pl.col("atm_vol") + 0.01)
        own_lake.replace("fitted_surfaces", LAST, changed)
        new = stored_smiles(own_lake)["atm_vol"].drop_nulls()[0]
        assert await until(
            pilot, lambda: f"{100 * new:.2f}" in [r[2] for r in cells(app, "#first")]
        )
        await pilot.press("[", "?")
        newer = landing.with_columns(quote_date=pl.lit(DAYS[2]))
        own_lake.replace("fitted_surfaces", DAYS[2], newer)
        assert await until(pilot, lambda: "of 3" in text(app, "#title"))  # behind the help
        assert app.view.day == FIRST  # who looks at the past is not pulled away

    drive(own_lake, script, day=FIRST)


def test_it_works_while_a_run_writes(own_lake, filled_home):
    rows = Lake(filled_home / "lake").read("fitted_surfaces", [LAST], snapshot=None)
    is_over = Event()

    def write() -> None:
        n = 0
        while not is_over.is_set():
            n += 1
            shift = 1e-6 * (n % 7)
            own_lake.replace("fitted_surfaces", LAST, rows.with_columns(pl.col("atm_vol") + shift))

    async def script(app, pilot):
        writer = Thread(target=write)
        writer.start()
        try:
            await pilot.press("]", "2", "right", "5", "[")
            await pilot.pause()
            assert app.content.parts
        finally:
            is_over.set()
            writer.join()

    drive(own_lake, script, day=FIRST)


def test_exports_read_back_as_what_is_shown(lake, tmp_path):
    async def script(app, pilot):
        expected = 0
        for n, _ in enumerate(SECTIONS, start=1):
            await pilot.press(str(n), "e", "E")
            await pilot.pause()
            expected += 2 * len(app.content.parts)
            for part in app.content.parts:
                stem = f"SPY_{LAST}_svi_{part.title}".replace(" ", "_")
                read = pl.read_csv(tmp_path / f"{stem}.csv", infer_schema_length=None)
                rows = json.loads((tmp_path / f"{stem}.json").read_text())
                assert read.columns == part.rows.columns == list(rows[0])
                for column, dtype in part.rows.schema.items():
                    if dtype.is_numeric():
                        stored = part.rows[column].cast(pl.Float64)
                        assert read[column].cast(pl.Float64).equals(stored, null_equal=True)
                        assert [row[column] for row in rows] == part.rows[column].to_list()
        assert len(list(tmp_path.iterdir())) == expected

    drive(lake, script, folder=tmp_path)


def test_help_opens_and_any_key_closes_it(lake):
    async def script(app, pilot):
        await pilot.press("?")
        await pilot.pause()
        assert isinstance(app.screen, Help)
        before = app.view
        await pilot.press("right")
        await pilot.pause()
        assert not isinstance(app.screen, Help)
        assert app.view == before
        await pilot.press("m")
        await pilot.pause()
        assert "SSVI" in text(app, "#title")
        await pilot.press("q")

    drive(lake, script)


def test_the_key_of_models_goes_round_all_that_are_stored(lake):
    async def script(app, pilot):
        seen = []
        for _ in range(len(MODELS)):
            seen.append(app.view.model)
            fits = app.content.parts[0].rows
            assert fits.filter(status="fitted").height > 10
            assert fits.filter(status="fitted")["atm_vol"].null_count() == 0
            await pilot.press("m")
            await pilot.pause()
        assert app.view.model == seen[0]
        assert seen == MODELS

    drive(lake, script)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["surface", "smile", "term", "history"])
def test_sections_of_every_model_are_printed(volsurf, lake, name, model):
    code, said, errors = volsurf("show", name, "--model", model.lower(), "--json")
    assert (code, errors) == (0, "")
    told = json.loads(said)
    assert told["model"] == model
    if name == "smile":
        expiry = told["headline"].split()[1].rstrip(",")
        (picture,) = queries.smile_pictures(
            lake, "SPY", LAST, date.fromisoformat(expiry), model_type=model
        )
        curve = picture.quotes.filter("is_used")["model_vol"].to_list()
        assert [quote["model_vol"] for quote in told["quotes"]] == curve
    if name == "surface":
        errors_of = {row["expiration_date"]: row["rmse"] for row in told["expiries"] if row["rmse"]}
        pictures = queries.smile_pictures(lake, "SPY", LAST, model_type=model, statuses=("fitted",))
        assert {str(one.smile["expiration_date"]): one.smile["rmse"] for one in pictures} == (
            pytest.approx(errors_of, rel=1e-9)
        )
    if name == "history":
        newest = told["history"][0]
        assert set(newest) > {"quote_date", "atm_vol", "status"}
        assert newest["atm_vol"] > 0.0
        is_constant = model in ("SVI", "SSVI", "HESTON")
        assert ("nearest to 30 days" in told["headline"]) == (not is_constant)
        if not is_constant:
            rows = queries.expiries(lake, "SPY", LAST, model=model)
            day = date.fromisoformat(newest["expiration_date"])
            (own,) = rows.filter(expiration_date=day, status="fitted").rows(named=True)
            assert newest["atm_vol"] == own["atm_vol"]
            assert newest["skew_25delta"] == own["skew_25delta"]


def test_a_model_that_is_not_stored_has_no_history(volsurf):
    code, _, errors = volsurf("show", "history", "--model", "convex")
    assert code == 1
    assert "no CONVEX smiles of SPY from" in errors


def test_an_error_of_the_lake_is_told_and_survived(own_lake):
    async def script(app, pilot):
        own_lake.path("option_quotes", FIRST).write_text("<html>")
        await pilot.press("r", "right", "[", "]")
        await pilot.pause()
        assert str(own_lake.path("option_quotes", FIRST)) in text(app, "#headline")
        await pilot.press("e", "4")
        await pilot.pause()
        assert app.content.parts

    drive(own_lake, script, day=FIRST)


def test_a_term_chart_has_one_point_per_expiry(lake):
    smiles = stored_smiles(lake).filter(pl.col("atm_vol") > 0.0)
    days = (smiles["expiration_date"] - smiles["quote_date"]).dt.total_days()
    known = [(x, y) for x, y in zip(days, smiles["atm_vol"], strict=True) if x > 0]
    series = Series("ATM", *map(list, zip(*known, strict=True)), "•", False)
    drawn = term_chart("vol", [series], size=Size(1500, 60), is_coloured=False)
    assert drawn.partition("\n")[2].count("•") == len(known)
    code = SECTIONS["term"](lake, View(symbol="SPY", day=LAST))
    assert code.headline.startswith(f"{len(known)} expiries")


def test_a_gap_in_a_series_is_a_gap_in_its_chart():
    values = [1.0, 1.0, 1.0, None, None, 1.0, 1.0]
    drawn = line_chart("vol", [*DAYS, *DAYS, DAYS[0]], {"a": values}, is_coloured=False)
    (row,) = (line for line in drawn.splitlines()[1:] if "▀" in line or "▄" in line)
    inside = row.partition("┤")[2].rstrip("│").strip()
    assert " " in inside
    whole = line_chart("vol", [*DAYS, *DAYS, DAYS[0]], {"a": [1.0] * 7}, is_coloured=False)
    (row,) = (line for line in whole.splitlines()[1:] if "▀" in line or "▄" in line)
    assert " " not in row.partition("┤")[2].rstrip("│").strip()


def test_strikes_of_coins_are_written_out():
    drawn = chart("vol", [Series("a", [35e3, 7e4, 15e4], [1, 2, 3], "hd")], is_coloured=False)
    below = drawn.splitlines()[-1].split()
    assert (below[0], below[-1]) == ("35000", "150000")


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", SECTIONS)
def test_each_section_is_printed_within_the_terminal(volsurf, monkeypatch, name, width):
    monkeypatch.setattr(console, "_width", width)
    code, said, _ = volsurf("show", name, "SPY", "--date", LAST)
    assert code == 0
    lines = said.splitlines()
    assert str(LAST) in lines[0]
    assert max(map(len, lines)) <= width
    assert ("┤" in said) == (name in ("smile", "term", "vrp", "history"))


@pytest.mark.parametrize("name", SECTIONS)
def test_json_holds_the_stored_numbers(volsurf, lake, name):
    code, said, _ = volsurf("show", name, "SPY", "--json")
    content = SECTIONS[name](lake, View(symbol="SPY", day=LAST))
    told = json.loads(said)
    assert code == 0
    assert (told["symbol"], told["session"]) == ("SPY", str(LAST))
    for part in content.parts:
        rows = told[part.name]
        assert len(rows) == part.rows.height
        for column, dtype in part.rows.schema.items():
            if dtype.is_numeric():
                assert [row[column] for row in rows] == part.rows[column].to_list()


def test_a_store_half_way_through_its_first_run_shows_its_part(volsurf_elsewhere, lake, tmp_path):
    begun = Lake(tmp_path / "home/lake")
    for table in ("raw_options_chains", "underlying_prices"):
        begun.replace(table, LAST, lake.read(table, [LAST], snapshot=None))
    code, said, _ = volsurf_elsewhere("show", "coverage", "SPY")
    assert code == 0
    assert "a chain of every session" in said
    for words in (("show", "smile"), ("show", "vrp"), ("graphs",), ("dashboard",)):
        code, said, errors = volsurf_elsewhere(*words)
        assert code == 1
        assert "yet; run `volsurf eod" in errors
        assert "Traceback" not in said + errors


def test_a_missed_session_shows_as_a_gap_with_the_command_that_fills_it(own_lake):
    for table in own_lake.tables:
        path = own_lake.path(table.name, LAST)
        path.unlink(missing_ok=True)
    view = View(symbol="SPY", day=LAST)
    content = SECTIONS["history"](own_lake, view)
    assert str(LAST) in content.headline
    newest = content.parts[0].rows.row(0, named=True)
    assert newest["quote_date"] == LAST
    assert newest["atm_vol"] is None
    content = SECTIONS["coverage"](own_lake, view)
    assert f"volsurf backfill SPY --start {LAST} --end {LAST}" in content.headline
    strips = dict(content.parts[0].rows.select("table", "strip").iter_rows())
    assert strips["raw_options_chains"].endswith("■·")


@pytest.mark.parametrize(
    ("words", "ends", "why"),
    [
        (("show", "smile", "ZZZZ"), 2, "has no ZZZZ"),
        (("show", "weather"), 2, "weather"),
        (("show", "smile", "--model", "black"), 2, "one of SVI"),
        (("show", "smile", "--model", "convex"), 1, "no CONVEX smiles"),
        (("dashboard", "--model", "black"), 2, "one of SVI"),
        (("show", "smile", "--expiry", "2001-01-01"), 1, "has no expiry 2001-01-01"),
        (("show", "smile", "--expiry", "soon"), 2, "is no date"),
        (("show", "term", "--date", DAYS[2]), 1, f"nearest stored: {LAST}"),
        (("show", "term", "--root", "QQQ", "--expiry", "2001-01-01"), 1, "has no expiry"),
        (("dashboard", "ZZZZ"), 2, "has no ZZZZ"),
        (("dashboard", "--date", DAYS[2]), 1, f"nearest stored: {LAST}"),
        (("dashboard", "--out", __file__), 2, "is a file"),
    ],
)
def test_bad_input_is_answered_in_a_line(volsurf, words, ends, why):
    code, said, errors = volsurf(*words)
    assert code == ends
    assert why in " ".join(errors.replace("│", " ").split())
    assert "Traceback" not in said + errors


def test_the_dashboard_needs_a_terminal_and_says_what_does_not(volsurf):
    code, said, _ = volsurf("dashboard")
    assert code == 1
    assert "volsurf show" in said


def test_without_a_store_the_user_is_told_what_to_run(volsurf_elsewhere):
    for words in (("show", "smile"), ("dashboard",)):
        code, _, errors = volsurf_elsewhere(*words)
        assert code == 2
        assert "volsurf demo" in " ".join(errors.replace("│", " ").split())
