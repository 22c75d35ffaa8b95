"""The files behind a number: what each says of itself, and what it was made from.

Belongs here: following content hashes from a partition to those it was computed from. Not here:
rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from volsurf_resources.lake import Lake
from volsurf_resources.provenance import Footer


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """One partition, or a window of them (then only table, span and hash are known).

    `is_unchanged` says whether the lake still holds what was read; None for a window. Early files
    name a partition of one symbol by the hash of that symbol.
    """

    table: str
    quote_date: str
    content_hash: str
    is_unchanged: bool | None
    rows: int | None = None
    known_at: datetime | None = None
    source: str | None = None
    code_version: str | None = None
    settings_hash: str | None = None
    run_id: str | None = None


def origins(
    lake: Lake, table: str, day: date, known_at: datetime | None = None
) -> Iterator[Origin]:
    """Tell of a partition and of all that it was computed from, each once, nearest first.

    What it read of its own past is named, but not followed.
    """
    seen: set[tuple[str, str]] = set()
    waiting = [(table, str(day), _hash(_footer(lake, table, day, known_at)))]
    while waiting:
        name, span, content = waiting.pop(0)
        if (name, span) in seen or content is None:
            continue
        seen.add((name, span))
        if ".." in span:
            yield Origin(table=name, quote_date=span, content_hash=content, is_unchanged=None)
            continue
        footer = _footer(lake, name, date.fromisoformat(span), known_at)
        yield _origin(name, span, content, footer)
        if footer is not None and span == str(day):
            upstream = footer.provenance.upstream
            waiting += [(t, s, h) for t, days in upstream.items() for s, h in days.items()]


def _footer(lake: Lake, table: str, day: date, known_at: datetime | None) -> Footer | None:
    found = lake.versions(table, [day], known_at)
    return found[0][1] if found else None


def _hash(footer: Footer | None) -> str | None:
    return None if footer is None else footer.content_hash


def _origin(table: str, day: str, content: str, footer: Footer | None) -> Origin:
    if footer is None:
        return Origin(table=table, quote_date=day, content_hash=content, is_unchanged=False)
    made = footer.provenance
    return Origin(
        table=table,
        quote_date=day,
        content_hash=content,
        is_unchanged=content in (footer.content_hash, *footer.parts.values()),
        rows=footer.rows,
        known_at=footer.known_at,
        source=made.source or None,
        code_version=made.code_version or None,
        settings_hash=made.settings_hash or None,
        run_id=made.run_id or None,
    )
