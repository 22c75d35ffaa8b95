"""Time the web pages in a real browser: first paint of each page, one step of the date.

    python -m benchmarks.bench_web [--home HOME] [--sessions 250]

Without a home, one is made: the demo's newest session, dated back over the sessions before it, so
that every table has its real size. First paint is from the click on a page's name until every flat
picture of it is drawn, for a reader who has not seen the page before; opening the application in a
browser that has none of its scripts is told apart, and so is the surface in three dimensions,
because without a graphics card WebGL is emulated. A step is from the press of the button until
smile and address show the other session.
"""

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import polars as pl

from volsurf_resources.exchange_calendar import last_sessions
from volsurf_resources.lake import Lake

ROOT = Path(__file__).parents[1]
PAGES = {  # path -> name of the page, its last flat picture
    "term-structure": ("Term structure", "power_laws"),
    "premium": ("Premium", "ex_ante_distribution"),
    "diagnostics": ("Diagnostics", "residuals"),
    "difference": ("Difference", "moves"),
    "": ("Surface", "smile"),
}
BROWSER = (
    *("--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--no-first-run"),
    *("--disable-background-networking", "--disable-quic", "--disable-component-update"),
    "--disable-sync",
)
FLAT = """document.querySelectorAll('.volsurf-picture').length > 0
  && [...document.querySelectorAll('.volsurf-picture')]
    .filter(e => !e.wanted?.layout.scene).every(e => e.data && e.data === e.wanted.data)
  && !document.querySelector('[data-testid=stSkeleton]')"""
SOLID = "document.querySelector('.st-key-picture_surface .volsurf-picture')?.data"
ON_DAY = """day => location.search.includes(day)
  && document.querySelector('.st-key-picture_smile .volsurf-picture')
    .layout.title.subtitle.text.includes(day)"""
STEPS, FULL = 12, 14  # sessions stepped over, sessions with a whole chain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--sessions", type=int, default=250)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = asked.home or Path(folder)
        if asked.home is None:
            spread(home, asked.sessions)
        with serving(home) as address:
            measure(address, Lake(home / "lake").days("raw_options_chains", "SPY"))


def spread(home: Path, sessions: int) -> None:
    """Make a home of one demo session, dated back over all others."""
    command = [sys.executable, "-m", "volsurf_app", "demo", "--sessions", "2"]
    subprocess.run(command, check=True, cwd=ROOT, env=environment(home), capture_output=True)
    lake = Lake(home / "lake")
    newest = lake.days("fitted_surfaces", "SPY")[-1]
    own = {table.name: lake.read(table.name, [newest], snapshot=None) for table in lake.tables}
    for n, day in enumerate(reversed(last_sessions(newest, sessions)[:-1])):
        for name, rows in own.items():
            is_large = name in ("raw_options_chains", "option_quotes", "quote_issues")
            kept = rows.head(3) if is_large and n >= FULL else rows
            lake.replace(name, day, dated(kept, newest - day, day))
    print(f"{sessions} sessions in {home}")


def dated(rows: pl.DataFrame, back: timedelta, day: date) -> pl.DataFrame:
    """Return rows of another session: expiries as far ahead, contracts by their new expiry."""
    moved = rows.with_columns(pl.lit(day).alias("quote_date"))
    if "expiration_date" in rows.columns:
        moved = moved.with_columns(pl.col("expiration_date") - back)
    if "previous_date" in rows.columns:
        moved = moved.with_columns(previous_date=pl.lit(last_sessions(day, 2)[0]))
    return moved


def environment(home: Path) -> dict[str, str]:
    return {"VOLSURF_HOME": str(home), "HOME": str(home), "PATH": "/usr/bin:/bin"}


@contextmanager
def serving(home: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "volsurf_app", "web", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment(home), stdout=subprocess.DEVNULL)
    started = time.perf_counter()
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                break
        except OSError:
            time.sleep(0.05)
    print(f"server ready in {time.perf_counter() - started:.1f} s")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def measure(address: str, days: list[date]) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = shutil.which("chromium")
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        browser = playwright.chromium.launch(executable_path=chromium, args=list(BROWSER))
        for _ in range(2):
            first_paints(browser, address)
        steps(browser, address, days)
        browser.close()
        print(f"load {os.getloadavg()[0]:.1f}")


def first_paints(browser: Any, address: str) -> None:
    """Open the application on the lightest page, and go from page to page."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(120_000)
    opened = clock(lambda: (page.goto(f"{address}/coverage"), page.wait_for_function(FLAT)))
    print(f"{'application':16} opened in  {opened:5.2f} s", flush=True)
    for path, (name, last) in PAGES.items():
        link = page.get_by_test_id("stTopNavLink").filter(has_text=name)

        def turn(link: Any = link, last: str = last) -> None:
            link.click()
            page.wait_for_selector(f".st-key-picture_{last} .main-svg", state="attached")
            page.wait_for_function(FLAT)

        told = f"{name:16} first paint {clock(turn):5.2f} s"
        if not path:
            seconds = clock(lambda: page.wait_for_function(SOLID))
            told += f", in three dimensions {seconds:.2f} s later"
        print(told, flush=True)
    page.context.close()


def steps(browser: Any, address: str, days: list[date]) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(120_000)
    page.goto(f"{address}/")
    page.wait_for_function(SOLID)
    page.wait_for_function(FLAT)
    taken = []
    for day in days[-2 : -2 - STEPS : -1]:
        button = page.locator(".st-key-back button").first

        def step(day: date = day, button: Any = button) -> None:
            button.click()
            page.wait_for_function(ON_DAY, arg=str(day))

        taken.append(clock(step))
        page.wait_for_timeout(500)
    print(f"step: median {statistics.median(taken):.2f} s, worst {max(taken):.2f} s")


def clock(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
