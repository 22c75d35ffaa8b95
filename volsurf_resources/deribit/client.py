"""The connection to the exchange's public API: sending, pacing, asking again, giving up.

Belongs here: HTTP, JSON-RPC, retries, the log, the count of calls. Not here: what is asked
(`questions`) or what an answer means (`translation`). No key is ever sent.
"""

import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from volsurf_resources.backoff import Backoff
from volsurf_resources.deribit.reactions import TOO_MANY, reaction_to
from volsurf_resources.source import Unreadable

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("volsurf.deribit")

CONNECT_S = 5.0
PER_SECOND = 5.0  # the limit by address is not published; that of an account is 20
TOTAL_S = 120.0  # of one answer, however steadily its bytes drip
INSTRUMENTS = "get_instruments"  # has a limit of its own, a fifth of what we allow ourselves

Params = Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The result of one request, and what its envelope says of it.

    `clock_offset_s` is our clock minus the server's, as seen in the middle of the request; null if
    the envelope does not tell.
    """

    result: Any
    is_testnet: bool
    clock_offset_s: float | None


class Refusal(Exception):
    """An error instead of a result: a JSON-RPC code, or an HTTP status without one."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class CutBody(Exception):
    """The body is not whole JSON; nothing of it may be used."""


class Pace:
    """Spaces requests of all threads; `hold` makes all of them wait."""

    def __init__(
        self, per_second: float, now: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._step_s = 1.0 / per_second
        self._now, self._sleep = now, sleep
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        """Sleep until it is this caller's turn."""
        with self._lock:
            now = self._now()
            turn = max(now, self._next)
            self._next = turn + self._step_s
        if turn > now:
            self._sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Let no turn come before some seconds have passed."""
        with self._lock:
            self._next = max(self._next, self._now() + seconds)


class DeribitClient:
    """Sends GET requests to `<url>/api/v2/public/`, at most `per_second` of them; thread-safe.

    `now`, `monotonic` and `sleep` are the clocks, for tests.
    """

    def __init__(
        self,
        *,
        url: str,
        timeout_s: float = 30.0,
        per_second: float = PER_SECOND,
        backoff: Backoff | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"DERIBIT_URL needs http:// or https://, was {url!r}")
        self._url = url.rstrip("/").removesuffix("/api/v2") + "/api/v2/public/"
        self._timeout_s = timeout_s
        self._backoff = backoff or Backoff()
        self._now, self._sleep = now, sleep
        self._pace = Pace(per_second, monotonic, sleep)
        self._slow_pace = Pace(per_second / 5.0, monotonic, sleep)
        self._lock = threading.Lock()
        self._http: httpx.Client | None = None
        self._calls: Counter[str] = Counter()

    @property
    def calls(self) -> dict[str, int]:
        """Requests sent so far, by method; retries count."""
        return dict(self._calls)

    def now(self) -> datetime:
        """Return the time of our own clock."""
        return self._now()

    def get(self, method: str, params: Params) -> Answer:
        """Return the answer to a request, after as many retries as its failures deserve.

        NotAllowed, NoData or TryLater, with the request and an advice, when they are used up;
        Unreadable for an answer that is neither result nor error.
        """
        failures: Counter[int | str] = Counter()
        while True:
            try:
                return self._attempt(method, params)
            except Exception as failure:
                symptom = _symptom(failure)
                if symptom is None:
                    raise
                reaction = reaction_to(symptom)
                message = f"{method} {dict(params)}: {failure}; {reaction.advice}"
                if failures[symptom] >= reaction.retries:
                    raise reaction.error(message) from failure
            pause_s = self._backoff.pause_s(reaction, failures[symptom])
            failures[symptom] += 1
            log.warning("pause of %.3f s before retry %d: %s", pause_s, failures.total(), message)
            if symptom in TOO_MANY:
                self._pace.hold(pause_s)  # of every thread: one breach is everybody's
            self._sleep(pause_s)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()

    def _attempt(self, method: str, params: Params) -> Answer:
        if method == INSTRUMENTS:
            self._slow_pace.wait()
        self._pace.wait()
        with self._lock:
            self._calls[method] += 1
        sent, started, status = self._now(), time.perf_counter(), "-"
        try:
            url = self._url + method
            with self._connection().stream("GET", url, params=dict(params)) as response:
                status = str(response.status_code)
                body = b"".join(_in_time(response.iter_bytes(), started + TOTAL_S))
            took_s = time.perf_counter() - started
            envelope = _envelope(body, response.status_code)
            return _answer(envelope, response.status_code, sent.timestamp() + 0.5 * took_s)
        finally:
            ms = 1e3 * (time.perf_counter() - started)
            log.info("GET %s %s status=%s ms=%.0f", method, dict(params), status, ms)

    def _connection(self) -> "httpx.Client":
        import httpx

        is_remote = self._url.startswith("https")
        with self._lock:
            if self._http is None:
                self._http = httpx.Client(
                    timeout=httpx.Timeout(self._timeout_s, connect=CONNECT_S),
                    headers={"Accept": "application/json"},
                    verify=is_remote,  # certificates are not loaded for nothing
                    trust_env=is_remote,  # what is next to us is not behind a proxy
                )
            return self._http


def _in_time(chunks: Iterator[bytes], deadline: float) -> Iterator[bytes]:
    for chunk in chunks:
        if time.perf_counter() > deadline:
            raise CutBody(f"still not whole after {TOTAL_S:.0f} s")
        yield chunk


def _envelope(body: bytes, status: int) -> Mapping[str, Any]:
    try:
        envelope = json.loads(body)
    except ValueError as error:
        if status != 200:
            text = body[:200].decode("utf-8", "replace").strip()
            raise Refusal(status, text or "no explanation") from error
        raise CutBody(f"{len(body)} bytes are no whole JSON: {error}") from error
    if not isinstance(envelope, dict):
        raise Unreadable(f"an answer needs an envelope, was {body[:80]!r}: check DERIBIT_URL")
    return envelope


def _answer(envelope: Mapping[str, Any], status: int, asked_at: float) -> Answer:
    """Return the result, but look for an error first: it also comes inside HTTP 200."""
    error = envelope.get("error")
    if isinstance(error, dict):
        said = {k: v for k, v in error.items() if k != "code"}
        code = error.get("code")
        raise Refusal(code if isinstance(code, int) else status, json.dumps(said))
    if error is not None or status != 200:
        raise Refusal(status, str(error or envelope)[:200])
    if "result" not in envelope:
        raise Unreadable(f"an answer needs result or error, has {sorted(envelope)}")
    server_us = [envelope[k] for k in ("usIn", "usOut") if isinstance(envelope.get(k), int | float)]
    offset_s = asked_at - sum(server_us) / len(server_us) / 1e6 if server_us else None
    return Answer(
        result=envelope["result"],
        is_testnet=bool(envelope.get("testnet", False)),
        clock_offset_s=offset_s,
    )


def _symptom(failure: Exception) -> int | str | None:
    """Name what went wrong, as REACTIONS does; None for what is not the exchange's fault."""
    import httpx

    if isinstance(failure, Refusal):
        return failure.code
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout):
        return "refused"
    if isinstance(failure, httpx.TimeoutException):
        return "stalled"
    if isinstance(failure, CutBody | httpx.TransportError | httpx.DecodingError):
        return "cut"
    return None
