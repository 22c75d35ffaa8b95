"""How the server is: freshness of the data, counts and times of requests.

Belongs here: `/health` and `/metrics`. Not here: alerts.
"""

import logging
import time
from datetime import UTC, date, datetime
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, Field

from volsurf_app.api.limits import App, Message, Receive, Scope, Send
from volsurf_app.queries import Lakes
from volsurf_app.stored_surface import TABLE

_LOG = logging.getLogger("volsurf.api")
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0)


class Freshness(BaseModel):
    """How far the stored surfaces of one symbol reach."""

    last_session: date
    last_closed_session: date = Field(description="By the calendar of the symbol's own market.")
    sessions_behind: int = Field(description="Closed sessions since then without a surface.")
    known_at: datetime


class Health(BaseModel):
    """What the stores of all markets hold, each against the calendar of its exchange."""

    status: Literal["ok", "stale", "empty"] = Field(
        description="ok: some symbol has the last closed session; stale: none has; empty: no data."
    )
    last_closed_session: date = Field(description="By the calendar of the server's market.")
    symbols: dict[str, Freshness]


def health_of(lakes: Lakes, now: datetime) -> Health:
    """Return the freshness of every symbol's surfaces."""
    symbols: dict[str, Freshness] = {}
    for lake in lakes.by_market.values():
        closed = lake.calendar.latest_closed_session(now)
        for day in reversed(lake.days(TABLE)[-30:]):
            footer = lake.footer(TABLE, day)
            for symbol in footer.parts if footer else ():
                if footer is not None and symbol not in symbols and lakes.of(symbol) is lake:
                    symbols[symbol] = Freshness(
                        last_session=day,
                        last_closed_session=closed,
                        sessions_behind=max(len(lake.calendar.sessions(day, closed)) - 1, 0),
                        known_at=footer.known_at,
                    )
    is_fresh = any(one.last_session >= one.last_closed_session for one in symbols.values())
    status = "ok" if is_fresh else "stale" if symbols else "empty"
    closed = lakes.settings.calendar.latest_closed_session(now)
    return Health(status=status, last_closed_session=closed, symbols=symbols)


class Metrics:
    """Counts of this process, in the words of Prometheus."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "volsurf_requests", "Requests answered.", ("route", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "volsurf_request_seconds",
            "Time to answer.",
            ("route",),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._behind = Gauge(
            "volsurf_sessions_behind",
            "Closed sessions without a surface since the last stored one.",
            ("symbol",),
            registry=self._registry,
        )

    def text(self, lakes: Lakes) -> bytes:
        """Return the exposition, freshness included."""
        for symbol, one in health_of(lakes, datetime.now(UTC)).symbols.items():
            self._behind.labels(symbol).set(one.sessions_behind)
        return generate_latest(self._registry)


class Observed:
    """Counts and times every request of an application; an error never reaches the server."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on and count what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # whose answer is that to GET; the server leaves the body out
            scope = {**scope, "method": "GET"}
        status, start = 500, time.perf_counter()

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seen)
        except Exception as error:
            _LOG.debug("answered as a problem: %s", error)
        route = getattr(scope.get("route"), "path", "refused or unknown")
        self._metrics.requests.labels(route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(time.perf_counter() - start)
