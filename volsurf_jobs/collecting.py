"""The exchange of coins for those who ask it without Dagster: live, recorded, collected.

Belongs here: the source of coins made from the settings, and the collector. Not here: which command
or schedule asks. Importing this loads no Dagster.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from volsurf_resources.deribit import Deribit, RecordedDeribit
from volsurf_resources.deribit.collector import Collector
from volsurf_resources.deribit.recordings import Recordings
from volsurf_resources.settings import Settings
from volsurf_resources.source import NotAllowed

QUARTER_HOUR = timedelta(minutes=15)


def exchange(settings: Settings) -> Deribit:
    """Return the exchange itself; NotAllowed where what it answers must not be kept."""
    if (reason := _nothing_new(settings)) is not None:
        raise NotAllowed(reason)
    path = settings.recordings_path
    return Deribit(url=settings.deribit_url, recordings=path, timeout_s=settings.deribit_timeout_s)


def recorded(settings: Settings) -> RecordedDeribit:
    """Return what was recorded, with nobody asked."""
    return RecordedDeribit(settings.recordings_path)


def source_of_coins(settings: Settings) -> Deribit | RecordedDeribit:
    """Return the exchange, or what was recorded where nothing new may be kept."""
    return exchange(settings) if _nothing_new(settings) is None else recorded(settings)


def collector(
    source: Deribit, symbols: Sequence[str], every: timedelta = QUARTER_HOUR
) -> Collector:
    """Return a collector on the exchange's recordings; ValueError for slots that cut no day."""
    return Collector(
        source.take,
        source.recordings,
        symbols,
        every,
        now=lambda: datetime.now(UTC),
        sleep=time.sleep,
    )


def _nothing_new(settings: Settings) -> str | None:
    """Say why no answer of the exchange may be kept among the recordings; None if it may."""
    path = settings.recordings_path
    if path.is_file():
        return f"DERIBIT_RECORDINGS is the file {path}: nothing new can be kept there"
    if Recordings(path).is_simulated:
        return (
            f"{path} holds simulated snapshots, beside which no real ones are kept: give those a "
            "home of their own, as VOLSURF_HOME=coins volsurf crypto fetch"
        )
    return None
