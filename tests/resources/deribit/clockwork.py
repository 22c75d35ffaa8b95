"""Time that a test owns: sleeping costs nothing and moves the clock.

Belongs here: the clock and clients on it. Not here: the exchange.
"""

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from volsurf_resources.backoff import Backoff
from volsurf_resources.deribit.client import DeribitClient

START = datetime(2026, 2, 20, 13, 0, 7, tzinfo=UTC)


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.at += timedelta(seconds=seconds)


def client_of(url: str, clock: Clock, **options: Any) -> DeribitClient:
    """A client whose pauses are as long as they can get, on a clock that a test owns."""
    on = {"now": clock.now, "monotonic": clock.monotonic, "sleep": clock.sleep}
    return DeribitClient(url=url, **{"backoff": Backoff(jitter=lambda most: most)} | on | options)
