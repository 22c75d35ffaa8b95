"""The command `dashboard`: the surface in a full-screen terminal.

Belongs here: what is opened. Not here: the app itself (`volsurf_app.terminal`).
"""

from pathlib import Path
from typing import Annotated

import typer

from volsurf_app.cli.analytics import stored_symbol
from volsurf_app.cli.arguments import Model, Symbol, settings_of
from volsurf_app.cli.console import console
from volsurf_app.cli.stored import StoredDay, stored_model, stored_session


def dashboard(
    symbol: Symbol = None,
    date: StoredDay = None,
    model: Model = "svi",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder of exports. [default: exports in VOLSURF_HOME]", file_okay=False
        ),
    ] = None,
) -> None:
    """Open the surface in this terminal: sections, expiries and sessions by key; ? for help."""
    settings, name = settings_of(symbol), stored_model(model)
    lake, asked = stored_symbol(symbol, settings)
    day = stored_session(lake, asked, date)
    if not console.is_terminal:
        console.print("this is no terminal; `volsurf show` prints what the dashboard shows")
        raise typer.Exit(1)
    from volsurf_app.terminal.app import Dashboard
    from volsurf_app.terminal.content import View

    view = View(symbol=asked, day=day, model=name)
    Dashboard(lake, view, out or settings.volsurf_home / "exports").run()
