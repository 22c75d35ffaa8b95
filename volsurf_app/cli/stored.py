"""What a user asks of the store, found there or refused: sessions, expiries, models.

Belongs here: arguments of commands that only look, and the words that name what there is instead.
Not here: sessions to be worked on (`arguments`).
"""

from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from volsurf_resources.lake import Lake


class Model(StrEnum):
    """Models of `fitted_surfaces`, as a user types them."""

    SVI = "svi"
    SSVI = "ssvi"

    @property
    def stored(self) -> str:
        """The word that the tables use."""
        return self.upper()


StoredDay = Annotated[
    str | None,
    typer.Option("--date", help="Session: YYYY-MM-DD. [default: latest stored]", metavar="DATE"),
]
ModelOption = Annotated[Model, typer.Option("--model", help="Model of the smiles.")]


def day_of(text: str, hint: str = "--date") -> date:
    """Return the date that a user typed; exit code 2 if it is none."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: YYYY-MM-DD", param_hint=hint) from None


def stored_session(
    lake: "Lake", symbol: str, text: str | None, table: str = "fitted_surfaces"
) -> date:
    """Return the stored session asked for, the latest by default; NotStored with its neighbours."""
    from volsurf_app.queries import NotStored

    asked = None if text is None else day_of(text)
    days = lake.days(table, symbol)
    if not days:
        raise NotStored(f"no {table} of {symbol} yet; run `volsurf eod --date ...` first")
    if asked is None or asked in days:
        return days[-1] if asked is None else asked
    near = [*[d for d in days if d < asked][-1:], *[d for d in days if d > asked][:1]]
    raise NotStored(
        f"no {table} of {symbol} on {asked}; the nearest stored: {' and '.join(map(str, near))}"
    )
