"""The pages in a real browser, on a real server, against the store.

The server is the command `volsurf web` in a process of its own; what a picture shows is read from
the figure that Plotly drew.
"""

import io
import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from threading import Event, Thread
from urllib.request import urlopen

import polars as pl
import pytest

from tests.app.conftest import DAYS
from tests.app.web_home import PATIENCE_MS, ROOT, browsing, fill, serving_pages
from tests.browser import CHROMIUM
from volsurf_app import queries
from volsurf_app.pages import application
from volsurf_app.queries import diagnostics as fits
from volsurf_app.queries import differences, evolution, sheets
from volsurf_app.queries.afterwards import premium_ex_post

NEWEST, BEFORE = DAYS[-2], DAYS[-3]
DRAWN = """() => { const all = [...document.querySelectorAll('.volsurf-picture')];
  return all.length > 0 && all.every(one => one.data && one.data === one.wanted.data)
    && !document.querySelector('[data-testid=stStatusWidget]') }"""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to drive")


@pytest.fixture(scope="module")
def lake(filled_home, tmp_path_factory):
    return fill(tmp_path_factory.mktemp("web"), filled_home)


@pytest.fixture(scope="module")
def server(lake):
    """Address of the pages of the filled home."""
    with serving_pages(lake.root.parent) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with browsing() as running:
        yield running


@pytest.fixture
def page(browser, server):
    """A page that may talk to our server only."""
    opened = browser.new_page(
        viewport={"width": 1280, "height": 800}, base_url=server, accept_downloads=True
    )
    opened.set_default_timeout(PATIENCE_MS)
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    yield opened
    strangers = {url for url in opened.asked if not url.startswith((server, "data:", "blob:"))}
    assert strangers <= {server.replace("http", "ws")}
    opened.close()


def visit(page, path: str) -> None:
    page.goto(path)
    page.wait_for_function(DRAWN)


def figure(page, key: str) -> dict:
    """Return the figure that Plotly has drawn, in plain lists."""
    place = page.locator(f".st-key-picture_{key} .volsurf-picture").first
    drawn = place.evaluate(
        "e => JSON.stringify({data: e.data, layout: e.layout, wanted: e.wanted.layout})"
    )
    return json.loads(drawn)


def traces(page, key: str) -> dict[str, dict]:
    return {trace.get("name", ""): trace for trace in figure(page, key)["data"]}


def numbers(page) -> dict[str, str]:
    """Return the numbers on top of a page by their labels."""
    found = {}
    for metric in page.locator("[data-testid=stMetric]").all():
        label = metric.locator("[data-testid=stMetricLabel] p").first.inner_text()
        found[label] = metric.locator("[data-testid=stMetricValue]").inner_text()
    return found


def download(page, key: str, kind: str) -> bytes:
    page.locator(f".st-key-download_{key} button").first.click()
    with page.expect_download() as started:
        page.get_by_role("button", name=kind, exact=True).click()
    return Path(started.value.path()).read_bytes()


def near(values):
    """Numbers with gaps, to compare with what a browser holds."""
    return [None if x is None else pytest.approx(x, rel=1e-9, abs=1e-12) for x in values]


def test_it_is_healthy_and_listens_on_loopback_only(server):
    with urlopen(f"{server}/health") as answer:
        told = json.load(answer)
    assert told == {"status": "ok", "symbols": ["SPY"], "pages": list(application.PAGES)}
    port = int(server.rsplit(":", 1)[1])
    listening = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    places = re.findall(rf"^\s*\d+: (\w+):{port:04X} \w+:\w+ 0A", listening, re.MULTILINE)
    assert places == ["0100007F"]


