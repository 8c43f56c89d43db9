"""The REST API as a Flask app: `create_app` wires routes, the access check, the one error exit and the request id.

Called by `cli` (gunicorn) and by the tests.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request
from werkzeug.routing import BaseConverter

from addon_api import (
    audit,
    audit_trail,
    authentication,
    clusters,
    connections,
    errands,
    events,
    exports,
    external_ids,
    health,
    kubeconfigs,
    looks,
    oidc,
    openapi,
    overview,
    permissions,
    problems,
    published_issuers,
    queries,
    setup,
    trust_policies,
)
from addon_api.metrics import Metrics
from addon_api.routing import ApiSettings, Context, Route
from fleet.database import Database

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

__all__ = ["ApiSettings", "create_app"]

_SLASHES = re.compile("/{2,}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class Segment(BaseConverter):
    """One part of a path that names something: never what begins with `-`, which is the wire contract's for verbs."""

    regex = "[^/-][^/]*"


class Api(Flask):
    """Flask, with paths read leniently: several slashes are one, and one at the end is none.

    A redirect would not do: clients drop the body or the token on the way.
    """

    def wsgi_app(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """The WSGI entry."""
        path: str = environ.get("PATH_INFO", "")
        if "//" in path or path.endswith("/"):
            environ["PATH_INFO"] = _SLASHES.sub("/", path).rstrip("/") or "/"
        return super().wsgi_app(environ, start_response)


def create_app(database: Database, settings: ApiSettings, *, now: Callable[[], datetime]) -> Flask:
    """The app; opens nothing and starts no thread."""
    routes: tuple[Route, ...] = (
        *clusters.ROUTES,
        *queries.ROUTES,
        *connections.ROUTES,
        *errands.ROUTES,
        *looks.ROUTES,
        *kubeconfigs.ROUTES,
        *permissions.ROUTES,
        *events.ROUTES,
        *audit.ROUTES,
        *audit_trail.ROUTES,
        *exports.ROUTES,
        *external_ids.ROUTES,
        *overview.ROUTES,
        *trust_policies.ROUTES,
        *setup.ROUTES,
        *published_issuers.ROUTES,
        *oidc.ROUTES,
        *health.ROUTES,
        *openapi.ROUTES,
    )
    app = Api("addon_api", static_folder=None)
    # One byte more than we take: Werkzeug cuts a chunked body off there without a word, and `bodies` must notice.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + 1
    app.url_map.converters["default"] = Segment
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    metrics = Metrics(database, now)
    app.extensions["pullpass"] = Context(
        database=database,
        settings=settings,
        now=now,
        routes={route.endpoint: route for route in routes},
        metrics=metrics,
    )
    for route in routes:
        app.add_url_rule(
            route.path,
            endpoint=route.endpoint,
            view_func=route.view,
            methods=[route.method],
            provide_automatic_options=False,
        )
    problems.install(app)

    @app.before_request
    def begin() -> None:
        sent = request.headers.get("X-Request-Id", "")
        g.request_id = sent if _REQUEST_ID.fullmatch(sent) else uuid.uuid4().hex
        g.started = now()
        authentication.check()
        if (request.content_length or 0) > settings.max_body_bytes:
            raise problems.ContentTooLarge(f"the body is larger than {settings.max_body_bytes} bytes")

    @app.after_request
    def finish(response: Response) -> Response:
        headers = response.headers
        present = {name.lower() for name, _ in headers}
        for name, value in _HEADERS.items():
            if name.lower() not in present:
                headers.add(name, value)
        headers.add("X-Request-Id", g.request_id)
        rule = request.url_rule.rule if request.url_rule is not None else "unmatched"
        seconds = (now() - g.started).total_seconds()
        metrics.count(request.method, rule, response.status_code, seconds)
        return response

    return app
