"""The one error exit: every refusal and failure leaves as problem+json (RFC 9457) in one shape.

The body also carries `status`, `code`, `message`, `details` and `id`, which `cpln` and scripts read, and the code as
`name`, without which `cpln -o names` shows no error at all and ends with 0. It never holds a stack, and of a failure
that is not the caller's it holds no word of ours but "look for this id".
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from fleet.errors import DatabaseUnavailable
from schemas.errors import Mistake, Refusal, Unauthenticated

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2

_CODES = {
    HTTPStatus.BAD_REQUEST: ("BAD_REQUEST", "the request cannot be read"),
    HTTPStatus.NOT_FOUND: ("NOT_FOUND", "there is nothing at this path"),
    HTTPStatus.METHOD_NOT_ALLOWED: ("METHOD_NOT_ALLOWED", "this path does not take this method"),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("CONTENT_TOO_LARGE", "the body is larger than this server takes"),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (
        "UNSUPPORTED_MEDIA_TYPE",
        "expected application/json or application/yaml",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: ("UNAVAILABLE", "the database does not answer; try again soon"),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "INTERNAL",
        "something went wrong here; the server's log has it under this id",
    ),
}

log = structlog.get_logger(__name__)


class UnsupportedMediaType(Refusal):
    """The body's content type is none that we read."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UNSUPPORTED_MEDIA_TYPE"


class ContentTooLarge(Refusal):
    """The body is larger than this server takes."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "CONTENT_TOO_LARGE"


def install(app: Flask) -> None:
    """Makes this module the only way out of `app` for whatever is raised in it."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """The response for anything that was raised while a request was served."""
    if isinstance(error, Refusal):
        return problem(
            error.status, error.code, error.message, mistakes=error.mistakes, headers=_challenge(error)
        )
    if (
        isinstance(error, HTTPException)
        and error.code in set(_CODES)
        and error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        headers = {}
        if isinstance(error, MethodNotAllowed) and error.valid_methods is not None:
            headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return _known(HTTPStatus(error.code), headers)
    if (
        isinstance(error, HTTPException)
        and error.code is not None
        and error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        return _known(HTTPStatus.BAD_REQUEST, {})
    if isinstance(error, DatabaseUnavailable):
        log.warning("database unavailable", request_id=g.get("request_id"))
        return _known(HTTPStatus.SERVICE_UNAVAILABLE, {"Retry-After": str(RETRY_AFTER_SECONDS)})
    # The traceback as text: a renderer of exceptions would add the values of variables, and some are secrets.
    stack = "".join(traceback.format_exception(error))
    log.error("request failed", request_id=g.get("request_id"), traceback=stack)
    return _known(HTTPStatus.INTERNAL_SERVER_ERROR, {})


def problem(
    status: HTTPStatus,
    code: str,
    message: str,
    *,
    mistakes: Sequence[Mistake] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """One problem; `message` is one short line, because Terraform prints the body as it is."""
    document: dict[str, Any] = {
        "status": int(status),
        "code": code,
        "name": code,
        "message": message,
        "title": status.phrase,
        "detail": message,
        "details": [
            {
                "path": mistake.path,
                "message": mistake.message,
                **({"hint": mistake.hint} if mistake.hint else {}),
            }
            for mistake in mistakes
        ],
        "id": g.get("request_id", ""),
    }
    text = json.dumps(document, ensure_ascii=False)
    return Response(text + "\n", status=status, headers=headers, content_type=CONTENT_TYPE)


def _known(status: HTTPStatus, headers: Mapping[str, str]) -> Response:
    code, message = _CODES[status]
    return problem(status, code, message, headers=headers)


def _challenge(error: Refusal) -> dict[str, str]:
    if not isinstance(error, Unauthenticated):
        return {}
    schemes = ['Bearer realm="pullpass"']
    if g.get("browsable", False):
        schemes.append('Basic realm="pullpass: any user name, the token as the password", charset="UTF-8"')
    return {"WWW-Authenticate": ", ".join(schemes)}
