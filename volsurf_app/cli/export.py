"""The command `export`: rows of any table or view, for other programs.

Belongs here: which rows of what, where to. Not here: formats (`volsurf_app.exports`).
"""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from volsurf_app.cli.analytics import stored_symbol
from volsurf_app.cli.arguments import settings_of
from volsurf_app.cli.console import console
from volsurf_app.cli.stored import day_of

if TYPE_CHECKING:
    import polars as pl


class Form(StrEnum):
    """Formats of a file."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def export(
    table: Annotated[str, typer.Argument(help="Table or view, as fitted_surfaces.")],
    symbol: Annotated[
        str | None, typer.Argument(help="Underlying. [default: all]", metavar="SYMBOL")
    ] = None,
    start: Annotated[str | None, typer.Option(help="First day: YYYY-MM-DD.")] = None,
    end: Annotated[str | None, typer.Option(help="Last day: YYYY-MM-DD.")] = None,
    form: Annotated[
        Form | None, typer.Option("--format", help="[default: by the name of --out, or csv]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File. [default: print]", dir_okay=False)] = None,
) -> None:
    """Write rows of a table or view as CSV, JSON or Parquet; all snapshots are included."""
    from volsurf_app import queries
    from volsurf_app.exports import as_text, format_of, write_frame

    settings = settings_of(symbol)
    first, last = (
        None if text is None else day_of(text, hint)
        for text, hint in ((start, "--start"), (end, "--end"))
    )
    if first and last and first > last:
        raise typer.BadParameter(f"{first} is after --end {last}", param_hint="--start")
    lake, asked = queries.open_lake(settings), None
    if symbol is not None:
        lake, asked = stored_symbol(symbol, settings)
    if table not in (names := queries.table_names(lake)):
        raise typer.BadParameter(
            f"no table or view {table!r}; there are {', '.join(names)}", param_hint="TABLE"
        )
    rows: pl.DataFrame = queries.table_rows(lake, table, symbol=asked, first=first, last=last)
    chosen = form.value if form else (format_of(out) if out else None) or "csv"
    if out is None:
        if chosen == "parquet":
            raise typer.BadParameter("parquet is no text: name a file", param_hint="--out")
        typer.echo(as_text(rows, chosen), nl=False)
        return
    if form is None and format_of(out) is None and out.suffix:
        raise typer.BadParameter(
            f"{out.name} ends in none of .csv, .json, .parquet: name one, or give --format",
            param_hint="--out",
        )
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.parent}", param_hint="--out")
    write_frame(rows, out, chosen)
    console.print(f"{rows.height} rows of {table} in {out}", soft_wrap=True)
