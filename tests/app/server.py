"""The surface server of a test: the real one, on loopback, in a thread of this process."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from volsurf_app.api.application import application, options_of
from volsurf_resources.settings import Settings


class Address:
    """Where a server listens, and how to ask it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: Any = None,
        headers: dict[str, str] | None = None,
        timeout: float = 30.0,
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, JSON (or text) and headers of one answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = json.dumps(body) if isinstance(body, dict | list) else body
            sent = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, path, data, sent | (headers or {}))
            answer = connection.getresponse()
            content = answer.read()
            told = dict(answer.getheaders())
            is_json = "json" in told.get("content-type", "")
            return answer.status, json.loads(content) if is_json else content.decode(), told
        finally:
            connection.close()


@contextmanager
def serving(settings: Settings) -> Iterator[Address]:
    """Serve a home until the block ends."""
    options = options_of(settings) | {"port": 0}
    server = uvicorn.Server(uvicorn.Config(application(settings)[1], **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + 30.0
    while not server.started:
        assert time.monotonic() < end, "the server did not start"
        time.sleep(0.01)
    try:
        yield Address(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(10.0)
