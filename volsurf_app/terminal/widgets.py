"""What the dashboard is made of: a chart, a table of a section, the help.

Belongs here: how content becomes widgets. Not here: keys, and what is asked of the lake (`app`).
"""

from rich.console import JustifyMethod
from rich.text import Text
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import DataTable, Static

from volsurf_app.charts import Size
from volsurf_app.terminal.content import Drawn, Part

_COLUMN = 10  # characters
_HELP = """\
 ← →            expiry before, after
 ↑ ↓ PgUp PgDn  rows of a table
 shift+← →      its columns
 tab, 1 to 6    section
 [ ]            session before, after
 m              model of the smiles: SVI, SSVI
 r              look again now (done every 2 s)
 e  E           export the tables as CSV, JSON
 ? q            this help, quit

Vols, skews and premiums are in % per year,
errors in vol points (vp), prices in USD.
Exports hold the stored numbers: decimals.

Press any key.\
"""


class Chart(Widget):
    """A chart of characters, drawn anew in whatever room there is."""

    drawn: Drawn | None = None

    def show(self, drawn: Drawn | None) -> None:
        """Take another chart; None hides the widget."""
        self.drawn, self.display = drawn, drawn is not None
        self.refresh()

    def render(self) -> Text:
        """Draw; nothing where there is no chart."""
        if self.drawn is None:
            return Text()
        return Text.from_ansi(self.drawn(Size(self.size.width, self.size.height), True))


class PartTable(DataTable[Text]):
    """A table of a section, its current row in the middle."""

    DEFAULT_CSS = "PartTable { scrollbar-size-horizontal: 0; }"
    part: Part | None = None

    def show(self, part: Part | None) -> None:
        """Take other rows; None hides the widget. The cursor stays where the part is the same."""
        is_same = part is not None and self.part is not None and self.part.title == part.title
        row = self.cursor_row if is_same else 0
        self.part, self.display = part, part is not None
        self.clear(columns=True)
        if part is None:
            return
        sides: list[JustifyMethod] = [
            "right" if part.is_number(name) else "left" for name in part.columns
        ]
        for (name, (heading, _)), side in zip(part.columns.items(), sides, strict=True):
            self.add_column(Text(heading, justify=side), key=name)
        for cells in part.cells():
            self.add_row(*(Text(c, justify=s) for c, s in zip(cells, sides, strict=True)))
        self.move_cursor(row=part.current or row, scroll=False)
        self.call_after_refresh(self._centre)

    def scroll_columns(self, by: int) -> None:
        """Move sideways, where the table is wider than its room."""
        self.scroll_relative(x=by * _COLUMN, animate=False)

    def _centre(self) -> None:
        self.scroll_to(y=max(0, self.cursor_row - self.size.height // 2), animate=False)


class Help(ModalScreen[None]):
    """What the keys do, until one is pressed."""

    DEFAULT_CSS = """
    Help { align: center middle; }
    Help Static { width: 56; height: auto; border: round $primary; padding: 1 2; }
    Help Static { background: $surface; }
    """

    def compose(self) -> ComposeResult:
        """Show the text."""
        yield Static(_HELP, markup=False)

    def on_key(self) -> None:
        """Close."""
        self.dismiss()
