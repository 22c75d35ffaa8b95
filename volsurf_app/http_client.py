"""The surface service asked over HTTP: the same questions and answers as `client.LocalClient`.

Belongs here: transport, and JSON back into answers. A client keeps one connection, for one thread.
"""

import json
from dataclasses import asdict
from datetime import date, datetime
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from volsurf_app.client import STANDARD_GRID, GridSpec, SurfaceClient, time_of
from volsurf_app.questions import BadQuestion, Day, NotStored
from volsurf_app.surface_answers import ContractGreeks, SurfaceGrid, SurfacePoint, SviParams

Answer = TypeVar("Answer")


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

    def get_surface(
        self, symbol: str, date: Day | None, grid_spec: GridSpec = STANDARD_GRID, **chosen: Any
    ) -> SurfaceGrid:
        """Return the surface on a grid."""
        lists = {name: values for name, values in asdict(grid_spec).items() if len(values)}
        asked = {name: [_plain(x, name) for x in values] for name, values in lists.items()}
        body = asked | _words({"date": date} | chosen)
        return self._ask(SurfaceGrid, f"/v1/{_part(symbol)}/surface", body=body)

    def get_implied_vol(
        self, symbol: str, date: Day | None, T: float | Day, K: float, **chosen: Any
    ) -> SurfacePoint:
        """Return the vol at a strike and time."""
        asked = {"T": T, "K": K, "date": date} | chosen
        return self._ask(SurfacePoint, f"/v1/{_part(symbol)}/implied_vol", asked)

    def get_svi_params(self, symbol: str, date: Day | None, **chosen: Any) -> SviParams:
        """Return the stored parameters of every listed expiry."""
        return self._ask(SviParams, f"/v1/{_part(symbol)}/svi_params", {"date": date} | chosen)

    def get_greeks(
        self,
        symbol: str,
        date: Day | None,
        expiry: Day,
        strike: float,
        option_type: str,
        root: str | None = None,
        **chosen: Any,
    ) -> ContractGreeks:
        """Return premium and greeks of a contract at the surface's vol."""
        terms = {"expiry": expiry, "strike": strike, "option_type": option_type, "root": root}
        asked = terms | {"date": date} | chosen
        return self._ask(ContractGreeks, f"/v1/{_part(symbol)}/greeks", asked)

    def get_why(
        self,
        symbol: str,
        date: Day | None,
        T: float | Day,
        K: float | None = None,
        root: str | None = None,
        **chosen: Any,
    ) -> dict[str, Any]:
        """Return what is behind the vol and greeks at a strike and time."""
        asked = time_of(T) | {"root": root, "strike": K, "date": date} | chosen
        return self._ask(dict[str, Any], f"/v1/{_part(symbol)}/why", asked)

    def __enter__(self) -> "HttpClient":
        """Return the client itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; another question opens it again."""
        self._connection.close()

    def _ask(
        self,
        kind: type[Answer],
        path: str,
        query: dict[str, Any] | None = None,
        body: dict[str, Any] | None = None,
    ) -> Answer:
        address = f"{path}?{urlencode(_words(query))}" if query else path
        status, content = self._answer(address, body)
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


def _part(symbol: str) -> str:
    return quote(symbol.strip(), safe="")


def _words(asked: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not chosen; write times and dates as ISO 8601."""
    return {name: _plain(x, name) for name, x in asked.items() if x is not None}


def _plain(x: Any, name: str = "") -> Any:
    if isinstance(x, date | datetime):
        return x.isoformat()
    return f"{x}d" if name == "tenors" and not isinstance(x, str) else x
