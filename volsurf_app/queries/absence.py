"""What becomes of a question about something that the lake does not hold.

Belongs here: the error, and the words that name what there is instead.
"""

from collections.abc import Iterable

from volsurf_app.questions import NotStored

__all__ = ["NotStored", "listed"]


def listed(things: Iterable[object], most: int = 8) -> str:
    """Name things in a line, the middle ones left out where there are more than `most`."""
    words = [str(thing) for thing in things]
    if len(words) > most:
        words = [*words[: most // 2], "...", *words[-(most // 2) :]]
    return ", ".join(words)
