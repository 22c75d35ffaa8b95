"""The server of the web pages.

Belongs here: where it listens, how it looks, what it never tells. Not here: the pages.
"""

import gc
import logging
from functools import partial
from pathlib import Path
from typing import Any

from volsurf_app.plots import style
from volsurf_resources.settings import Settings

HOST = "127.0.0.1"
_SCRIPT = Path(__file__).parent / "pages" / "script.py"


def serve(settings: Settings, port: int | None = None) -> None:
    """Serve the pages on 127.0.0.1 until interrupted; exits with 1 where the port is taken."""
    from starlette.responses import FileResponse, JSONResponse
    from starlette.routing import Route
    from streamlit.starlette import App

    from volsurf_app.pages import application, drawing
    from volsurf_app.pages.ahead import soon
    from volsurf_app.queries.seen import markets_of

    async def health(_: Any) -> Any:
        held = list(markets_of(settings))
        return JSONResponse({"status": "ok", "symbols": held, "pages": list(application.PAGES)})

    async def script(_: Any) -> Any:
        # Over loopback, compressing five megabytes takes longer than sending them.
        kept = {"Cache-Control": "public, max-age=86400", "Content-Encoding": "identity"}
        return FileResponse(drawing.script_path(), media_type="text/javascript", headers=kept)

    soon([partial(application.warm, settings)])
    gc.freeze()  # what was imported stays: no collection need look through it again
    routes = [Route("/health", health), Route(drawing.SCRIPT_URL, script)]
    App(_SCRIPT, routes=routes, on_script_error=_tell).run(config=options_of(settings, port))


def _tell(error: Exception) -> bool:
    """Say in a sentence what went wrong; the trace goes to the log."""
    import streamlit as st

    from volsurf_resources.lake_errors import LakeError
    from volsurf_resources.logbook import keep_log

    keep_log(Settings())
    logging.getLogger("volsurf.app").error("a page failed", exc_info=error)
    known = str(error) if isinstance(error, LakeError) else f"{type(error).__name__}; see the log"
    st.error(f"This could not be shown: {known}")
    return True


def options_of(settings: Settings, port: int | None = None) -> dict[str, Any]:
    """Return Streamlit's options: loopback only, nothing sent home, no traces, our colours."""
    return {
        "server.address": HOST,
        "server.port": port or settings.streamlit_port,
        "server.headless": True,
        "server.showEmailPrompt": False,
        "server.fileWatcherType": "none",
        "server.runOnSave": False,
        "runner.postScriptGC": False,  # of all that was imported, after every look: 0.1 s
        "server.allowedHosts": ["127.0.0.1", "localhost"],
        "server.maxUploadSize": 1,
        "browser.gatherUsageStats": False,
        "browser.serverAddress": HOST,
        "client.toolbarMode": "minimal",
        "client.showErrorDetails": "none",
        "logger.level": "warning",
        "theme.base": "light",
        "theme.primaryColor": style.CALL,
        "theme.backgroundColor": style.PAPER,
        "theme.secondaryBackgroundColor": "#f5f7f9",
        "theme.textColor": style.INK,
        "theme.borderColor": style.GRID,
        "theme.baseRadius": "6px",
        "theme.metricValueFontSize": "1.35rem",
        "theme.headingFontWeights": 600,
        "theme.showWidgetBorder": True,
    }
