"""Versions that were replaced: `<history>/<table>/<date>/<known_at>.parquet`, as they were stored.

Belongs here: keeping, finding and pruning old versions of one date. Not here: the current one.
"""

from datetime import UTC, datetime
from pathlib import Path

from volsurf_resources.lake_files import link, sync

STAMP = "%Y%m%dT%H%M%S.%fZ"


def keep(path: Path, known_at: datetime, folder: Path) -> None:
    """Put the current file into the history, under the time at which it became known."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{known_at.astimezone(UTC).strftime(STAMP)}.parquet"
    if not kept.exists():
        link(path, kept)
        sync(folder)


def known_versions(folder: Path) -> list[tuple[datetime, Path]]:
    """Return when each kept version became known, oldest first."""
    return sorted(
        (datetime.strptime(path.stem, STAMP).replace(tzinfo=UTC), path)
        for path in folder.glob("[0-9]*.parquet")
    )


def version_at(folder: Path, known_at: datetime) -> Path | None:
    """Return the latest kept version that was known at a time; None if there is none."""
    past = [path for since, path in known_versions(folder) if since <= known_at]
    return past[-1] if past else None


def prune(folder: Path, current_since: datetime, horizon: datetime) -> int:
    """Delete versions that were replaced before `horizon`; return how many."""
    versions = [v for v in known_versions(folder) if v[0] < current_since]
    replaced_at = [*(since for since, _ in versions), current_since][1:]
    old = [path for (_, path), end in zip(versions, replaced_at, strict=True) if end < horizon]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)
