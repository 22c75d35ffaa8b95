"""Snapshots on disk: which there are, by symbol and day, and reading them.

Belongs here: names of files. Not here: what is in one (`snapshot`). A kept file lies at
`<symbol>/<date>/<symbol>_<YYYYMMDD>T<HHMM>Z.json.gz`; loose files at the top of the folder may have
any name and are opened to know.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path

from volsurf_resources.deribit.days import label_of
from volsurf_resources.deribit.snapshot import Snapshot
from volsurf_resources.source import NoData, Unreadable

_NAME = re.compile(r"^(?P<symbol>[A-Z0-9_]+)_(?P<at>\d{8}T\d{4})Z\.json(\.gz)?$")
_STAMP = "%Y%m%dT%H%M"


class Recordings:
    """The snapshots in a folder, or in one file; looked at anew with every question."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def file_of(self, symbol: str, at: datetime) -> Path:
        """Return where the snapshot of a symbol and minute lies, or would lie."""
        at = at.astimezone(UTC)
        return self._path / symbol / f"{at:%Y-%m-%d}" / f"{symbol}_{at:{_STAMP}}Z.json.gz"

    def keep(self, snapshot: Snapshot, at: datetime) -> Path | None:
        """Store a snapshot under a minute and its name; None if there is one already."""
        file = self.file_of(snapshot.symbol, at)
        is_new = replace(snapshot, label=label_of(at)).save(file, replace=False)
        return file if is_new else None

    def instants(self, symbol: str, day: date | None = None) -> Sequence[datetime]:
        """Return the minutes of the snapshots of a symbol, of one day if given, in order."""
        return sorted(self._files(symbol, day))

    def snapshot(self, symbol: str, at: datetime) -> Snapshot:
        """Return the snapshot of a minute, called HHMM; NoData if there is none."""
        file = self._files(symbol, at.date()).get(at)
        if file is None:
            raise NoData(f"{self._path} has no snapshot of {symbol} at {at:%Y-%m-%d %H:%M}")
        return replace(_load(file), label=label_of(at))

    def between(self, symbol: str, start: date, end: date) -> Iterator[Snapshot]:
        """Yield the snapshots of some days, and the newest one, which may bring their bars."""
        files = self._files(symbol)
        for at in sorted(files):
            if start <= at.date() <= end or at == max(files):
                yield _load(files[at])

    def newest(self) -> Sequence[Snapshot]:
        """Return the newest snapshot of each symbol, opening no others that are kept."""
        return [self.snapshot(symbol, self._last(symbol)) for symbol in self.symbols()]

    @property
    def is_simulated(self) -> bool:
        """Whether some of the newest snapshots were said by no exchange.

        A damaged file is taken for a real one: it must not end the collecting of more.
        """
        try:
            return any(snapshot.is_simulated for snapshot in self.newest())
        except Unreadable:
            return False

    def symbols(self) -> Sequence[str]:
        """Return the symbols of which there are snapshots."""
        kept = (p.name for p in self._path.glob("*/") if any(p.glob("*/*Z.json.gz")))
        return sorted({*kept, *(_identity(file)[0] for file in self._loose())})

    def _last(self, symbol: str) -> datetime:
        """Return the last minute of a symbol that has one."""
        days = [date.fromisoformat(p.name) for p in (self._path / symbol).glob("????-??-??/")]
        loose = [at for name, at in map(_identity, self._loose()) if name == symbol]
        kept = list(self._files(symbol, max(days))) if days else []
        return max(loose + kept)

    def _files(self, symbol: str, day: date | None = None) -> dict[datetime, Path]:
        kept = (self._path / symbol).glob(f"{day or '*'}/{symbol}_*Z.json.gz")
        told = ((file, *_identity(file)) for file in [*self._loose(), *kept])
        return {
            at: file
            for file, name, at in told
            if name == symbol and (day is None or at.date() == day)
        }

    def _loose(self) -> Sequence[Path]:
        if self._path.is_file():
            return [self._path]
        return sorted(p for p in self._path.glob("*.json*") if not p.name.startswith("."))


def _identity(file: Path) -> tuple[str, datetime]:
    """Symbol and minute of a file."""
    if found := _NAME.match(file.name):
        return found["symbol"], datetime.strptime(found["at"], _STAMP).replace(tzinfo=UTC)
    snapshot = _load(file)
    return snapshot.symbol, snapshot.taken_at.replace(second=0, microsecond=0)


def _load(file: Path) -> Snapshot:
    told = file.stat()
    return _loaded(file, told.st_mtime_ns, told.st_size)


@lru_cache(maxsize=16)
def _loaded(file: Path, changed_ns: int, size: int) -> Snapshot:
    return Snapshot.load(file)
