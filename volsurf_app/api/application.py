"""The application and its server.

Belongs here: putting routes, limits and problems together, and where to listen. Not here: what is
asked or answered.
"""

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI

from volsurf_app.api.limits import App, Limits
from volsurf_app.api.observing import Metrics, Observed
from volsurf_app.api.problems import tell_problems
from volsurf_app.api.routes import routes_of
from volsurf_app.queries import open_lakes
from volsurf_resources.settings import Settings

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class Unprotected(ValueError):
    """The server would listen to others without asking them for a token."""


def application(settings: Settings) -> tuple[FastAPI, App]:
    """Return the endpoints, and them behind limits and counts, which is what is served."""
    api = FastAPI(
        title="Volsurf",
        summary="Stored volatility surfaces: points, grids, parameters, greeks, and why.",
        description="Vols are decimals per sqrt(year), times years of 365 days, moneyness is "
        "ln(strike / forward). Outside the quotes a point has no value but a status and a reason. "
        "Errors are problem details (RFC 9457).",
        version="1",
    )
    metrics = Metrics()
    api.include_router(routes_of(open_lakes(settings), settings, metrics))
    tell_problems(api)
    return api, Observed(Limits(api, settings), metrics)


def serve(settings: Settings, host: str | None = None, port: int | None = None) -> None:
    """Serve until interrupted; Unprotected where strangers could come without a token."""
    import uvicorn

    options = options_of(settings, host, port)
    served = application(settings)[1]
    warm_up()
    with short_pauses():
        uvicorn.run(served, **options)


def options_of(
    settings: Settings, host: str | None = None, port: int | None = None
) -> dict[str, Any]:
    """Return where and how uvicorn listens; Unprotected as for `serve`.

    No line per request, no word about versions.
    """
    host = host or settings.serve_host
    if host not in LOOPBACK and settings.serve_token is None:
        raise Unprotected(
            f"listening on {host} needs SERVE_TOKEN; without one only 127.0.0.1 can be served"
        )
    return {
        "host": host,
        "port": port or settings.serve_port,
        "access_log": False,
        "log_level": "warning",
        "server_header": False,
        "timeout_keep_alive": 30,
        "lifespan": "off",
    }


def warm_up() -> None:
    """Compile what greeks need, so that the first caller does not wait for it."""
    from volsurf_math.greeks import black_greeks

    black_greeks(100.0, 100.0, 1.0, 0.2, 1.0, True)
    logging.getLogger("volsurf.api").debug("kernels are ready")


@contextmanager
def short_pauses() -> Iterator[None]:
    """Keep what is loaded by now out of the search for garbage until the block ends.

    To look through all of it would hold up a request as long as a hundred others take.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
