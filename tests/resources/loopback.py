"""A vendor on loopback over real HTTP: its calls are recorded, its answers can be scripted.

Belongs here: the server and its faults. Not here: any vendor's answers.
"""

import sys
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer; `cut` ends the connection after that many bytes of the promised body."""

    status: int = 200
    body: str = ""
    cut: int | None = None
    delay_s: float = 0.0
    is_chunked: bool = False


@dataclass(frozen=True, kw_only=True)
class Call:
    """What arrived."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # the default of 5 makes bursts wait for a second

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # hanging up is part of the tests
            super().handle_error(request, client_address)


class LoopbackVendor:
    """Use as a context manager; `url` is where it listens, `calls` what it was asked.

    A vendor says in `reply` what it answers where nothing is scripted, and which `prefix` its paths
    have.
    """

    prefix = ""
    content_type = "application/json"

    def __init__(self, *, hold_s: float = 0.0, port: int = 0):
        self.hold_s = hold_s
        self.calls: list[Call] = []
        self.peak = 0
        self._running = 0
        self._lock = threading.Lock()
        self._scripts: dict[str, deque[Answer]] = defaultdict(deque)
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def reply(self, call: Call) -> Answer:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def script(self, path: str, *answers: Answer) -> None:
        """Answer the next requests of a path with these, then as usual."""
        self._scripts[path].extend(answers)

    def asked(self, path: str) -> list[Call]:
        return [call for call in self.calls if call.path == path]

    def _answer(self, call: Call) -> Answer:
        with self._lock:
            self.calls.append(call)
            if self._scripts[call.path]:
                return self._scripts[call.path].popleft()
        return self.reply(call)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: no wait for an acknowledgement

            def do_GET(self) -> None:
                with vendor._lock:
                    vendor._running += 1
                    vendor.peak = max(vendor.peak, vendor._running)
                try:
                    url = urlsplit(self.path)
                    params = dict(parse_qsl(url.query))
                    path = url.path.removeprefix(vendor.prefix)
                    call = Call(path=path, params=params, headers=dict(self.headers))
                    answer = vendor._answer(call)
                    time.sleep(vendor.hold_s + answer.delay_s)
                finally:
                    with vendor._lock:
                        vendor._running -= 1
                self._send(answer)

            def _send(self, answer: Answer) -> None:
                body = answer.body.encode()
                self.send_response(answer.status, "scripted")
                self.send_header("Content-Type", vendor.content_type)
                if answer.is_chunked:
                    self.send_header("Transfer-Encoding", "chunked")
                    sent = b"".join(
                        b"%x\r\n%s\r\n" % (len(piece), piece)
                        for n in range(0, len(body), 1000)
                        if (piece := body[n : n + 1000])
                    )
                    sent += b"0\r\n\r\n"
                else:
                    self.send_header("Content-Length", str(len(body)))
                    sent = body
                self.end_headers()
                self.wfile.write(sent if answer.cut is None else sent[: answer.cut])
                if answer.cut is not None:
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        return Handler
