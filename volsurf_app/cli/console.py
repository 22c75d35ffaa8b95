"""How the command line shows things: frames as tables, in the units people speak.

Belongs here: formats and colours. Not here: questions to the lake.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
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

console = Console(highlight=False)


def percent(value: float) -> str:
    """Show a decimal in percent: 0.1534 as 15.34 %."""
    return f"{100 * value:.2f} %"


def points(value: float) -> str:
    """Show vol points: 0.071."""
    return f"{value:.3f}"


def number(value: float) -> str:
    """Show a number in four significant digits."""
    return f"{value:.4g}"


def show_frame(
    title: str, frame: "pl.DataFrame", columns: Mapping[str, Format | None], *, caption: str = ""
) -> None:
    """Print some columns of a frame; a null is a dash, a status has its colour."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    for name in columns:
        is_text = frame.schema[name].is_temporal() or not frame.schema[name].is_numeric()
        table.add_column(name, justify="left" if is_text else "right")
    for row in frame.select(columns).iter_rows():
        cells = zip(row, columns.items(), strict=True)
        table.add_row(*(_cell(value, name, shape) for value, (name, shape) in cells))
    console.print(table)


def _cell(value: Any, name: str, shape: Format | None) -> Text:
    if value is None:
        return Text("-", style="bright_black")
    colour = STATUS_COLOURS.get(str(value), "") if name == "status" else ""
    return Text(str(value) if shape is None else shape(value), style=colour)
