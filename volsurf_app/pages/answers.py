"""Answers of the lake, kept in memory until what they were read from changes.

Belongs here: the memory between two looks. Not here: any question.
"""

import time
from collections.abc import Callable, Sequence
from datetime import date
from hashlib import blake2b
from typing import Any, TypeVar

from volsurf_app.queries.seen import SeenLake

_MOST_KEPT = 512
_SETTLED_NS = 2_000_000_000  # a later change has another time
_kept: dict[tuple[object, ...], Any] = {}
_contents: dict[tuple[object, ...], tuple[int, bytes]] = {}

Answer = TypeVar("Answer")


def ask(
    lake: SeenLake,
    question: Callable[..., Answer],
    *args: Any,
    reads: Sequence[str],
    days: Sequence[date],
    **terms: Any,
) -> Answer:
    """Return the answer to a question, asked again only when a partition that it reads changed.

    It is `question(lake, *args, **terms)`. `reads` and `days` name these partitions. Answers are
    shared by all sessions of the server, so nothing may write into them.
    """
    name = f"{question.__module__}.{question.__qualname__}"
    key = (
        name,
        args,
        tuple(sorted(terms.items())),
        lake.day,
        lake.snapshot,
        content_of(lake, reads, days),
    )
    if key not in _kept:
        answer = question(lake, *args, **terms)
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[key] = answer
        return answer
    found: Answer = _kept[key]
    return found


def content_of(lake: SeenLake, tables: Sequence[str], days: Sequence[date]) -> str:
    """Return a hash of the contents of some tables on some days; a missing one counts.

    A folder that has not changed for a while is not looked into again.
    """
    digest = blake2b(str(lake.root).encode(), digest_size=16)
    for table in tables:
        digest.update(_content_of(lake, table, tuple(days)))
    return digest.hexdigest()


def _content_of(lake: SeenLake, table: str, days: tuple[date, ...]) -> bytes:
    folder = lake.root / table
    changed = folder.stat().st_mtime_ns if folder.is_dir() else 0
    key = (lake.root, table, days)
    if lake.known_at is None and (known := _contents.get(key)) and known[0] == changed:
        return known[1]
    told = ";".join(f"{day} {lake.content_hash(table, day)}" for day in days)
    content = blake2b(f"{table} {told}".encode(), digest_size=16).digest()
    if lake.known_at is None and time.time_ns() - changed > _SETTLED_NS:
        if len(_contents) >= _MOST_KEPT:
            _contents.clear()
        _contents[key] = (changed, content)
    return content
