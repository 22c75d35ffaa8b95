"""How the command line shows things: frames as tables, in the units people speak.

Belongs here: formats and colours. Not here: questions to the lake.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
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
PROSE_WIDTH = 18  # in a narrow terminal, of cells that may fold

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


def spans(days: Sequence[date], among: Sequence[date]) -> str:
    """Say some of many sessions as spans of neighbours: 2026-01-02 to 2026-01-06, 2026-02-03."""
    place = {day: n for n, day in enumerate(among)}
    found: list[list[date]] = []
    for day in days:
        if found and place[day] == place[found[-1][-1]] + 1:
            found[-1].append(day)
        else:
            found.append([day])
    return ", ".join(f"{s[0]} to {s[-1]}" if len(s) > 1 else str(s[0]) for s in found)


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
    """Print a table under its title.

    Where it has no room its columns move together and prose folds, but no number or date is ever
    cut in two: what is still too wide is left to the terminal to wrap.
    """
    console.print(f"\n[bold]{escape(title)}[/bold]")
    if _width(table) > console.width:
        table.padding = 0
        _fold_prose(table)
    console.print(table, crop=False)


def _fold_prose(table: Table) -> None:
    """Let columns of several words share the room that is left, if it is enough for them.

    A column that comes with a least width of its own is taken for one.
    """
    for column in table.columns:
        longest = max((len(str(cell)) for cell in column.cells), default=0)
        is_prose = bool(column.min_width) or any(" " in str(cell) for cell in column.cells)
        column.no_wrap = not is_prose
        column.max_width = min(longest, PROSE_WIDTH) if is_prose else None
    least = _width(table)
    for column in table.columns:
        column.min_width, column.max_width = column.max_width, None
    table.width = console.width if least <= console.width else _width(table)


def _width(table: Table) -> int:
    """Return the width of a table that has all the room it wants."""
    unbounded = console.options.update(max_width=10_000)
    return Measurement.get(console, unbounded, table).maximum


def _cell(value: Any, name: str, shape: Format | None) -> Text:
    if value is None:
        return Text("-", style="bright_black")
    colour = STATUS_COLOURS.get(str(value), "") if name == "status" else ""
    return Text(str(value) if shape is None else shape(value), style=colour)
