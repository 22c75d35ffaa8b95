"""What a user asks of the store, found there or refused: sessions, expiries, models.

Belongs here: arguments of commands that only look, and the words that name what there is instead.
Not here: sessions to be worked on (`arguments`).
"""

from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from volsurf_resources.lake import Lake


StoredDay = Annotated[
    str | None,
    typer.Option("--date", help="Session: YYYY-MM-DD. [default: latest stored]", metavar="DATE"),
]


def stored_model(text: str) -> str:
    """Return the name that tables give the model that a user typed; exit code 2 if there is none.

    The register of the maths is loaded only for models that no table of their own names.
    """
    from volsurf_tables.models import OWN_TABLES

    if (asked := text.strip().upper()) in OWN_TABLES:
        return asked
    from volsurf_app.finding_surfaces import model_named
    from volsurf_app.questions import BadQuestion

    try:
        return model_named(asked)
    except BadQuestion as error:
        raise typer.BadParameter(str(error), param_hint="--model") from None


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
