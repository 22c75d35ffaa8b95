"""The browser that tests drive: where it is, and how it starts without asking anybody anything."""

import shutil

CHROMIUM = shutil.which("chromium")
BROWSER = [
    *("--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--no-first-run"),
    *("--disable-background-networking", "--disable-quic", "--disable-component-update"),
    "--disable-sync",
]
