"""The command `serve`: the surface server.

Belongs here: its arguments and what it says. Not here: the server (`volsurf_app.api`).
"""

from typing import Annotated

import typer

from volsurf_app.cli.console import console
from volsurf_resources.settings import Settings


def serve(
    port: Annotated[
        int | None, typer.Option(help="Port. [default: SERVE_PORT]", min=1, max=65535)
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; others than 127.0.0.1 need SERVE_TOKEN. "
                     "[default: SERVE_HOST]"),
    ] = None,
) -> None:  # fmt: skip
    """Serve the stored surfaces over HTTP, until interrupted. Nothing is written."""
    from volsurf_app.api import application
    from volsurf_resources.logbook import keep_log

    settings = Settings()
    try:
        listening = application.options_of(settings, host, port)
    except application.Unprotected as error:
        raise typer.BadParameter(str(error), param_hint="--host") from None
    keep_log(settings)
    address = f"http://{listening['host']}:{listening['port']}"
    console.print(f"{address}/docs describes the endpoints; stop with Ctrl-C")
    try:
        application.serve(settings, host, port)
    except SystemExit as end:  # the port is taken: uvicorn has said so, with a code of its own
        raise typer.Exit(1 if end.code else 0) from None
