"""The console as a Flask app: pages, the sign-in check, protection against forged requests, and its headers.

`create_console` is called by `cli`, which puts it beside the API, and by the tests.
"""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from flask import Flask, g, request
from jinja2 import StrictUndefined
from werkzeug.wrappers import Response

from fleet.database import Database
from web import (
    assets,
    aws_setup,
    cluster_page,
    clusters,
    connecting,
    creating,
    editing,
    errors,
    fleet_view,
    history,
    presentation,
    removing,
    signing_in,
)
from web.api import Api
from web.assets import Assets
from web.routing import Context, Page

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

# The first segment of each path that is the console's; every other belongs to the API.
SEGMENTS = frozenset({"", "clusters", "fleet", "sessions", "sign-in", "sign-out", "static"})

_LARGEST_FORM = 1_048_576
_SMALLEST_COMPRESSED = 1000


def create_console(database: Database, api: WSGIApplication, *, now: Callable[[], datetime]) -> Flask:
    """The console over `api`; opens nothing and starts no thread."""
    pages: tuple[Page, ...] = (
        *assets.PAGES,
        *signing_in.PAGES,
        *clusters.PAGES,
        *fleet_view.PAGES,
        *creating.PAGES,
        *editing.PAGES,
        *connecting.PAGES,
        *removing.PAGES,
        *cluster_page.PAGES,
        *aws_setup.PAGES,
        *history.PAGES,
    )
    app = Flask("web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_FORM
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.extensions["pullpass"] = Context(database, Api(api), Assets(), now)
    presentation.install(app)
    errors.install(app)
    by_endpoint = {page.endpoint: page for page in pages}
    for page in pages:
        app.add_url_rule(
            page.path,
            endpoint=page.endpoint,
            view_func=page.view,
            methods=[page.method],
            provide_automatic_options=False,
        )

    @app.before_request
    def begin() -> Response | None:
        g.nonce = secrets.token_urlsafe(16)
        return signing_in.check(by_endpoint.get(request.endpoint or ""))

    @app.after_request
    def finish(response: Response) -> Response:
        for name, value in _headers().items():
            response.headers.setdefault(name, value)
        return _compressed(response)

    return app


def _headers() -> dict[str, str]:
    """Nothing from elsewhere, nothing inline; the nonce is for the styles that the editor makes."""
    return {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
            f"style-src 'self' 'nonce-{g.get('nonce', '')}'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
    }


def _compressed(response: Response) -> Response:
    wanted = "gzip" in request.headers.get("Accept-Encoding", "")
    if (
        not wanted
        or response.direct_passthrough
        or "Content-Encoding" in response.headers
        or response.mimetype != "text/html"
    ):
        return response
    body = response.get_data()
    if len(body) >= _SMALLEST_COMPRESSED:
        response.set_data(gzip.compress(body, compresslevel=5, mtime=0))
        response.headers["Content-Encoding"] = "gzip"
        response.headers.add("Vary", "Accept-Encoding")
    return response
