"""Work done for a command: jobs run in this process, with a progress bar and a summary.

Belongs here: starting runs and telling what came of them. Not here: which command asks for what.
Dagster is loaded when the work starts, not before.
"""

import logging
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from volsurf_app.cli.console import console, spans
from volsurf_resources.logbook import keep_log
from volsurf_resources.settings import Settings

if TYPE_CHECKING:
    from volsurf_jobs.outcomes import Outcome, Summary
    from volsurf_jobs.running import Runner
    from volsurf_resources.source import MarketSource

_REASONS_SHOWN = 20


@contextmanager
def quiet_dagster(settings: Settings) -> Iterator[None]:
    """Load Dagster within: its log goes to the instance, ours to the file, none to the screen."""
    keep_log(settings)
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", message=".* is currently in (beta|preview)")
    with console.status("starting Dagster") if console.is_terminal else nullcontext():
        yield


@contextmanager
def runner_of(settings: Settings, source: "MarketSource | None" = None) -> Iterator["Runner"]:
    """Open a runner on the settings' home; a source replaces the settings' own."""
    with quiet_dagster(settings):
        from volsurf_jobs.running import open_runner
    with open_runner(settings, source=source) as runner:
        yield runner


@contextmanager
def kernels_compiled_beside() -> Iterator[None]:
    """Compile the numerical kernels in a process beside the work, where that was never done.

    The work begins with fetching, which needs no kernels; a second core compiles them meanwhile.
    """
    from volsurf_math.warming import is_warm

    if is_warm():
        yield
        return
    console.print("compiling numerical kernels, once after an installation (up to a minute)")
    beside = subprocess.Popen([sys.executable, "-m", "volsurf_math.warming"])
    try:
        yield
    finally:
        beside.kill()
        beside.wait()


def carry_out(
    settings: Settings,
    symbol: str | None,
    days: Sequence[date],
    *,
    source: "MarketSource | None" = None,
    **options: Any,
) -> "Summary":
    """Bring sessions through the tables with a progress bar; print and return what came of it.

    `options` are those of `Runner.run_sessions`. Symbols are all configured ones if None.
    """
    started = time.perf_counter()
    symbols = (symbol,) if symbol else settings.symbols
    running = runner_of(settings, source)
    with kernels_compiled_beside(), running as runner, _progress() as progress:
        task = progress.add_task("starting", total=None)

        def show(step: Any) -> None:
            progress.update(
                task,
                description=f"{step.table} {step.day}",
                completed=step.done,
                total=step.total,
            )

        summary = runner.run_sessions(days, symbols, on_progress=show, **options)
    elapsed = time.perf_counter() - started
    tell(summary, settings, f"[bold]{', '.join(symbols)}[/bold]", f"{elapsed:.1f} s")
    return summary


def tell(summary: "Summary", settings: Settings, what: str, elapsed: str) -> None:
    """Print what was done in what time, what was skipped and why, what failed and why."""
    counts = {status: summary.of(status) for status in ("done", "skipped", "failed")}
    told = ", ".join(f"{len(days)} {status}" for status, days in counts.items() if days)
    console.print(f"{what}: {told or 'nothing to do'} ({elapsed})")
    days = [outcome.day for outcome in summary.outcomes]
    for status, colour in (("skipped", "bright_black"), ("failed", "red")):
        for text in _reasons(counts[status], days):
            console.print(f"  [{colour}]{status}[/{colour}] {escape(text)}", soft_wrap=True)
    if summary.settled:
        console.print(f"  {summary.settled} partitions of other sessions were brought up to date")
    if counts["failed"]:
        console.print(
            f"  the runs stand in `volsurf ui`, details in {settings.log_path.parent}",
            soft_wrap=True,
        )


def finish(summary: "Summary") -> None:
    """Leave with exit code 1 if a session failed."""
    if not summary.is_good:
        raise typer.Exit(1)


def _reasons(outcomes: Sequence["Outcome"], days: Sequence[date]) -> Iterator[str]:
    """Say each reason once, with the sessions among `days` that it holds for."""
    by_reason: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        alike = outcome.reason.replace(str(outcome.day), "that day")
        by_reason.setdefault(alike, []).append(outcome)
    for alike, of_it in list(by_reason.items())[:_REASONS_SHOWN]:
        if len(of_it) == 1:
            yield f"{of_it[0].day}: {of_it[0].reason}"
        else:
            when = spans([outcome.day for outcome in of_it], days)
            yield f"{when} ({len(of_it)} sessions): {alike}"
    if len(by_reason) > _REASONS_SHOWN:
        yield f"... and {len(by_reason) - _REASONS_SHOWN} more reasons"


def _progress() -> Progress:
    columns = (
        TextColumn("{task.description:<38}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
