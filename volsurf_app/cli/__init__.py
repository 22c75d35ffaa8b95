"""The command line `volsurf`.

Belongs here: the tree of commands, and what becomes of errors. Exit codes: 0 done, 1 something
failed, 2 bad arguments. A command that makes something happen runs a Dagster job in this process;
all others only read the store. A user never sees a stack trace: it goes to the log.
"""

import gc
import logging
import sys
from collections.abc import Sequence

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from volsurf_app.cli import (
    analytics,
    coin_demo,
    collecting,
    crypto,
    dashboard,
    demo,
    export,
    graphs,
    home,
    looking,
    market,
    replay,
    serve,
    show,
    surface,
    web,
    why,
)

FAILED, BAD_ARGUMENTS, INTERRUPTED = 1, 2, 130
FEWER_COLLECTIONS = 50_000  # new objects between two of them; Python's own figure is 700

app = typer.Typer(
    name="volsurf",
    help="Option chains in, fitted volatility surfaces and the variance risk premium out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo.demo)
app.add_typer(market.ingest, name="ingest")
app.add_typer(analytics.fit, name="fit")
app.add_typer(analytics.analyze, name="analyze")
app.command()(market.eod)
app.command()(market.backfill)
crypto.crypto.command("demo")(coin_demo.demo)
app.add_typer(crypto.crypto, name="crypto")
app.command()(collecting.collect)
app.command()(replay.replay)
app.command()(looking.status)
app.command()(graphs.graphs)
app.command()(export.export)
app.command()(show.show)
app.command()(dashboard.dashboard)
app.add_typer(surface.surface, name="surface")
app.command()(why.why)
app.command()(serve.serve)
app.command()(looking.settings)
app.command()(home.publish)
app.add_typer(home.db, name="db")
app.command()(home.ui)
app.command()(web.web)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; return its exit code."""
    errors = Console(stderr=True, highlight=False)
    try:
        app(arguments, prog_name="volsurf")
    except SystemExit as end:
        if end.code == INTERRUPTED:
            errors.print("interrupted: what was finished is kept; the same command does the rest")
        return end.code if isinstance(end.code, int) else FAILED
    except ValidationError as error:
        _explain_settings(error, errors)
        return BAD_ARGUMENTS
    except PermissionError as error:
        errors.print(f"[red]not allowed[/red]: {escape(str(error))}", soft_wrap=True)
        return FAILED
    except Exception as error:
        from volsurf_resources.lake_errors import LakeError
        from volsurf_resources.source import SourceError

        if isinstance(error, LakeError | SourceError):
            errors.print(f"[red]{type(error).__name__}[/red]: {escape(str(error))}", soft_wrap=True)
            return FAILED
        _explain_unexpected(error, errors)
        return FAILED
    return 0


def _explain_settings(error: ValidationError, errors: Console) -> None:
    for problem in error.errors():
        name = ".".join(str(part).upper() for part in problem["loc"])
        said = problem["msg"].removeprefix("Value error, ")
        if isinstance(problem["input"], str):  # what somebody typed, not a set of settings
            said += f", was {problem['input']!r}"
        told = f"[red]setting {name}[/red]" if name else "[red]settings[/red]"
        errors.print(f"{told}: {escape(said)}", soft_wrap=True)


def _explain_unexpected(error: Exception, errors: Console) -> None:
    from volsurf_resources.logbook import keep_log
    from volsurf_resources.settings import Settings

    settings = Settings()
    keep_log(settings)
    logging.getLogger("volsurf.app").critical("unexpected error", exc_info=error)
    told = escape(f"{type(error).__name__}: {error}")
    if "cannot cache function" in told:  # numba found no place of its own
        told += "; set NUMBA_CACHE_DIR to a folder of yours, for compiled kernels"
    place = f"the trace is in {settings.log_path.parent}"
    errors.print(f"[red]unexpected[/red] {told}\n{place}", soft_wrap=True)


def main() -> None:
    """Run the command line of this process.

    Little of what a command loads is ever garbage, and at the end the process frees it at once:
    fewer and smaller collections save up to a second.
    """
    gc.set_threshold(FEWER_COLLECTIONS)
    code = run()
    if "duckdb" not in sys.modules:  # which at the end complains of what nobody collected
        gc.freeze()
    sys.exit(code)
