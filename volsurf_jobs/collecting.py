"""The exchange of coins for those who ask it without Dagster: live, recorded, collected.

Belongs here: the source of coins made from the settings, and the collector. Not here: which command
or schedule asks. Importing this loads no Dagster.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from volsurf_resources.deribit import Deribit, RecordedDeribit
from volsurf_resources.deribit.collector import Collector
from volsurf_resources.settings import Settings
from volsurf_resources.source import NotAllowed

QUARTER_HOUR = timedelta(minutes=15)


def exchange(settings: Settings) -> Deribit:
    """Return the exchange itself; NotAllowed where one recorded file is all there is."""
    if (path := settings.recordings_path).is_file():
        raise NotAllowed(f"DERIBIT_RECORDINGS is the file {path}: nothing new can be kept there")
    return Deribit(url=settings.deribit_url, recordings=path, timeout_s=settings.deribit_timeout_s)


def recorded(settings: Settings) -> RecordedDeribit:
    """Return what was recorded, with nobody asked."""
    return RecordedDeribit(settings.recordings_path)


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