def test_a_port_that_is_taken_is_told(server, lake):
    port = server.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "volsurf_app", "web", "--port", port]
    environment = {"VOLSURF_HOME": str(lake.root.parent), "PATH": "/usr/bin:/bin"}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert f"Port {port} is not available" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_surface_and_smile_show_what_is_stored(page, lake):
    visit(page, f"/?date={NEWEST}")
    sheet = sheets.surface_sheet(lake, "SPY", NEWEST, "SVI")
    (solid,) = figure(page, "surface")["data"]
    assert solid["type"] == "surface"
    for shown, held in zip(solid["z"], sheet.implied_vol.tolist(), strict=True):
        assert shown == near(held)
    label = page.locator(".st-key-expiry_of_day input").first.input_value()
    expiry = date.fromisoformat(label.split(" · ")[0])
    picture = queries.smile_picture(lake, "SPY", NEWEST, expiry)
    drawn = figure(page, "smile")
    lines = {trace["name"]: trace for trace in drawn["data"]}
    curve = picture.curve.filter(~pl.col("is_extrapolated"))
    assert lines["fitted"]["y"] == near(curve["implied_vol"])
    assert lines["extrapolated"]["line"]["dash"] != lines["fitted"]["line"]["dash"]
    for kind, name in (("PUT", "puts"), ("CALL", "calls")):
        own = picture.quotes.filter("is_used", pl.col("option_type") == kind)
        assert own.height > 3
        assert lines[name]["x"] == near(own["strike"])
        assert lines[name]["y"] == near(own["iv_mid"])
        assert lines[name]["error_y"]["array"] == near(own["iv_ask"] - own["iv_mid"])
        assert lines[name]["error_y"]["arrayminus"] == near(own["iv_mid"] - own["iv_bid"])
        assert lines[f"{name}, residual"]["y"] == near(own["error_vol_points"])
    assert lines["puts"]["marker"]["color"] != lines["calls"]["marker"]["color"]
    (forward,) = drawn["layout"]["shapes"]
    assert forward["x0"] == forward["x1"] == pytest.approx(picture.smile["forward"])
    told = page.locator("[data-testid=stCaptionContainer]", has_text="fitted to").first
    error = (
        f"RMSE {picture.smile['rmse']:.3f} vol points, {picture.rmse_half_spreads:.2f} half-spreads"
    )
    assert error in told.inner_text()
    (row,) = queries.overview(lake, "SPY", [NEWEST]).rows(named=True)
    assert numbers(page)["ATM vol, 30 days"] == f"{100 * row['atm_vol_30d']:.2f} %"


def test_stepping_changes_date_and_pictures_and_keeps_the_reader_where_he_was(page, lake):
    visit(page, f"/?date={NEWEST}")
    place = page.locator(".st-key-picture_smile .volsurf-picture").first
    place.evaluate("e => e.marked = true")
    page.get_by_test_id("stSidebar").locator(".st-key-back button").first.click()
    page.wait_for_url(f"**date={BEFORE}*")
    page.wait_for_function(
        "day => [...document.querySelectorAll('.volsurf-picture')]"
        ".every(e => e.layout.title.subtitle.text.includes(day))",
        arg=str(BEFORE),
    )
    assert place.evaluate("e => e.marked")
    (solid,) = figure(page, "surface")["data"]
    held = sheets.surface_sheet(lake, "SPY", BEFORE, "SVI").implied_vol.tolist()
    assert solid["z"][0] == near(held[0])


def test_play_steps_by_itself(page):
    visit(page, f"/term-structure?date={BEFORE}")
    page.get_by_test_id("stSidebar").get_by_text("Play").click()
    page.wait_for_url(f"**date={NEWEST}*")


def test_term_structure_shows_what_is_stored(page, lake):
    visit(page, f"/term-structure?date={NEWEST}")
    smiles = lake.read("fitted_surfaces", [NEWEST]).filter(pl.col("model_type") == "SVI")
    fitted = smiles.filter(pl.col("status") == "fitted").sort("expiration_date", "root")
    assert traces(page, "atm_term")["fitted"]["y"] == near(fitted["atm_vol"])
    assert traces(page, "skew_term")["fitted"]["y"] == near(fitted["skew_25delta"])
    days = lake.days("raw_options_chains", "SPY")
    points = evolution.constant_maturity(lake, "SPY", days, "SVI")
    month = points.filter(pl.col("tenor_days") == 30)
    for key, column in (("atm_vol_history", "atm_vol"), ("skew_25delta_history", "skew_25delta")):
        assert traces(page, key)["30 days"]["y"] == near(month[column])
    history = evolution.parameters_near(lake, "SPY", days, "SVI", 30)
    assert traces(page, "parameters")["svi_rho"]["y"] == near(history["svi_rho"])
    (law,) = lake.read("term_structure_params", [NEWEST]).rows(named=True)
    assert numbers(page)["ATM vol at 1 year"] == f"{100 * law['atm_term_a']:.2f} %"


