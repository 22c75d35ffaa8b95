"""How the command line shows things: frames as tables, in the units people speak.

Belongs here: formats and colours. Not here: questions to the lake.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import polars as pl

STATUS_COLOURS = {
    "fitted": "green",
    "complete": "green",
    "carried": "yellow",
    "partial": "yellow",
    "warming_up": "yellow",
    "skipped": "bright_black",
    "missing": "red",
    "failed": "red",
}
Format = Callable[[Any], str]
Shown = Mapping[str, tuple[str, Format | None]]  # column -> its heading and format

_PIPE_WIDTH = 160

console = Console(highlight=False)
if not console.is_terminal:  # nothing is cut where somebody else reads
    console = Console(highlight=False, width=_PIPE_WIDTH)


def percent(value: float) -> str:
    """Show a decimal in percent, the unit standing in the heading: 0.1534 as 15.34."""
    return f"{100 * value:.2f}"


def hundredths(value: float) -> str:
    """Show a number with two decimals: -1.28."""
    return f"{value:.2f}"


def points(value: float) -> str:
    """Show vol points: 0.071."""
    return f"{value:.3f}"


def number(value: float) -> str:
    """Show a number in four significant digits."""
    return f"{value:.4g}"


def show_frame(title: str, frame: "pl.DataFrame", columns: Shown) -> None:
    """Print columns of a frame under their headings; a null is a dash, a status has its colour."""
    table = new_table()
    for name, (heading, _) in columns.items():
        justify = "right" if frame.schema[name].is_numeric() else "left"
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in frame.select(list(columns)).iter_rows():
        cells = zip(row, columns.items(), strict=True)
        table.add_row(*(_cell(value, name, shape) for value, (name, (_, shape)) in cells))
    show_table(title, table)


def new_table() -> Table:
    """Return an empty table in our manner: lines only under the head."""
    return Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)


def show_table(title: str, table: Table) -> None:
    """Print a table under its title."""
    console.print(f"\n[bold]{escape(title)}[/bold]")
    console.print(table)


def _cell(value: Any, name: str, shape: Format | None) -> Text:
    if value is None:
        return Text("-", style="bright_black")
    colour = STATUS_COLOURS.get(str(value), "") if name == "status" else ""
    return Text(str(value) if shape is None else shape(value), style=colour)
