"""What a section shows: a headline, tables, a chart; printed and in the app alike.

Belongs here: the shapes of an answer. Not here: the answers (`sections`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from volsurf_app.charts import Size

Format = Callable[[Any], str]
Shown = Mapping[str, tuple[str, Format | None]]  # column -> its heading and format
Drawn = Callable[[Size, bool], str]  # in a size, coloured or not


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is looked at: a session of a symbol, one of its expiries, a model of its smiles."""

    symbol: str
    day: date
    root: str | None = None
    expiration: date | None = None
    model: str = "SVI"
    sessions: int = 30


@dataclass(frozen=True, slots=True)
class Part:
    """One table of a section: its rows as stored, and how its columns are shown.

    `current` is the row that the view is about, `about` the expiry whose rows these are.
    """

    name: str
    rows: pl.DataFrame
    columns: Shown
    current: int = 0
    about: date | None = None

    @property
    def title(self) -> str:
        """The name, with the expiry if it has one."""
        return self.name if self.about is None else f"{self.name} {self.about}"

    def cells(self) -> Sequence[Sequence[str]]:
        """Return the rows as text in the units of the headings; a null is a dash."""
        shapes = [shape or str for _, shape in self.columns.values()]

        def shown(row: tuple[Any, ...]) -> list[str]:
            return ["-" if x is None else shape(x) for x, shape in zip(row, shapes, strict=True)]

        return [shown(row) for row in self.rows.select(list(self.columns)).iter_rows()]

    def is_number(self, column: str) -> bool:
        """Whether a column holds numbers, which stand to the right."""
        return self.rows.schema[column].is_numeric()


@dataclass(frozen=True, slots=True)
class Content:
    """A section filled in: one sentence, its tables, its chart."""

    headline: str
    parts: tuple[Part, ...]
    draw: Drawn | None = None
