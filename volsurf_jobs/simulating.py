"""Snapshots of a simulated exchange, recorded as real ones are, so that nobody need be asked.

Belongs here: keeping them among the recordings, and never beside real ones. Not here: how they are
made (`volsurf_resources.simulated.coins`). Importing this loads no Dagster.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from volsurf_resources.deribit import Snapshot
from volsurf_resources.deribit.recordings import Recordings
from volsurf_resources.settings import Settings
from volsurf_resources.simulated.coins import simulated_snapshot
from volsurf_resources.source import NotAllowed

_ELSEWHERE = "give the simulated ones a home of their own, as VOLSURF_HOME=demo volsurf crypto demo"


def record_simulated(
    settings: Settings, symbol: str, moments: Sequence[datetime], *, history_hours: int
) -> Iterator[Snapshot]:
    """Keep and yield the simulated snapshot of each moment, each with its hourly past.

    NotAllowed, before anything is written, where the recordings hold what another exchange, or a
    world of another seed or version, said. NoData for a coin or moment that the world lacks.
    """
    recordings = Recordings(settings.recordings_path)
    _refuse_others(settings, recordings)
    for moment in moments:
        snapshot = simulated_snapshot(
            settings.simulated_seed, symbol, moment, history_hours=history_hours
        )
        recordings.keep(snapshot, moment)
        yield snapshot


def _refuse_others(settings: Settings, recordings: Recordings) -> None:
    path = settings.recordings_path
    if path.is_file():
        raise NotAllowed(f"DERIBIT_RECORDINGS is the file {path}: {_ELSEWHERE}")
    for newest in recordings.newest():
        if not newest.is_simulated:
            raise NotAllowed(f"{path} holds snapshots of {newest.symbol} as traded: {_ELSEWHERE}")
        same = simulated_snapshot(settings.simulated_seed, newest.symbol, newest.taken_at)
        if newest.summaries != same.summaries:
            raise NotAllowed(
                f"{path} holds a simulated {newest.symbol} of another SIMULATED_SEED, or of "
                f"another version: {_ELSEWHERE}"
            )