def test_premium_shows_what_was_known_and_what_came_of_it_apart(page, lake):
    visit(page, f"/premium?date={NEWEST}")
    days = lake.days("raw_options_chains", "SPY")
    rows = queries.premium(lake, "SPY", days)
    shown = traces(page, "ex_ante_series")
    assert shown["implied, 30 days"]["y"] == near(rows["implied_vol_30d"])
    assert shown["realised, 21 sessions before"]["y"] == near(rows["realized_vol_30d"])
    assert shown["implied − realised"]["y"] == near(rows["vrp_30d"])
    assert traces(page, "ex_ante_distribution")["sessions"]["x"] == near(rows["vrp_30d"])
    page.get_by_role("tab", name=re.compile("Ex post")).click()
    page.locator(".st-key-picture_ex_post_series .main-svg").first.wait_for(state="attached")
    page.wait_for_function(DRAWN)
    known = premium_ex_post(lake, "SPY", NEWEST)
    assert known.height > 5
    shown = traces(page, "ex_post_series")
    assert shown["implied − realised afterwards"]["y"] == near(known["ex_post_vrp_30d"])
    assert shown["implied, 30 days"]["x"] == [str(day) for day in known["quote_date"]]


def test_diagnostics_show_what_is_stored_and_list_every_violation(page, lake):
    visit(page, f"/diagnostics?date={NEWEST}")
    days = lake.days("raw_options_chains", "SPY")
    history = fits.fit_history(lake, "SPY", days, "SVI")
    history = evolution.with_gaps(history, days)
    assert traces(page, "fit_error")["median"]["y"] == near(history["median_rmse"])
    assert traces(page, "outcome")["fitted"]["y"] == near(history["fitted"])
    residuals = fits.residuals(lake, "SPY", NEWEST, "SVI")
    (shown,) = figure(page, "residuals")["data"]
    assert shown["y"] == near(residuals["error_vol_points"])
    found = pl.read_csv(io.BytesIO(download(page, "arbitrage", "CSV")), try_parse_dates=True)
    stored = fits.arbitrage(lake, "SPY", days).filter(model_type="SVI")
    place = ["quote_date", "model_type", "expiration_date", "butterfly_arbitrage_violations"]
    assert sorted(found.select(place).rows()) == sorted(stored.select(place).rows())


def test_coverage_shows_every_gap_and_the_command_that_fills_it(page, lake):
    visit(page, "/coverage")
    days = lake.days("raw_options_chains", "SPY")
    covered = queries.coverage(lake, "SPY", days[0], days[-1])
    (cells,) = figure(page, "coverage")["data"]
    for table, row in zip(cells["y"], cells["z"], strict=True):
        own = covered.filter(pl.col("table") == table)["is_present"]
        assert [state == 2 for state in row] == own.to_list(), table
    command = page.locator("[data-testid=stCode]").first.inner_text()
    assert command.split() == (f"volsurf backfill SPY --start {days[0]} --end {days[-3]}".split())


def test_difference_shows_the_stored_comparison(page, lake):
    visit(page, f"/difference?date={NEWEST}")
    stored = lake.read("surface_changes", [NEWEST], symbols=["SPY"])
    shown = traces(page, "moves")
    for column, name in (("move_spot", "spot"), ("move_level", "level"), ("move_skew", "skew")):
        assert shown[name]["x"] == near(stored[column])
    before, after = differences.Side(BEFORE, "SVI"), differences.Side(NEWEST, "SVI")
    change = differences.point_changes(lake, "SPY", before, after)
    (cells,) = figure(page, "change")["data"]
    flat = [x for row in cells["z"] for x in row]
    assert flat == near(change["change_vol_points"])


def test_why_leads_to_quotes_forward_fit_and_files(page):
    visit(page, f"/?date={NEWEST}")
    page.get_by_text("Why these numbers").click()
    page.get_by_text("volsurf why SPY").wait_for()
    told = page.locator("[data-testid=stExpander]").inner_text()
    for word in ("Quotes", "used", "Forward", "put-call pairs", "Fit", "Files"):
        assert word in told


