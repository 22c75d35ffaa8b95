"""Where a file of the lake lies, how it is locked, written and made visible; a kill does no harm.

Belongs here: names, flock, fsync, rename. Not here: what is in the file.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from pathlib import Path

import polars as pl


@lru_cache(maxsize=1 << 16)  # windows ask for hundreds of dates at a time
def partition(root: Path, table: str, day: date) -> Path:
    """Return the file of a date."""
    return root / table / f"{day}.parquet"


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Hold an exclusive lock; it is freed by leaving, and by the death of the process."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def write_beside(path: Path, frame: pl.DataFrame, metadata: dict[str, str]) -> Path:
    """Write the file under a hidden name in the same folder, synced; return that name.

    The name is the same for every writer: whoever holds the lock overwrites a dead writer's stray.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}.tmp")
    frame.write_parquet(hidden, compression="zstd", metadata=metadata)
    sync(hidden)
    return hidden


def put_in_place(hidden: Path, path: Path) -> None:
    """Make a hidden file the visible one, at once."""
    hidden.replace(path)
    sync(path.parent)


def link(path: Path, other: Path) -> None:
    """Give a file a second name: a link, or a copy where the file system has no links.

    That is safe because files are only ever replaced, never written into.
    """
    try:
        os.link(path, other)
    except OSError:
        hidden = other.with_name(f".{other.name}.tmp")
        shutil.copyfile(path, hidden)
        sync(hidden)
        hidden.replace(other)


def strays(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Yield hidden files and the visible ones that they were to become."""
    for hidden in folder.glob(".*.parquet.tmp"):
        yield hidden, hidden.with_name(hidden.name.removeprefix(".").removesuffix(".tmp"))


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
