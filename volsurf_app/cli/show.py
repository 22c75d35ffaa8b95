"""The command `show`: each section of the dashboard, printed.

Belongs here: which section of what, and how it is printed. Not here: what is in it
(`volsurf_app.terminal.sections`).
"""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from volsurf_app.cli.analytics import stored_symbol
from volsurf_app.cli.arguments import Model, Symbol, settings_of
from volsurf_app.cli.console import console, new_table, show_table
from volsurf_app.cli.stored import StoredDay, day_of, stored_model, stored_session

if TYPE_CHECKING:
    from volsurf_app.terminal.content import Content, Part, View


class SectionName(StrEnum):
    """What can be shown."""

    SURFACE = "surface"
    SMILE = "smile"
    TERM = "term"
    VRP = "vrp"
    HISTORY = "history"
    COVERAGE = "coverage"


_NEEDS = {SectionName.VRP: "vrp_metrics", SectionName.COVERAGE: "raw_options_chains"}


def show(
    section: Annotated[SectionName, typer.Argument(help="What to show.")],
    symbol: Symbol = None,
    date: StoredDay = None,
    expiry: Annotated[
        str | None,
        typer.Option(
            help="Expiry: YYYY-MM-DD. [default: fitted, nearest to 30 days]", metavar="DATE"
        ),
    ] = None,
    root: Annotated[str | None, typer.Option(help="Root, where several have that expiry.")] = None,
    model: Model = "svi",
    sessions: Annotated[int, typer.Option(help="Sessions looked back at.", min=2, max=2000)] = 30,
    is_json: Annotated[
        bool, typer.Option("--json", help="Print the stored numbers as JSON, in the tables' units.")
    ] = False,
) -> None:
    """Print one section of the dashboard: tables, and a chart where there is one."""
    from volsurf_app.terminal.content import View
    from volsurf_app.terminal.sections import SECTIONS

    lake, asked = stored_symbol(symbol, settings_of(symbol))
    view = View(
        symbol=asked,
        day=stored_session(lake, asked, date, _NEEDS.get(section, "fitted_surfaces")),
        root=root,
        expiration=None if expiry is None else day_of(expiry, "--expiry"),
        model=stored_model(model),
        sessions=sessions,
    )
    content = SECTIONS[section](lake, view)
    if is_json:
        typer.echo(_as_json(view, content))
        return
    console.print(f"[bold]{asked} {view.day}[/bold], {view.model}: {content.headline}")
    if content.draw is not None:
        _print_chart(content)
    for part in content.parts:
        _print_part(part)


def _print_chart(content: "Content") -> None:
    from volsurf_app.charts import HEIGHT, Size

    if content.draw is not None:
        size = Size(min(console.width, 120) - 2, HEIGHT)
        console.print(Text.from_ansi(content.draw(size, console.is_terminal)))


def _print_part(part: "Part") -> None:
    """Print a table: of its columns, the first ones that the terminal has room for."""
    columns = list(zip(*part.cells(), strict=True)) or [()] * len(part.columns)
    table, room = new_table(), console.width
    table.padding = (0, 1, 0, 0)
    headings = [heading for heading, _ in part.columns.values()]
    widths = [max(map(len, (head, *own))) for head, own in zip(headings, columns, strict=True)]
    taken = [sum(widths[: n + 1]) + 2 * n for n in range(len(widths))]
    fitting = sum(total <= room for total in taken)
    for name, heading in list(zip(part.columns, headings, strict=True))[:fitting]:
        table.add_column(heading, justify="right" if part.is_number(name) else "left", no_wrap=True)
    for cells in zip(*columns[:fitting], strict=True):
        table.add_row(*map(Text, cells))
    show_table(part.title.replace("_", " "), table)
    if left_out := headings[fitting:]:
        console.print(f"[bright_black]no room for {', '.join(left_out)}[/bright_black]")


def _as_json(view: "View", content: "Content") -> str:
    """Return the section as one JSON object: a list of rows for each table."""
    said = {"symbol": view.symbol, "session": str(view.day), "model": view.model}
    said |= {"headline": content.headline}
    tables = [f'"{part.name}": {part.rows.write_json()}' for part in content.parts]
    return f"{json.dumps(said)[:-1]}, {', '.join(tables)}}}"
