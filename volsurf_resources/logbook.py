"""The log on disk: one file per day, one JSON object per line, kept for thirty days.

Belongs here: where log records go. Not here: what is logged. Every process of a home appends to the
same file; the day is part of its name, so that no process renames a file that others write.
"""

import json
import logging
import sys
from datetime import UTC, date, datetime, timedelta
from io import TextIOWrapper
from pathlib import Path

from volsurf_resources.settings import Settings

KEEP_DAYS = 30
LOGGER = "volsurf"


def daily_path(base: Path, day: date) -> Path:
    """Return the file of a day: volsurf.log is volsurf-2026-11-20.log."""
    return base.with_name(f"{base.stem}-{day}{base.suffix}")


def daily_paths(base: Path) -> list[Path]:
    """Return the files there are, oldest first."""
    return sorted(base.parent.glob(f"{base.stem}-????-??-??{base.suffix}"))


def keep_log(settings: Settings) -> None:
    """Send this process's records of `volsurf` to the log file of a home, once."""
    logger = logging.getLogger(LOGGER)
    logger.setLevel(settings.log_level)
    for handler in list(logger.handlers):
        if isinstance(handler, DailyFile):
            if handler.base == settings.log_path:
                return
            logger.removeHandler(handler)
            handler.close()
    logger.addHandler(DailyFile(settings.log_path))


class DailyFile(logging.Handler):
    """Appends each record as a line of JSON to the file of its day (UTC)."""

    def __init__(self, base: Path) -> None:
        super().__init__()
        self.base = base
        self._day: date | None = None
        self._file: TextIOWrapper | None = None
        self._has_complained = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a record that cannot be written must not stop the work."""
        try:
            at = datetime.fromtimestamp(record.created, UTC)
            file = self._file_of(at.date())
            file.write(f"{self._line(record, at)}\n")
            file.flush()
        except OSError as error:
            if not self._has_complained:
                print(f"no log is written: {error}", file=sys.stderr)
            self._has_complained = True
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = self._day = None
        super().close()

    def _file_of(self, day: date) -> TextIOWrapper:
        if self._file is None or day != self._day:
            if self._file is not None:
                self._file.close()
            self.base.parent.mkdir(parents=True, exist_ok=True)
            self._file = daily_path(self.base, day).open("a", encoding="utf-8")
            self._day = day
            oldest = daily_path(self.base, day - timedelta(days=KEEP_DAYS))
            for path in daily_paths(self.base):
                if path.name < oldest.name:
                    path.unlink(missing_ok=True)
        return self._file

    def _line(self, record: logging.LogRecord, at: datetime) -> str:
        line = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["trace"] = logging.Formatter().formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