def test_downloads_hold_what_is_shown(page, lake):
    visit(page, f"/term-structure?date={NEWEST}")
    rows = json.loads(download(page, "atm_term", "JSON"))
    fitted = [row["atm_vol"] for row in rows if row["status"] == "fitted"]
    assert traces(page, "atm_term")["fitted"]["y"] == near(fitted)
    page.keyboard.press("Escape")
    alone = download(page, "skew_term", "HTML").decode()
    assert "25-delta skew" in alone
    assert "Plotly.newPlot" in alone
    page.keyboard.press("Escape")
    place = page.locator(".st-key-picture_atm_term")
    place.hover()
    with page.expect_download() as started:
        place.locator(".modebar-btn[data-title*='Download']").click()
    assert started.value.suggested_filename == f"SPY_{NEWEST}_atm_term.png"
    assert Path(started.value.path()).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_fits_its_window_and_names_its_units(page, width):
    import plotly.graph_objects as go

    page.set_viewport_size({"width": width, "height": 800})
    for path in application.PAGES:
        visit(page, f"/{'' if path == 'surface' else path}")
        assert page.evaluate("document.documentElement.scrollWidth") == width, path
        assert page.locator("[data-testid=stException]").count() == 0, path
        wanted = page.evaluate(
            "[...document.querySelectorAll('.volsurf-picture')].map(e => JSON.stringify(e.wanted))"
        )
        for one in map(json.loads, wanted):
            go.Figure(one)  # Plotly's own check of every attribute
            layout = one["layout"]
            scene = layout.get("scene", {})
            axes = {name: axis for name, axis in (layout | scene).items() if "axis" in name}
            lowest = layout["xaxis"].get("anchor")
            for name, axis in axes.items():
                is_plain = name == "yaxis" and axis.get("tickformat") is None
                has_title = bool(axis["title"].get("text"))
                flat_of_solid = (
                    bool(scene) and name in ("xaxis", "yaxis") and axis in layout.values()
                )
                names_only = is_plain and one["data"] and one["data"][0]["type"] == "heatmap"
                assert has_title or flat_of_solid or names_only, (path, name, lowest)


@pytest.mark.slow
def test_a_newer_session_is_shown_by_itself_with_all_choices_kept(page, lake):
    visit(page, "/?model=SSVI&strike=600")
    page.get_by_text("Log-moneyness", exact=True).click()
    day, names = DAYS[-1], ("fitted_surfaces", "option_quotes", "implied_forwards")
    try:
        for name in (*names, "raw_options_chains"):
            rows = lake.read(name, [NEWEST]).with_columns(quote_date=pl.lit(day))
            lake.replace(name, day, rows)
        page.wait_for_url(f"**date={day}*")
        page.wait_for_function(
            "day => document.querySelector('.st-key-picture_surface .volsurf-picture')"
            ".layout.title.subtitle.text.includes(day)",
            arg=str(day),
        )
        layout = figure(page, "surface")["layout"]
        assert "SSVI" in layout["title"]["subtitle"]["text"]
        assert layout["scene"]["xaxis"]["title"]["text"] == "log-moneyness"
        assert traces(page, "smile")["asked"]["x"] == [600.0]
    finally:
        for name in (*names, "raw_options_chains"):
            lake.path(name, day).unlink(missing_ok=True)


@pytest.mark.slow
def test_it_is_read_while_the_lake_is_written(page, lake):
    """A writer replaces the session that is looked at, again and again; no look fails."""
    rows = lake.read("fitted_surfaces", [NEWEST])
    ended = Event()

    def write() -> None:
        turn = 0
        while not ended.is_set():
            turn += 1
            lake.replace("fitted_surfaces", NEWEST, rows.with_columns(mae=pl.lit(float(turn))))

    writer = Thread(target=write)
    writer.start()
    try:
        for path in ("/", "/term-structure", "/diagnostics", "/difference"):
            visit(page, f"{path}?date={NEWEST}")
            assert page.locator("[data-testid=stException]").count() == 0
            assert page.get_by_text("could not be shown").count() == 0
    finally:
        ended.set()
        writer.join()
        lake.replace("fitted_surfaces", NEWEST, rows)


def test_a_damaged_file_is_named_and_no_trace_shown(page, lake):
    path = lake.path("vrp_metrics", BEFORE)
    whole = path.rename(path.with_name("whole"))
    path.write_bytes(b"no parquet")
    try:
        page.goto(f"/premium?date={NEWEST}")
        page.get_by_text("could not be shown").wait_for()
        assert "Traceback" not in page.content()
    finally:
        whole.replace(path)
