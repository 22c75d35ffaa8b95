"""The command `web`: the pages in a browser.

Belongs here: its arguments and what it says. Not here: the server (`web_server`).
"""

from typing import Annotated

import typer

from volsurf_app.cli.console import console
from volsurf_resources.settings import Settings


def web(
    port: Annotated[
        int | None,
        typer.Option(help="Port on 127.0.0.1. [default: STREAMLIT_PORT]", min=1, max=65535),
    ] = None,
) -> None:
    """Serve the web pages of this home, until interrupted. They only read."""
    from volsurf_app.web_server import HOST, serve

    settings = Settings()
    address = f"http://{HOST}:{port or settings.streamlit_port}"
    console.print(f"{address} shows {settings.volsurf_home}; stop with Ctrl-C")
    serve(settings, port)
