"""The pictures of the documents, from the demo's home: `python docs/pictures.py` after `make demo`.

Belongs here: which picture shows what. Not here: drawing (volsurf_app).
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from playwright.sync_api import sync_playwright

from volsurf_app import queries
from volsurf_app.graphs import draw_smile, new_figure
from volsurf_resources.settings import Settings

IMAGES = Path(__file__).parent / "images"
PAGES = {"web_surface.png": "", "web_premium.png": "premium", "web_coverage.png": "coverage"}
SIZE = {"width": 1280, "height": 1000}
CHROMIUM = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


def smile() -> None:
    """Draw the expiry nearest to 30 days of the last session."""
    settings = Settings()
    lake = queries.open_lake(settings)
    symbol = settings.default_symbol
    known = queries.first_and_last(lake, symbol)
    if known is None:
        raise SystemExit("there is no data: run `make demo` first")
    pictures = queries.smile_pictures(lake, symbol, known[1], statuses=("fitted",))
    nearest = min(pictures, key=lambda picture: abs(picture.days - 30))
    figure = new_figure()
    draw_smile(figure, nearest)
    figure.savefig(IMAGES / "smile.png", dpi=80)


def pages() -> None:
    """Take a screenshot of some pages, served for the purpose."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "volsurf_app", "web", "--port", str(port)]
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as web:
        try:
            _wait_for(f"http://127.0.0.1:{port}/_stcore/health")
            with sync_playwright() as playwright:
                path = shutil.which("chromium")
                browser = playwright.chromium.launch(executable_path=path, args=[*CHROMIUM])
                for name, page_path in PAGES.items():
                    page = browser.new_page(viewport=SIZE)
                    page.goto(f"http://127.0.0.1:{port}/{page_path}")
                    page.wait_for_selector(".js-plotly-plot", timeout=60_000)
                    page.wait_for_timeout(2_000)  # until the last figure has been laid out
                    page.screenshot(path=IMAGES / name)
                browser.close()
        finally:
            web.terminate()


def _wait_for(url: str) -> None:
    for _ in range(120):
        try:
            with urlopen(url):
                return
        except OSError:
            time.sleep(0.5)
    raise SystemExit(f"{url} does not answer")


if __name__ == "__main__":
    smile()
    pages()
