"""The home of a lake on disk, made ready for Dagster.

Belongs here: the instance's folder and configuration, and what a killed run leaves behind there.
"""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import dagster as dg

from volsurf_jobs.event_log import held_open, pooled_instance
from volsurf_resources.lake_errors import NoHome
from volsurf_resources.settings import Settings

CONFIGURATION = ("dagster.yaml", "workspace.yaml")  # of the instance, and what the UI loads
_SUPERSEDED = "ignore:Function `dev_command` is superseded"  # by a command of another package
PROCESS_TAG = "volsurf/process"  # host and process of a run that nobody else watches


def prepare_home(settings: Settings) -> Path:
    """Make the Dagster instance's folder, with our configuration if it has none; return it.

    An explicit DAGSTER_HOME wins. NoHome if the folder cannot be written.
    """
    home = Path(os.environ.get("DAGSTER_HOME") or settings.dagster_home)
    try:
        home.mkdir(parents=True, exist_ok=True)
        for name in CONFIGURATION:
            if not (home / name).exists():
                (home / name).write_text(files("volsurf_jobs").joinpath(name).read_text())
        if not os.access(home, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(home))
    except OSError as error:
        raise NoHome(
            f"{home} cannot be written ({error}): set VOLSURF_HOME to a folder of yours"
        ) from error
    return home


def environment_of(home: Path) -> dict[str, str]:
    """Return the environment in which Dagster's own commands use this instance."""
    warnings = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), _SUPERSEDED]))
    return {**os.environ, "DAGSTER_HOME": str(home), "PYTHONWARNINGS": warnings}


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the instance that the UI shows, rid of runs whose process has died."""
    home = prepare_home(settings)
    with held_open(), pooled_instance(home) as instance:
        bury_dead_runs(instance)
        yield instance


def process_tag() -> dict[str, str]:
    """Return the tag that says which process works on a run."""
    return {PROCESS_TAG: f"{socket.gethostname()}:{os.getpid()}"}


def bury_dead_runs(instance: dg.DagsterInstance) -> int:
    """Mark runs of dead processes of this host as failed and free their pool slots; count them.

    A killed process can do neither, and the next one would wait for its slots for ever.
    """
    running = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
    dead = [run for run in instance.get_runs(running) if _is_dead(run.tags.get(PROCESS_TAG, ""))]
    for run in dead:
        instance.report_run_failed(run, message="The process of this run was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return len(dead)


def _is_dead(tag: str) -> bool:
    host, _, process = tag.partition(":")
    if host != socket.gethostname() or not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
