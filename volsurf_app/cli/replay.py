"""The command `replay`: computes a session again and compares with what is stored.

Belongs here: printing the differences. Not here: the comparison (volsurf_jobs).
"""

from datetime import date
from typing import Annotated

import typer
from rich.markup import escape

from volsurf_app.cli.arguments import session_of
from volsurf_app.cli.console import console, new_table, show_table
from volsurf_app.cli.working import quiet_dagster
from volsurf_resources.settings import Settings

_SHOWN = 50
_COLUMNS = ("table", "key", "column", "stored", "recomputed")


def replay(
    session: Annotated[str, typer.Argument(metavar="DATE", help="Session: YYYY-MM-DD, or today.")],
) -> None:
    """Compute a session again beside the lake and report any difference; exit 1 if there is one.

    Of the market that VOLSURF_MARKET names.
    """
    settings = Settings()
    day = session_of(session, hint="DATE", calendar=settings.calendar)
    with quiet_dagster(settings):
        from volsurf_jobs.replay import replay as differences_of
    try:
        differences = differences_of(settings, day)
    except LookupError as error:
        console.print(escape(str(error)))
        raise typer.Exit(1) from None
    if not differences:
        console.print(f"{day}: no difference")
        return
    table = new_table()
    for name in _COLUMNS:
        table.add_column(name, overflow="fold")
    for difference in differences[:_SHOWN]:
        table.add_row(*(escape(str(getattr(difference, name))) for name in _COLUMNS))
    show_table(f"{day}: {len(differences)} differences", table)
    if others := _of_other_settings(settings, day, {each.table for each in differences}):
        told = "stored with other settings than those in force"
        console.print(f"{told}: {', '.join(others)}", soft_wrap=True)
    raise typer.Exit(1)


def _of_other_settings(settings: Settings, day: date, tables: set[str]) -> list[str]:
    from volsurf_app import queries

    lake = queries.open_lake(settings)
    footers = {name: lake.footer(name, day) for name in sorted(tables)}
    return [
        name
        for name, footer in footers.items()
        if footer and footer.provenance.settings_hash != settings.fingerprint
    ]
