"""The surface service asked over HTTP: the same questions and answers as `client.LocalClient`.

Belongs here: transport, and JSON back into answers. A client keeps one connection, for one thread.
"""

import json
from dataclasses import asdict
from datetime import date, datetime
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from volsurf_app.client import Answer, GridSpec, Row, SurfaceClient
from volsurf_app.questions import BadQuestion, NotStored


class ServerError(Exception):
    """The server refused (401, 413, 429), failed, or was not there: the message says which."""


class HttpClient(SurfaceClient):
    """The service of a server, as http://127.0.0.1:8000; `token` where it asks for one."""

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 30.0) -> None:
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise ValueError(f"a server's address is http://host:port, was {url!r}")
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        self._connection = kind(place.hostname, place.port, timeout=timeout_s)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def __enter__(self) -> "HttpClient":
        """Return the client itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; another question opens it again."""
        self._connection.close()

    def _ask(self, kind: type[Answer], name: str, symbol: str, asked: Row, which: Row) -> Answer:
        path, body = f"/v1/{quote(symbol.strip(), safe='')}/{name}", None
        words = asked | {("date" if key == "on" else key): x for key, x in which.items()}
        if (grid := words.pop("grid", None)) is None:
            path = f"{path}?{urlencode(_plain(words))}"
        else:
            body = _plain(_lists(grid) | words)
        status, content = self._answer(path, body)
        if status == 200:
            adapter: Any = _adapter(kind)  # type: ignore[arg-type]
            answer: Answer = adapter.validate_json(content)
            return answer
        kind_of_error = {404: NotStored, 422: BadQuestion}.get(status, ServerError)
        raise kind_of_error(_detail(content) or f"HTTP {status}")

    def _answer(self, address: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body)
        headers = self._headers | ({"Content-Type": "application/json"} if data else {})
        is_kept = self._connection.sock is not None
        try:
            self._connection.request("POST" if data else "GET", address, data, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            if is_kept and isinstance(error, ConnectionError):  # hung up since the last question
                return self._answer(address, body)
            raise ServerError(f"no answer from {self._connection.host}: {error}") from error


@lru_cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _detail(content: bytes) -> str:
    try:
        return str(json.loads(content).get("detail", ""))
    except (ValueError, AttributeError):
        return content[:200].decode(errors="replace")


def _lists(grid: GridSpec) -> Row:
    """Return a grid's lists that hold something; days of tenors that are numbers get their unit."""
    lists = {name: list(values) for name, values in asdict(grid).items() if len(values)}
    tenors = [x if isinstance(x, str) else f"{x}d" for x in lists.get("tenors", [])]
    return lists | ({"tenors": tenors} if tenors else {})


def _plain(asked: Row) -> Row:
    """Leave out what is not chosen; write times and dates as ISO 8601."""
    return {name: _written(x) for name, x in asked.items() if x is not None}


def _written(x: Any) -> Any:
    if isinstance(x, list):
        return [_written(one) for one in x]
    return x.isoformat() if isinstance(x, date | datetime) else x
