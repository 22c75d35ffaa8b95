"""The command `graphs`: PNG files of a session's smiles.

Belongs here: which smiles, where to. Not here: how they are drawn (`volsurf_app.graphs`).
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volsurf_app.cli.analytics import stored_symbol
from volsurf_app.cli.arguments import Model, Symbol, settings_of
from volsurf_app.cli.console import console
from volsurf_app.cli.stored import StoredDay, stored_model, stored_session

if TYPE_CHECKING:
    from volsurf_resources.settings import Settings

Folder = Annotated[
    Path | None,
    typer.Option("--out", help="Folder. [default: graphs in VOLSURF_HOME]", file_okay=False),
]


def graphs(
    symbol: Symbol = None,
    date: StoredDay = None,
    model: Model = "svi",
    out: Folder = None,
) -> None:
    """Draw one PNG per fitted expiry of a session; graphs of that session are replaced."""
    draw(settings_of(symbol), symbol, date, model, out)


def draw(
    settings: "Settings", symbol: str | None, date: str | None, model: str, out: Path | None
) -> None:
    """Draw the smiles of a session of the settings' market, and say how many and where."""
    from rich.progress import track

    from volsurf_app import queries
    from volsurf_app.graphs import write_graphs

    started = time.perf_counter()
    lake, asked = stored_symbol(symbol, settings)
    day = stored_session(lake, asked, date)
    name = stored_model(model)
    pictures = queries.smile_pictures(lake, asked, day, model_type=name, statuses=("fitted",))
    folder = out or settings.volsurf_home / "graphs"
    written = write_graphs(pictures, asked, day, folder)
    progress = track(
        written, "drawing", len(pictures), transient=True, disable=not console.is_terminal
    )
    n = len(list(progress))
    elapsed = time.perf_counter() - started
    console.print(f"{n} graphs of {asked} {day}, {name}, in {folder} ({elapsed:.1f} s)")
