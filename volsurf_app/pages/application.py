"""The application: one sidebar, one line of pages.

Belongs here: the frame that all pages share. Not here: what stands on them.
"""

from collections.abc import Callable
from functools import partial

import streamlit as st

from volsurf_app.pages import (
    coverage,
    diagnostics,
    difference,
    premium,
    surface,
    term_structure,
)
from volsurf_app.pages.choice import Choice, choose, newest
from volsurf_app.pages.drawing import load_script
from volsurf_resources.settings import Settings

PAGES: dict[str, tuple[str, str, Callable[[Choice], None]]] = {
    "surface": ("Surface", ":material/3d_rotation:", surface.draw),
    "term-structure": ("Term structure", ":material/timeline:", term_structure.draw),
    "premium": ("Premium", ":material/balance:", premium.draw),
    "diagnostics": ("Diagnostics", ":material/troubleshoot:", diagnostics.draw),
    "coverage": ("Coverage", ":material/calendar_month:", coverage.draw),
    "difference": ("Difference", ":material/difference:", difference.draw),
}
_ICON = """<svg viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#1f4a80"/>
<path d="M5 9 C 10 22, 15 25, 27 17" fill="none" stroke="#fff" stroke-width="3"/></svg>"""
_QUIETER = """<style>
.block-container {padding: 3.6rem min(2.5rem, 4vw) 2rem; max-width: 1500px;}
[data-testid="stMetricValue"] {font-variant-numeric: tabular-nums;}
[data-testid="stMetricLabel"] p {color: #6b7684;}
</style>"""


def draw() -> None:
    """Draw the page that the address names, of what the sidebar chooses."""
    st.set_page_config(
        page_title="Volsurf", page_icon=_ICON, layout="wide",
        menu_items={"Get help": None, "Report a bug": None, "About": None},
    )  # fmt: skip
    st.html(_QUIETER)
    load_script()
    settings = Settings()
    shown: list[Choice | None] = []
    page = st.navigation(
        [
            st.Page(
                partial(_draw, draw_page, shown),
                title=title, icon=icon, url_path=path, default=path == "surface",
            )
            for path, (title, icon, draw_page) in PAGES.items()
        ],
        position="top",
    )  # fmt: skip
    shown.append(choose(settings))
    page.run()


def _draw(page: Callable[[Choice], None], shown: list[Choice | None]) -> None:
    if (choice := shown[0]) is not None:
        page(choice)


def warm(settings: Settings) -> None:
    """Ask for what the first look at each page shows, so that it need not wait."""
    choice = newest(settings)
    if choice is not None:
        asks = (surface.prepare, term_structure.answers, diagnostics.answers, coverage.ask_coverage)
        for ask in asks:
            ask(choice)
