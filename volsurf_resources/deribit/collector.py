"""Collecting snapshots round the clock: which are due, and taking them, with no gap or duplicate.

Belongs here: the rhythm. Not here: how a snapshot is taken or kept. The day is cut into slots of
equal length from midnight UTC; a snapshot belongs to the slot of the exchange's own time, and each
slot keeps one. What is stored is all the state there is: whoever starts again goes on from there.
The exchange does not tell the past, so a slot that passes without a snapshot is a gap for ever.
"""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from volsurf_resources.deribit.recordings import Recordings
from volsurf_resources.deribit.snapshot import Snapshot
from volsurf_resources.source import SourceError

log = logging.getLogger("volsurf.deribit")

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
PAUSE = timedelta(seconds=30)  # before what failed is tried again in its slot


def slot_of(at: datetime, every: timedelta) -> datetime:
    """Return the start of the slot that a time falls into."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (at - midnight) // every * every


def due(
    symbols: Sequence[str],
    every: timedelta,
    now: datetime,
    stored: Callable[[str, datetime], bool],
) -> list[str]:
    """Return the symbols whose current slot has no snapshot yet."""
    slot = slot_of(now, every)
    return [symbol for symbol in symbols if not stored(symbol, slot)]


def wake_at(every: timedelta, now: datetime, is_pending: bool) -> datetime:
    """Return when to look again: soon while something is pending, else at the next slot."""
    following = slot_of(now, every) + every
    return min(now + PAUSE, following) if is_pending else following


def gaps(
    stored: Collection[datetime], every: timedelta, start: datetime, end: datetime
) -> list[datetime]:
    """Return the slots that began in [start, end) and have no snapshot."""
    have = {slot_of(at, every) for at in stored}
    slot = slot_of(start, every)
    found = []
    while slot < end:
        if slot >= start and slot not in have:
            found.append(slot)
        slot += every
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What became of one attempt: a file, or none because of `error` or because it was there."""

    symbol: str
    slot: datetime
    file: Path | None = None
    missing: tuple[str, ...] = ()
    error: SourceError | None = None


class Collector:
    """Keeps one snapshot of each symbol per slot.

    Parameters
    ----------
    take
        Takes a snapshot of a symbol now, as `Deribit.take`.
    recordings
        Where snapshots are kept.
    every
        Length of a slot: whole minutes that divide a day.
    now, sleep
        Our clock, corrected by what the exchange's answers say of it, and how to wait (seconds).
    """

    def __init__(
        self,
        take: Callable[[str], Snapshot],
        recordings: Recordings,
        symbols: Sequence[str],
        every: timedelta,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        if every < MINUTE or every % MINUTE or DAY % every:
            raise ValueError(f"collecting needs whole minutes that divide a day, was {every}")
        self._take, self._recordings = take, recordings
        self._symbols, self._every = symbols, every
        self._now, self._sleep = now, sleep
        self._offset = timedelta(0)

    def step(self) -> list[Collected]:
        """Take what is due now; an error of one symbol does not cost the others."""
        return [self._collect(symbol) for symbol in self._due()]

    def run(self, until: datetime | None = None) -> Iterator[Collected]:
        """Collect until a time (None: for ever), telling what became of each attempt."""
        while until is None or self._time() < until:
            yield from self.step()
            now = self._time()
            wake = wake_at(self._every, now, is_pending=bool(self._due()))
            self._sleep((wake - now).total_seconds())

    def gaps(self, symbol: str, start: datetime) -> list[datetime]:
        """Return the slots since `start` that passed without a snapshot of a symbol."""
        stored = self._recordings.instants(symbol)
        return gaps(stored, self._every, start, slot_of(self._time(), self._every))

    def _collect(self, symbol: str) -> Collected:
        try:
            snapshot = self._take(symbol)
        except SourceError as error:
            log.warning("no snapshot of %s: %s", symbol, error)
            return Collected(symbol=symbol, slot=slot_of(self._time(), self._every), error=error)
        if snapshot.clock_offset_s is not None:
            self._offset = timedelta(seconds=snapshot.clock_offset_s)
        slot = slot_of(snapshot.taken_at, self._every)
        file = self._recordings.keep(snapshot, slot)
        log.info("snapshot of %s for %s: %s", symbol, slot, file or "was there already")
        return Collected(symbol=symbol, slot=slot, file=file, missing=snapshot.missing)

    def _due(self) -> list[str]:
        def stored(symbol: str, slot: datetime) -> bool:
            return self._recordings.file_of(symbol, slot).exists()

        return due(self._symbols, self._every, self._time(), stored)

    def _time(self) -> datetime:
        return self._now() - self._offset
