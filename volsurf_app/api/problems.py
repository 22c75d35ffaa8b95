"""What went wrong, as problem details: RFC 9457, `application/problem+json`.

Belongs here: which error is which status. A caller never sees a stack trace: it goes to the log.
"""

import json
import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from volsurf_app.questions import BadQuestion, NotStored
from volsurf_resources.lake_errors import HistoryPruned, LakeError

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("volsurf.api")
_LONGEST = 500  # characters of a detail


class Problem(BaseModel):
    """A problem as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str


def problem(status: int, detail: str, path: str, headers: dict[str, str] | None = None) -> Response:
    """Return the answer to a request that cannot be answered."""
    title = HTTPStatus(status).phrase
    told = Problem(title=title, status=status, detail=detail[:_LONGEST], instance=path[:_LONGEST])
    content = json.dumps(told.model_dump())
    return Response(content, status, headers, media_type=MEDIA_TYPE)


def tell_problems(app: FastAPI) -> None:
    """Make every error of an application a problem."""
    app.add_exception_handler(BadQuestion, _bad_question)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(LakeError, _not_there)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _unexpected)


def _bad_question(request: Request, error: Exception) -> Response:
    return problem(422, str(error), request.url.path)


def _invalid(request: Request, error: Exception) -> Response:
    errors: Any = getattr(error, "errors", list)()
    told = [f"{'.'.join(map(str, e['loc'][1:])) or e['loc'][0]}: {e['msg']}" for e in errors]
    return problem(422, "; ".join(told[:5]), request.url.path)


def _not_there(request: Request, error: Exception) -> Response:
    if isinstance(error, NotStored | HistoryPruned):
        return problem(404, str(error), request.url.path)
    _LOG.error("the store could not be read", exc_info=error)
    detail = f"the store cannot be read at the moment: {type(error).__name__}"
    return problem(503, detail, request.url.path, {"Retry-After": "5"})


def _refused(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 400)
    headers = getattr(error, "headers", None)
    return problem(status, str(getattr(error, "detail", "")), request.url.path, headers)


def _unexpected(request: Request, error: Exception) -> Response:
    _LOG.critical("unexpected error at %s", request.url.path, exc_info=error)
    return problem(500, "unexpected error; the server's log has it", request.url.path)
