"""Commands about a home itself: `publish`, `db init`, `ui`.

Belongs here: making the store ready and serving it.
"""

import subprocess
import sys
from typing import Annotated

import typer

from volsurf_app.cli.console import console
from volsurf_app.cli.working import runner_of
from volsurf_resources.calendars import CALENDARS
from volsurf_resources.settings import Settings

db = typer.Typer(no_args_is_help=True, help="The store.")


def publish() -> None:
    """Bring the published DuckDB file up to the lake; of each market that the home holds."""
    for settings in _markets():
        _publish(settings)


@db.command()
def init() -> None:
    """Make the home ready: folders, tables of an older version upgraded, the published file."""
    from volsurf_app import queries

    for settings in _markets():
        lake = queries.open_lake(settings)
        settings.lake_root.mkdir(parents=True, exist_ok=True)
        swept, upgraded = lake.sweep(), lake.upgrade()
        _publish(settings)
        console.print(
            f"{settings.market_root} is ready: {len(lake.tables)} tables, "
            f"{len(upgraded)} files upgraded, {swept} leftovers of killed runs removed"
        )


def _markets() -> list[Settings]:
    """Return the settings of the market in force, and of others that have a lake here."""
    settings = Settings()
    others = [settings.for_market(market) for market in CALENDARS]
    return [settings, *(m for m in others if m != settings and m.lake_root.is_dir())]


def _publish(settings: Settings) -> None:
    with runner_of(settings) as runner:
        is_good = runner.publish()
    if not is_good:
        console.print("[red]publishing failed[/red]; the run stands in `volsurf ui`")
        raise typer.Exit(1)
    console.print(f"published {settings.published_path}", soft_wrap=True)


def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 3000,
) -> None:
    """Serve the Dagster pages and the schedules of this home, until interrupted."""
    from volsurf_jobs.home import environment_of, prepare_home

    home = prepare_home(Settings())
    console.print(f"http://127.0.0.1:{port} shows the runs in {home}; stop with Ctrl-C")
    command = [sys.executable, "-m", "dagster", "dev", "--workspace", str(home / "workspace.yaml")]
    place = ["--host", "127.0.0.1", "--port", str(port)]
    try:
        ended = subprocess.run([*command, *place], env=environment_of(home), check=False)
        raise typer.Exit(ended.returncode)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
