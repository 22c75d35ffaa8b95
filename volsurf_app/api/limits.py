"""What a stranger may do: token, rate, requests at once, size of a body.

Belongs here: refusing before any work is done. One ASGI layer around the application; every
refusal is a problem with its status: 401, 413, 429.
"""

import hmac
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException

from volsurf_app.api.problems import problem
from volsurf_resources.settings import Settings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = "/health"  # what needs no token
_MOST_CLIENTS = 10_000


class Limits:
    """Lets through what is allowed."""

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._token = settings.serve_token
        self._rate = settings.serve_rate_per_s
        self._most_at_once = settings.serve_max_at_once
        self._most_bytes = settings.serve_max_body_bytes
        self._at_once = 0
        self._allowance: dict[str, tuple[float, float]] = {}  # client -> requests left, since when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            status, detail, headers = refusal
            await problem(status, detail, scope["path"], headers)(scope, receive, send)
            return
        self._at_once += 1
        try:
            await self._app(scope, self._measured(receive), send)
        finally:
            self._at_once -= 1

    def _refusal(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        headers = dict(scope["headers"])
        if not self._is_known(scope["path"], headers.get(b"authorization", b"")):
            detail = "this server needs its token: Authorization: Bearer ..."
            return 401, detail, {"WWW-Authenticate": "Bearer"}
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._most_bytes:
            return 413, self._too_large(), {"Connection": "close"}
        if self._at_once >= self._most_at_once:
            detail = f"more than {self._most_at_once} requests at once"
            return 429, detail, {"Retry-After": "1"}
        client = scope["client"][0] if scope.get("client") else ""
        if not self._may_ask(client):
            detail = f"more than {self._rate:g} requests a second from one address"
            return 429, detail, {"Retry-After": "1"}
        return None

    def _is_known(self, path: str, header: bytes) -> bool:
        if self._token is None or path == OPEN:
            return True
        wanted = f"Bearer {self._token.get_secret_value()}".encode()
        return hmac.compare_digest(header, wanted)

    def _may_ask(self, client: str) -> bool:
        """Token bucket of one second's depth for each address."""
        now = time.monotonic()
        left, since = self._allowance.get(client, (self._rate, now))
        left = min(self._rate, left + (now - since) * self._rate)
        if len(self._allowance) > _MOST_CLIENTS:
            self._allowance.clear()
        self._allowance[client] = (max(left - 1.0, 0.0), now)
        return left >= 1.0

    def _measured(self, receive: Receive) -> Receive:
        """Count a body while it comes: its length need not be announced."""
        read = 0

        async def measured() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._most_bytes:
                raise HTTPException(413, self._too_large())
            return message

        return measured

    def _too_large(self) -> str:
        return f"a body has at most {self._most_bytes} bytes"
