"""A home for the pages, a server and a browser to look at it.

The home has two computed sessions, and before them sessions made for the purpose.

The demo's sessions are real output of the pipeline. The earlier ones hold a stub of a chain, a bar,
a premium and a realised volatility, so that histories and the ex-post premium have a past, and one
smile with arbitrage, which the pipeline does not leave behind.
"""

import json
import math
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import polars as pl

from tests.browser import BROWSER, CHROMIUM
from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.lake import Lake

MADE = 30  # sessions
ROOT = Path(__file__).parents[2]
PATIENCE_MS = 90_000
# Whether the smile is drawn that some words name; the vol of its marked point.
SHOWN = """of => {
  const place = document.querySelector('.st-key-picture_smile .volsurf-picture');
  if (!place?.data || place.data !== place.wanted.data) return null;
  const title = place.layout.title;
  return of.every(word => (title.text + title.subtitle.text).includes(word)) ? place : null }"""
MARKED = f"""([of, strike]) => {{
  const marked = ({SHOWN})(of)?.data.find(one => one.name === 'asked');
  return marked?.x[0] === strike ? JSON.stringify([marked.y[0]]) : null }}"""


def fill(home: Path, source: Path) -> Lake:
    """Copy a home and put made sessions before its own; return its lake."""
    shutil.copytree(source, home, dirs_exist_ok=True)
    lake = Lake(home / "lake")
    first = lake.days("raw_options_chains", "SPY")[0]
    chain = lake.read("raw_options_chains", [first]).head(3)
    premium = lake.read("vrp_metrics", [first])
    realised = lake.read("realized_volatility", [first])
    made = last_sessions(first, MADE + 1)[:-1]
    for n, day in enumerate(made):
        on = pl.lit(day).alias("quote_date")
        implied, past = 0.2 + 0.02 * math.sin(n), 0.15 + 0.02 * math.cos(2 * n)
        lake.replace("raw_options_chains", day, chain.with_columns(on))
        vols = {"implied_vol_30d": implied, "realized_vol_30d": past, "vrp_30d": implied - past}
        row = premium.with_columns(on, **{name: pl.lit(x) for name, x in vols.items()})
        lake.replace("vrp_metrics", day, row)
        lake.replace("realized_volatility", day, realised.with_columns(on, rv_21d=pl.lit(past)))
    _add_arbitrage(lake, first)
    return lake


def _add_arbitrage(lake: Lake, day: object) -> None:
    """Store, one session earlier, the smiles of `day` with violations in two of them."""
    rows = lake.read("fitted_surfaces", [day])
    before = lake.days("raw_options_chains", "SPY")[MADE - 1]
    place = pl.int_range(pl.len()).over("model_type")
    is_bad = (pl.col("status") == "fitted") & place.is_in([8, 9])
    found = {"butterfly_arbitrage_violations": 3, "calendar_arbitrage_violations": 1}
    changed = {
        name: pl.when(is_bad).then(pl.lit(n, pl.Int32)).otherwise(name) for name, n in found.items()
    }
    changed["passes_no_arbitrage"] = ~is_bad & pl.col("passes_no_arbitrage")
    on = pl.lit(before).alias("quote_date")
    lake.replace("fitted_surfaces", before, rows.with_columns(on, **changed))


@contextmanager
def serving_pages(home: Path) -> Iterator[str]:
    """Run `volsurf web` on a home; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "volsurf_app", "web", "--port", str(port)]
    environment = {"VOLSURF_HOME": str(home), "PATH": "/usr/bin:/bin", "HOME": str(home)}
    log = home.parent / f"{home.name}_web.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT
        )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                with urlopen(f"{address}/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def browsing():
    """Run a headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        yield running
        running.close()


class SurfacePage:
    """The page of the surface, on which a reader asks for vols."""

    def __init__(self, browser, address: str) -> None:
        self._page = browser.new_page(viewport={"width": 1280, "height": 800}, base_url=address)
        self._page.set_default_timeout(PATIENCE_MS)
        self._shown = None

    def vol(self, symbol, day, expiry, root, strike: float) -> float | None:
        """Choose session, expiry and strike; return the vol of the point that is marked."""
        page = self._page
        if self._shown != (symbol, day):
            page.goto(f"/?symbol={symbol}&date={day}&expiry={expiry}&root={root}&strike={strike}")
        else:
            if expiry != self._expiry:
                chosen = page.locator(".st-key-expiry_of_day input").first
                chosen.fill(f"{expiry}")
                chosen.press("Enter")
                page.wait_for_function(SHOWN, arg=[symbol, f"{root} {expiry}", str(day)])
            box = page.locator(".st-key-chosen_strike input")
            box.fill(f"{strike}")
            box.press("Enter")
        self._shown, self._expiry = (symbol, day), expiry
        of = [symbol, f"{root} {expiry}", str(day)]
        return json.loads(page.wait_for_function(MARKED, arg=[of, strike]).json_value())[0]
