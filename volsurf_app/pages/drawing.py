"""The element that shows a Plotly figure and follows it: the same picture redrawn, not a new one.

Belongs here: the element, and the script that it needs from our own server. Not here: figures.

`st.plotly_chart` makes a new chart of every new figure, which costs a new WebGL context and the
reader's camera at each step of the date. This element hands the figure to `Plotly.react`.
"""

from pathlib import Path
from typing import Any

import streamlit as st

from volsurf_app.plots.style import Figure

SCRIPT_URL = "/plotly.min.js"
_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "resetCameraLastSave3d"],
}
_HTML = '<div class="volsurf-picture" role="img"></div>'
_LOAD = f"""window.volsurfPlotly ??= new Promise((done, failed) => {{
    const script = document.createElement("script");
    script.src = "{SCRIPT_URL}";
    script.onload = () => done(window.Plotly);
    script.onerror = failed;
    document.head.append(script);
  }});"""
_CSS = ".volsurf-picture {width: 100%; min-height: 20rem;}"
# Surfaces need WebGL, which takes seconds where there is no graphics card: they come after all that
# is flat, and wait for the reader to rest as long as they are slow, so that steps stay quick.
_JS = """
const QUIET_MS = 250, LONGEST_MS = 2000;

function plotly() {
  %s
  return window.volsurfPlotly;
}

export default function ({ data, parentElement }) {
  const place = parentElement.querySelector(".volsurf-picture");
  const figure = JSON.parse(data.figure);
  place.style.minHeight = `${figure.layout.height}px`;
  place.setAttribute("aria-label", data.alt);
  place.wanted = figure;
  plotly().then((Plotly) => {
    const draw = async () => {
      if (place.wanted !== figure || !place.isConnected) return;
      const began = performance.now();
      await Plotly.react(place, figure.data, figure.layout, data.config);
      for (let n = 0; n < 2; n++) await new Promise(requestAnimationFrame);
      place.took = performance.now() - began;
    };
    const isSolid = figure.data.some((trace) => trace.type === "surface");
    const pause = Math.min(LONGEST_MS, Math.max(QUIET_MS, 3 * place.took || 0));
    const whenIdle = () => requestIdleCallback(draw, { timeout: LONGEST_MS });
    if (isSolid) setTimeout(whenIdle, pause);
    else draw();
  });
  if (!place.watcher) {
    place.watcher = new ResizeObserver(() => place.data && window.Plotly.Plots.resize(place));
    place.watcher.observe(parentElement);
  }
  return () => {
    place.watcher?.disconnect();
    if (place.data) window.Plotly.purge(place);
  };
}
"""


def draw_figure(figure: Figure, key: str, name: str, alt: str) -> None:
    """Show a figure; `key` says which picture of the page it is, `name` that of its PNG file."""
    figure.layout["uirevision"] = key  # zoom and camera stay as the date moves on
    config = _CONFIG | {"toImageButtonOptions": {"format": "png", "filename": name, "scale": 2}}
    data = {"figure": figure.json(), "config": config, "alt": alt}
    _element()(key=key, data=data)


def load_script() -> None:
    """Let the browser fetch Plotly's script while the page's numbers are being found."""
    with st.container(key="load_script"):
        st.html("<style>:has(> .st-key-load_script) {display: none}</style>")
        st.html(f"<script>{_LOAD}</script>", unsafe_allow_javascript=True)


def script_path() -> Path:
    """Return where the script of the installed Plotly lies."""
    import plotly

    return Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def _element() -> Any:
    return st.components.v2.component(
        "volsurf_picture", html=_HTML, css=_CSS, js=_JS % _LOAD, isolate_styles=False
    )
