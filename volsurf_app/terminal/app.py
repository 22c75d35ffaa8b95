"""The dashboard: a surface in a full-screen terminal, read only, refreshed as sessions land.

Belongs here: keys, when to look again. Not here: what a section says (`sections`), how that
becomes widgets (`widgets`).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.widgets import Static, Tab, Tabs

from volsurf_app import queries
from volsurf_app.exports import Format, write_frame
from volsurf_app.queries.models import stored_models
from volsurf_app.terminal.content import Content, View
from volsurf_app.terminal.sections import SECTIONS, place_of
from volsurf_app.terminal.widgets import Chart, Help, PartTable
from volsurf_resources.lake import Lake
from volsurf_resources.lake_errors import LakeError

WIDE = 140  # columns from which parts stand side by side
LOOKS_EVERY = 2.0  # seconds
AFTER_FIRST_PAINT = 0.5  # seconds
STEPPED_BY_EXPIRY = ("surface", "smile", "term")
_WATCHED = ("fitted_surfaces", "option_quotes", "surface_points", "vrp_metrics")
_KEYS = "←→ expiry  tab section  [ ] date  m model  r refresh  e export  ? help  q quit"
_TITLES = {"vrp": "VRP"}


def _told(look: Callable[..., None]) -> Callable[..., None]:
    """Make an error of the lake the headline: other sessions and sections still work."""

    @wraps(look)
    def guarded(app: "Dashboard", *args: int | date) -> None:
        try:
            look(app, *args)
        except LakeError as error:
            app.screen_stack[0].query_one("#headline", Static).update(str(error))

    return guarded


class Dashboard(App[None]):
    """Sections of one symbol's surface; `folder` is where exports go."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #title { height: 1; background: $primary; color: $text; padding: 0 1; }
    #headline { height: auto; max-height: 2; padding: 0 1; color: $text-muted; }
    #body { height: 1fr; layout: vertical; }
    #body.wide { layout: horizontal; }
    #body > * { height: 1fr; width: 1fr; }
    #keys { height: 1; padding: 0 1; background: $panel; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step_expiry(-1)", "expiry before", priority=True),
        Binding("right", "step_expiry(1)", "expiry after", priority=True),
        Binding("shift+left", "scroll_columns(-1)", "columns", priority=True),
        Binding("shift+right", "scroll_columns(1)", "columns", priority=True),
        Binding("tab", "step_section(1)", "next section", priority=True),
        Binding("shift+tab", "step_section(-1)", "section before", priority=True),
        *(Binding(str(n), f"section({n - 1})", "section") for n in range(1, len(SECTIONS) + 1)),
        Binding("left_square_bracket", "step_day(-1)", "session before"),
        Binding("right_square_bracket", "step_day(1)", "session after"),
        Binding("m", "next_model", "model"),
        Binding("r", "look_again", "refresh"),
        Binding("e", "export('csv')", "export CSV"),
        Binding("E", "export('json')", "export JSON"),
        Binding("question_mark", "help", "help"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, lake: Lake, view: View, folder: Path) -> None:
        super().__init__()
        self.lake, self.view, self.folder = lake, view, folder
        self.section = next(iter(SECTIONS))
        self.content = Content("", ())
        self._days = self._stored_days()
        self._seen = self._fingerprint()

    def compose(self) -> ComposeResult:
        """Lay out title, tabs, headline, chart and tables, keys."""
        yield Static(id="title", markup=False)
        yield Tabs(*(Tab(_TITLES.get(name, name.capitalize()), id=name) for name in SECTIONS))
        yield Static(id="headline", markup=False)
        with Container(id="body"):
            yield Chart()
            yield PartTable(id="first", cursor_type="row", zebra_stripes=True)
            yield PartTable(id="second", cursor_type="row", zebra_stripes=True)
        yield Static(_KEYS, id="keys", markup=False)

    def on_mount(self) -> None:
        """Show the first section; look for newer sessions from now on."""
        self.fill()
        self.set_interval(LOOKS_EVERY, self._look)
        self.set_timer(AFTER_FIRST_PAINT, self._load_curves)

    def on_resize(self) -> None:
        """Put parts side by side where there is room."""
        self.query_one("#body").set_class(self.size.width >= WIDE, "wide")

    def on_tabs_tab_activated(self, event: Tabs.TabActivated) -> None:
        """Show the section of a tab."""
        if event.tab.id is not None and event.tab.id != self.section:
            self.section = event.tab.id
            self.fill()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let no key but quit act behind the help."""
        return action == "quit" or not isinstance(self.screen, Help)

    def fill(self) -> None:
        """Ask the lake for the section and show it; an error of the lake is the headline."""
        try:
            self.content = SECTIONS[self.section](self.lake, self.view)
        except LakeError as error:
            self.content = Content(str(error), ())
        place = self._days.index(self.view.day) + 1 if self.view.day in self._days else "-"
        title = f"{self.view.symbol}  {self.view.day}  {self.view.model}"
        below = self.screen_stack[0]  # of the help, if that is open
        below.query_one("#title", Static).update(f"{title}  session {place} of {len(self._days)}")
        below.query_one("#headline", Static).update(self.content.headline)
        below.query_one(Chart).show(self.content.draw)
        tables = list(below.query(PartTable))
        for table, part in zip(tables, (*self.content.parts, None, None), strict=False):
            table.show(part)
        below.set_focus(next((table for table in reversed(tables) if table.display), None))

    def action_step_section(self, by: int) -> None:
        """Go to a neighbouring section."""
        names = list(SECTIONS)
        self.action_section((names.index(self.section) + by) % len(names))

    def action_section(self, n: int) -> None:
        """Go to the n-th section."""
        self.query_one(Tabs).active = list(SECTIONS)[n]

    @_told
    def action_step_expiry(self, by: int) -> None:
        """Go to a neighbouring expiry, the ends holding."""
        if self.section not in STEPPED_BY_EXPIRY:
            return
        rows = queries.expiries(self.lake, self.view.symbol, self.view.day, model=self.view.model)
        if rows.is_empty():
            return
        place = min(max(place_of(rows, self.view) + by, 0), rows.height - 1)
        root, expiration = rows.select("root", "expiration_date").row(place)
        self.view = replace(self.view, root=root, expiration=expiration)
        self.fill()

    def action_step_day(self, by: int) -> None:
        """Go to a neighbouring stored session, the ends holding."""
        if not self._days:
            return
        before = [day for day in self._days if day < self.view.day]
        place = len(before) + by + (0 if self.view.day in self._days or by < 0 else -1)
        self._go_to(self._days[min(max(place, 0), len(self._days) - 1)])

    def action_next_model(self) -> None:
        """Go to the next model that the session was fitted with."""
        models = stored_models(self.lake, self.view.symbol, self.view.day)
        after = [*models, *models[:1]]
        if self.view.model in models:
            after = after[models.index(self.view.model) + 1 :]
        self.view = replace(self.view, model=after[0] if after else self.view.model)
        self.fill()

    def action_look_again(self) -> None:
        """Look at the lake now."""
        self._look()
        self.fill()

    def action_export(self, form: Format) -> None:
        """Write the section's tables, as stored, into the folder."""
        if not self.content.parts:
            self.notify("there is nothing to export", severity="warning")
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for part in self.content.parts:
                words = (self.view.symbol, self.view.day, self.view.model.lower(), part.title)
                name = "_".join(map(str, words)).replace(" ", "_")
                write_frame(part.rows, self.folder / f"{name}.{form}", form)
        except OSError as error:
            self.notify(f"not written: {error}", severity="error")
            return
        names = ", ".join(part.name for part in self.content.parts)
        self.notify(f"{names} written to {self.folder}")

    def action_scroll_columns(self, by: int) -> None:
        """Move sideways in a table that is wider than its room."""
        if isinstance(self.focused, PartTable):
            self.focused.scroll_columns(by)

    def action_help(self) -> None:
        """Say what the keys do."""
        self.push_screen(Help())

    @_told
    def _go_to(self, day: date) -> None:
        before, self.view = self.view, replace(self.view, day=day, root=None, expiration=None)
        try:
            rows = queries.expiries(self.lake, self.view.symbol, day, model=self.view.model)
            asked = (before.root, before.expiration)
            if asked in rows.select("root", "expiration_date").rows():
                self.view = replace(before, day=day)
            self._seen = self._fingerprint()
        finally:
            self.fill()

    @_told
    def _look(self) -> None:
        """Follow the lake: to a newer session if the latest was shown, else to newer content."""
        days, was_latest = self._stored_days(), self.view.day in self._days[-1:]
        has_newer = bool(days and days[-1] > max(self._days, default=days[-1]))
        self._days = days
        if has_newer:
            self.notify(f"session {days[-1]} has landed")
        if has_newer and was_latest:
            self._go_to(days[-1])
        elif self._fingerprint() != self._seen:
            self._seen = self._fingerprint()
            self.fill()

    def _load_curves(self) -> None:
        """Load the compiled maths of curves while the first section, which needs none, is read."""
        self.run_worker(partial(import_module, "volsurf_app.finding_surfaces"), thread=True)

    def _stored_days(self) -> list[date]:
        return self.lake.days("fitted_surfaces", self.view.symbol)

    def _fingerprint(self) -> tuple[object, ...]:
        day, symbol = self.view.day, self.view.symbol
        hashes = (self.lake.content_hash(table, day, symbol) for table in _WATCHED)
        return len(self._days), *hashes
