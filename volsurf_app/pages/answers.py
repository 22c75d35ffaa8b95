"""Answers of the lake, kept in memory until what they were read from changes.

Belongs here: the memory between two looks. Not here: any question.
"""

from collections.abc import Callable, Sequence
from datetime import date
from hashlib import blake2b
from typing import Any, TypeVar

import streamlit as st

from volsurf_resources.lake import Lake

_MOST_KEPT = 256

Answer = TypeVar("Answer")


def ask(
    lake: Lake,
    question: Callable[..., Answer],
    *args: Any,
    reads: Sequence[str],
    days: Sequence[date],
) -> Answer:
    """Return `question(lake, *args)`, asked again only when a partition that it reads changed.

    `reads` and `days` name these partitions. Answers are shared by all sessions of the server, so
    nothing may write into them.
    """
    name = f"{question.__module__}.{question.__qualname__}"
    answer: Answer = _kept(name, args, content_of(lake, reads, days), _ask=(question, lake))
    return answer


def content_of(lake: Lake, tables: Sequence[str], days: Sequence[date]) -> str:
    """Return a hash of the contents of some tables on some days; a missing one counts."""
    digest = blake2b(str(lake.root).encode(), digest_size=16)
    for table in tables:
        for day in days:
            digest.update(f"{table} {day} {lake.content_hash(table, day)};".encode())
    return digest.hexdigest()


@st.cache_resource(max_entries=_MOST_KEPT, show_spinner=False)
def _kept(name: str, args: tuple[Any, ...], content: str, *, _ask: tuple[Any, Lake]) -> Any:
    question, lake = _ask
    return question(lake, *args)
