"""The connection to one Theta Terminal: sending, pausing, asking again, giving up.

Belongs here: HTTP, the number of requests at once, retries, the log, the count of calls. Not here:
what is asked (`requests`) or what an answer means (`translation`).
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import polars as pl

from volsurf_resources.backoff import Backoff
from volsurf_resources.source import NotAllowed, SourceError
from volsurf_resources.theta.answers import CsvAnswer, CutBody, empty
from volsurf_resources.theta.cache import ResponseCache
from volsurf_resources.theta.endpoints import STATUS_PATH
from volsurf_resources.theta.reactions import (
    DISCONNECTED,
    NO_DATA,
    REACTIONS,
    reaction_to,
)

if TYPE_CHECKING:
    import httpx

log = logging.getLogger("volsurf.theta")

CONNECT_S, TOTAL_S = 5.0, 600.0
_MINUTE_S = 60.0


class TooLarge(SourceError):
    """The terminal asks for smaller pieces; never leaves this package."""


class Refusal(Exception):
    """An answer whose status is not 200, with the one line that explains it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"HTTP {status}: {text}")
        self.status = status


class ThetaClient:
    """Sends GET requests to a terminal, never more than `concurrency` at once.

    A local terminal needs no key; `api_key` goes as a bearer token to a gateway in front of one.
    `per_minute` spaces requests where the subscription counts them.
    """

    def __init__(
        self,
        *,
        url: str,
        concurrency: int,
        per_minute: int | None = None,
        timeout_s: float = 30.0,
        api_key: str | None = None,
        backoff: Backoff | None = None,
        cache: ResponseCache | None = None,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"THETA_API_URL needs http:// or https://, was {url!r}")
        self._url = url.rstrip("/").removesuffix("/v3") + "/v3"
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._turns: deque[float] | None = deque(maxlen=per_minute) if per_minute else None
        self._timeout_s = timeout_s
        self._api_key = api_key
        self._backoff = backoff or Backoff()
        self._cache = cache
        self._http: httpx.AsyncClient | None = None
        self._calls: Counter[date] = Counter()

    @property
    def usage(self) -> dict[date, int]:
        """Requests sent by this client, per UTC day."""
        return dict(self._calls)

    async def close(self) -> None:
        """Close the connections; the next request opens new ones, in whichever loop it runs."""
        self._slots = asyncio.Semaphore(self._concurrency)
        if self._http is not None:
            http, self._http = self._http, None
            await http.aclose()

    async def status(self) -> str:
        """Return CONNECTED, UNVERIFIED, DISCONNECTED or ERROR, as the terminal says."""
        import httpx

        try:
            answer = await self._connection().get(STATUS_PATH)
        except httpx.HTTPError as failure:
            reaction = reaction_to("refused")
            raise reaction.error(f"{self._url}{STATUS_PATH}: {reaction.advice}") from failure
        log.info("GET %s%s status=%d", self._url, STATUS_PATH, answer.status_code)
        return answer.text.strip()

    async def get(
        self,
        path: str,
        params: Mapping[str, str],
        columns: Mapping[str, pl.DataType],
        *,
        is_final: bool = False,
        can_split: bool = False,
    ) -> pl.DataFrame:
        """Return the rows of one request; none if there is no data.

        An answer that `is_final` may come from the cache and is kept there. Raises TooLarge
        instead of asking again where `can_split` and the terminal wants smaller pieces.
        """
        request = "&".join([path, *(f"{name}={params[name]}" for name in sorted(params))])
        cache = self._cache if is_final else None
        if cache and (body := cache.read(request)) is not None:
            answer = CsvAnswer(columns, request)
            answer.feed(body)
            log.info("GET %s cached", self._masked(request))
            return answer.finish()
        async with self._slots:
            body, rows = await self._until_answered(path, params, columns, can_split)
        if cache and body:
            cache.write(request, body)
        return rows

    async def _until_answered(
        self,
        path: str,
        params: Mapping[str, str],
        columns: Mapping[str, pl.DataType],
        can_split: bool,
    ) -> tuple[bytes, pl.DataFrame]:
        failures: Counter[int | str] = Counter()
        while True:
            try:
                return await self._attempt(path, params, columns)
            except Exception as failure:
                symptom = _symptom(failure)
                if symptom is None:
                    raise
                if symptom == NO_DATA:
                    return b"", empty(columns)
                reaction = reaction_to(symptom)
                message = self._masked(f"{path} {dict(params)}: {failure}; {reaction.advice}")
                if reaction.is_split and can_split:
                    raise TooLarge(message) from failure
                if failures[symptom] >= reaction.retries:
                    raise reaction.error(message) from failure
            if symptom == DISCONNECTED and await self.status() == "UNVERIFIED":
                raise NotAllowed(f"{self._url}: {REACTIONS[401].advice}")
            pause_s = self._backoff.pause_s(reaction, failures[symptom])
            failures[symptom] += 1
            log.warning("pause of %.3f s before retry %d: %s", pause_s, failures.total(), message)
            await asyncio.sleep(pause_s)  # in its slot, so that fewer requests are in flight

    async def _attempt(
        self, path: str, params: Mapping[str, str], columns: Mapping[str, pl.DataType]
    ) -> tuple[bytes, pl.DataFrame]:
        await self._wait_for_turn()
        self._calls[datetime.now(UTC).date()] += 1
        started, status, rows = time.perf_counter(), "-", 0
        answer, chunks = CsvAnswer(columns, path), list[bytes]()
        request = self._connection().build_request("GET", path, params=dict(params))
        try:
            async with asyncio.timeout(TOTAL_S):
                response = await self._connection().send(request, stream=True)
                try:
                    status = str(response.status_code)
                    if response.status_code != 200:
                        text = (await response.aread()).decode("utf-8", "replace")
                        raise Refusal(response.status_code, text.strip()[:300])
                    async for chunk in response.aiter_bytes():
                        answer.feed(chunk)
                        if self._cache:
                            chunks.append(chunk)
                finally:
                    await response.aclose()
            frame = answer.finish()
            rows = frame.height
            return b"".join(chunks), frame
        finally:
            ms = 1e3 * (time.perf_counter() - started)
            url = self._masked(str(request.url))
            log.info("GET %s status=%s ms=%.0f rows=%d", url, status, ms, rows)

    async def _wait_for_turn(self) -> None:
        if self._turns is None:
            return
        now = asyncio.get_running_loop().time()
        is_full = len(self._turns) == self._turns.maxlen
        turn = max(now, self._turns[0] + _MINUTE_S * self._backoff.scale) if is_full else now
        self._turns.append(turn)
        await asyncio.sleep(turn - now)

    def _connection(self) -> "httpx.AsyncClient":
        import httpx

        if self._http is None:
            bearer = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
            self._http = httpx.AsyncClient(
                base_url=self._url,
                headers=bearer,
                timeout=httpx.Timeout(self._timeout_s, connect=CONNECT_S, pool=None),
                trust_env=False,  # the terminal is next to us, not behind a proxy
            )
        return self._http

    def _masked(self, text: str) -> str:
        return text.replace(self._api_key, "***") if self._api_key else text


def _symptom(failure: Exception) -> int | str | None:
    """Name what went wrong, as REACTIONS does; None for what is not the connection's fault."""
    import httpx

    if isinstance(failure, Refusal):
        return failure.status
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout):
        return "refused"
    if isinstance(failure, httpx.TimeoutException | TimeoutError):
        return "stalled"
    if isinstance(failure, CutBody | httpx.TransportError | httpx.DecodingError):
        return "cut"
    return None
