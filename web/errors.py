"""The console's one error exit: a page (or, for htmx, a notice) that says what was wrong and what to do."""

from __future__ import annotations

import traceback
from http import HTTPStatus

import structlog
from flask import Flask, g, make_response, render_template
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from fleet.errors import DatabaseUnavailable
from web.api import Refused
from web.journey import sentence

_WORDS = {
    HTTPStatus.NOT_FOUND: ("Nothing is here", "The address may be mistyped, or what stood here was removed."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("Not this way", "This address takes no such request."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("Too large", "A form may hold 1 MiB at most."),
}
_log = structlog.get_logger(__name__)


def install(app: Flask) -> None:
    """Makes this module the only way out of `app` for whatever is raised in it."""
    app.register_error_handler(Exception, answer)


def answer(error: Exception) -> Response:
    """The page for anything that was raised while a request was served."""
    if isinstance(error, DatabaseUnavailable) or (
        isinstance(error, Refused) and error.status == HTTPStatus.SERVICE_UNAVAILABLE
    ):
        return refuse(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The database does not answer",
            "Nothing was changed. Try again soon.",
        )
    if isinstance(error, Refused):
        heading = "Nothing is here" if error.status == HTTPStatus.NOT_FOUND else "That was refused"
        return refuse(HTTPStatus(error.status), heading, f"{sentence(error.message).rstrip('.')}.")
    if (
        isinstance(error, HTTPException)
        and error.code is not None
        and error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        status = HTTPStatus(error.code)
        return refuse(
            status, *_WORDS.get(status, ("This request cannot be read", "Go back and try once more."))
        )
    # The traceback as text: a renderer of exceptions would add the values of variables, and some are secrets.
    _log.error("page failed", traceback="".join(traceback.format_exception(error)))
    return refuse(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong here",
        "The server's log has it. Try again soon.",
    )


def refuse(status: HTTPStatus, heading: str, words: str) -> Response:
    """The page with this status."""
    page = render_template("error.html", heading=heading, words=words, signed_in=g.get("session") is not None)
    return make_response(page, status)
