"""Ranges of sessions as Dagster runs take them.

Belongs here: cutting sessions into runs of neighbours, and the tags of such a run. Range tags work
in any run of the assets, whatever their backfill policies.
"""

from collections.abc import Iterator, Sequence
from datetime import date

from volsurf_resources.calendars import Calendar

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def neighbours(
    days: Sequence[date], calendar: Calendar, most: int | None = None
) -> Iterator[list[date]]:
    """Cut sessions into stretches without a gap, of at most `most` each."""
    chunk: list[date] = []
    for day in sorted(days):
        if chunk and (len(chunk) == most or calendar.previous_session(day) != chunk[-1]):
            yield chunk
            chunk = []
        chunk.append(day)
    if chunk:
        yield chunk


def range_tags(days: Sequence[date]) -> dict[str, str]:
    """Return the tags of a run over a stretch of sessions."""
    return {RANGE_START: str(days[0]), RANGE_END: str(days[-1])}
